"""Second moments against every outcome of small cases."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from lth_sketch import Product, moments, probabilities
from lth_sketch.testing import enumerate_masks, products, squared_errors
from lth_sketch.testing import probabilities as draws
from lth_sketch.tolerances import EXACT, PUBLISHED

KNOWN = json.loads((Path(__file__).parent / "known_answers.json").read_text())


@given(products(max_d=4), st.data(), st.integers(1, 3))
def test_draws_with_replacement_are_unbiased_and_S2_is_exact(product, data, s):
    p = data.draw(draws(product))
    masks, chances, errors = reference.replacement_law(product.A, product.B, p, s)
    live = p > 0
    np.testing.assert_allclose((chances @ masks)[live], 1, rtol=EXACT)
    uncentred = np.sum(product.term_norms[live] ** 2 / p[live]) / product.total**2
    exact = moments.multinomial(product, p, s) / product.total**2
    assert abs(chances @ errors - exact) <= EXACT * uncentred
    kept = chances @ (masks > 0).sum(axis=1)
    np.testing.assert_allclose(moments.distinct(p, s), kept, rtol=EXACT)


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=6).filter(any),
    st.lists(st.integers(1, 400), min_size=1, max_size=3),
)
def test_distinct_entries_are_counted_as_in_exact_fractions(p, sizes):
    expected = [reference.distinct(p, s) for s in sizes]
    np.testing.assert_allclose(moments.distinct(p, sizes), expected, rtol=EXACT)
    for s, count in zip(sizes, expected, strict=True):
        np.testing.assert_allclose(probabilities.inclusion(p, s).sum(), count, rtol=EXACT)


@given(products(max_d=4, max_exponent=30), st.data(), st.integers(1, 3))
def test_variance_of_the_squared_error_is_exact(product, data, s):
    p = data.draw(draws(product))
    _, chances, errors = reference.replacement_law(product.A, product.B, p, s)
    mean = chances @ errors
    spread = chances @ (errors - mean) ** 2
    exact = moments.variance(product, p, s) / product.total**4
    largest = (product.term_norms[p > 0] / p[p > 0]).max() / product.total
    assert abs(spread - exact) <= EXACT * (1 + largest) ** 4


@given(products(), st.integers(1, 30))
def test_the_optimal_draw(product, s):
    best = moments.optimal(product, s)
    at = moments.multinomial(product, probabilities.optimal(product), s)
    assert abs(best - at) <= EXACT * product.total**2 / s


@given(products(), st.data())
def test_top_is_the_removed_part(product, data):
    p = data.draw(draws(product))
    for s in range(1, product.d + 1):
        masks, _ = enumerate_masks(p, s, "top")
        got = moments.top(product, p, s)
        A, B = reference.wide(product.A), reference.wide(product.B)
        scaled = Product(A / np.abs(A).max(), B / np.abs(B).max())
        direct = squared_errors(scaled, masks)[0] / scaled.total**2
        assert abs(got / product.total**2 - direct) <= EXACT
        assert masks.sum() == s
        assert p[masks[0] == 1].min() >= p[masks[0] == 0].max(initial=0)


def test_ties_of_top_go_to_the_lower_index():
    product = Product([[1.0, 10.0, 100.0]], [1.0, 1.0, 1.0])
    np.testing.assert_allclose(moments.top(product, [1, 1, 1], [1, 2, 3]), [110**2, 100**2, 0])


def test_shapes_follow_s():
    product = Product([[3.0, 4.0]], [1.0, -1.0])
    for moment in (
        lambda s: moments.multinomial(product, [1, 1], s),
        lambda s: moments.optimal(product, s),
        lambda s: moments.top(product, [1, 1], s),
        lambda s: moments.distinct([1, 1], s),
        lambda s: moments.variance(product, [1, 1], s),
    ):
        assert isinstance(moment(2), float)
        grid = moment([[1, 2], [2, 1]])
        assert grid.shape == (2, 2)
        assert grid[0, 1] == grid[1, 0] == moment(2)


def test_a_fourth_power_out_of_range_is_infinite_or_zero():
    for exponent, expected in ((60, np.inf), (-60, 0.0)):
        product = Product(np.array([[3.0, 4.0]]) * 10.0**exponent, [10.0**exponent, 0.5])
        huge = Product(product.A, np.array([1.0, -1.0]) * 10.0**exponent)
        assert moments.variance(huge, [1, 2], 3) == expected


@pytest.mark.parametrize("case", KNOWN)
def test_known_answers(case):
    product = Product(case["A"], case["B"])
    p, s = case["p"], case["s"]
    at_end = Product(case["A"], case["w_end"])
    best = probabilities.optimal(product)
    got = {
        "S2": moments.multinomial(product, p, s),
        "S2_distinct": moments.distinct(p, s),
        "S3_value": moments.optimal(product, s),
        "S3_chi2": probabilities.chi2(best, p),
        "B7_variance": moments.variance(product, p, s),
        "kernel": moments.multinomial(Product(case["A"], np.transpose(case["A"])), p, s),
        "E1": moments.multinomial(at_end, p, s),
    }
    np.testing.assert_allclose(best, case["S3_optimal_p"], rtol=PUBLISHED)
    for label, value in got.items():
        np.testing.assert_allclose(value, case[label], rtol=PUBLISHED, err_msg=label)


@pytest.mark.parametrize(
    ("p", "s", "error", "text"),
    [
        ([1, 0], 2, ValueError, r"p\[1\] = 0, but the term norm there is 4"),
        ([1, -1], 2, ValueError, r"p\[1\] = -1"),
        ([0, 0], 2, ValueError, "all 2 are zero"),
        ([1, 1, 1], 2, ValueError, "p must have length 2; got length 3"),
        ([1, np.nan], 2, ValueError, r"p\[1\] = nan"),
        ([1, 1], 0, ValueError, "s must be at least 1"),
        ([1, 1], [], ValueError, "at least one"),
        ([1, 1], 2.5, TypeError, "integer"),
        ([1, 1j], 2, TypeError, "complex"),
    ],
)
@pytest.mark.parametrize("moment", [moments.multinomial, moments.variance])
def test_bad_input(moment, p, s, error, text):
    with pytest.raises(error, match=text):
        moment(Product([[3.0, 4.0]], [1.0, 1.0]), p, s)


def test_top_cannot_keep_more_than_there_is():
    with pytest.raises(ValueError, match="at most d = 2 for the design 'top'; got 3"):
        moments.top(Product([[3.0, 4.0]], [1.0, 1.0]), [1, 1], 3)
