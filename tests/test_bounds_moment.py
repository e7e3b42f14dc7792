"""B9: exact tails of enumerated laws, and the laws that attain it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from lth_sketch import Product, bounds, probabilities, squared_error
from lth_sketch.bounds import _certificate, _quadrature
from lth_sketch.bounds.chebyshev import least
from lth_sketch.squared_error import Moments
from lth_sketch.testing import (
    assert_bound,
    enumerate_masks,
    products,
    squared_errors,
    worst_case,
)
from lth_sketch.testing import probabilities as draws
from lth_sketch.tolerances import CONDITIONED, EXACT, HALF, ROUNDING

RISKS = (0.5, 0.1, 0.05, 0.01, 1e-3, 1e-4, 1e-6, 1e-8)
ORDERS = (1, 2, 3, 4, 5, 6)
DESIGNS = ("multinomial", "poisson", "systematic")


def small_products(number):
    """Two terms to ten: ties, zeros, cancelling terms, heavy tails, p that does not fit."""
    rng = np.random.default_rng(7)
    for case in range(number):
        d, kind = 2 + case % 9, case % 5
        A = rng.normal(size=(1 + case % 3, d))
        B = rng.normal(size=d)
        if kind == 1:
            A = np.round(A)
            B = np.sign(B)
        elif kind == 2:
            A[:, d // 2 :] = A[:, : d - d // 2]
            B[d // 2 :] = -B[: d - d // 2]
        elif kind == 3:
            B *= rng.exponential(size=d) ** 4
        if not (abs(A).sum(axis=0) * abs(B)).any():
            A[0, 0] = B[0] = 1.0
        product = Product(A, B)
        p = probabilities.optimal(product)
        if kind == 4:
            p = rng.exponential(size=d) ** 3 + 1e-6
        elif case % 2:
            p = np.where(product.term_norms > 0, 1.0, 0.0)
        yield product, p


def exact_laws(design, number):
    """Moments of many laws, stacked, and the laws themselves in units of U^2."""
    by_case, laws = [], []
    for case, (product, p) in enumerate(small_products(number)):
        live = int(np.count_nonzero(p))
        most = min(live, 4) if design != "multinomial" else (1, 2, 3, 5)[case % 4]
        s = max(1, min(most, 1 + case % 5))
        masks, chances = enumerate_masks(p, s, design)
        squares = squared_errors(product, masks) / product.total**2
        reach = abs(masks - 1.0) @ (product.term_norms / product.total) + 1.0
        by_case.append(squared_error.moments(product, p, np.array([s]), 6, design))
        laws.append((squares, chances, ROUNDING * reach**2))
    parts = [np.concatenate(part, axis=-1) for part in zip(*by_case, strict=True)]
    return Moments(*parts), laws


@pytest.mark.parametrize("design", DESIGNS)
def test_exact_tails_of_every_order(design, size):
    """No law of hundreds exceeds its bound more often than it may, at any risk."""
    exact, laws = exact_laws(design, size(240, 20))
    before = np.full(len(laws), np.inf)
    for delta in RISKS:
        for order in ORDERS:
            part = exact._replace(standard=exact.standard[: order + 1])
            limits = least(part, delta)
            for i, (squares, chances, slack) in enumerate(laws):
                above = chances[squares > limits[i] + slack].sum()
                assert above <= delta * (1 + EXACT), (i, delta, order)
            assert order == 1 or (limits <= before).all()
            before = limits


def test_two_terms_and_many_draws(size):
    """Two terms are a binomial law, whatever the number of draws."""
    rng = np.random.default_rng(1)
    s = np.array([1, 2, 3, 10, 1000, 10**6, 10**9])
    by_size, laws = [], []
    for _ in range(size(20, 8)):
        A, B, p1 = rng.normal(size=(3, 2)), rng.normal(size=2), rng.random() ** 6
        product, p = Product(A, B), np.array([p1, 1.0 - p1])
        span = np.linalg.norm(A[:, 0] * B[0] / p[0] - A[:, 1] * B[1] / p[1]) / product.total
        by_size.append(squared_error.moments(product, p, s, 6, "multinomial"))
        laws += [(scipy.stats.binom(n, p[0]), n, p[0], span) for n in s]
    parts = Moments(*(np.concatenate(part, axis=-1) for part in zip(*by_size, strict=True)))
    for delta in RISKS:
        for order in ORDERS:
            limits = np.sqrt(least(parts._replace(standard=parts.standard[: order + 1]), delta))
            for limit, (law, n, p1, span) in zip(limits, laws, strict=True):
                reach = limit / span * n * (1 + EXACT) + EXACT
                above = law.sf(np.floor(n * p1 + reach)) + law.cdf(np.ceil(n * p1 - reach) - 1)
                assert above <= delta * (1 + 1e-6), (n, p1, delta, order)


@given(products(max_d=4), st.data(), st.sampled_from(DESIGNS), st.sampled_from(ORDERS))
def test_any_product(product, data, design, order):
    p = data.draw(draws(product))
    most = 3 if design == "multinomial" else int(np.count_nonzero(p))
    s = data.draw(st.integers(1, most))
    for delta in (0.9, 0.3, 0.01, 1e-5):
        assert_bound(
            product,
            p,
            s,
            lambda product, p, s, delta=delta: bounds.moment(
                product, p, s, delta, order=order, design=design
            ),
            delta=delta,
            design=design,
        )


def test_the_hunt_for_a_case_that_breaks_it(size):
    """Hypothesis steers to the largest ratio of the true quantile to the bound: it reaches 1."""

    def quantile(product, p, s):
        masks, chances = enumerate_masks(p, s)
        errors = np.sqrt(squared_errors(product, masks))
        order = np.argsort(errors)
        above = np.cumsum(chances[order][::-1])[::-1]
        return errors[order][above > 0.05 * (1 + ROUNDING)][-1]

    worst = worst_case(
        lambda product, p, s: bounds.moment(product, p, s, 0.05, order=6),
        quantile,
        budget=size(200, 30),
    )
    assert 0.9 < worst.ratio <= 1 + np.sqrt(ROUNDING)


def attaining(w, q):
    """(d): one draw of these terms has ||err||^2 = q_j with probability w_j."""
    f, u = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    columns = [
        x / 2 * (f + sign * np.sqrt(y) * u) for x, y in zip(w, q, strict=True) for sign in (1, -1)
    ]
    return Product(np.array(columns).T, np.ones(2 * len(w))), np.repeat(w, 2)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_attained_by_laws_of_few_values(n):
    """n + 1 values: the largest is the bound, where its probability is delta."""
    rng = np.random.default_rng(n)
    for _ in range(20):
        w = rng.random(n + 1) ** 2
        w /= w.sum()
        q = np.sort(rng.exponential(size=n + 1) ** 2) + 1e-3
        product, p = attaining(w, q)
        for order in range(2 * n, 7):
            bound = bounds.moment(product, p, 1, w[n], order=order)
            np.testing.assert_allclose(bound**2, q[n], rtol=CONDITIONED)
        if n > 1:
            # Of those below the largest too, with more that rounding may take.
            bound = bounds.moment(product, p, 1, w[n - 1 :].sum() * (1 + CONDITIONED), order=2 * n)
            np.testing.assert_allclose(bound**2, q[n - 1], rtol=2 * np.sqrt(CONDITIONED))


def test_fewer_values_than_moments_give_the_quantile():
    """Where the Hankel matrix is singular its polynomial's zeros are the law itself."""
    w, q = np.array([0.5, 0.3, 0.2]), np.array([1.0, 4.0, 9.0])
    product, p = attaining(w, q)
    for delta, root in ((0.1, 3.0), (0.19, 3.0), (0.3, 2.0), (0.45, 2.0), (0.6, 1.0)):
        bound = bounds.moment(product, p, 1, delta, order=6)
        assert root * (1 - EXACT) <= bound <= root * (1 + 1e-3), delta
        assert bound < bounds.moment(product, p, 1, delta, order=4) or root == 3.0
    # Stieltjes: with three moments and Q >= 0 two values, one of them zero, are told.
    product, p = attaining(np.array([0.7, 0.3]), np.array([0.0, 2.0]))
    assert bounds.moment(product, p, 1, 0.29, order=3) <= np.sqrt(2.0) * (1 + 1e-6)


def test_a_constant_error():
    product = Product([[1.0, 1.0]], [1.0, -1.0])
    for order in ORDERS[1:]:
        bound = bounds.moment(product, [1, 1], 1, 1e-8, order=order)
        np.testing.assert_allclose(bound, 2.0, rtol=CONDITIONED)


def test_two_moments_are_cantelli_and_one_is_markov():
    rng = np.random.default_rng(0)
    product, p = Product(rng.normal(size=(3, 9)), rng.normal(size=9)), rng.random(9)
    s = np.array([1, 4, 100])
    V = squared_error.moments(product, p, s, 1, "multinomial").mean * product.total**2
    for delta in RISKS:
        one, two = (bounds.moment(product, p, s, delta, order=k) for k in (1, 2))
        np.testing.assert_allclose(one, np.sqrt(V / delta), rtol=EXACT)
        cantelli = bounds.cantelli(product, p, s, delta)
        np.testing.assert_allclose(two, np.minimum(one, cantelli), rtol=EXACT)
        assert (bounds.moment(product, p, s, delta, order=2) <= cantelli * (1 + EXACT)).all()


def standardised(order=4):
    rng = np.random.default_rng(5)
    product = Product(rng.normal(size=(30, 40)), rng.normal(size=40))
    p = probabilities.optimal(product)
    return product, p, squared_error.moments(product, p, np.array(12), order, "multinomial")


def test_two_polynomials_in_closed_form():
    """K_2(z, z) = 1 / delta beyond the largest zero, and the printed form a little above."""
    product, p, law = standardised()
    g, k = float(law.standard[3]), float(law.standard[4])
    D, z0 = k - g * g - 1, g / 2 + np.sqrt(1 + g * g / 4)
    for delta in (0.9 / (1 + z0**2), 0.01, 1e-4, 1e-7):
        bound = bounds.moment(product, p, 12, delta, order=4) / product.total
        z = float((bound**2 - law.mean) / law.deviation)
        assert z > z0
        kernel = 1 + z * z + (z * z - g * z - 1) ** 2 / D
        # At large risks Q >= 0 says more than the fourth moment.
        assert kernel <= (1 + 1e-8) / delta
        assert delta > 0.05 or kernel >= (1 - 1e-8) / delta
        printed = g / 2 + np.sqrt(1 + g * g / 4 + np.sqrt(D * (1 / delta - 1 - z0**2)))
        assert z <= printed


def test_the_christoffel_function_is_violated_below_the_largest_zero():
    """Nodes above x count: 1 / K_n(x, x) alone is less than the law itself has there."""
    w, q = np.array([0.55, 0.25, 0.2]), np.array([0.0, 1.0, 9.0])
    product, p = attaining(w, q)
    law = squared_error.moments(product, p, np.array([1]), 4, "multinomial")
    rule = _quadrature.jacobi(law.standard)
    x = (1.0 / product.total**2 - law.mean) / law.deviation
    nodes, weights, place = _quadrature.through(rule, x)
    alone = weights[0, place[0]]
    assert alone < 0.3 < w[1:].sum()
    np.testing.assert_allclose(
        weights[0][nodes[0] >= x[0] - CONDITIONED].sum(), w[1:].sum(), rtol=CONDITIONED
    )
    delta = 0.3
    assert bounds.moment(product, p, 1, delta, order=4) >= 1.0


def test_certificates_are_polynomials_that_bound_the_tail():
    """f >= 1 from x on and f >= 0 before it, whatever the nodes; its mean is what is returned."""
    grid = np.linspace(-4, 12, 4001)
    rng = np.random.default_rng(1)
    # The moments of one value are its powers: E f is f there.
    powers = grid ** np.arange(8)[:, None]
    for case in range(30):
        n, odd = 1 + case % 3, case % 2 == 1
        nodes = np.sort(rng.uniform(0.5, 9, size=n))
        x = rng.uniform(0.6, 9.5)
        if not odd and (nodes > x).all():
            nodes[0] = x / 2
        origin = np.full(len(grid), -4.0) if odd else None
        f = _certificate.expectation(
            powers, np.full(len(grid), x), np.tile(nodes, (len(grid), 1)), origin
        )
        assert (f >= 0).all()
        assert (f[grid >= x] >= 1 - 1e-9).all()


def test_order_six_is_the_least_of_all_and_vector_valued():
    product, p, _ = standardised()
    s = np.array([[1, 2, 3], [10, 100, 10**9]])
    for delta in RISKS:
        by_order = [bounds.moment(product, p, s, delta, order=k) for k in ORDERS]
        assert all(b.shape == s.shape for b in by_order)
        assert (np.diff(by_order, axis=0) <= EXACT * by_order[0]).all()
        one = bounds.moment(product, p, 100, delta)
        assert isinstance(one, float)
        np.testing.assert_allclose(one, by_order[-1][1, 1], rtol=HALF)


def test_tiny_risks():
    """Down to 1e-15 it grows like delta^(-1/12), and never says nothing."""
    product, p, _ = standardised()
    limits = [bounds.moment(product, p, 12, delta) for delta in (1e-9, 1e-12, 1e-15, 1e-100)]
    ratios = np.array(limits[1:3]) / np.array(limits[:2])
    np.testing.assert_allclose(ratios, 1000 ** (1 / 12), rtol=0.05)
    assert np.isfinite(limits).all()


def test_a_probability_near_zero_makes_it_large_not_nan():
    product = Product([[1.0, 1.0]], [1.0, 1.0])
    for order in ORDERS:
        for tiny in (1e-100, 1e-250):
            assert bounds.moment(product, [1.0, tiny], 3, 0.1, order=order) > tiny**-0.4


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"order": 0}, ValueError, "order must be at least 1"),
        ({"order": 7}, ValueError, "order must be at most 6"),
        ({"order": "4"}, TypeError, "order must be an integer"),
        ({"design": "priority"}, ValueError, "design must be one of multinomial, poisson"),
        ({"delta": 0.0}, ValueError, r"delta must lie in \(0, 1\)"),
        ({"delta": np.nan}, ValueError, r"delta must lie in \(0, 1\)"),
        ({"s": 0}, ValueError, "s must be at least 1"),
        ({"s": 4, "design": "poisson"}, ValueError, "s must be at most 3"),
        ({"p": [1, 0, 1]}, ValueError, "biased"),
    ],
)
def test_bad_input(options, error, message):
    given = {"p": [1, 1, 1], "s": 1, "delta": 0.1} | options
    with pytest.raises(error, match=message):
        bounds.moment(Product(np.eye(3), [1.0, 2.0, 3.0]), **given)
