"""Poisson, systematic and priority samples: second moments against every outcome."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from lth_sketch import Product, bounds, moments, probabilities
from lth_sketch.inclusion import quadrature
from lth_sketch.testing import enumerate_masks, products, squared_errors
from lth_sketch.testing import probabilities as draws
from lth_sketch.tolerances import EXACT, PUBLISHED, QUADRATURE

KNOWN = json.loads((Path(__file__).parent / "known_answers.json").read_text())


def scaled(product):
    """The same product with factors of size one: squared errors by definition stay in range."""
    A, B = reference.wide(product.A), reference.wide(product.B)
    return Product(A / np.abs(A).max(), B / np.abs(B).max())


@given(products(), st.data())
@pytest.mark.parametrize("design", ["poisson", "systematic"])
def test_every_outcome(design, product, data):
    p = data.draw(draws(product))
    small = scaled(product)
    u = product.term_norms / product.total
    for s in range(1, np.count_nonzero(p) + 1):
        masks, chances = enumerate_masks(p, s, design)
        np.testing.assert_allclose(chances @ masks, p > 0, atol=EXACT * masks.max())
        direct = chances @ squared_errors(small, masks) / small.total**2
        exact = getattr(moments, design)(product, p, s) / product.total**2
        pi = np.maximum(reference.inclusion_by_filling(p, s), np.finfo(float).tiny)
        # m is at most 1 / pi: so large were the numbers that are added up.
        assert abs(exact - direct) <= EXACT * (1 + (u / pi).sum()) * max((u / pi).sum(), 1)


@given(products(max_d=4), st.data())
def test_inclusions_of_first_and_second_order(product, data):
    """S5 (a): the error is that of the matrix H with the joint probabilities."""
    p = data.draw(draws(product))
    s = data.draw(st.integers(1, np.count_nonzero(p)))
    pi = probabilities.inclusion(p, s, design="systematic")
    joint = np.zeros((len(p), len(p)))
    for mask, chance in reference.starts_law(p, s):
        joint += chance * np.outer(mask > 0, mask > 0)
    live = pi > 0
    np.testing.assert_allclose(joint.diagonal(), pi, rtol=EXACT, atol=EXACT)
    C = product.factor().T[live] / product.total
    ratio = joint[np.ix_(live, live)] / np.outer(pi[live], pi[live])
    moment = float((C @ C.T * (ratio - 1)).sum())
    exact = moments.systematic(product, p, s) / product.total**2
    assert abs(moment - exact) <= EXACT * (1 + (C**2).sum() / pi[live].min() ** 2)


@given(products(), st.data())
def test_priority_against_polynomials(product, data):
    p = data.draw(draws(product))
    nonzero = np.count_nonzero(p)
    u = product.term_norms / product.total
    for s in range(2, nonzero + 1):
        expected = u**2 @ reference.priority_variances(p, s)
        moment = moments.priority(product, p, s) / product.total**2
        assert moment == pytest.approx(expected, rel=QUADRATURE, abs=EXACT * float(u @ u))
    single = moments.priority(product, p, 1)
    assert single == (0.0 if nonzero == 1 else np.inf)


@pytest.mark.parametrize(
    "p", [[1.0, 1e-150, 1e-280], [1e-5, 1.0, 1e-5], [0.5, 0.3, 0.2], [1.0, 1.0 - 1e-9, 1e-9]]
)
def test_priority_of_two_in_three_at_any_scale(p):
    """Both others above x: their chances multiply, and no digit cancels."""
    p = np.array(p)
    product = Product(np.eye(3), np.array([1.0, 2.0, 0.5]) * np.sqrt(p))
    expected = product.term_norms**2 @ reference.priority_variances(p / p.sum(), 2)
    assert moments.priority(product, p, 2) == pytest.approx(expected, rel=QUADRATURE)


@pytest.mark.parametrize("d", [2, 7, 30])
def test_priority_of_equal_terms(d):
    product = Product(np.ones((1, d)), np.ones(d))
    s = np.arange(2, d + 1)
    expected = d * (d - s) / (s - 1)
    np.testing.assert_allclose(moments.priority(product, np.ones(d), s), expected, rtol=QUADRATURE)


@pytest.mark.parametrize("law", ["even", "wide", "two levels"])
def test_more_nodes_change_nothing(law, monkeypatch, size):
    """The rule of the panels: four times the panels, with twice the nodes."""
    d = size(300, 24)
    rng = np.random.default_rng(0)
    p = {
        "even": 1 + 0.1 * rng.random(d),
        "wide": np.exp(4 * rng.normal(size=d)),
        "two levels": np.where(np.arange(d) % 3, 1.0, 300.0),
    }[law]
    product = Product(rng.normal(size=(2, d)), rng.normal(size=d))
    s = np.array([2, 3, d // 5, d // 3, d // 2, d - 4, d - 1])
    plain = moments.priority(product, p, s)
    monkeypatch.setattr(quadrature, "NODES", (4, 6, 8, 10, 16))
    monkeypatch.setattr(quadrature, "SPREAD", 1 / 64)
    monkeypatch.setattr(quadrature, "BELOW", -200.0)
    monkeypatch.setattr(quadrature, "ABOVE", 60.0)
    np.testing.assert_allclose(plain, moments.priority(product, p, s), rtol=PUBLISHED)


@given(products(), st.integers(1, 6))
def test_priority_keeps_its_bounds(product, s):
    """S5: the sharpened bound, the usual one, and the optimal Poisson design at s - 1."""
    p = probabilities.optimal(product)
    live = np.count_nonzero(p)
    s = min(s, live)
    moment = moments.priority(product, p, s)
    sharp = bounds.priority(product, s)
    assert moment <= sharp * (1 + QUADRATURE)
    if 1 < s < live:
        assert sharp <= product.total**2 / (s - 1) * (1 + EXACT)
        assert moment <= moments.poisson(product, p, s - 1) * (1 + QUADRATURE)


@given(products(), st.data())
def test_optimal_poisson(product, data):
    """S4: p* is the best of all Poisson designs of its size."""
    p = data.draw(draws(product))
    best = probabilities.optimal(product)
    s = data.draw(st.integers(1, np.count_nonzero(best)))
    least = moments.poisson(product, best, s)
    assert least <= moments.poisson(product, p, s) * (1 + EXACT) + EXACT * product.total**2


@given(products(), st.integers(1, 5))
def test_poisson_beats_replacement_unless_the_terms_are_coherent(product, s):
    u = product.term_norms / product.total
    if s * u.max() > 1:
        return
    p = probabilities.optimal(product)
    poisson = moments.poisson(product, p, s) / product.total**2
    replacement = moments.optimal(product, s) / product.total**2
    assert abs(poisson - (1 / s - u @ u)) <= EXACT
    gap = product.norm2 / product.total**2 - s * float(u @ u)
    assert abs((poisson - replacement) - gap / s) <= EXACT


def test_poisson_with_a_cap():
    """Capped at one without refilling, the sample would be a third of an entry too small."""
    product = Product([[6.0, 1.0, 1.0, 1.0]], np.ones(4))
    pi = np.array([1, 1 / 3, 1 / 3, 1 / 3])
    np.testing.assert_allclose(
        moments.poisson(product, [6, 1, 1, 1], 2), 3 * (1 / pi[1] - 1), rtol=EXACT
    )


def test_systematic_depends_on_the_order():
    for signs, expected in (([1, 1, -1, -1], 0.0), ([1, -1, 1, -1], 16.0)):
        product = Product([signs], np.ones(4))
        moment = moments.systematic(product, np.ones(4), 2)
        np.testing.assert_allclose(moment, expected, rtol=EXACT)


@pytest.mark.parametrize("s", [5, 60, 117, 118, 119])
def test_systematic_with_many_sure_entries(s):
    """Sure entries may be longer than a unit by rounding, and share their ends with others."""
    rng = np.random.default_rng(1)
    product = Product(rng.random((9, 120)), rng.normal(size=120))
    p = probabilities.optimal(product)
    masks, chances = zip(*reference.starts_law(p, s), strict=True)
    expected = np.array(chances) @ squared_errors(product, np.array(masks))
    np.testing.assert_allclose(moments.systematic(product, p, s), expected, rtol=1e2 * EXACT)


def test_tiny_inclusions_of_orthogonal_terms():
    """With H diagonal the design does not matter; an interval of 1e-25 must have its length."""
    p = np.array([1.0, 1e-25, 0.3, 1e-12, 2.0, 0.7])
    product = Product(np.eye(6), np.arange(1.0, 7.0))
    for s in (1, 2, 3):
        moment = moments.systematic(product, p, s)
        np.testing.assert_allclose(moment, moments.poisson(product, p, s), rtol=EXACT)
    # The sum of u^2 / pi is in range, the square of u / pi is not.
    p = 10.0 ** -np.linspace(0, 280, 6)
    for s in (1, 3):
        moment = moments.systematic(product, p, s)
        np.testing.assert_allclose(moment, moments.poisson(product, p, s), rtol=EXACT)


def test_a_huge_weight_leaves_no_trace():
    """p as the square of the terms: one of weight 2e14 comes, goes, and was half of the error."""
    terms = np.array([0.3, 1e-14, 0.3, -0.3, -0.3])
    p = np.where(terms == 1e-14, 1e-28, 1.0)
    # The samples {0, 3} and {2, 4} have no error.
    moment = moments.systematic(Product([terms], np.ones(5)), p, 2)
    np.testing.assert_allclose(moment, 2.0, rtol=EXACT)


def test_what_is_left_may_be_nothing():
    """All s places are taken, but for rounding: the rest keeps its chance of 1e-20."""
    p = [1.0, 1e-20, 1e-20]
    # One entry in place of the first: it misses 1, the square of which it has in return.
    moment = moments.systematic(Product(np.eye(3), np.array(p)), p, 1)
    np.testing.assert_allclose(moment, 4e-20, rtol=EXACT)


@pytest.mark.parametrize("case", KNOWN)
def test_known_answers(case):
    product = Product(case["A"], case["B"])
    p, s = probabilities.optimal(product), case["S4_size"]
    np.testing.assert_allclose(
        probabilities.inclusion(p, s, design="poisson"), case["S4_inclusion"], rtol=PUBLISHED
    )
    np.testing.assert_allclose(moments.poisson(product, p, s), case["S4"], rtol=PUBLISHED)
    moment = moments.systematic(product, p, s)
    np.testing.assert_allclose(moment, case["S5_systematic"], rtol=PUBLISHED)


@pytest.mark.parametrize("design", ["poisson", "systematic", "priority"])
def test_shapes_and_ends(design):
    moment = getattr(moments, design)
    product = Product([[3.0, 4.0, 1.0, 0.0]], [1.0, -1.0, 2.0, 1.0])
    p = [1, 2, 3, 0]
    assert isinstance(moment(product, p, 2), float)
    grid = moment(product, p, [[1, 2], [3, 2]])
    assert grid.shape == (2, 2)
    assert grid[0, 1] == grid[1, 1] == moment(product, p, 2)
    assert grid[1, 0] == 0.0
    np.testing.assert_array_equal(grid, moment(product, np.array(p) * 1e200, [[1, 2], [3, 2]]))


@pytest.mark.parametrize("design", ["poisson", "systematic", "priority"])
@pytest.mark.parametrize(
    ("p", "s", "error", "text"),
    [
        ([1, 0, 1], 2, ValueError, r"p\[1\] = 0, but the term norm there is 4"),
        ([1, 1], 2, ValueError, "p must have length 3; got length 2"),
        ([1, 1, 0], 3, ValueError, "at most 2, the number of nonzero p.*only 'multinomial'"),
        ([1, 1, 1], [1, 4], ValueError, "at most 3, the number of nonzero p.*; got 4"),
        ([1, 1, 1], 0, ValueError, "s must be at least 1"),
        ([1, 1, 1], 1.5, TypeError, "integer"),
    ],
)
def test_bad_input(design, p, s, error, text):
    with pytest.raises(error, match=text):
        getattr(moments, design)(Product([[3.0, 4.0, 0.0]], [1.0, 1.0, 1.0]), p, s)


@pytest.mark.parametrize("sure", [0, 3])
def test_priority_integrates_from_exp_minus_80_to_exp_minus_40(sure):
    """No more and no less: the ends of the integral, by Bernstein's inequality."""
    d, s = 2000, 300
    q = np.where(np.arange(d) < sure, 0.1, (1 - 0.1 * sure) / (d - sure))
    start, stop, nodes, shares = quadrature.rule(q, s)
    assert shares.sum() == pytest.approx(stop - start, rel=EXACT)
    assert start < nodes[0] < nodes[-1] < stop
    # So many of equal terms happen on average beside the sure ones, fewer than s and more.
    for z, exponent, side in ((start, 80, 1), (stop, 40, -1)):
        chances = q[sure:] * z
        gap = s - sure - chances.sum()
        assert gap * side > 0
        variance = (chances * (1 - chances)).sum()
        assert gap**2 / (2 * (variance + abs(gap) / 3)) == pytest.approx(exponent, rel=QUADRATURE)
