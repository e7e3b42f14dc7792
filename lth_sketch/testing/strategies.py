"""Hypothesis strategies for products and for the draws that fit them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume
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

    Each factor is float64 or float32, in rows or columns, with strides of any sign, or read-only.

    Parameters
    ----------
    draw : callable
        Supplied by Hypothesis; call ``products()`` without it.
    max_d, max_q, max_r : int
        Largest inner dimension, rows of A and columns of B.
    max_exponent : int
        Each factor is multiplied by a power of ten within ``+-max_exponent``, and within what its
        dtype holds.
    sparse : bool
        Whether a matrix may be CSR or CSC too.

    Returns
    -------
    strategy of Product
        No product of zeros.
    """
    d = draw(st.integers(1, max_d))
    A = _factor(draw, draw(st.integers(1, max_q)), max_q, d, max_d)
    vector = draw(st.booleans())
    B = _factor(draw, 1 if vector else draw(st.integers(1, max_r)), max_r, d, max_d)
    if draw(st.booleans()):
        # Duplicated columns, with other weights, with the same, or with those that cancel.
        copy, source = np.divmod(np.arange(d), draw(st.integers(1, d)))
        A = A[:, source]
        B = draw(st.sampled_from([B, np.abs(B), B[:, source], B[:, source] * (-1.0) ** copy]))
    live = A.any(axis=0) & B.any(axis=0)
    assume(bool(live.any()))
    if not draw(st.booleans()):
        # Without what is zero: a counterexample that does not need it shrinks to small shapes.
        A, B = A[:, live], B[:, live]
        A, B = A[A.any(axis=1)], B[B.any(axis=1)]
    B = B[0] if vector else B.T
    A, B = (draw(forms.scaled(M, max_exponent)) for M in (A, B))
    return Product(*(draw(forms.arrays(M, sparse=sparse)) for M in (A, B)))


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
    kind = draw(st.sampled_from(["optimal", "uniform", "ties", "any"]))
    if kind == "optimal":
        return np.asarray(product.term_norms / product.total)
    if kind == "uniform":
        return np.full(d, 1.0 / d)
    parts = st.integers(0, 3) if kind == "ties" else st.floats(0.0, 1.0, width=32)
    raw = np.array(draw(st.lists(parts, min_size=d, max_size=d)), dtype=np.float64)
    # A floor keeps second moments in range; zero only where no term is missed.
    raw[(product.term_norms > 0) | (raw.sum() == 0)] += 0.01
    return np.asarray(raw / raw.sum())


def _factor(draw: st.DrawFn, rows: int, max_rows: int, d: int, max_d: int) -> Floats:
    """Draw a (rows, d) array: small integers (ties, zeros), floats, rank one, or heavy tails.

    All the entries that a larger one needs are drawn, so that a smaller shape is a smaller number
    and changes no entry: counterexamples then shrink.
    """
    kind = draw(st.sampled_from(["integers", "floats", "rank one", "heavy"]))
    entries = draw(st.tuples(*[_ENTRIES[kind]] * (max_d * max_rows)))
    table = np.array(entries, dtype=np.float64).reshape(max_d, max_rows).T[:rows, :d]
    return np.outer(table[:, 0], table[0]) if kind == "rank one" else table


# Hypothesis times what it draws: kernels are compiled here, not in somebody's first example.
Product([[1.0]], [1.0])

# Multiples of 2^-10 keep squares far from underflow.
_FLOATS = st.integers(-(2**13), 2**13).map(lambda n: n / 2**10)
_ENTRIES: dict[str, st.SearchStrategy[Any]] = {
    "integers": st.integers(-2, 2),
    "floats": _FLOATS,
    "rank one": _FLOATS,
    "heavy": st.integers(-5, 5).map(lambda n: float(np.sign(n)) * 10.0 ** (abs(n) - 3)),
}
