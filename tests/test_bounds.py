"""Bounds against the exact law of small cases: no sampling error anywhere."""

from __future__ import annotations

import json
import weakref
from pathlib import Path

import numpy as np
import pytest
import reference
from hypothesis import given, target
from hypothesis import strategies as st

from lth_sketch import Product, bounds, moments, probabilities
from lth_sketch.single_draw import SingleDraw, _largest_distance
from lth_sketch.testing import probabilities as draws
from lth_sketch.testing import products
from lth_sketch.tolerances import EXACT, PUBLISHED, ROUNDING

KNOWN = json.loads((Path(__file__).parent / "known_answers.json").read_text())
RISKS = st.floats(0.001, 0.999)

TAILS = {
    "B2": lambda product, p, s, delta: bounds.dkm(product, s, delta, bounds.nearness(product, p)),
    "B3": bounds.mcdiarmid,
    "B3 sharp": lambda *a: bounds.mcdiarmid(*a, sharp=True),
    "B4": bounds.bousquet,
    "B6": bounds.radial,
    "B7": bounds.cantelli,
    "sharpest": bounds.sharpest,
}


@pytest.mark.parametrize("label", TAILS)
@given(product=products(max_d=4), data=st.data(), s=st.integers(1, 3), delta=RISKS)
def test_tail_bounds_hold_for_the_exact_law(label, product, data, s, delta):
    p = data.draw(draws(product))
    _, chances, squares = reference.replacement_law(product.A, product.B, p, s)
    limit = TAILS[label](product, p, s, delta) / product.total
    errors = np.sqrt(squares)
    assert chances[errors > limit + np.sqrt(EXACT) * 2**-6].sum() <= delta
    # Hunt for the worst case: the true quantile over the bound.
    order = np.argsort(errors)
    above = np.cumsum(chances[order][::-1])[::-1]
    quantile = errors[order][above > delta][-1]
    if limit > 0:
        target(float(quantile / limit), label=label)


@given(products(max_d=4), st.data(), st.integers(1, 40))
def test_second_moment_bound(product, data, s):
    p = data.draw(draws(product))
    exact = moments.multinomial(product, p, s)
    beta = bounds.nearness(product, p)
    limit = bounds.frobenius(product, s, beta)
    assert exact <= limit + ROUNDING / beta * product.total**2 / s
    plain = np.linalg.norm(product.column_norms) * np.linalg.norm(product.row_norms)
    assert limit <= plain**2 / (beta * s) * (1 + ROUNDING)


def test_nearness_is_the_largest_beta():
    product = Product([[3.0, 1.0, 0.0]], [1.0, 1.0, 1.0])
    assert bounds.nearness(product, [3, 1, 0]) == 1.0
    np.testing.assert_allclose(bounds.nearness(product, [1, 1, 2]), 1 / 3, rtol=ROUNDING)


@given(products(), st.data(), st.integers(1, 99), RISKS)
def test_sharpest_is_the_least(product, data, s, delta):
    p = data.draw(draws(product))
    each = [TAILS[label](product, p, s, delta) for label in ("B3 sharp", "B4", "B6", "B7")]
    each.append(bounds.moment(product, p, s, delta))
    if delta <= 1e-3:
        each.append(bounds.centred(product, p, s, delta))
    assert bounds.sharpest(product, p, s, delta) == min(each)


@given(products(), st.data())
def test_the_sharp_diameter_is_the_largest_distance(product, data):
    p = data.draw(draws(product))
    law = SingleDraw(product, p)
    A, B = reference.wide(product.A), reference.wide(product.B).reshape(product.d, -1)
    terms = [np.outer(A[:, i], B[i]).ravel() / product.total / p[i] for i in np.flatnonzero(p)]
    direct = max(np.linalg.norm(x - y) for x in terms for y in terms)
    assert abs(law.D - direct) <= np.sqrt(EXACT) * law.R * 2**-6
    assert law.D <= 2 * law.R


@pytest.mark.parametrize("shape", [(1, 6), (5, 1), (4, 7)])
def test_the_largest_distance_between_rows(shape):
    """Long rows that point the same way are near; norms and angles both count."""
    rng = np.random.default_rng(shape)
    for scale in (1e-3, 1.0, 1e3) * 20:
        rows, columns = (scale * (rng.normal(size=(n, 2)) + 1) for n in shape)
        expected = max(np.linalg.norm(x - y) for x in rows for y in columns)
        assert _largest_distance(rows, columns) == pytest.approx(expected, rel=EXACT)


def test_the_diameter_in_blocks_and_beyond_its_budget(monkeypatch):
    rng = np.random.default_rng(0)
    product = Product(rng.normal(size=(3, 90)) * rng.exponential(size=90), np.ones(90))
    direct = max(
        np.linalg.norm(x - y) for x in product.factor().T * 90 for y in product.factor().T * 90
    )
    monkeypatch.setattr("lth_sketch.single_draw.BLOCK", 8)
    law = SingleDraw(product, np.ones(90))
    np.testing.assert_allclose(law.D * product.total, direct, rtol=ROUNDING)

    def limited(work):
        monkeypatch.setattr("lth_sketch.single_draw.DIAMETER_WORK", work)
        return SingleDraw(product, np.ones(90)).D

    assert law.D < limited(10) <= 2 * law.R
    # The longest eight against each of twelve blocks of eight, in 3 coordinates, settle it.
    enough = 12 * 8 * 8 * 3
    assert limited(enough) == law.D < limited(enough - 1)


def test_the_diameter_between_rows_of_later_blocks(monkeypatch):
    """The longest rows point one way; the two that are farthest apart come after them."""
    monkeypatch.setattr("lth_sketch.single_draw.BLOCK", 8)
    law = SingleDraw(Product(np.ones((1, 2)), [1.0, 1.0]), [1.0, 1e-3])
    angles = np.array([0.0] * 9 + [np.pi / 2, -np.pi / 2])
    sizes = np.array([1.1] * 9 + [1.0] * 2)
    law.__dict__["_centred"] = sizes[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    np.testing.assert_allclose(law.D, 2.0, rtol=EXACT)


def test_eigenvalues_lost_in_rounding_are_left_out():
    rng = np.random.default_rng(1)
    for rank in (1, 2, 5):
        A = rng.normal(size=(8, rank)) @ rng.normal(size=(rank, 30))
        law = SingleDraw(Product(A, np.ones(30)), np.ones(30))
        assert len(law.eigenvalues) == rank
        assert (law.eigenvalues > 0).all()


def test_a_probability_near_zero_makes_bounds_infinite_not_nan():
    product = Product([[1.0, 1.0]], [1.0, 1.0])
    p = [1.0, 1e-250]
    for label, bound in TAILS.items():
        assert bound(product, p, 3, 0.1) > 1e100, label


@pytest.mark.parametrize("factors", [([[2.0]], [3.0]), ([[1.0, 2.0]], [2.0, 1.0])])
def test_no_error_no_bound(factors):
    """One term, or terms that all agree: the optimal draw is exact."""
    product = Product(*factors)
    p = probabilities.optimal(product)
    for bound in (bounds.bousquet, bounds.radial, bounds.cantelli, bounds.asymptotic_quantile):
        assert bound(product, p, 3, 0.1) <= np.sqrt(EXACT) * product.total


def test_asymptotic_quantile_is_exact_for_a_gaussian_limit():
    """Two terms: err is a centred binomial on a line, so its limit is |N(0, Sigma)|."""
    product = Product([[3.0, 4.0]], [1.0, -1.0])
    sigma = np.sqrt(moments.optimal(product, 1))
    got = bounds.asymptotic_quantile(product, [3, 4], [1, 100], 0.05)
    np.testing.assert_allclose(got, 1.959963984540054 * sigma / np.array([1, 10]), rtol=EXACT)


@pytest.mark.parametrize("case", KNOWN)
def test_known_answers(case):
    product = Product(case["A"], case["B"])
    law = (case["p"], case["s"], case["delta"])
    got = {
        "B1_beta_half": bounds.frobenius(product, case["s"], 0.5),
        "B2": bounds.dkm(product, case["s"], case["delta"]),
        "B3": bounds.mcdiarmid(product, *law),
        "B4": bounds.bousquet(product, *law),
        "B6": bounds.radial(product, *law),
        "B7": bounds.cantelli(product, *law),
    }
    for label, value in got.items():
        np.testing.assert_allclose(value, case[label], rtol=PUBLISHED, err_msg=label)


def test_shapes_follow_s():
    product = Product([[3.0, 4.0]], [1.0, -1.0])
    for bound in [*TAILS.values(), bounds.asymptotic_quantile]:
        one, grid = (bound(product, [1, 1], s, 0.1) for s in (4, [[1, 2], [4, 8]]))
        assert isinstance(one, float)
        assert grid.shape == (2, 2)
        assert grid[1, 0] == one


@pytest.mark.parametrize("delta", [0.0, 1.0, np.nan, -1, 2])
def test_bad_risk(delta):
    product = Product([[3.0, 4.0]], [1.0, -1.0])
    for bound in [*TAILS.values(), bounds.asymptotic_quantile]:
        with pytest.raises(ValueError, match=r"delta must lie in \(0, 1\)"):
            bound(product, [1, 1], 2, delta)


@pytest.mark.parametrize("beta", [0.0, -1.0, 1.5, np.nan])
def test_bad_beta(beta):
    product = Product([[3.0, 4.0]], [1.0, -1.0])
    for bound in (
        lambda: bounds.frobenius(product, 2, beta),
        lambda: bounds.dkm(product, 2, 0.1, beta),
    ):
        with pytest.raises(ValueError, match="beta must lie in"):
            bound()


def test_a_biased_draw_is_refused():
    product = Product([[3.0, 4.0]], [1.0, -1.0])
    for bound in [*TAILS.values(), bounds.asymptotic_quantile]:
        with pytest.raises(ValueError, match="biased"):
            bound(product, [1, 0], 2, 0.1)


def test_bounds_share_what_is_computed_once_and_let_the_product_go():
    product = Product(np.random.default_rng(0).normal(size=(20, 8)), np.ones(8))
    p = np.arange(1.0, 9.0)
    first = SingleDraw.of(product, p)
    values = first.eigenvalues
    assert SingleDraw.of(product, 2 * p).eigenvalues is values
    assert SingleDraw.of(product, p[::-1]).eigenvalues is not values
    assert SingleDraw.of(product, p).eigenvalues is not values
    assert first.eigenvalues is values
    gone = weakref.ref(product)
    del product, first
    assert gone() is None
