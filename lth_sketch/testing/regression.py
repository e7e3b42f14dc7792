"""Hypothesis strategies for least-squares problems of every awkward kind, and for masks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from lth_sketch.testing import forms
from lth_sketch.tolerances import ROUNDING
from lth_sketch.validation import Array, Floats


class LeastSquares(NamedTuple):
    """Data, targets, initial weights, and the condition number of the nonzero singular values."""

    X: Array
    y: Array
    w0: Array
    condition: float

    @property
    def sigma(self) -> float:
        """The largest singular value."""
        return float(np.linalg.norm(self.X.astype(np.float64), 2))

    @property
    def size(self) -> float:
        """What the rounding of residuals is relative to."""
        targets = np.linalg.norm(self.y.astype(np.float64))
        return float(targets + self.sigma * np.linalg.norm(self.w0))


@st.composite
def problems(
    draw: st.DrawFn,
    *,
    max_n: int = 8,
    max_d: int = 6,
    max_r: int = 2,
    max_exponent: int = 30,
    conditions: Sequence[float] = (1, 1e8),
) -> LeastSquares:
    """Tall, wide, one row; dependent, repeated and zero columns; exact fits; ill-conditioned.

    Arrays are in rows or columns, with strides of any sign, or read-only; X and y are float32 in
    part of the cases in which that holds all their digits. w0 is float64, and so are weights then.
    Entries of the first kind are small integers, so that dependence is exact; the second kind has
    singular values down to 1 / condition and targets that are fitted exactly.

    Parameters
    ----------
    draw : callable
        Supplied by Hypothesis; call ``problems()`` without it.
    max_n, max_d, max_r : int
        Largest numbers of samples, features and outputs.
    max_exponent : int
        X and y are multiplied by a power of ten within ``+-max_exponent`` each.
    conditions : sequence of float
        1 for the first kind, condition numbers for the second.

    Returns
    -------
    strategy of LeastSquares
        X is never all zero.
    """
    n, d = draw(st.integers(1, max_n)), draw(st.integers(1, max_d))
    r = draw(st.integers(1, max_r))
    condition = draw(st.sampled_from(list(conditions)))
    w = draw(_integers(d, r))
    if condition == 1:
        X = draw(_integers(n, d))
        if draw(st.booleans()):
            rank = draw(st.integers(1, 2))
            X = draw(_integers(n, rank)) @ draw(_integers(rank, d))
        if draw(st.booleans()):
            X = X[:, draw(st.lists(st.integers(0, d - 1), min_size=d, max_size=d))]
        X = X * 10.0 ** np.array(draw(st.lists(st.integers(-1, 1), min_size=d, max_size=d)))
        y = X @ w if draw(st.booleans()) else draw(_integers(n, r))
    else:
        rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        k = min(n, d)
        left, right = (np.linalg.qr(rng.normal(size=(size, k)))[0] for size in (n, d))
        X = left * np.logspace(0, -np.log10(condition), k) @ right.T
        y = X @ w
    if not X.any():
        # Rather than refuse it: a draw that is thrown away costs as much as another.
        X[0, 0] = 1.0
    exponents = st.integers(-max_exponent, max_exponent)
    X = X * 10.0 ** draw(exponents)
    y = y * 10.0 ** draw(exponents)
    # Weights of the size of those that fit, so that neither start nor target is lost in rounding.
    fitting = float(np.abs(y).max() / np.abs(X).max())
    w0 = draw(_integers(d, r)) * draw(st.sampled_from([0.0, fitting]))
    if r == 1 and draw(st.booleans()):
        y, w0 = y[:, 0], w0[:, 0]
    sigma = np.linalg.svd(X, compute_uv=False)
    kept = sigma[sigma > ROUNDING * sigma[0]]
    X, y = (forms.exact(draw, M) for M in (X, y))
    X, y, w0 = (forms.arrays(draw, M) for M in (X, y, w0))
    return LeastSquares(X, y, w0, float(kept[0] / kept[-1]))


def masks(d: int) -> st.SearchStrategy[Floats]:
    """Binary and weighted masks that keep something.

    Parameters
    ----------
    d : int
        Length of the mask.

    Returns
    -------
    strategy of (d,) array
        Entries >= 0, not all zero.
    """
    return st.lists(_ENTRIES, min_size=d, max_size=d).map(_keeping)


def _keeping(entries: list[float]) -> Floats:
    """Return a mask with these entries, and one if all of them are zero."""
    mask = np.array(entries)
    mask[0] += not mask.any()
    return mask


_ENTRIES = st.sampled_from([0.0, 1.0, 1.0, 0.5, 3.0])


@cache
def _integers(n: int, d: int) -> st.SearchStrategy[Floats]:
    entries = st.lists(st.integers(-3, 3), min_size=n * d, max_size=n * d)
    return entries.map(lambda flat: np.array(flat, dtype=np.float64).reshape(n, d))
