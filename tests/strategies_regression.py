"""Least-squares problems of every awkward kind, for property tests."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st


class Case(NamedTuple):
    """A problem, and the condition number of its nonzero singular values."""

    X: np.ndarray
    y: np.ndarray
    w0: np.ndarray
    condition: float

    @property
    def sigma(self):
        """The largest singular value."""
        return np.linalg.norm(self.X, 2)

    @property
    def size(self):
        """What the rounding of residuals is relative to."""
        return np.linalg.norm(self.y) + self.sigma * np.linalg.norm(self.w0)


@st.composite
def problems(draw, *, max_n=8, max_d=6, max_r=2, max_exponent=30, conditions=(1, 1e8)):
    """Tall, wide, one row; dependent, repeated and zero columns; exact fits; condition up to 1e8.

    Entries of the first kind are small integers, so that dependence is exact; the second kind has
    singular values from 1 to 1e-8 (see `conditions`) and targets that are fitted exactly.
    """
    n, d = draw(st.integers(1, max_n)), draw(st.integers(1, max_d))
    r = draw(st.integers(1, max_r))
    condition = draw(st.sampled_from(conditions))
    w = draw(integers(d, r))
    if condition == 1:
        X = draw(integers(n, d))
        if draw(st.booleans()):
            rank = draw(st.integers(1, 2))
            X = draw(integers(n, rank)) @ draw(integers(rank, d))
        if draw(st.booleans()):
            X = X[:, draw(st.lists(st.integers(0, d - 1), min_size=d, max_size=d))]
        X = X * 10.0 ** np.array(draw(st.lists(st.integers(-1, 1), min_size=d, max_size=d)))
        y = X @ w if draw(st.booleans()) else draw(integers(n, r))
    else:
        rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        k = min(n, d)
        left, right = (
            np.linalg.qr(rng.normal(size=(n, k)))[0],
            np.linalg.qr(rng.normal(size=(d, k)))[0],
        )
        X = left * np.logspace(0, -np.log10(condition), k) @ right.T
        y = X @ w
    assume(bool(X.any()))
    exponents = st.integers(-max_exponent, max_exponent)
    X = X * 10.0 ** draw(exponents)
    y = y * 10.0 ** draw(exponents)
    # Weights of the size of those that fit, so that neither start nor target is lost in rounding.
    w0 = draw(integers(d, r)) * draw(st.sampled_from([0.0, np.abs(y).max() / np.abs(X).max()]))
    if r == 1 and draw(st.booleans()):
        y, w0 = y[:, 0], w0[:, 0]
    sigma = np.linalg.svd(X, compute_uv=False)
    kept = sigma[sigma > 1e-11 * sigma[0]]
    return Case(X, y, w0, float(kept[0] / kept[-1]))


def integers(n, d):
    """Matrices of small integers, as floats."""
    entries = st.lists(st.integers(-3, 3), min_size=n * d, max_size=n * d)
    return entries.map(lambda flat: np.array(flat, dtype=float).reshape(n, d))


def masks(d):
    """Binary and weighted masks that keep something."""
    entry = st.sampled_from([0.0, 1.0, 1.0, 0.5, 3.0])
    return st.lists(entry, min_size=d, max_size=d).map(np.array).filter(np.any)
