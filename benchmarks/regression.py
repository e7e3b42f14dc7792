"""`path` and `fit_masks` on 60,000 x 784 with 10 outputs, next to one fit after another."""

from __future__ import annotations

import os
import time

import numpy as np
import scipy.sparse
from sklearn.linear_model import LinearRegression

from benchmarks.timing import Row, seconds
from lth_sketch import datasets
from lth_sketch.regression import fit_masks, path

MASKS = 1000
LOOP_MASKS = 5
# Boole's rule for the mean time over all prefixes, from five of them.
FRACTIONS, WEIGHTS = np.array([0, 1, 2, 3, 4]) / 4, np.array([7, 32, 12, 32, 7]) / 90


def images() -> tuple[np.ndarray, np.ndarray, str]:
    """Fashion-MNIST where it lies at hand, otherwise noise of the same shape."""
    if "LTH_SKETCH_DATA" in os.environ:
        data = datasets.load("fashion_mnist")
        return data.X, np.eye(10)[data.y], "Fashion-MNIST"
    rng = np.random.default_rng(0)
    return rng.random((60_000, 784)), rng.normal(size=(60_000, 10)), "noise 60,000 x 784"


def prefixes(X: np.ndarray, y: np.ndarray, name: str) -> Row:
    """Every prefix of a random order, next to refits of scikit-learn with default settings."""
    d = X.shape[1]
    order = np.random.default_rng(1).permutation(d)
    losses = path(X, y, order)
    taken = seconds(lambda: path(X, y, order), repeats=3)
    rival, off = 0.0, 0.0
    for fraction, weight in zip(FRACTIONS, WEIGHTS, strict=True):
        k = max(1, int(fraction * d))
        start = time.perf_counter()
        LinearRegression().fit(X[:, order[:k]], y)
        rival += (time.perf_counter() - start) * weight * d
        part = X[:, order[:k]]
        exact = np.sum((y - part @ np.linalg.lstsq(part, y, rcond=None)[0]) ** 2, axis=0)
        off = max(off, np.abs(losses[k - 1] / exact - 1).max())
    return Row(
        f"loss of all {d} prefixes, {name}",
        "regression.path",
        f"LinearRegression refits ({len(WEIGHTS)} of them, scaled)",
        rival / taken,
        f"off numpy's lstsq by {off:.1g}, relative",
    )


def many_masks(X: np.ndarray, y: np.ndarray, name: str) -> Row:
    """Random masks of half the features, next to a loop of numpy's lstsq."""
    kept = np.random.default_rng(2).random((MASKS, X.shape[1])) < 0.5
    rows = scipy.sparse.csr_array(kept * 1.0)
    train = fit_masks(X, y, rows)[0]
    taken = seconds(lambda: fit_masks(X, y, rows), repeats=2)
    start = time.perf_counter()
    exact = [np.linalg.lstsq(X[:, m], y, rcond=None)[1] for m in kept[:LOOP_MASKS]]
    rival = (time.perf_counter() - start) * MASKS / LOOP_MASKS
    off = np.abs(train[:LOOP_MASKS] / np.array(exact) - 1).max()
    return Row(
        f"{MASKS} masks of half the features, {name}",
        "regression.fit_masks",
        f"numpy.linalg.lstsq loop ({LOOP_MASKS} masks, scaled)",
        rival / taken,
        f"off by {off:.1g}, relative",
    )


def run() -> list[Row]:
    """Compare both on the same data; each call factorises the data anew."""
    X, y, name = images()
    return [prefixes(X, y, name), many_masks(X, y, name)]
