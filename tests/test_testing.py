"""The public strategies and laws are what they say."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import reference
import scipy.sparse
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from lth_sketch import Product, bounds, moments
from lth_sketch.testing import (
    assert_bound,
    assert_expectation,
    enumerate_masks,
    probabilities,
    products,
    worst_case,
)
from lth_sketch.tolerances import EXACT


@given(products(), st.data())
def test_strategies_give_what_fits(product, data):
    p = data.draw(probabilities(product))
    assert product.total > 0
    assert abs(p.sum() - 1) <= EXACT
    assert (p[product.term_norms > 0] > 0).all()


@pytest.mark.parametrize(
    "case",
    [
        lambda product: product.d == 1,
        lambda product: (product.column_norms == 0).any(),
        lambda product: len(np.unique(product.term_norms)) < product.d,
        lambda product: product.B.ndim == 2 and product.r > 1,
        lambda product: product.d > 2 and np.linalg.matrix_rank(product.A) == 1 < product.q,
        lambda product: product.norm2 == 0,
        lambda product: product.coherence > product.d - 0.01 and product.d > 2,
        lambda product: product.total > 1e80,
        lambda product: product.total < 1e-80,
        lambda product: product.A.dtype == product.B.dtype == np.float32,
        lambda product: product.A.dtype != product.B.dtype,
        # Squares that leave float32.
        lambda product: product.A.dtype == np.float32 and product.column_norms.max() > 1e25,
        lambda product: product.A.strides[1] < 0 and product.B.strides[-1] > product.B.itemsize,
        lambda product: min(product.A.shape) > 1 and product.A.flags.f_contiguous,
        lambda product: not product.A.flags.writeable,
    ],
)
def test_strategies_reach_the_hard_cases(case):
    # Reaching it is the point, not the smallest such product.
    find(products(), case, settings=settings(phases=[Phase.generate], max_examples=5000))


@given(products(sparse=True))
def test_forms_change_no_number(product):
    A, B = (
        M.toarray() if scipy.sparse.issparse(M) else reference.wide(M)
        for M in (product.A, product.B)
    )
    assert product.term_norms == pytest.approx(Product(A, B).term_norms, rel=EXACT)


@pytest.mark.parametrize("kind", ["csr", "csc"])
def test_sparse_factors_when_asked_for(kind):
    smallest = find(products(sparse=True), lambda product: getattr(product.B, "format", "") == kind)
    assert smallest.total > 0


@given(products(max_d=3), st.data(), st.integers(1, 3))
def test_multinomial_law_is_every_outcome(product, data, s):
    p = data.draw(probabilities(product))
    masks, chances = enumerate_masks(p, s)
    ours = {}
    for mask, chance in zip(masks, chances, strict=True):
        ours[tuple(np.round(mask * s * p).astype(int))] = chance
    slow = {}
    for mask, chance in reference.replacement_masks(p, s):
        key = tuple(np.round(mask * s * p).astype(int))
        slow[key] = slow.get(key, 0.0) + chance
    assert len(ours) == len(masks) == len(slow)
    for key, chance in slow.items():
        np.testing.assert_allclose(ours[key], chance, rtol=EXACT)


@given(products(max_d=5), st.data())
def test_laws_without_replacement_are_every_outcome(product, data):
    p = data.draw(probabilities(product))
    for s in range(1, np.count_nonzero(p) + 1):
        for design, slow in (
            ("poisson", reference.subsets_law),
            ("systematic", reference.starts_law),
        ):
            masks, chances = enumerate_masks(p, s, design)
            assert abs(chances.sum() - 1) <= EXACT
            ours = np.zeros((len(p), len(p)))
            twin = np.zeros((len(p), len(p)))
            for mask, chance in zip(masks, chances, strict=True):
                ours += chance * np.outer(mask > 0, mask > 0)
            for mask, chance in slow(p, s):
                twin += chance * np.outer(mask > 0, mask > 0)
            np.testing.assert_allclose(ours, twin, atol=EXACT)
            # Weights are one over the chance of being kept; a chance is right to EXACT of 1.
            pi = ours.diagonal()
            np.testing.assert_allclose(masks * pi, masks > 0, atol=EXACT * masks.max())
            if design == "systematic":
                assert ((masks > 0).sum(axis=1) == s).all()
                assert len(masks) <= len(p) + 1


def test_poisson_lists_every_subset_once():
    masks, chances = enumerate_masks([4, 1, 0, 1], 2, "poisson")
    np.testing.assert_array_equal(masks, [[1, 0, 0, 0], [1, 0, 0, 2], [1, 2, 0, 0], [1, 2, 0, 2]])
    np.testing.assert_array_equal(chances, [0.25] * 4)


def test_systematic_starts_that_agree_are_one():
    masks, chances = enumerate_masks(np.full(10, 0.1), 6, "systematic")
    assert len(masks) == 5
    np.testing.assert_allclose(chances, 0.2, rtol=EXACT)


@pytest.mark.parametrize("design", ["poisson", "systematic", "conditional", "pivotal"])
@pytest.mark.parametrize("tiny", [2.0**-40, 2.0**-60, 2.0**-500])
def test_an_outcome_is_listed_however_rare(design, tiny):
    """Of two draws from 1, 1 and next to nothing the last one is kept at times: one is not sure."""
    masks, chances = enumerate_masks([1.0, tiny, 1.0], 2, design)
    large, small = (2 * Fraction(x) / (2 + Fraction(tiny)) for x in (1.0, tiny))
    exact = small
    if design == "conditional":
        without, pairs = large**2 * (1 - small), 2 * large * small * (1 - large)
        exact = pairs / (without + pairs)
    assert chances[masks[:, 1] > 0].sum() == pytest.approx(float(exact), rel=EXACT)
    np.testing.assert_allclose(chances @ masks, 1.0, rtol=EXACT)


@pytest.mark.parametrize("scale", [1, 7, 11])
@pytest.mark.parametrize("design", ["poisson", "systematic", "conditional", "pivotal"])
def test_sure_entries_are_sure(design, scale):
    """With 3 draws from 1, 2, 3, 3 the last two are kept for certain, not but for rounding."""
    masks, _ = enumerate_masks([scale, 2 * scale, 3 * scale, 3 * scale], 3, design)
    np.testing.assert_allclose(masks[:, 2:], 1.0, rtol=EXACT)


@pytest.mark.parametrize("design", ["multinomial", "poisson", "systematic", "hybrid", "pivotal"])
def test_masks_that_would_overflow_are_refused(design):
    with pytest.raises(ValueError, match=r"too many orders of magnitude.*1e-310 beside 1\.0"):
        enumerate_masks([1.0, 1e-310, 0.5], 2, design)


def test_a_law_too_large_to_list_is_refused():
    with pytest.raises(ValueError, match=r"s = 20 draws from 30 entries have .* outcomes"):
        enumerate_masks(np.ones(30), 20)
    with pytest.raises(ValueError, match="at most d = 2 for the design 'top'; got 3"):
        enumerate_masks([1, 1], 3, "top")
    with pytest.raises(ValueError, match=r"30 independent entries have 2\^30 outcomes"):
        enumerate_masks(np.ones(30), 20, "poisson")
    for design in ("poisson", "systematic"):
        with pytest.raises(ValueError, match=r"at most 2, the number of nonzero p.*got 3"):
            enumerate_masks([1, 0, 1], 3, design)
    with pytest.raises(ValueError, match="'priority' has no list of outcomes"):
        enumerate_masks([1, 1], 1, "priority")
    with pytest.raises(ValueError, match="design must be one of"):
        enumerate_masks([1, 1], 1, "best")


def test_a_false_bound_is_found_out():
    """B1 without its constant: half the second moment is no bound."""
    from lth_sketch.testing import squared_errors

    def refuted(product: Product) -> bool:
        p = np.full(product.d, 1 / product.d)
        masks, chances = enumerate_masks(p, 2)
        mean = chances @ squared_errors(product, masks)
        return bool(mean > 0.5 * moments.multinomial(product, p, 2) * (1 + EXACT) + EXACT)

    assert find(products(max_d=3, max_exponent=0), refuted).d == 2


TRUE = {
    "S2": (assert_expectation, moments.multinomial, "multinomial"),
    "S4": (assert_expectation, moments.poisson, "poisson"),
    "B1": (
        assert_bound,
        lambda product, p, s: bounds.frobenius(product, s, bounds.nearness(product, p)),
        "multinomial",
    ),
}


@pytest.mark.parametrize("label", TRUE)
@given(product=products(max_d=4), data=st.data())
def test_true_statements_pass_in_one_line(label, product, data):
    check, claim, design = TRUE[label]
    p = data.draw(probabilities(product))
    check(product, p, 1 if design == "poisson" else 2, claim, design=design)


@given(products(max_d=4), st.data(), st.floats(0.01, 0.9))
def test_a_true_tail_bound_passes_in_one_line(product, data, delta):
    p = data.draw(probabilities(product))
    assert_bound(product, p, 2, lambda *case: bounds.sharpest(*case, delta), delta=delta)


def test_false_statements_are_refuted_by_a_small_product():
    product = Product([[3.0, 4.0]], [1.0, 2.0])
    with pytest.raises(AssertionError, match=r"E\|\|err\|\|\^2 = .*, not "):
        assert_expectation(product, [1, 1], 2, lambda product, p, s: product.total**2 / s)
    with pytest.raises(AssertionError, match="is above the bound"):
        assert_bound(product, [1, 1], 2, lambda *case: 0.5 * moments.multinomial(*case))
    with pytest.raises(AssertionError, match="with probability"):
        assert_bound(product, [1, 1], 2, lambda *case: 0.1, delta=0.05)


def test_the_worst_case_of_a_false_bound_is_above_one():
    half = worst_case(
        lambda product, p, s: 0.5 * bounds.frobenius(product, s, bounds.nearness(product, p)),
        moments.multinomial,
        budget=100,
    )
    assert half.ratio > 1.5
    again = moments.multinomial(half.product, half.p, half.s)
    limit = 0.5 * bounds.frobenius(half.product, half.s, bounds.nearness(half.product, half.p))
    assert half.ratio == again / limit
