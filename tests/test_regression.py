"""Closed forms of training against stepped simulation, against each other, and at their limits."""

from __future__ import annotations

import os

import numpy as np
import pytest
import reference
import scipy.sparse
from hypothesis import assume, given
from hypothesis import strategies as st

from lth_sketch import Product, datasets, moments, probabilities, tolerances
from lth_sketch.reduction import reduce
from lth_sketch.regression import Problem, gradient_descent, gradient_flow, ridge
from lth_sketch.testing import masks, problems
from lth_sketch.tolerances import EXACT, ROUNDING, SINGLE

local = pytest.mark.skipif("LTH_SKETCH_DATA" not in os.environ, reason="needs LTH_SKETCH_DATA")
X = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
Y = np.array([3.0, 4.0, 5.0])


def condition(A):
    sigma = np.linalg.svd(A, compute_uv=False)
    kept = sigma[sigma > 1e-11 * sigma[0]]
    return kept[0] / kept[-1] if kept.size else 1.0


def close(case, w, expected, kappa=None):
    """Whether two weights fit alike, and are alike as far as the condition allows."""
    kappa = case.condition if kappa is None else kappa
    off = w.astype(float) - expected
    assert w.shape == case.w0.shape
    assert np.linalg.norm(case.X @ off) <= ROUNDING * kappa * case.size
    assert np.linalg.norm(off) <= ROUNDING * kappa**2 * case.size / case.sigma


# --- closed forms against the slow twins -------------------------------------------------------


@given(problems())
def test_flow_to_the_end_is_least_squares_nearest_to_the_start(case):
    w = gradient_flow(case.X, case.y, case.w0)
    close(case, w, reference.nearest_least_squares(case.X, case.y, case.w0))


@given(problems())
def test_weights_never_leave_the_start_in_the_null_space(case):
    sigma, Vt = np.linalg.svd(reference.wide(case.X))[1:]
    null = Vt[np.count_nonzero(sigma > 1e-11 * sigma[0]) :]
    for w in (
        gradient_flow(case.X, case.y, case.w0),
        ridge(case.X, case.y, case.w0, penalty=case.sigma**2),
        gradient_descent(case.X, case.y, case.w0, rate=case.sigma**-2, steps=3),
    ):
        moved = np.linalg.norm(null @ (w - case.w0))
        assert moved <= ROUNDING * case.condition * case.size / case.sigma


@given(problems(conditions=(1e8,)))
def test_weights_keep_their_digits_beyond_what_a_gram_matrix_allows(case):
    # Exact fits: an error of condition^2 eps, as normal equations make, would be the weights' size.
    expected = reference.nearest_least_squares(case.X, case.y, case.w0)
    w = gradient_flow(case.X, case.y, case.w0)
    size = np.linalg.norm(expected) + np.linalg.norm(case.w0)
    assert np.linalg.norm(w - expected) <= 2**10 * tolerances.EPS * case.condition * size


@given(problems(), st.integers(0, 12), st.floats(0.01, 1.99), st.data())
def test_descent_is_its_simulation(case, steps, fraction, data):
    m = data.draw(masks(case.X.shape[1]))
    sigma = np.linalg.norm(case.X * m, 2)
    rate = fraction / sigma**2 if sigma > 0 else 1.0
    w = gradient_descent(case.X, case.y, case.w0, rate=rate, steps=steps, mask=m)
    expected = reference.descended(case.X, case.y, case.w0, m, rate, steps)
    # Few steps: no small singular value is ever divided by.
    assert np.linalg.norm(w - expected) <= ROUNDING * (steps + 1) * 9 * case.size / case.sigma * (
        1 + (case.sigma / sigma if sigma > 0 else 0) ** 2
    )


@given(problems(), st.floats(-3, 2), st.data())
def test_flow_is_the_solution_of_its_equation(case, exponent, data):
    m = data.draw(masks(case.X.shape[1]))
    time = 10**exponent / case.sigma**2
    w = gradient_flow(case.X, case.y, case.w0, time=time, mask=m)
    expected = reference.flowed(case.X, case.y, case.w0, m, time)
    assert np.linalg.norm(w - expected) <= ROUNDING * 1e3 * case.size / case.sigma


@given(problems(), st.floats(-8, 3), st.data())
def test_ridge_is_least_squares_with_further_samples(case, exponent, data):
    m = data.draw(masks(case.X.shape[1]))
    penalty = 10**exponent * case.sigma**2
    w = ridge(case.X, case.y, case.w0, penalty=penalty, mask=m)
    expected = reference.ridged(case.X, case.y, case.w0, m, penalty)
    kappa = 9 * 10 ** max(0.0, -exponent / 2)
    assert np.linalg.norm(w - expected) <= ROUNDING * kappa**2 * case.size / case.sigma


@given(problems(), st.data())
def test_a_mask_changes_the_features_and_nothing_else(case, data):
    m = data.draw(masks(case.X.shape[1]))
    w = gradient_flow(case.X, case.y, case.w0, mask=m)
    A = case.X * m
    kappa = 9 * condition(A)
    expected = (m * reference.nearest_least_squares(A, case.y, case.w0).T).T
    assert (w[m == 0] == 0).all()
    close(case, w, expected, kappa)


# --- limits, in time, in steps, in the penalty -------------------------------------------------


@given(problems())
def test_limits_are_least_squares(case):
    problem = Problem(case.X, case.y, case.w0)
    end = problem.gradient_flow()
    np.testing.assert_array_equal(problem.ridge(0.0), end)
    sigma = problem.singular_values
    rate = 1.5 / sigma[0] ** 2
    close(case, problem.gradient_flow(1e3 / sigma[-1] ** 2), end)
    close(case, problem.gradient_descent(rate, 2**62), end)
    close(case, problem.ridge(tolerances.EPS**2 * sigma[-1] ** 2), end)


@given(problems(), st.floats(-3, 3))
def test_small_steps_are_the_flow(case, exponent):
    problem = Problem(case.X, case.y, case.w0)
    time = 10**exponent / case.sigma**2
    steps = 2**50
    off = problem.gradient_descent(time / steps, steps) - problem.gradient_flow(time)
    assert np.linalg.norm(off) <= ROUNDING * 1e3 * case.size / case.sigma


@given(problems())
def test_nothing_happens_in_no_time(case):
    problem = Problem(case.X, case.y, case.w0)
    for w in (
        problem.gradient_flow(0.0),
        problem.gradient_descent(1 / case.sigma**2, 0),
        problem.ridge(np.inf),
    ):
        np.testing.assert_array_equal(w, case.w0)


def test_one_step_that_lands_and_one_that_overshoots():
    # rate sigma^2 = 1 for the second feature; the first alternates about its goal with 0.9 left.
    w = gradient_descent(X, Y, rate=0.25, steps=1)
    np.testing.assert_allclose(w, [0.75, 2.0], rtol=EXACT)
    w = gradient_descent(X[:, :1], Y, rate=1.9, steps=[0, 1, 2, 3, 10**9, 10**9 + 1])[:, 0]
    expected = 3 * (1 - np.array([1.0, -0.9, 0.81, -0.729, 0.0, 0.0]))
    np.testing.assert_allclose(w, expected, rtol=EXACT)


def test_descent_of_many_tiny_steps_keeps_its_digits():
    # (1 - 1e-20)^(10^18): 1 - z rounds to 1, its power must not.
    w = gradient_descent(X[:, :1], Y, rate=1e-20, steps=10**18)
    np.testing.assert_allclose(w, -3 * np.expm1(-0.01), rtol=EXACT)


# --- one problem, many questions ---------------------------------------------------------------


@given(problems(), st.data())
def test_trajectories_put_time_first(case, data):
    m = data.draw(masks(case.X.shape[1]))
    problem = Problem(case.X, case.y, case.w0)
    times = np.array([[0.0, 0.1, 1.0], [2.0, 10.0, np.inf]]) / case.sigma**2
    flow = problem.gradient_flow(times, mask=m)
    assert flow.shape == (2, 3, *case.w0.shape)
    for i in np.ndindex(2, 3):
        np.testing.assert_allclose(
            flow[i],
            problem.gradient_flow(times[i], mask=m),
            rtol=EXACT,
            atol=EXACT * np.abs(flow).max(),
        )
    assert problem.ridge([1.0, 2.0]).shape == (2, *case.w0.shape)
    losses = problem.loss(flow)
    assert losses.shape == (2, 3, *case.y.shape[1:])
    assert (np.diff(losses.reshape(6, -1), axis=0) <= ROUNDING * 9 * case.size**2).all()


@given(problems())
def test_loss_is_the_sum_of_squares(case):
    problem = Problem(case.X, case.y)
    expected = np.sum((case.y - case.X @ case.w0) ** 2, axis=0)
    loss = problem.loss(case.w0)
    assert np.shape(loss) == np.shape(expected)
    np.testing.assert_allclose(loss, expected, atol=ROUNDING * case.size**2, rtol=0)


@given(problems())
def test_singular_values_and_rank(case):
    problem = Problem(case.X, case.y)
    sigma = np.linalg.svd(reference.wide(case.X), compute_uv=False)
    kept = sigma[sigma > 1e-11 * sigma[0]]
    assert problem.rank == len(kept)
    np.testing.assert_allclose(problem.singular_values, kept, rtol=0, atol=ROUNDING * sigma[0])


def test_more_rows_than_a_block_holds(size):
    n, d = size(5000, 1500), 7
    rng = np.random.default_rng(0)
    A, y = rng.normal(size=(n, d)), rng.normal(size=(n, 3))
    expected = np.linalg.lstsq(A, y, rcond=None)[0]
    np.testing.assert_allclose(gradient_flow(A, y), expected, rtol=0, atol=EXACT)
    reduced = reduce(A, y)
    np.testing.assert_allclose(reduced.R.T @ reduced.R, A.T @ A, rtol=0, atol=EXACT * n)
    np.testing.assert_allclose(
        Problem(A, y).loss(expected), np.sum((y - A @ expected) ** 2, axis=0), rtol=EXACT
    )


def test_zero_data_trains_nothing():
    problem = Problem(np.zeros((3, 2)), Y, [1.0, 2.0])
    assert problem.rank == 0
    for w in (problem.gradient_flow(), problem.gradient_descent(1e9, 5), problem.ridge(0.0)):
        np.testing.assert_array_equal(w, [1.0, 2.0])
    assert problem.loss([1.0, 2.0]) == pytest.approx(50.0)


@pytest.mark.parametrize("kind", [scipy.sparse.csr_array, scipy.sparse.csc_matrix])
def test_sparse_data_are_the_dense_data(kind):
    rng = np.random.default_rng(1)
    A = rng.normal(size=(1100, 5)) * (rng.random((1100, 5)) < 0.2)
    y = rng.normal(size=1100)
    dense, sparse = Problem(A, y), Problem(kind(A), y)
    np.testing.assert_array_equal(sparse.gradient_flow(), dense.gradient_flow())
    np.testing.assert_array_equal(
        sparse.ridge(2.0, mask=[1, 0, 2, 0, 1]), dense.ridge(2.0, mask=[1, 0, 2, 0, 1])
    )


def test_single_precision_in_and_out_double_between():
    rng = np.random.default_rng(2)
    A = rng.normal(size=(40, 6)).astype(np.float32)
    y = rng.normal(size=(40, 2)).astype(np.float32)
    w0 = rng.normal(size=(6, 2)).astype(np.float32)
    for train in (
        lambda A, y, w0: gradient_flow(A, y, w0, time=0.05),
        lambda A, y, w0: gradient_descent(A, y, w0, rate=1e-3, steps=9, mask=np.arange(6.0)),
        lambda A, y, w0: ridge(A, y, w0, penalty=3.0),
    ):
        single = train(A, y, w0)
        double = train(A.astype(float), y.astype(float), w0.astype(float))
        assert single.dtype == np.float32
        assert double.dtype == np.float64
        np.testing.assert_array_equal(single, double.astype(np.float32))
    assert gradient_flow(A, y).dtype == np.float32
    assert gradient_flow(A, y, w0.astype(float)).dtype == np.float64
    assert Problem(A, y).loss(w0).dtype == np.float64
    exact = np.linalg.lstsq(A.astype(float), y.astype(float), rcond=None)[0]
    np.testing.assert_allclose(gradient_flow(A, y), exact, rtol=SINGLE, atol=SINGLE)


def test_inputs_are_not_changed():
    A, y, w0, m = X.copy(), Y.copy(), np.array([1.0, 2.0]), np.array([1.0, 0.5])
    for given_ in (A, y, w0, m):
        given_.flags.writeable = False
    problem = Problem(A, y, w0)
    problem.gradient_flow(mask=m)
    problem.gradient_descent(0.1, 3, mask=m)
    problem.ridge(1.0, mask=m)
    problem.loss(w0)
    problem.path([1, 0])
    problem.singular_values[:] = 0.0
    assert problem.singular_values[0] == pytest.approx(2.0)
    assert repr(problem) == "Problem(n_samples=3, n_features=2, n_outputs=1)"


# --- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: gradient_flow(X, Y[:2]), ValueError, r"y must have one row for each of the 3"),
        (lambda: gradient_flow(X, [3.0, np.nan, 5.0]), ValueError, r"y\[1\] = nan"),
        (lambda: gradient_flow(X, Y, [1.0]), ValueError, r"w0 must have shape \(2,\)"),
        (lambda: gradient_flow(X, Y, [1.0, 2.0, 3.0]), ValueError, r"w0 must have shape \(2,\)"),
        (lambda: gradient_flow(X, Y[:, None], [1.0, 2.0]), ValueError, r"w0 .* \(2, 1\)"),
        (lambda: gradient_flow(scipy.sparse.coo_array(X), Y), TypeError, "'coo'"),
        (lambda: gradient_flow(X * 1e160, Y), ValueError, "X must have its largest entry in"),
        (lambda: gradient_flow(-X * 1e160, Y), ValueError, "X must have its largest entry in"),
        (lambda: gradient_flow(X, Y * 1e-160), ValueError, "y must .* rescale y"),
        (lambda: gradient_flow(X, Y, time=-1.0), ValueError, "time must be >= 0; got -1.0"),
        (lambda: gradient_flow(X, Y, time=[1.0, np.nan]), ValueError, "time .* got nan"),
        (lambda: gradient_flow(X, Y, time="1"), TypeError, "time must be a number"),
        (lambda: gradient_flow(X, Y, mask=[0, 0]), ValueError, "mask must have an entry > 0"),
        (lambda: gradient_flow(X, Y, mask=[1, 1, 1]), ValueError, "mask must have length 2"),
        (lambda: gradient_flow(X, Y, mask=[1, -1]), ValueError, r"mask\[1\] = -1"),
        (lambda: ridge(X, Y, penalty=-2.0), ValueError, "penalty must be >= 0; got -2"),
        (lambda: gradient_descent(X, Y, rate=0.5, steps=1), ValueError, r"2/sigma_max\^2 = 0.5 "),
        (lambda: gradient_descent(X, Y, rate=0.0, steps=1), ValueError, "rate must lie in"),
        (
            lambda: gradient_descent(X, Y, rate=0.1, steps=-1),
            ValueError,
            "steps must be at least 0",
        ),
        (lambda: gradient_descent(X, Y, rate=0.1, steps=1.0), TypeError, "steps must be an int"),
        (lambda: gradient_descent(X, Y, rate=0.1, steps=True), TypeError, "steps must be an int"),
        (lambda: Problem(X, Y).loss([1.0, 2.0, 3.0]), ValueError, r"last axes of w must be \(2,\)"),
        (lambda: Problem(X, Y).loss(1.0), ValueError, r"last axes of w must be \(2,\)"),
    ],
)
def test_bad_input_is_named(call, error, text):
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize("end", [1e-140, 1e140])
def test_scales_of_the_data_end_where_the_error_says(end):
    A, beyond = np.eye(2), np.nextafter(end, end**2)
    for X_end, y_end in ((end * A, A[0]), (A, end * A[0]), (-end * A, A[0])):
        gradient_flow(X_end, y_end)
    for X_beyond, y_beyond, name in ((beyond * A, A[0], "X"), (A, -beyond * A[0], "y")):
        with pytest.raises(ValueError, match=f"{name} must have its largest .*1e-140, 1e\\+140"):
            gradient_flow(X_beyond, y_beyond)


def test_the_limit_of_the_rate_is_that_of_the_masked_features():
    gradient_descent(X, Y, rate=1.9, steps=1, mask=[1, 0])
    with pytest.raises(ValueError, match=r"= 2 "):
        gradient_descent(X, Y, rate=2.1, steps=1, mask=[1, 0])


# --- what the theory says of trained models ----------------------------------------------------


@given(
    problems(max_d=4, conditions=(1,), max_exponent=0),
    st.sampled_from(["gradient_flow", "gradient_descent", "ridge"]),
)
def test_e1_masking_the_trained_model(case, training):
    problem = Problem(case.X, case.y, case.w0)
    settings = {
        "gradient_flow": {"time": case.sigma**-2},
        "gradient_descent": {"rate": case.sigma**-2, "steps": 3},
        "ridge": {"penalty": case.sigma**2},
    }
    w_end = getattr(problem, training)(**settings[training])
    assume(bool((case.X.any(axis=0) & w_end.reshape(len(w_end), -1).any(axis=1)).any()))
    product = Product(case.X, w_end)
    p = probabilities.uniform(product.d)
    expected = sum(
        chance * reference.squared_error(case.X, w_end, m)
        for m, chance in reference.replacement_masks(p, 2)
    )
    moment = moments.multinomial(product, p, 2)
    assert abs(moment - expected) <= EXACT * product.d * product.total**2


def test_e2_the_plain_draw_has_a_heavy_tail_over_initializations():
    # Every initialization is an output. The tail P(V > x) ~ 1/x: Hill's estimate of the exponent
    # from the k largest has standard deviation 1/sqrt(k); 6.5 of them is a risk below 1e-9.
    rng = np.random.default_rng(0)
    n, d, trials, k = 30, 6, 100_000, 1000
    A = rng.normal(size=(n, d))
    y = np.repeat(rng.normal(size=(n, 1)) * 5, trials, axis=1)
    w0 = rng.normal(size=(d, trials))
    w_end = gradient_flow(A, y, w0, time=0.1)
    a = np.linalg.norm(A, axis=0)
    start, fitted = (a @ np.abs(w0)), np.sum((A @ w_end) ** 2, axis=0)
    plain = start * (a @ (w_end**2 / np.abs(w0))) - fitted
    largest = np.sort(plain)[-k - 1 :]
    exponent = 1 / np.log(largest[1:] / largest[0]).mean()
    assert abs(exponent - 1) <= 6.5 / np.sqrt(k)
    # E3 mends it: half the draws by the feature norms alone.
    p = 0.5 * (a[:, None] * np.abs(w0)) / start + 0.5 * (a**2 / (a @ a))[:, None]
    mixed = (a**2 @ (w_end**2 / p)) - fitted
    moved = np.linalg.norm(w_end - w0, axis=0)
    bound = 2 * (start + np.linalg.norm(a) * moved) ** 2 - fitted
    assert (mixed <= bound * (1 + EXACT)).all()
    assert mixed.max() < 0.01 * plain.max()
    moment = moments.multinomial(Product(A, w_end[:, 0]), a * np.abs(w0[:, 0]), 1)
    assert plain[0] == pytest.approx(moment, rel=EXACT)


@given(problems(conditions=(1,), max_exponent=0), st.floats(-2, 2), st.data())
def test_e4_training_under_the_mask(case, exponent, data):
    d = case.X.shape[1]
    m = 1 + 0.3 * np.array(data.draw(st.lists(st.floats(-1, 1), min_size=d, max_size=d)))
    lam = 10**exponent * case.sigma**2
    K = case.X @ case.X.T
    values, vectors = np.linalg.eigh(K + lam * np.eye(len(K)))
    root = vectors / np.sqrt(values)
    eps = np.linalg.norm(root.T @ ((case.X * (m - 1)) @ case.X.T) @ root, 2)
    assume(eps < 0.9)
    # The effective weights of the mask sqrt(m) act on X.
    masked = case.X @ ridge(case.X, case.y, penalty=lam, mask=np.sqrt(m))
    off = np.linalg.norm(masked - case.X @ ridge(case.X, case.y, penalty=lam))
    dual = np.linalg.norm(root.T @ case.y)
    assert off <= eps / (1 - eps) * np.sqrt(lam) * dual + ROUNDING * case.size


# --- real images -------------------------------------------------------------------------------


@local
@pytest.mark.large
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_predictions_on_images_are_those_of_lstsq(name):
    images = datasets.load(name, subset=10_000)
    y = np.eye(10)[images.y]
    problem = Problem(images.X, y)
    assert problem.rank == np.linalg.matrix_rank(images.X)
    rng = np.random.default_rng(3)
    for m in (None, (rng.random(784) < 0.5) * 1.0, rng.random(784) * (rng.random(784) < 0.3)):
        A = images.X if m is None else images.X * m
        expected = A @ np.linalg.lstsq(A, y, rcond=None)[0]
        off = images.X @ problem.gradient_flow(mask=m) - expected
        assert np.linalg.norm(off) <= tolerances.QUADRATURE * np.linalg.norm(expected)
