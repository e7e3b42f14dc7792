"""The data that a score of a module looks at: the real ones, random ones, or none."""

from __future__ import annotations

from typing import Any

import numpy as np

from lth_sketch import pruning, validation
from lth_sketch.networks.weights import to_numpy
from lth_sketch.validation import Array

KINDS = ("ones", "random", "real")


def source(
    X: Any, y: Any, kind: str, *, rng: np.random.Generator | int | None = None
) -> tuple[Array, Array]:
    """Return the data that a score looks at: the real ones, random ones, or none.

    Parameters
    ----------
    X : (n, ...) array or tensor
        Real samples.
    y : (n,) or (n, q) array or tensor
        Labels (integers) or targets (real numbers).
    kind : {"real", "random", "ones"}
        What the score will see in their place:

        - "real": X and y themselves.
        - "random": independent normal entries with the mean and the variance of all of X; labels
          drawn uniformly from the classes of y, or targets normal alike.
        - "ones": no data. One sample of ones and the target zero of a squared loss, so that SNIP is
          ``|w o J^T F|``.
    rng : Generator, int or None
        Source of randomness.

    Returns
    -------
    X, y : arrays
        As many samples as there were, one for "ones"; X in its type.

    Raises
    ------
    TypeError, ValueError
        If `kind` or `rng` is none of the above, or lengths differ.

    Examples
    --------
    >>> X, y = source(np.zeros((5, 3)), np.arange(5), "ones")
    >>> X, y
    (array([[1., 1., 1.]]), array([[0.]]))
    """
    validation.choice("kind", kind, KINDS)
    generator = validation.generator(rng)
    data, targets = to_numpy(X), to_numpy(y)
    if len(data) != len(targets):
        raise ValueError(f"X and y must have one length; got {len(data)} and {len(targets)}")
    if kind == "real":
        return data, targets
    if kind == "ones":
        return np.ones((1, *data.shape[1:]), data.dtype), np.zeros((1, 1), data.dtype)
    flat = pruning.source(data.reshape(len(data), -1), "gaussian", rng=generator)
    if targets.dtype.kind in "iu":
        return flat.reshape(data.shape), generator.choice(np.unique(targets), len(targets))
    spread = targets.mean(), targets.std()
    labels = generator.normal(*spread, targets.shape).astype(targets.dtype)
    return flat.reshape(data.shape), labels
