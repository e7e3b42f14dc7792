"""B10 and B6' against exact laws, and the step of the proof on states that are out to break it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
import scipy.sparse.linalg
import scipy.stats

from lth_sketch import Product, bounds, probabilities
from lth_sketch.bounds import _steps, _walks
from lth_sketch.single_draw import SingleDraw
from lth_sketch.testing import enumerate_masks, squared_errors
from lth_sketch.tolerances import EXACT, QUADRATURE, ROUNDING

RISKS = (0.5, 0.1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12)
FORMS = (_walks.form_s, _walks.two_centres)


def small_problem(rng, most=5):
    """Terms of one size or heavy ones, ties, zeros, cancelling pairs, and any kind of draw."""
    d, q = int(rng.integers(2, most + 1)), int(rng.integers(1, 4))
    A = rng.normal(size=(q, d)) * np.exp(rng.choice([0.0, 1.0, 3.0]) * rng.normal(size=d))
    if rng.random() < 0.3:
        A[:, 1] = A[:, 0] * rng.choice([-1.0, 1.0])
    if rng.random() < 0.2:
        A[:, -1] = 0.0
    product = Product(A, rng.normal(size=d))
    p = [
        product.term_norms + 1e-12,
        np.ones(d),
        rng.exponential(size=d),
        (product.term_norms + 1e-9) * np.exp(2 * rng.normal(size=d)),
    ][rng.integers(4)]
    return product, p / p.sum()


def tail(law, s, delta, form, chances, errors):
    """Probability of an error at or above the bound itself, without the others in `centred`."""
    limit = float(form(law, np.float64(s), delta)) / s
    return chances[errors >= limit * (1 - ROUNDING) + np.sqrt(EXACT) * 2**-6].sum()


def test_tails_of_enumerated_laws(size):
    """Four sizes of each of 450 products are 1,800 laws of the error."""
    rng = np.random.default_rng(0)
    for case in range(size(450, 20)):
        product, p = small_problem(rng)
        law = SingleDraw(product, p)
        for s in (1, 2, 3, 4):
            masks, chances = enumerate_masks(p, s)
            errors = np.sqrt(squared_errors(product, masks)) / product.total
            delta = RISKS[(case + s) % len(RISKS)]
            for form in FORMS:
                assert tail(law, s, delta, form, chances, errors) <= delta, (case, s, delta)


def test_tails_of_two_terms_up_to_a_thousand_draws(size):
    rng = np.random.default_rng(1)
    for case in range(size(200, 20)):
        s = int(np.exp(rng.uniform(0.0, np.log(1001.0))))
        p = np.exp(rng.uniform(np.log(1e-5), np.log(0.5)))
        a, b = rng.normal(size=2)
        product = Product([[a, b]], [1.0, 1.0])
        counts = np.arange(s + 1)
        errors = abs(counts - s * p) * abs(a / p - b / (1 - p)) / s / product.total
        law = SingleDraw(product, [p, 1 - p])
        delta = RISKS[case % len(RISKS)]
        for form in FORMS:
            chances = scipy.stats.binom.pmf(counts, s, p)
            assert tail(law, s, delta, form, chances, errors) <= delta, (case, delta)


def triples(rng, laws, states, b):
    """Yield a step, E e^(eta (N' - N)) and 1 + P of its walk, for many states and rates."""
    for _ in range(laws):
        product, p = small_problem(rng, most=8)
        law = SingleDraw(product, p)
        steps = _steps.Steps(law)
        step = steps.step(b)
        y = steps._rows * np.where(np.arange(steps._rows.shape[1]) == 0, 1.0, np.sqrt(b))
        T = step.radius.T
        r = T * (1.0 + np.concatenate([[0.0], np.exp(rng.uniform(-6, 6, 9))]))
        eta = np.exp(rng.uniform(-3, 2, 10)) / step.radius.m
        # Directions of the terms themselves, of the axes, and any; lengths on every scale.
        z = rng.normal(size=(states, y.shape[1]))
        third = states // 3
        z[:third] = y[rng.integers(len(y), size=third)] * rng.choice([-1, 1], (third, 1))
        z[third : 2 * third] = np.eye(y.shape[1])[rng.integers(y.shape[1], size=third)]
        norms = np.linalg.norm(z, axis=1, keepdims=True)
        z *= np.sqrt(T) * np.exp(rng.uniform(-4, 6, (states, 1))) / np.where(norms > 0, norms, 1)
        before = np.sqrt((z**2).sum(axis=1) + r[:, None])
        moved = ((z[:, None] + y) ** 2).sum(axis=2)
        after = np.sqrt(moved + (r - T)[:, None, None])
        gaps = after - before[:, :, None]
        means = np.exp(eta[:, None, None, None] * gaps) @ law.chances
        yield means, 1.0 + _walks.growth(step, r, eta)[:, :, None]


@pytest.mark.large
def test_the_step_on_a_million_states():
    rng = np.random.default_rng(2)
    tried = 0
    for b in _steps.WEIGHTS:
        for mean, limit in triples(rng, 24, 60, b):
            assert (mean <= limit * (1 + ROUNDING)).all()
            tried += mean.size
    assert tried >= 10**6


def test_the_step_on_some_states():
    rng = np.random.default_rng(3)
    for b in (1.0, 2.2, 6.0):
        for mean, limit in triples(rng, 4, 12, b):
            assert (mean <= limit * (1 + ROUNDING)).all()


def test_the_ends_of_the_variance_are_enough():
    """P is convex in E<v, y>^2 because no root of it is left in Q3: inner values lie below."""
    rng = np.random.default_rng(4)
    for _ in range(20):
        product, p = small_problem(rng)
        step = _steps.Steps(SingleDraw(product, p)).step(1.3)
        r = step.radius.T * np.array([1.0, 2.0, 30.0])
        eta = np.array([0.1, 1.0, 10.0]) / step.radius.m
        limit = _walks.growth(step, r, eta)
        for share in (0.1, 0.5, 0.9):
            q = share * step.radius.sigma2
            each = []
            for kept in step.whitened:
                f = 1.0 - kept.share * share
                omega2 = step.radius.variance / (4 * r)
                root = np.sqrt(step.fourth) / (4 * r)
                g = step.linear / (2 * np.sqrt(r))
                Q2 = (q + omega2) / 2 + np.hypot((q - omega2) / 2, g)
                Q3 = _walks._largest_cubic(
                    np.full(3, kept.third * f**1.5),
                    1.5 * kept.mixed * f / np.sqrt(r),
                    0.75 * step.square / r,
                    step.cube / (8 * r**1.5),
                )
                Q4 = (np.hypot(q, np.sqrt(kept.fourth) * f) + root) ** 2
                x = eta[:, None]
                R = _walks.remainder(x * step.radius.m)
                each.append(x**2 * Q2 / 2 + x**3 * Q3 / 6 + R * x**4 * Q4)
            # Each share is convex by itself; the least of the shares' ends is what is used.
            assert (np.min(each, axis=0) <= limit * (1 + ROUNDING)).all()


def test_constants_against_their_definitions():
    rng = np.random.default_rng(5)
    for _ in range(10):
        product, p = small_problem(rng, most=7)
        law = SingleDraw(product, p)
        steps = _steps.Steps(law)
        step = steps.step(2.2)
        y = steps._rows * np.where(np.arange(steps._rows.shape[1]) == 0, 1.0, np.sqrt(2.2))
        q, scale = law.chances, step.radius.m
        e = (y**2).sum(axis=1) - step.radius.T
        np.testing.assert_allclose(q @ y, 0.0, atol=EXACT * scale)
        np.testing.assert_allclose(q @ e, 0.0, atol=EXACT * scale**2)
        np.testing.assert_allclose(step.linear, np.linalg.norm((q * e) @ y), rtol=EXACT)
        np.testing.assert_allclose(step.square, np.linalg.norm((q * e**2) @ y), rtol=EXACT)
        np.testing.assert_allclose(step.fourth, q @ e**4, rtol=EXACT)
        Sigma = (y * q[:, None]).T @ y
        top = np.linalg.eigvalsh(Sigma)[-1]
        np.testing.assert_allclose(step.radius.sigma2, top, rtol=4 * EXACT)
        for kept in step.whitened:
            W = np.eye(len(Sigma)) - kept.share * Sigma / step.radius.sigma2
            for v in rng.normal(size=(200, len(Sigma))):
                v = v / np.linalg.norm(v)
                f, x = v @ W @ v, y @ v
                assert q @ x**4 - (q @ x**2) ** 2 <= kept.fourth * f**2 * (1 + EXACT)
                assert q @ x**3 <= kept.third * f**1.5 * (1 + EXACT)
                assert q @ (x**2 * e) <= kept.mixed * f * (1 + EXACT)


def test_both_routes_to_the_fourth_moments_agree(monkeypatch):
    rng = np.random.default_rng(6)
    q = rng.dirichlet(np.ones(90))
    for rank in (1, 3, 12):
        rows = rng.normal(size=(90, rank)) * rng.exponential(size=(90, 1))
        weighted = rows * q[:, None]
        squares = _steps._by_squares(rows, q)
        np.testing.assert_allclose(squares, _steps._by_pairs(rows, q, weighted), rtol=2e-4)
        monkeypatch.setattr(_steps, "SMALL", 1000)
        exact = _steps._by_pairs(rows, q, weighted)
        monkeypatch.undo()
        np.testing.assert_allclose(squares, exact, rtol=2e-4)
        assert exact[0] <= _steps._by_pairs(rows, q, weighted)[0] * (1 + EXACT)


@pytest.mark.parametrize("n", [65, 200])
def test_the_largest_eigenvalue_is_never_below(n):
    """The search starts from the vector of ones, here orthogonal to what it has to find."""
    rng = np.random.default_rng(n)
    v = rng.normal(size=n)
    v -= v.mean()
    v /= np.linalg.norm(v)
    for A in (np.outer(v, v) + 0.5 * np.ones((n, n)) / n, -np.outer(v, v), np.zeros((n, n))):
        exact = max(0.0, float(np.linalg.eigvalsh(A)[-1]))
        assert exact - EXACT <= _steps._largest(A) <= exact * 1.12 + 4 * EXACT


def test_the_largest_eigenvalue_where_the_search_finds_none(monkeypatch):
    def lost(*arguments, **options):
        raise scipy.sparse.linalg.ArpackNoConvergence("none", np.empty(0), np.empty((0, 0)))

    monkeypatch.setattr(scipy.sparse.linalg, "eigsh", lost)
    B = np.random.default_rng(3).normal(size=(90, 70))
    exact = float(np.linalg.norm(B, 2) ** 2)
    assert exact <= _steps._largest(B.T @ B) <= exact * (1.0 + ROUNDING * 90)


def test_the_remainder_increases_and_is_its_integral():
    z = np.concatenate([np.linspace(0, 2, 401), [5.0, 50.0]])
    R = _walks.remainder(z)
    assert (np.diff(R) > 0).all()
    for x, value in zip(z[1:], R[1:], strict=True):
        exact = scipy.integrate.quad(lambda t, x=x: (1 - t) ** 3 * np.exp(x * t - x), 0, 1)[0]
        np.testing.assert_allclose(value, exact * np.exp(x) / 6, rtol=QUADRATURE)
    assert _walks.remainder(np.array([1e6]))[0] == np.inf


def test_reach_solves_its_equation():
    rng = np.random.default_rng(7)
    for b, sT, h, D in np.exp(rng.uniform(-5, 5, (50, 4))):
        b += 1.0
        t = _walks.reach(b, sT, h, D)
        a = (b - 1) * t / 2
        left = np.sqrt((t + a) ** 2 + h)
        right = np.sqrt(a * a + h + sT) + D
        np.testing.assert_allclose(left, right, rtol=EXACT)
    np.testing.assert_allclose(_walks.reach(1.0, 4.0, 0.0, 3.0), 5.0, rtol=EXACT)


@pytest.mark.parametrize("s", [1, 5, 24, 25, 26, 1000, 10**9])
def test_blocks_hold_every_step_once(s):
    first, counts = _walks._blocks(s)
    assert counts.sum() == s
    assert (first + counts == [*first[1:], s + 1]).all()
    assert (counts <= 1 + 0.04 * first).all()


def spread(d=40, rank=30, seed=8):
    rng = np.random.default_rng(seed)
    product = Product(rng.normal(size=(rank, d)) * np.exp(rng.normal(size=d)), rng.normal(size=d))
    return product, probabilities.data_free(product.B)


def test_never_above_what_it_stands_beside():
    product, p = spread()
    s = np.array([[1, 7], [40, 10**5]])
    law = SingleDraw(product, p)
    for delta in RISKS:
        bound = bounds.centred(product, p, s, delta)
        assert bound.shape == s.shape
        two = bounds.radial(product, p, s, delta, centres=2)
        assert (bound <= two).all()
        assert (bound <= (law.M + law.factor_floor) * product.total).all()
        assert (two <= bounds.radial(product, p, s, delta)).all()
    assert bounds.centred(product, p, 40, 1e-6) == bounds.centred(product, p, s, 1e-6)[1, 0]


def test_the_gain_at_tiny_risks():
    """What form S is for: where one direction holds much, far below B6 and near the limit law."""
    rng = np.random.default_rng(9)
    product = Product(rng.normal(size=(50, 40)) + 3 * rng.normal(size=(50, 1)), rng.normal(size=40))
    p = probabilities.optimal(product)
    for delta, most in ((1e-6, 1.22), (1e-9, 1.18)):
        limit = bounds.asymptotic_quantile(product, p, 80, delta)
        assert bounds.centred(product, p, 80, delta) <= most * limit
        assert bounds.radial(product, p, 80, delta) >= 1.3 * limit
        two = bounds.radial(product, p, 80, delta, centres=2)
        assert bounds.centred(product, p, 80, delta) < 0.95 * two


def test_wide_products_take_the_cheaper_forms(monkeypatch):
    product, p = spread()
    full = bounds.centred(product, p, 40, 1e-9)
    for thrifty, work in ((0, 2**40), (0, 0)):
        monkeypatch.setattr(_steps, "THRIFTY", thrifty)
        monkeypatch.setattr(_steps, "WORK", work)
        cheaper = bounds.centred(Product(product.A, product.B), p, 40, 1e-9)
        assert full <= cheaper <= bounds.radial(product, p, 40, 1e-9)


def test_constants_are_computed_once(monkeypatch):
    product, p = spread()
    bounds.centred(product, p, 40, 1e-9)
    monkeypatch.setattr(_steps.Steps, "_step", None)
    bounds.centred(product, p, [3, 50], 1e-6)


@pytest.mark.parametrize("factors", [([[2.0]], [3.0]), ([[1.0, 2.0]], [2.0, 1.0])])
def test_no_error_no_bound(factors):
    product = Product(*factors)
    p = probabilities.optimal(product)
    assert bounds.centred(product, p, 3, 1e-9) <= np.sqrt(EXACT) * product.total


def test_any_scale_and_a_probability_near_zero():
    product, p = spread()
    bound = bounds.centred(product, p, 40, 1e-9)
    for scale in (1e-70, 1e70):
        scaled = bounds.centred(Product(product.A * scale, product.B), p, 40, 1e-9)
        np.testing.assert_allclose(scaled, bound * scale, rtol=QUADRATURE)
    assert bounds.centred(Product([[1.0, 1.0]], [1.0, 1.0]), [1.0, 1e-250], 3, 0.1) > 1e100


def test_bad_input():
    product, p = spread()
    with pytest.raises(ValueError, match=r"delta must lie in \(0, 1\)"):
        bounds.centred(product, p, 3, 0.0)
    with pytest.raises(ValueError, match="centres must be 1 or 2; got 3"):
        bounds.radial(product, p, 3, 0.1, centres=3)
    with pytest.raises(ValueError, match="biased"):
        bounds.centred(Product([[1.0, 1.0]], [1.0, 1.0]), [1.0, 0.0], 3, 0.1)
