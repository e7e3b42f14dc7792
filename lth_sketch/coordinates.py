"""The terms of a product in few coordinates (S0), without squaring a condition number.

A Gram matrix of the terms loses what is below the root of machine epsilon: the difference of two
nearly equal terms, for one. Triangles of orthogonal factorisations lose only epsilon. Where these
take too long, the root is one of the differences between terms, not of the terms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from lth_sketch import reduction
from lth_sketch.tolerances import EPS, GRAM, TERMS
from lth_sketch.validation import Floats

# Multiplications that are spent on triangles at most: a second's work, or so. Gram matrices take
# less than a third of it.
TRIANGLE_WORK = 2**34
# Rows that are factored at a time, and that go into a Gram matrix at a time.
SHORT, TALL = 2**10, 2**12
# Entries of a block of terms that stays in the cache.
CACHED = 2**17


def unit_terms(A: Any, rows: Any, a: Floats, b: Floats) -> tuple[Floats, float]:
    """Return coordinates of the terms, each divided by its norm, and how wrong they may be.

    Parameters
    ----------
    A : (q, d) array or CSR/CSC matrix
        Left matrix.
    rows : (d, r) array or CSR/CSC matrix
        Right matrix.
    a, b : (d,) arrays
        Norms of the columns of A and of the rows of the right matrix.

    Returns
    -------
    L : (d, rank) array
        Row i for term i: of unit norm, or zero where the term is.
    error : float
        ``||sum x_i term_i||`` is ``||x @ L||`` to within ``error * sum |x_i|``, for unit terms.
    """
    live = np.flatnonzero((a > 0) & (b > 0))
    if not _affordable(A.shape, rows.shape):
        return _from_grams(A, rows, a, b)
    left = _triangle(A, live, a)
    right = _triangle(rows.T, live, b)
    if len(right) == 1:
        # Signs: b is the modulus.
        joined = left * right
    else:
        width = len(live)
        height = max(1, SHORT // len(right))
        parts = (
            (part[:, None, :] * right).reshape(-1, width)
            for part in (left[j : j + height] for j in range(0, len(left), height))
        )
        many = len(left) * len(right) > width
        joined = reduction.triangle(parts, width) if many else np.vstack(list(parts))
    live_terms = _compressed(joined)
    L = np.zeros((len(a), live_terms.shape[1]))
    L[live] = live_terms
    return L, TERMS * float(np.sqrt(len(live)))


def squares(A: Any, rows: Any) -> float:
    """Return ``||A rows||_F^2`` without forming the product, from triangles of both."""
    everything = np.arange(A.shape[1])
    ones = np.ones(A.shape[1])
    value = _triangle(A, everything, ones) @ _triangle(rows.T, everything, ones).T
    return float(np.einsum("jk,jk->", value, value))


def centred_moment(A: Any, rows: Any, a: Floats, b: Floats, p: Floats, sizes: Floats) -> float:
    """Return ``E ||Z - E Z||^2`` for the draw of a term i, over p_i, with probability p_i.

    A sum of squares: nothing is lost where the terms over p are nearly equal.

    Parameters
    ----------
    A, rows, a, b
        As in `unit_terms`.
    p : (d,) array
        Probabilities.
    sizes : (d,) array
        Norms of the terms over p, in any unit; zero where p is zero.
    """
    if A.shape[0] < rows.shape[1]:
        A, rows, a, b = rows.T, A.T, b, a
    live = np.flatnonzero(sizes)
    few = _triangle(rows.T, live, b)
    q, z = p[live], sizes[live]
    # Terms of norm zero are drawn with this probability.
    idle = float(p[sizes == 0].sum())
    total = 0.0
    for block in _scaled(A, live, a, max(1, CACHED // len(live))):
        for direction in few:
            Z = block * (direction * z)
            mean = Z @ q
            Z -= mean[:, None]
            total += float((np.square(Z) @ q + idle * mean**2).sum())
    return total


def _affordable(left: tuple[int, int], right: tuple[int, int]) -> bool:
    """Whether triangles cost at most `TRIANGLE_WORK`."""
    (q, d), (_, r) = left, right
    joined = min(q, d) * min(r, d) if r > 1 else 0
    rows = (q if q > d else 0) + (r if r > d else 0) + joined
    return 2 * rows * d**2 <= TRIANGLE_WORK


def _scaled(M: Any, live: Any, norms: Floats, height: int) -> Iterator[Floats]:
    """Yield blocks of rows of M with the live columns only, divided by their norms."""
    inverse = 1.0 / norms[live]
    every = len(live) == M.shape[1]
    for _, block in reduction.blocks(M, height):
        yield (block if every else block[:, live]) * inverse


def _triangle(M: Any, live: Any, norms: Floats) -> Floats:
    """Return at most as many rows as columns with the Gram matrix of M, as `_scaled`."""
    parts = _scaled(M, live, norms, SHORT)
    if M.shape[0] <= len(live):
        return np.vstack(list(parts))
    return reduction.triangle(parts, len(live))


def _compressed(joined: Floats) -> Floats:
    """Return (d, rank) coordinates of unit columns (k, d): rows that are triangular in some order.

    The order of a pivoted Cholesky factorisation brings the rank to light, to the root of epsilon;
    reflectors in that order keep what is below.
    """
    order = scipy.linalg.lapack.dpstrf((joined.T @ joined).T, lower=0)[1] - 1
    upper = np.asarray(np.linalg.qr(joined[:, order], mode="r"))
    # Norms of what each column has from a row on.
    rest = np.sqrt(np.cumsum(np.square(upper[::-1]), axis=0)[::-1].max(axis=1))
    rank = int(np.count_nonzero(rest > 0.5 * TERMS * np.sqrt(len(order))))
    root = np.empty((len(order), rank))
    root[order] = upper[:rank].T
    return root


def _from_grams(A: Any, rows: Any, a: Floats, b: Floats) -> tuple[Floats, float]:
    """Coordinates from Gram matrices: what all terms share, and the root of what is left.

    With ``A_i / a_i = x_i g + P_i`` and ``B_i / b_i = y_i h + Q_i``, P_i across g and Q_i across h,
    the inner products of terms are those of the ``x_i y_i`` and a matrix K of the others. The root
    of epsilon is then one of K, however nearly equal the terms are.
    """
    largest = int((a * b).argmax())
    left, right = _Gram.of(A, largest, a), _Gram.of(rows.T, largest, b)
    K: Floats = np.outer(left.along, left.along) * right.across
    K += np.outer(right.along, right.along) * left.across
    K += left.across * right.across
    height = float(K.diagonal().max())
    packed, pivots, rank, _ = scipy.linalg.lapack.dpstrf(K.T, lower=0)
    upper = np.triu(packed)[:rank]
    root = np.empty((len(K), rank + 1))
    root[:, 0] = left.along * right.along
    root[pivots - 1, 1:] = upper.T
    # Entries of K are right to GRAM, three times over, and pivots below len(K) EPS are dropped.
    lost = float(np.sqrt((4.0 * GRAM + len(K) * EPS) * height))
    if not root[:, 0].any():
        root = root[:, 1:].copy()
    return root, lost + left.slant + right.slant + TERMS


@dataclass(frozen=True)
class _Gram:
    """Unit columns by one of them: multiples of it, and the Gram matrix of what is across it."""

    along: Floats
    across: Floats
    # By how much the two parts are not at right angles, in rounding.
    slant: float

    @classmethod
    def of(cls, M: Any, k: int, norms: Floats) -> _Gram:
        """Column k of M (n, d) is the one; columns of norm zero stay zero."""
        inverse = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
        d = len(norms)
        if scipy.sparse.issparse(M):
            # Across nothing: what is left of a column would be dense.
            wide = M.astype(np.float64)
            G = np.asarray((wide.T @ wide).toarray())
            G *= inverse[:, None]
            G *= inverse
            return cls(np.zeros(d), G, 0.0)
        along, G, slant = np.zeros(d), np.zeros((d, d)), np.zeros(d)
        for _, block in reduction.blocks(M, TALL):
            along += block[:, k] @ block
        along *= inverse[k] * inverse
        along[k] = 1.0
        for _, block in reduction.blocks(M, TALL):
            part = block * inverse
            unit = part[:, k].copy()
            part -= unit[:, None] * along
            G += part.T @ part
            slant += unit @ part
        return cls(along, G, float(abs(slant).max()))
