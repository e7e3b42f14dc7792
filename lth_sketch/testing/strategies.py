"""Hypothesis strategies for products and for the draws that fit them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from lth_sketch.product import Product
from lth_sketch.testing import forms
from lth_sketch.validation import Floats


@st.composite
def products(
    draw: st.DrawFn,
    *,
    max_d: int = 5,
    max_q: int = 4,
    max_r: int = 3,
    max_exponent: int = 60,
    sparse: bool = False,
) -> Product:
    """Products with ties, zero, duplicated and cancelling terms, rank one, heavy tails, any scale.

    Each matrix is float64 or float32, in rows or columns, with strides of any sign, or read-only.

    Parameters
    ----------
    draw : callable
        Supplied by Hypothesis; call ``products()`` without it.
    max_d, max_q, max_r : int
        Largest inner dimension, rows of A and columns of B.
    max_exponent : int
        Each matrix is multiplied by a power of ten within ``+-max_exponent``, and within what its
        dtype holds.
    sparse : bool
        Whether a matrix may be CSR or CSC too.

    Returns
    -------
    strategy of Product
        No product of zeros.
    """
    d = draw(st.integers(1, max_d))
    A = _matrix(draw, draw(st.integers(1, max_q)), max_q, d, max_d)
    vector = draw(_YES_OR_NO)
    B = _matrix(draw, 1 if vector else draw(st.integers(1, max_r)), max_r, d, max_d)
    if draw(_YES_OR_NO):
        # Duplicated columns, with other weights, with the same, or with those that cancel.
        copy, source = np.divmod(np.arange(d), draw(st.integers(1, d)))
        A = A[:, source]
        weights = draw(st.integers(0, 3))
        B = (B, np.abs(B), B[:, source], B[:, source] * (-1.0) ** copy)[weights]
    live = np.asarray(A.any(axis=0) & B.any(axis=0))
    if not live.any():
        # Rather than refuse a product of zeros: a draw thrown away costs as much as another.
        A[0, 0] = B[0, 0] = live[0] = 1
    if not draw(_YES_OR_NO):
        # Without what is zero: a counterexample that does not need it shrinks to small shapes.
        A, B = A[:, live], B[:, live]
        A, B = A[A.any(axis=1)], B[B.any(axis=1)]
    B = B[0] if vector else B.T
    A, B = (forms.scaled(draw, M, max_exponent) for M in (A, B))
    return Product(*(forms.arrays(draw, M, sparse=sparse) for M in (A, B)))


@st.composite
def probabilities(draw: st.DrawFn, product: Product) -> Floats:
    """Draws that fit a product: optimal, uniform, or any that covers its nonzero terms.

    Parameters
    ----------
    draw : callable
        Supplied by Hypothesis; call ``probabilities(product)``.
    product : Product
        The product to be sketched.

    Returns
    -------
    strategy of (d,) array
        Normalised; may be zero where the product's term is zero.
    """
    d = product.d
    kind = draw(_KINDS_OF_DRAWS)
    if kind == "optimal":
        return np.asarray(product.term_norms / product.total)
    if kind == "uniform":
        return np.full(d, 1.0 / d)
    parts = _FEW if kind == "ties" else _UNIT
    raw = np.array(draw(st.lists(parts, min_size=d, max_size=d)), dtype=np.float64)
    # A floor keeps second moments in range; zero only where no term is missed.
    raw[(product.term_norms > 0) | (raw.sum() == 0)] += 0.01
    return np.asarray(raw / raw.sum())


def _matrix(draw: st.DrawFn, rows: int, max_rows: int, d: int, max_d: int) -> Floats:
    """Draw a (rows, d) array: small integers (ties, zeros), floats, rank one, or heavy tails.

    All the entries that a larger one needs are drawn, so that a smaller shape is a smaller number
    and changes no entry: counterexamples then shrink.
    """
    kind = draw(_KINDS_OF_FACTORS)
    entries, meaning = _ENTRIES[kind]
    numbers = draw(st.lists(entries, min_size=max_d * max_rows, max_size=max_d * max_rows))
    # A copy: nothing of it may be changed by what is done to another.
    table = (
        meaning(np.array(numbers, dtype=np.float64)).reshape(max_d, max_rows).T[:rows, :d].copy()
    )
    return np.outer(table[:, 0], table[0]) if kind == "rank one" else table


def _powers(n: Floats) -> Floats:
    return np.asarray(np.sign(n) * 10.0 ** (np.abs(n) - 3))


# Strategies of numbers are made once: making one takes as long as drawing from it. What an integer
# means is worked out for all of them at once.
_YES_OR_NO = st.booleans()
_KINDS_OF_DRAWS = st.sampled_from(["optimal", "uniform", "ties", "any"])
_FEW, _UNIT = st.integers(0, 3), st.floats(0.0, 1.0, width=32)
_KINDS_OF_FACTORS = st.sampled_from(["integers", "floats", "rank one", "heavy"])
_SMALL = st.integers(-2, 2), np.positive
# Multiples of 2^-10 keep squares far from underflow.
_FLOATS = st.integers(-(2**13), 2**13), lambda n: n / 2**10
_ENTRIES: dict[str, tuple[st.SearchStrategy[int], Callable[[Floats], Floats]]] = {
    "integers": _SMALL,
    "floats": _FLOATS,
    "rank one": _FLOATS,
    "heavy": (st.integers(-5, 5), _powers),
}
