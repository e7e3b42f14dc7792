"""B5 against its definition and every outcome, E4 with every mask, and the draws needed."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import scipy.sparse
from hypothesis import assume, given, target
from hypothesis import strategies as st

from lth_sketch import Product, bounds, datasets, moments, probabilities, regression
from lth_sketch.testing import enumerate_masks, products
from lth_sketch.testing import probabilities as draws
from lth_sketch.tolerances import EPS, EXACT, QUADRATURE

RIDGES = st.sampled_from([0.0, 1e-3, 0.1, 1.0, 100.0])


@st.composite
def kernels(draw):
    """Data, their numbers A, a draw that covers the columns, and a ridge on the scale of A A^T."""
    data = draw(products(max_d=4, max_exponent=0)).A
    p = draw(draws(Product(data, np.ones(data.shape[1]))))
    A = reference.wide(data)
    return data, A, p, draw(RIDGES) * np.linalg.norm(A, 2) ** 2


def noise(A, m, ridge):
    """||A diag(m) A^T - K||_2, whitened if ridge > 0."""
    gap = A @ np.diag(m - 1.0) @ A.T
    if ridge:
        half = reference.whitener(A, ridge)
        gap = half @ gap @ half
    return np.linalg.norm(gap, 2)


@given(kernels(), st.integers(1, 3), st.floats(0.001, 0.999))
def test_the_spectral_bound_holds_for_the_exact_law(case, s, delta):
    X, A, p, ridge = case
    masks, chances = enumerate_masks(p, s)
    limit = bounds.spectral(X, p, s, delta, ridge=ridge)
    errors = np.array([noise(A, m, ridge) for m in masks])
    assert chances[errors > limit * (1 + QUADRATURE)].sum() <= delta
    order = np.argsort(errors)
    above = np.cumsum(chances[order][::-1])[::-1]
    target(float(errors[order][above > delta][-1] / limit))


@given(kernels(), st.integers(1, 10**6), st.floats(0.001, 0.999))
def test_the_spectral_bound_solves_bernstein(case, s, delta):
    """The tail at the bound is delta, with v by definition and an L that is one."""
    X, A, p, ridge = case
    half = reference.whitener(A, ridge) if ridge else np.eye(len(A))
    L, v = reference.kernel_noise(half @ A, p)
    ratio = np.divide(np.sum((half @ A) ** 2, axis=0), p, out=np.zeros_like(p), where=p > 0)
    sigma = np.linalg.svd(A, compute_uv=False)
    assume(not ((sigma > 1e-16 * sigma[0]) & (sigma < QUADRATURE * sigma[0])).any())
    rho = int((sigma > QUADRATURE * sigma[0]).sum())
    assert ratio.max() * (1 + EXACT) >= L
    t = bounds.spectral(X, p, s, delta, ridge=ridge)
    # What rounding may have taken from v goes on top of it.
    v += 4 * EPS * ratio.max() * (1.0 if ridge else sigma[0] ** 2)
    exponent = s * t**2 / 2 / (v + ratio.max() * t / 3)
    np.testing.assert_allclose(exponent, np.log(2 * rho / delta), rtol=QUADRATURE)


@given(kernels(), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_leverage_scores_need_no_more_than_the_effective_dimension(case, eps, delta):
    """The closed form of B5 for p_i in proportion to the ridge leverage scores."""
    X, A, _, ridge = case
    assume(ridge > 0)
    scores = np.sum((reference.whitener(A, ridge) @ A) ** 2, axis=0)
    log = np.log(2 * np.linalg.matrix_rank(A) / delta)
    s = int(np.ceil(2 * scores.sum() * (1 + eps / 3) * log / eps**2))
    p = probabilities.leverage(X, ridge)
    assert bounds.spectral(X, p, s, delta, ridge=ridge) <= eps * (1 + EXACT)


def test_spectral_on_tall_wide_sparse_and_scaled_data():
    rng = np.random.default_rng(4)
    for shape in ((200, 5), (5, 200)):
        A = rng.standard_normal(shape) * (rng.random(shape) < 0.8)
        assert A.any(axis=0).all()
        p = np.sum(A**2, axis=0)
        for ridge in (0.0, 2.0):
            got = bounds.spectral(A, p, [10, 1000], 0.1, ridge=ridge)
            same = bounds.spectral(scipy.sparse.csr_array(A), p, [10, 1000], 0.1, ridge=ridge)
            np.testing.assert_allclose(same, got, rtol=EXACT)
            scaled = bounds.spectral(A * 1e70, p, [10, 1000], 0.1, ridge=ridge * 1e140)
            np.testing.assert_allclose(scaled, got * (1.0 if ridge else 1e140), rtol=EXACT)
    assert bounds.spectral([[1.0, 1.0]], [1, 1e-299], 3, 0.1) > 1e150
    assert bounds.spectral([[1.0, 1.0]], [1, 1e-305], [3, 4], 0.1).tolist() == [np.inf, np.inf]


@given(kernels(), st.data())
def test_training_under_every_mask_stays_within_the_bound(case, data):
    """E4 with the eps of each mask: it is sure, not likely."""
    X, A, p, ridge = case
    assume(ridge > 0)
    n = len(A) * data.draw(st.integers(1, 3))
    y = np.reshape(data.draw(st.lists(st.integers(-9, 9), min_size=n, max_size=n)), (len(A), -1))
    y = y.astype(float)
    start = np.zeros((A.shape[1], y.shape[1]))
    fit = A @ reference.ridged(A, y, start, np.ones(len(start)), ridge)
    masks, _ = enumerate_masks(p, data.draw(st.integers(1, 3)))
    tightest = 0.0
    for m in masks:
        eps = noise(A, m, ridge)
        moved = np.linalg.norm(A @ reference.ridged(A, y, start, np.sqrt(m), ridge) - fit)
        limit = bounds.retrained(eps, X, y, penalty=ridge)
        assert moved <= limit * (1 + EXACT) + EXACT * np.linalg.norm(y)
        if 0 < eps < 1 and limit > 0:
            tightest = max(tightest, float(moved / limit))
        direct = ridge * np.trace(y.T @ np.linalg.solve(A @ A.T + ridge * np.eye(len(A)), y))
        if eps < 1:
            np.testing.assert_allclose(
                limit, eps / (1 - eps) * np.sqrt(direct), rtol=QUADRATURE, atol=EXACT
            )
            assert limit <= eps / (1 - eps) * np.linalg.norm(y) * (1 + EXACT)
        else:
            assert limit == np.inf
    target(tightest)


def test_without_the_root_of_the_mask_the_bound_fails():
    """The features are X diag(sqrt(m)): with X diag(m) the kernel has another mean."""
    X, y, ridge = np.ones((1, 1)), np.ones(1), 1.0
    m = np.array([1.9])
    eps = noise(X, m, ridge)
    limit = bounds.retrained(eps, X, y, penalty=ridge)
    fit, rooted, plain = (
        X @ regression.ridge(X, y, penalty=ridge, mask=mask) * scale
        for mask, scale in ((np.ones(1), 1.0), (np.sqrt(m), 1.0), (m, 1.0))
    )
    assert np.abs(rooted - fit) <= limit
    limit = bounds.retrained(noise(X, np.array([0.5]), ridge), X, y, penalty=ridge)
    plain = X @ regression.ridge(X, y, penalty=ridge, mask=np.array([0.5]))
    rooted = X @ regression.ridge(X, y, penalty=ridge, mask=np.sqrt([0.5]))
    assert np.abs(rooted - fit) <= limit < np.abs(plain - fit)


def test_retrained_on_digits():
    """B5 and E4 in a row: the s that eps asks for, drawn once, several outputs."""
    data = datasets.load("digits")
    X, y, penalty = data.X, np.eye(10)[data.y], 1e4
    p = probabilities.leverage(X, penalty)
    delta = 1e-9
    s = bounds.draws_needed(bounds.spectral, 0.4, X, p, delta=delta, ridge=penalty)
    eps = bounds.spectral(X, p, s, delta, ridge=penalty)
    assert 0.399 < eps <= 0.4
    m = np.random.default_rng(0).multinomial(s, p) / (s * np.where(p > 0, p, 1))
    fits = (
        X @ regression.ridge(X, y, penalty=penalty, mask=mask) for mask in (np.sqrt(m), np.ones(64))
    )
    fit = next(fits) - next(fits)
    limit = bounds.retrained(eps, X, y, penalty=penalty)
    assert 0 < np.linalg.norm(fit) <= limit < np.linalg.norm(y)


PRODUCT = Product([[3.0, 4.0, 1.0], [0.0, 1.0, -2.0]], [1.0, -1.0, 0.5])
ASKED = {
    "frobenius": (bounds.frobenius, PRODUCT, False, False, {"beta": 0.5}),
    "optimal": (moments.optimal, PRODUCT, False, False, {}),
    "multinomial": (moments.multinomial, PRODUCT, True, False, {}),
    "dkm": (bounds.dkm, PRODUCT, False, True, {}),
    "mcdiarmid": (bounds.mcdiarmid, PRODUCT, True, True, {"sharp": True}),
    "bousquet": (bounds.bousquet, PRODUCT, True, True, {}),
    "radial": (bounds.radial, PRODUCT, True, True, {}),
    "cantelli": (bounds.cantelli, PRODUCT, True, True, {}),
    "sharpest": (bounds.sharpest, PRODUCT, True, True, {}),
    "asymptotic": (bounds.asymptotic_quantile, PRODUCT, True, True, {}),
    "spectral": (bounds.spectral, PRODUCT.A, True, True, {"ridge": 1.0}),
    "end_of_training": (bounds.end_of_training, PRODUCT, False, False, {"delta_norm": 0.3}),
}


@pytest.mark.parametrize("name", ASKED)
@given(share=st.floats(1e-4, 1.2), delta=st.floats(0.001, 0.9), weights=st.integers(1, 5))
def test_draws_needed_is_the_smallest_number(name, share, delta, weights):
    bound, product, takes_p, takes_delta, options = ASKED[name]
    given_ = {**({"p": [weights, 2, 1]} if takes_p else {}), **options}
    if takes_delta:
        given_["delta"] = delta
    first = next(iter(ASKED[name][0].__code__.co_varnames))
    error = share * float(bound(**{first: product}, s=1, **given_))
    s = bounds.draws_needed(bound, error, product, **given_)
    at = bound(**{first: product}, s=[s, max(1, s - 1)], **given_)
    assert at[0] <= error
    assert s == 1 or at[1] > error
    # The least of all bounds takes milliseconds a size: a tenth of the sizes stands for all.
    before = np.arange(1, max(2, min(s, 300)), 10 if name == "sharpest" else 1)
    assert s == 1 or (bound(**{first: product}, s=before, **given_) > error).all()


def test_draws_needed_takes_a_bound_of_yours():
    def mine(numbers, s):
        return numbers / np.sqrt(s)

    for most in (1, 2, 3, 4, 5, 8, 9, 2**40):
        assert bounds.draws_needed(mine, 1.0, np.sqrt(most), max_draws=most) == most
        with pytest.raises(ValueError, match="not reached by mine"):
            bounds.draws_needed(mine, 1.0, np.sqrt(most) * 1.1, max_draws=most)


def test_draws_needed_stops_at_what_a_design_can_draw():
    """Keeping the largest: no s beyond d is asked for."""
    product = Product([[1.0, 1.0, 1.0]], [1.0, 1.0, 1.0])
    assert bounds.draws_needed(moments.top, 1.0, product, [1, 1, 1], max_draws=3) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda P, A: bounds.spectral(A, [1, 0], 2, 0.1), "biased"),
        (lambda P, A: bounds.spectral(A, [1], 2, 0.1), "p must have length 2"),
        (lambda P, A: bounds.spectral(A, [1, 1], 0, 0.1), "s must be at least 1"),
        (lambda P, A: bounds.spectral(A, [1, 1], 2, 1.0), r"delta must lie in \(0, 1\)"),
        (lambda P, A: bounds.spectral(A, [1, 1], 2, 0.1, ridge=-1.0), "ridge must lie in"),
        (lambda P, A: bounds.spectral(A, [1, 1], 2, 0.1, ridge=np.inf), "ridge must lie in"),
        (lambda P, A: bounds.spectral(A * 0, [1, 1], 2, 0.1), "zero"),
        (lambda P, A: bounds.spectral(A * 1e-200, [1, 1], 2, 0.1), "rescale A"),
        (lambda P, A: bounds.spectral(A[0], [1, 1], 2, 0.1), "A must have 2 axes"),
        (lambda P, A: bounds.spectral(A * np.nan, [1, 1], 2, 0.1), "A must be finite"),
        (lambda P, A: bounds.retrained(-0.1, A, [1, 1], penalty=1.0), "eps must be >= 0"),
        (lambda P, A: bounds.retrained(np.nan, A, [1, 1], penalty=1.0), "eps must be >= 0"),
        (lambda P, A: bounds.retrained(0.1, A, [1, 1], penalty=0.0), "penalty must lie in"),
        (lambda P, A: bounds.retrained(0.1, A, [1], penalty=1.0), "y must have one row for each"),
        (lambda P, A: bounds.retrained(0.1, A, [1, np.nan], penalty=1.0), "y must be finite"),
        (
            lambda P, A: bounds.draws_needed(bounds.radial, 1.0, P, delta=0.1),
            "p is missing: radial depends on it",
        ),
        (
            lambda P, A: bounds.draws_needed(bounds.radial, 1.0, P, [1, 1]),
            "delta is missing: radial depends on it",
        ),
        (
            lambda P, A: bounds.draws_needed(bounds.dkm, 1.0, P, [1, 1], delta=0.1),
            "p was given: dkm has no such argument",
        ),
        (
            lambda P, A: bounds.draws_needed(moments.optimal, 1.0, P, delta=0.1),
            "delta was given: optimal has no such argument",
        ),
        (lambda P, A: bounds.draws_needed(moments.optimal, -1.0, P), "error must lie in"),
        (lambda P, A: bounds.draws_needed(moments.optimal, 1, P, max_draws=0), "max_draws must"),
        (
            lambda P, A: bounds.draws_needed(bounds.end_of_training, 1.0, P, delta_norm=np.inf),
            "error = 1.0 is not reached by end_of_training",
        ),
    ],
)
def test_bad_input(call, message):
    A = np.diag([2.0, 1.0])
    with pytest.raises(ValueError, match=message):
        call(Product(A, np.ones(2)), A)


def test_a_bound_without_s_is_refused():
    with pytest.raises(TypeError, match=r"bound must have an argument s.*nearness has none"):
        bounds.draws_needed(bounds.nearness, 1.0, PRODUCT, [1, 1, 1])
