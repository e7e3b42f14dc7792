"""Hypothesis strategies for products and for the draws that fit them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from lth_sketch.product import Product
from lth_sketch.validation import Floats


@st.composite
def products(
    draw: st.DrawFn,
    *,
    max_d: int = 5,
    max_q: int = 4,
    max_r: int = 3,
    max_exponent: int = 60,
) -> Product:
    """Products with ties, zero and duplicated columns, rank one, vector or matrix B, any scale.

    Parameters
    ----------
    draw : callable
        Supplied by Hypothesis; call ``products()`` without it.
    max_d, max_q, max_r : int
        Largest inner dimension, rows of A and columns of B.
    max_exponent : int
        Each factor is multiplied by a power of ten within ``+-max_exponent``.

    Returns
    -------
    strategy of Product
        No product of zeros.
    """
    d = draw(st.integers(1, max_d))
    A = _entries(draw, draw(st.integers(1, max_q)), d)
    B = _entries(draw, draw(st.integers(1, max_r)), d).T
    if draw(st.booleans()):
        B = B[:, 0]
    if draw(st.booleans()):
        # Duplicated columns, with the same or with other weights.
        source = np.array(draw(st.lists(st.integers(0, d - 1), min_size=d, max_size=d)))
        A = A[:, source]
        B = draw(st.sampled_from([B, np.abs(B), B[source]]))
    assume(bool((np.abs(A).sum(axis=0) * np.abs(B).reshape(d, -1).sum(axis=1)).any()))
    exponents = st.integers(-max_exponent, max_exponent)
    return Product(A * 10.0 ** draw(exponents), B * 10.0 ** draw(exponents))


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


def _entries(draw: st.DrawFn, rows: int, d: int) -> Floats:
    """Draw a (rows, d) array: small integers (ties, zeros), floats, rank one, or heavy tails."""
    kind = draw(st.sampled_from(["integers", "floats", "rank one", "heavy"]))
    if kind == "rank one":
        return np.outer(_entries_of(draw, "floats", rows), _entries_of(draw, "floats", d))
    return _entries_of(draw, kind, rows * d).reshape(rows, d)


def _entries_of(draw: st.DrawFn, kind: str, size: int) -> Floats:
    # Multiples of 2^-10 keep squares far from underflow.
    elements: dict[str, st.SearchStrategy[Any]] = {
        "integers": st.integers(-2, 2),
        "floats": st.integers(-(2**13), 2**13).map(lambda n: n / 2**10),
        "heavy": st.integers(-5, 5).map(lambda n: float(np.sign(n)) * 10.0 ** (abs(n) - 3)),
    }
    values = draw(st.lists(elements[kind], min_size=size, max_size=size))
    return np.array(values, dtype=np.float64)
