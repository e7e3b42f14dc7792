"""Nearly equal terms: what is left of their difference, against rational arithmetic.

The errors of a mask, their moments and bounds are right to some epsilon of the terms, not to its
root; a bound is never below the truth, with no tolerance at all.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import rational
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from lth_sketch import Product, bounds, coordinates, moments, montecarlo, probabilities, sketches
from lth_sketch.single_draw import SingleDraw
from lth_sketch.tolerances import EPS, EXACT, HALF, QUADRATURE

# What the last digits of the factors may move, in units of the total norm and of (1 + R).
FEW = 2**5 * EPS
SPREADS = [10.0**-k for k in range(1, 15)]
TAILS = {
    "B2": lambda product, p, s, delta: bounds.dkm(product, s, delta, bounds.nearness(product, p)),
    "B3": bounds.mcdiarmid,
    "B3 sharp": lambda *a: bounds.mcdiarmid(*a, sharp=True),
    "B4": bounds.bousquet,
    "B6": bounds.radial,
    "B7": bounds.cantelli,
    "B9": bounds.moment,
    "B10": bounds.centred,
    "sharpest": bounds.sharpest,
}
RISKS = st.sampled_from([1e-3, 0.3, 0.5, 0.9, 0.999, float(np.nextafter(1, 0))])


@st.composite
def nearly_equal(draw, most=4):
    """Terms that agree, or are parallel, but for a spread; and weights near the optimal ones."""
    d, q, r = (draw(st.integers(low, high)) for low, high in ((2, most), (1, 5), (1, 3)))
    spread = draw(st.sampled_from(SPREADS))
    rng = np.random.default_rng(draw(st.integers(0, 99)))

    def factor(rows):
        base = rng.integers(1, 8, size=(rows, 1)) * rng.choice([-1, 1], size=(rows, 1))
        return base * (1.0 + spread * rng.integers(-4, 5, size=(rows, d)))

    A, B = factor(q), factor(r).T
    if draw(st.booleans()):
        # Parallel only: columns of any size.
        A, B = A * rng.integers(1, 9, size=d), B * rng.integers(1, 9, size=d)[:, None]
    if draw(st.booleans()):
        B = B[:, 0]
    product = Product(A, B)
    p = probabilities.optimal(product)
    if draw(st.booleans()):
        p = p * (1.0 + spread * rng.integers(-3, 4, size=d) / 8)
    return product, p


def exact(product, p):
    return rational.terms(product.A, product.B), rational.normalised(p)


def assert_near(product, p, second, truth):
    """Roots of second moments agree to few epsilon of the terms, and to EXACT of themselves."""
    root, reach = rational.root(truth), 1.0 + SingleDraw(product, p).R
    assert abs(np.sqrt(second) - root) <= EXACT * root + FEW * reach * product.total


@given(nearly_equal())
def test_S2_and_the_law_of_one_draw(case):
    product, p = case
    G, q = exact(product, p)
    assert_near(product, p, moments.multinomial(product, p, 1), rational.second_moment(G, q))
    law = SingleDraw(product, p)
    errors = [square for _, square in rational.outcomes(G, q, 1)]
    assert_near(product, p, (law.M * product.total) ** 2, max(errors))
    assert_near(product, p, law.second * product.total**2, rational.second_moment(G, q))


@given(nearly_equal())
def test_S3_and_S2_at_the_optimal_draw(case):
    product, _ = case
    truth = rational.best_second_moment(rational.terms(product.A, product.B))
    best = probabilities.optimal(product)
    for second in (moments.optimal(product, 1), moments.multinomial(product, best, 1)):
        gap = abs(np.sqrt(second) - np.sqrt(truth))
        assert gap <= EXACT * np.sqrt(truth) + 2 * FEW * product.total


@pytest.mark.parametrize("label", TAILS)
@given(case=nearly_equal(), s=st.integers(1, 2), delta=RISKS)
def test_no_bound_is_below_the_truth(label, case, s, delta):
    product, p = case
    G, q = exact(product, p)
    limit = Fraction(float(TAILS[label](product, p, s, delta))) ** 2
    exceeded = sum(chance for chance, square in rational.outcomes(G, q, s) if square > limit)
    assert exceeded <= delta


@pytest.mark.parametrize("spread", [0.0, 1e-16, *SPREADS])
def test_where_every_outcome_has_one_error(spread):
    """Two terms, one fair draw: a bound below that error fails with probability one."""
    product = Product([[1.0, 1.0 + spread]], [1.0, 1.0])
    error = abs(float(product.A[0, 1]) - 1.0)
    for label, bound in TAILS.items():
        if label != "B2":
            assert error <= bound(product, (1, 1), 1, 0.5), label
    # At spreads that rounding does not reach the sharpest one is the error itself.
    assert bounds.sharpest(product, (1, 1), 1, 0.5) <= error * (1 + EXACT) + 4 * FEW
    assert bounds.frobenius(product, 1, 1.0) >= moments.optimal(product, 1)
    limit = montecarlo.quantile_limit(product, (1, 1), 1, 0.5, trials=9, rng=0)
    assert error <= limit <= error * (1 + EXACT) + 4 * FEW


@given(nearly_equal(), st.integers(1, 9))
def test_the_bound_on_the_second_moment(case, s):
    product, p = case
    G, q = exact(product, p)
    truth = rational.second_moment(G, q) / s
    assert truth <= Fraction(float(bounds.frobenius(product, s, bounds.nearness(product, p))))


@given(nearly_equal(), st.integers(0, 99))
def test_the_factor_keeps_every_mask(case, seed):
    product, _ = case
    G = rational.terms(product.A, product.B)
    mask = np.random.default_rng(seed).integers(0, 9, size=product.d) / 4.0
    truth = rational.root(rational.squared_error(G, [Fraction(x) for x in mask]))
    error = np.linalg.norm((mask - 1.0) @ product.unit_factor) * product.total
    reach = product.term_norms @ abs(mask - 1.0)
    assert abs(error - truth) <= (product.unit_error + 4 * EPS) * reach
    assert product.unit_error <= 2**5 * EPS
    nothing = rational.root(rational.squared_error(G, [Fraction(0)] * product.d))
    assert abs(np.sqrt(product.norm2) - nothing) <= FEW * product.total


@pytest.mark.parametrize("form", ["triangles", "Gram matrices", "sparse"])
@pytest.mark.parametrize("shape", [(40, 6, 1), (40, 6, 2), (3, 6, 3), (9, 4, 9)])
@pytest.mark.parametrize("spread", [0.0, 1e-2, 1e-6, 1e-10, 1e-14])
def test_every_route_says_how_wrong_it_may_be(form, shape, spread, monkeypatch):
    """Triangles are right to some epsilon, Gram matrices to its root times the spread, but sparse
    ones to the root; bounds know which."""
    q, d, r = shape
    rng = np.random.default_rng(shape)
    A = rng.normal(size=(q, 1)) * (1 + spread * rng.normal(size=(q, d)))
    B = rng.normal(size=(1, r)) * (1 + spread * rng.normal(size=(d, r)))
    if form != "triangles":
        monkeypatch.setattr(coordinates, "TRIANGLE_WORK", 0)
    product = Product(scipy.sparse.csr_array(A) if form == "sparse" else A, B)
    G = rational.terms(A, B)
    masks = [*(rng.integers(0, 5, size=(4, d)) / 2.0), np.zeros(d), d * np.eye(d)[0]]
    for mask in masks:
        truth = rational.root(rational.squared_error(G, [Fraction(float(x)) for x in mask]))
        error = np.linalg.norm((mask - 1.0) @ product.unit_factor) * product.total
        reach = product.term_norms @ abs(mask - 1.0)
        assert abs(error - truth) <= (product.unit_error + 4 * EPS) * reach
    claims = {"triangles": 0.0, "Gram matrices": 2.0**-18 * spread, "sparse": 2.0**-20}
    assert product.unit_error <= claims[form] + 2**6 * EPS
    assert product.unit_factor.shape[1] <= min(d, q * r)
    law = list(rational.outcomes(G, rational.normalised(np.ones(d)), 1))
    least = min(square for _, square in law)
    for bound in TAILS.values():
        for delta in (1e-3, 0.3, float(np.nextafter(1, 0))):
            limit = Fraction(float(bound(product, np.ones(d), 1, delta))) ** 2
            assert sum(chance for chance, square in law if square > limit) <= delta
    limit = montecarlo.quantile_limit(product, np.ones(d), 1, 0.9, trials=20, rng=0)
    assert rational.root(least) <= limit


@pytest.mark.parametrize("form", [np.float32, np.float64, scipy.sparse.csr_array])
@pytest.mark.parametrize("shape", [(300, 7, 1), (9, 7, 5)])
def test_gram_matrices_keep_norms_and_errors(form, shape, monkeypatch):
    """Terms of no special kind, some zero, some dependent, of very different sizes."""
    monkeypatch.setattr(coordinates, "TRIANGLE_WORK", 0)
    q, d, r = shape
    rng = np.random.default_rng(shape)
    A, B = rng.normal(size=(q, d)), rng.normal(size=(d, r))
    A[:, 2] = 0.0
    A[:, 4] = A[:, 3]
    B[4] = -B[3] * 2
    B[0] *= 1e-20
    product = Product(A.astype(form) if form is np.float32 else form(A), B)
    C = product.factor()
    np.testing.assert_allclose(np.linalg.norm(C, axis=0), product.term_norms, rtol=EXACT)
    direct = Product(A.astype(form).astype(float), B) if form is np.float32 else Product(A, B)
    for mask in rng.random((9, d)) * 2:
        gap = np.asarray((direct.A * (mask - 1.0)) @ B)
        np.testing.assert_allclose(
            np.linalg.norm(C @ (mask - 1.0)), np.linalg.norm(gap), rtol=QUADRATURE
        )


@pytest.mark.parametrize("spread", [1e-3, 1e-6, 1e-9, 1e-12])
def test_long_factors_lose_no_more(spread, size):
    """Triangles of many blocks, against extended precision."""
    rng = np.random.default_rng(1)
    A = rng.normal(size=(size(20_000, 5000), 1)) * (1 + spread * rng.normal(size=12))
    A += spread * rng.normal(size=A.shape)
    w = 1 + spread * rng.normal(size=12)
    product = Product(A, w)
    wide = A.astype(np.longdouble) * w
    for mask in [*(rng.random((9, 12)) * 2), *(12 * np.eye(12))]:
        truth = float(np.sqrt(np.square(wide @ (mask - 1)).sum()))
        error = np.linalg.norm((mask - 1) @ product.unit_factor) * product.total
        assert abs(error - truth) <= product.unit_error * (product.term_norms @ abs(mask - 1))
    errors = np.square(12 * wide - wide.sum(axis=1, keepdims=True)).sum(axis=0)
    truth = float(np.sqrt(errors.mean()))
    error = np.sqrt(moments.multinomial(product, np.ones(12), 1))
    assert abs(error - truth) <= EXACT * truth + FEW * product.total


@pytest.mark.parametrize("design", ["multinomial", "poisson", "systematic", "priority", "top"])
@pytest.mark.parametrize("spread", [1e-4, 1e-8, 1e-12])
def test_simulated_errors_are_right_to_their_rounding(design, spread):
    """Each simulated error against the rational error of its mask."""
    d, s, trials = 10, 4, 12
    rng = np.random.default_rng(2)
    A = rng.normal(size=(20, 1)) * (1 + spread * rng.normal(size=(20, d)))
    product, p = Product(A, np.ones(d)), np.ones(d)

    def errors(of):
        return np.sqrt(montecarlo.squared_errors(of, p, s, trials=trials, design=design, rng=3))

    # One row of the identity shows |m_i - 1| of the same masks, which is 1 for what is not kept.
    gaps = np.stack([errors(Product(row[None, :], np.ones(d))) for row in np.eye(d)], axis=1)
    masks = np.where(abs(gaps - 1) < EXACT, 0.0, 1.0 + gaps)
    floor = montecarlo.rounding(product, p, s, trials=trials, design=design, rng=3)
    assert 0 < floor < 2e-13 * product.total
    G = rational.terms(A, np.ones(d))
    for error, mask in zip(errors(product), masks, strict=True):
        truth = rational.root(rational.squared_error(G, [Fraction(x) for x in mask]))
        assert abs(error - truth) <= floor
    limit = montecarlo.quantile_limit(product, p, s, 0.3, trials=trials, design=design, rng=3)
    assert limit == np.sort(errors(product))[-3] + floor


@given(nearly_equal(most=3))
def test_poisson_and_systematic_second_moments(case):
    """Equal inclusions of s of d: every subset, or every interval of starts, in fractions."""
    product, _ = case
    G, d = rational.terms(product.A, product.B), product.d
    s = d - 1
    pi = Fraction(s, d)
    kept = [[bool(bits >> i & 1) for i in range(d)] for bits in range(2**d)]
    truth = Fraction(0)
    for subset in kept:
        chance = Fraction(1)
        for inside in subset:
            chance *= pi if inside else 1 - pi
        truth += chance * rational.squared_error(G, [inside / pi for inside in subset])
    moment = moments.poisson(product, np.ones(d), s)
    np.testing.assert_allclose(moment, float(truth), rtol=EXACT)
    # One of d is left out, each in turn.
    truth = sum(
        rational.squared_error(G, [Fraction(int(i != out)) / pi for i in range(d)])
        for out in range(d)
    ) / Fraction(d)
    moment = moments.systematic(product, np.ones(d), s)
    assert_near(product, np.ones(d), moment, truth)


@pytest.mark.parametrize("small", SPREADS)
@pytest.mark.parametrize("kind", ["dominating", "opposed", "both", "levels"])
def test_sketches_with_signs(kind, small):
    """S7 where one term, or two that cancel, are nearly everything: to all digits."""
    A, B = {
        "dominating": ([[1.0, small, -small]], [1.0, small, small / 3]),
        "opposed": ([[1.0, -1.0 - small]], [1.0, 1.0]),
        "both": ([[1.0, -1.0, small], [0.0, small, 2.0 * small]], [1.0, 1.0, small]),
        "levels": ([[1.0, -small, 0.5 * small**2]], [1.0, small, 0.0]),
    }[kind]
    truth = float(rational.sign_moment(A, B))
    np.testing.assert_allclose(moments.rademacher(Product(A, B), 1), truth, rtol=QUADRATURE)
    np.testing.assert_allclose(
        moments.countsketch(Product(A, B), [4]), [truth / 4], rtol=QUADRATURE
    )
    sparse = Product(scipy.sparse.csr_array(np.array(A)), B)
    np.testing.assert_allclose(moments.rademacher(sparse, 1), truth, rtol=QUADRATURE)


@pytest.mark.parametrize("small", SPREADS)
def test_the_priority_bound_where_one_term_is_nearly_all(small):
    product = Product([[1.0, small, small / 4]], [1.0, 1.0, 1.0])
    u = [Fraction(x) for x in (1.0, small, small / 4)]
    truth = float(sum(u) ** 2 - sum(x * x for x in u))
    np.testing.assert_allclose(bounds.priority(product, 2), truth, rtol=EXACT)


@pytest.mark.parametrize("small", SPREADS)
def test_the_worst_case_where_one_weight_is_nearly_all(small):
    w, p = [1.0, small, small / 2], [1.0, small * 1.5, small]
    q, W = rational.normalised(p), [Fraction(x) for x in w]
    truth = sum(x * x / c for x, c in zip(W, q, strict=True)) - (2 * W[0] - sum(W)) ** 2
    bound = bounds.worst_case(p, w, norm="columns").worst
    np.testing.assert_allclose(bound, float(truth), rtol=QUADRATURE)


@given(nearly_equal())
def test_the_bound_at_the_end_of_training_is_no_smaller_than_the_moment(case):
    product, _ = case
    if product.B.ndim > 1:
        return
    truth = rational.second_moment(*exact(product, probabilities.optimal(product)))
    limit = bounds.end_of_training(product, 0.0, 1, trained_norm2=product.norm2)
    assert truth <= Fraction(float(limit))


def test_sketches_of_nearly_cancelling_terms_agree_with_their_moment(size):
    """A dense sketch of two opposed terms: simulated, not by another formula."""
    A, B = np.array([[1.0, -1.0 - 1e-7]]), np.array([1.0, 1.0])
    rng = np.random.default_rng(5)
    estimate = [
        float((sketches.multiply(A, B, 1, method="rademacher", rng=rng) - A @ B)[0] ** 2)
        for _ in range(size(50, 20))
    ]
    # With one column every sketch has the one error, of either sign.
    np.testing.assert_allclose(estimate, moments.rademacher(Product(A, B), 1), rtol=HALF)
