"""The least of all bounds, for each design; the quantile of systematic samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lth_sketch import Product, bounds, moments, montecarlo, probabilities
from lth_sketch.inclusion import hybrid
from lth_sketch.multigraphs import table
from lth_sketch.testing import assert_bound, enumerate_masks, products, squared_errors
from lth_sketch.testing import probabilities as draws
from lth_sketch.tolerances import CONDITIONED, EXACT, QUADRATURE, ROUNDING


@given(products(max_d=4), st.data(), st.sampled_from(["poisson", "systematic", "hybrid", "top"]))
def test_it_holds_for_each_design(product, data, design):
    p = data.draw(draws(product))
    s = data.draw(st.integers(1, int(np.count_nonzero(p))))
    for delta in (0.5, 0.05, 1e-4):
        assert_bound(
            product,
            p,
            s,
            lambda product, p, s, delta=delta: bounds.sharpest(product, p, s, delta, design=design),
            delta=delta,
            design=design,
        )


def test_priority_is_markov_for_the_exact_moment():
    rng = np.random.default_rng(0)
    product = Product(rng.normal(size=(3, 12)), rng.normal(size=12))
    p = probabilities.optimal(product)
    s, delta = np.array([1, 4, 12]), 0.02
    bound = bounds.sharpest(product, p, s, delta, design="priority")
    expected = np.sqrt(moments.priority(product, p, s) / delta)
    np.testing.assert_allclose(bound, expected, rtol=QUADRATURE)
    assert bound[0] == np.inf
    assert bound[2] == 0.0
    errors = montecarlo.squared_errors(product, p, 4, trials=2000, design="priority", rng=0)
    assert np.mean(np.sqrt(errors) > bound[1]) <= delta


def test_hybrid_draws_have_the_bounds_of_what_they_draw():
    """The sure part has no error: the same product without it, and as many draws fewer."""
    rng = np.random.default_rng(3)
    sizes = np.array([900.0, 400.0, 50.0, *np.ones(27)])
    product = Product(rng.normal(size=(3, 30)) * rng.permutation(sizes), np.ones(30))
    p = probabilities.optimal(product)
    for s, delta in ((6, 0.05), (12, 0.05), (12, 1e-5)):
        kept = set(hybrid.sure(p, s).tolist())
        assert 0 < len(kept) < s
        rest = [i for i in range(30) if i not in kept]
        part = Product(product.A[:, rest], product.B[rest])
        bound = float(bounds.sharpest(product, p, s, delta, design="hybrid"))
        expected = float(bounds.sharpest(part, p[rest], s - len(kept), delta))
        np.testing.assert_allclose(bound, expected, rtol=CONDITIONED)
        # Far below what Markov's inequality says.
        assert bound < 0.8 * np.sqrt(moments.hybrid(product, p, s) / delta)
    several = bounds.sharpest(product, p, [[6, 12], [30, 99]], 0.05, design="hybrid")
    assert several.shape == (2, 2)
    assert several[0].tolist() == [
        float(bounds.sharpest(product, p, s, 0.05, design="hybrid")) for s in (6, 12)
    ]
    assert (several[1] == 0.0).all()


def test_bounded_differences_for_independent_inclusions():
    """The least at the tiniest risks, where moments are too few."""
    product = Product(np.eye(3), [1.0, 1.0, 1.0])
    p, s = np.ones(3), 2
    pi = 2 / 3
    span = 1 / product.total / pi
    for delta in (0.1, 1e-40):
        plain = np.sqrt(3 * (1 / pi - 1)) + np.sqrt(np.log(1 / delta) / 2 * 3 * span**2) * 3
        bound = bounds.sharpest(product, p, s, delta, design="poisson")
        moment = bounds.moment(product, p, s, delta, design="poisson")
        np.testing.assert_allclose(bound, min(plain, moment), rtol=ROUNDING)
    assert plain < moment


@given(products(max_d=5), st.data(), st.floats(0.001, 0.999))
def test_the_systematic_quantile(product, data, delta):
    """Against every interval of starts: no more than delta is above, and no less would do."""
    p = data.draw(draws(product))
    s = data.draw(st.integers(1, int(np.count_nonzero(p))))
    masks, chances = enumerate_masks(p, s, "systematic")
    errors = np.sqrt(squared_errors(product, masks))
    slack = np.sqrt(ROUNDING) * (abs(masks - 1.0) @ product.term_norms + product.total).max()
    limit = bounds.systematic(product, p, s, delta)
    assert chances[errors > limit + slack].sum() <= delta + EXACT * s
    assert chances[errors >= limit - slack].sum() >= delta - EXACT * s


def test_the_systematic_quantile_of_equal_chances():
    """Four starts: a quarter each, and a risk of a quarter may lose the largest."""
    product = Product(np.diag([1.0, 2.0, 3.0, 4.0]), np.ones(4))
    p = np.ones(4)
    masks, _ = enumerate_masks(p, 1, "systematic")
    errors = np.sort(np.sqrt(squared_errors(product, masks)))
    for k, delta in enumerate((0.24, 0.25, 0.5, 0.75)):
        bound = bounds.systematic(product, p, [1, 1], delta)
        np.testing.assert_allclose(bound, errors[3 - k], rtol=EXACT)


def test_orders_and_memory_cap_its_cost(monkeypatch):
    rng = np.random.default_rng(1)
    product, p = Product(rng.normal(size=(3, 6)), rng.normal(size=6)), np.ones(6)
    for design in ("multinomial", "poisson"):
        limits = [bounds.sharpest(product, p, 3, 0.01, design=design, order=k) for k in range(1, 7)]
        assert (np.diff(limits) <= EXACT * limits[0]).all()
        again = Product(product.A, product.B)
        with monkeypatch.context() as patch:
            patch.setattr(table, "FACTOR_ENTRIES", 10)
            limited = bounds.sharpest(again, p, 3, 0.01, design=design)
        assert limits[-1] <= limited <= limits[0]


def test_draws_needed_inverts_it():
    rng = np.random.default_rng(2)
    product = Product(rng.normal(size=(3, 30)), rng.normal(size=30))
    p = probabilities.optimal(product)
    for design, most in (
        ("multinomial", 10**6),
        ("poisson", 30),
        ("systematic", 30),
        ("hybrid", 10**6),
    ):
        options = {"design": design}
        wanted = float(bounds.sharpest(product, p, 9, 0.05, **options)) * 1.05
        s = bounds.draws_needed(
            bounds.sharpest, wanted, product, p, delta=0.05, max_draws=most, **options
        )
        assert bounds.sharpest(product, p, s, 0.05, **options) <= wanted
        assert s <= 9
        if design != "systematic":
            assert s == 1 or bounds.sharpest(product, p, s - 1, 0.05, **options) > wanted


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"design": "sorted"}, ValueError, "design must be one of conditional"),
        ({"delta": 1.0}, ValueError, r"delta must lie in \(0, 1\)"),
        ({"order": 0}, ValueError, "order must be at least 1"),
        ({"order": 7}, ValueError, "order must be at most 6"),
        ({"s": 4, "design": "systematic"}, ValueError, "s must be at most 3"),
        ({"s": 4, "design": "priority"}, ValueError, "s must be at most 3"),
        ({"p": [1, 0, 1], "design": "systematic"}, ValueError, "biased"),
    ],
)
def test_bad_input(options, error, message):
    given = {"p": [1, 1, 1], "s": 1, "delta": 0.1} | options
    with pytest.raises(error, match=message):
        bounds.sharpest(Product(np.eye(3), [1.0, 2.0, 3.0]), **given)
    if options.get("design") == "systematic":
        del given["design"]
        with pytest.raises(error, match=message):
            bounds.systematic(Product(np.eye(3), [1.0, 2.0, 3.0]), **given)
