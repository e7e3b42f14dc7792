"""Hypothesis strategies and exact laws, public: property-test bounds of your own.

Needs the extra ``testing`` (Hypothesis).

Examples
--------
Does a bound hold for every product that the strategy can think of? ::

    @given(products(), st.data())
    def test_mine(product, data):
        p = data.draw(probabilities(product))
        masks, chances = enumerate_masks(p, 2)
        errors = squared_errors(product, masks)
        assert chances @ errors <= my_bound(product, p, 2)
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import assume
from hypothesis import strategies as st
from scipy.special import gammaln

from lth_sketch import validation
from lth_sketch.product import Product
from lth_sketch.validation import Floats

# Outcomes that `enumerate_masks` lists at most.
OUTCOMES = 2**20


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


def enumerate_masks(p: npt.ArrayLike, s: int, design: str = "multinomial") -> tuple[Floats, Floats]:
    """Return every mask that a design can draw, with its probability.

    Parameters
    ----------
    p : (d,) array
        Weights >= 0, normalised here.
    s : int
        Number of draws.
    design : {"multinomial", "top"}
        Draws with replacement, or the s largest (ties to the lower index).

    Returns
    -------
    masks : (n, d) array
        One mask a row.
    chances : (n,) array
        Their probabilities, summing to 1.

    Raises
    ------
    ValueError
        If the law has more outcomes than can be listed, or an argument does not fit.

    Examples
    --------
    >>> masks, chances = enumerate_masks([0.5, 0.5], 2)
    >>> print(masks)
    [[2. 0.]
     [1. 1.]
     [0. 2.]]
    >>> print(chances)
    [0.25 0.5  0.25]
    """
    weights = validation.probabilities("p", p)
    s = validation.count("s", s)
    return _LAWS[validation.choice("design", design, _LAWS)](weights, s)


def squared_errors(product: Product, masks: npt.ArrayLike) -> Floats:
    """Return ``||A diag(m) B - AB||_F^2`` of each mask, by the definition itself.

    Parameters
    ----------
    product : Product
        The product AB, small.
    masks : (n, d) array
        One mask a row.

    Returns
    -------
    (n,) array
        Squared errors, in float64.

    Examples
    --------
    >>> print(squared_errors(Product([[3.0, 4.0]], [1.0, 1.0]), [[2, 0], [1, 1]]))
    [1. 0.]
    """
    A = np.asarray(product.A, dtype=np.float64)
    B = np.asarray(product.B, dtype=np.float64).reshape(product.d, -1)
    gaps = validation.array("masks", masks, ndim=2) - 1.0
    errors = np.einsum("ji,ni,ik->njk", A, gaps, B)
    return np.asarray(np.einsum("njk,njk->n", errors, errors))


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


def _multinomial_law(p: Floats, s: int) -> tuple[Floats, Floats]:
    live = np.flatnonzero(p)
    outcomes = comb(s + len(live) - 1, s)
    if outcomes > OUTCOMES:
        raise ValueError(
            f"s = {s} draws from {len(live)} entries have {outcomes} outcomes, more than "
            f"{OUTCOMES}; use a smaller s or a shorter p"
        )
    picks = np.array(list(combinations_with_replacement(range(len(live)), s)))
    counts = (picks[:, :, None] == np.arange(len(live))).sum(axis=1)
    logs = gammaln(s + 1.0) - gammaln(counts + 1.0).sum(axis=1) + counts @ np.log(p[live])
    masks = np.zeros((outcomes, len(p)))
    masks[:, live] = counts / (s * p[live])
    chances = np.exp(logs)
    return masks, chances / chances.sum()


def _top_law(p: Floats, s: int) -> tuple[Floats, Floats]:
    if s > len(p):
        raise ValueError(f"s must be at most d = {len(p)} for the design 'top'; got {s}")
    masks = np.zeros((1, len(p)))
    masks[0, np.argsort(-p, kind="stable")[:s]] = 1.0
    return masks, np.ones(1)


_LAWS = {"multinomial": _multinomial_law, "top": _top_law}
