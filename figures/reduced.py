"""What the figures about training share: the data up to a rotation, and splits of its samples."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from lth_sketch.datasets import Dataset
from lth_sketch.reduction import Reduced, reduce
from lth_sketch.validation import Array, Floats, Integers


class Split(NamedTuple):
    """Samples to train on and samples held out, with one output a class."""

    X: Array
    Y: Array
    X_test: Array
    Y_test: Array
    labels: Integers
    labels_test: Integers


def outputs(data: Dataset) -> Array:
    """Return what is learned, (n, r): an output a class, or the real targets as they are."""
    return data.one_hot() if data.labelled else np.asarray(data.y, data.X.dtype)[:, None]


@lru_cache(maxsize=1)
def reduced(data: Dataset) -> Reduced:
    """Return the data rotated to min(n, d) samples: every norm, product and fit stays the same.

    The figures draw one data set after another, so that the last one is all that is kept.
    """
    return reduce(data.X, outputs(data).astype(np.float64))


def initial(rng: np.random.Generator, d: int, *shape: int) -> Floats:
    """Return Gaussian weights (d, ...) of variance 1/d, as layers are initialized."""
    return rng.normal(0.0, 1.0 / np.sqrt(d), (d, *shape))


def split(data: Dataset, rng: np.random.Generator) -> Split:
    """Return two thirds of the samples to train on, and a third held out, at random."""
    n = len(data.y)
    order = rng.permutation(n)
    train, test = order[n // 3 :], order[: n // 3]
    Y = outputs(data)
    # Which output is the largest: the class, whatever its label is called.
    labels = Y.argmax(axis=1)
    return Split(data.X[train], Y[train], data.X[test], Y[test], labels[train], labels[test])
