"""The end of training: E1 and E3 against every outcome, the table of ||Delta|| against twins."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import reference
from hypothesis import assume, given, target
from hypothesis import strategies as st

from lth_sketch import Product, bounds, datasets, moments, probabilities, regression
from lth_sketch.testing import products
from lth_sketch.tolerances import EXACT, PUBLISHED, QUADRATURE, rank

KNOWN = json.loads((Path(__file__).parent / "known_answers.json").read_text())
SHARES = st.floats(0.01, 0.99)


@st.composite
def trained(draw, **sizes):
    """A product at initialization, and the move of its weights, from far smaller to far larger."""
    product0 = draw(products(**sizes))
    entries = st.lists(st.integers(-8, 8), min_size=product0.B.size, max_size=product0.B.size)
    delta = np.reshape(draw(entries), product0.B.shape) / 8.0
    return product0, delta * np.abs(product0.B).max() * 10.0 ** draw(st.integers(-3, 3))


def exact(product0, w, p, s):
    """E ||X diag(m) w - X w||^2 over every outcome, in units of (||X||_F times the largest w)^2."""
    A = product0.A / np.linalg.norm(product0.column_norms)
    B = w / np.abs(w).max()
    _, chances, squares = reference.replacement_law(A, B, p, s)
    return chances @ squares * reference.total_norm(A, B) ** 2


@given(trained(max_d=4), SHARES, st.integers(1, 3))
def test_the_moment_at_the_end_is_exact(case, alpha, s):
    """E1: the moment of (X, w_end), p from initialization."""
    product0, delta = case
    w = product0.B + delta
    assume((product0.column_norms * np.abs(w).reshape(product0.d, -1).sum(axis=1)).any())
    p = probabilities.defensive(product0, alpha)
    unit = np.linalg.norm(product0.column_norms) * np.abs(w).max()
    moment = moments.multinomial(Product(product0.A, w), p, s) / unit**2
    scale = reference.uncentred_moment(
        product0.column_norms / np.linalg.norm(product0.column_norms), w / np.abs(w).max(), p
    )
    np.testing.assert_allclose(moment, exact(product0, w, p, s), rtol=EXACT, atol=EXACT * scale)


@pytest.mark.parametrize("data_free", [False, True])
@given(case=trained(max_d=4), alpha=st.none() | SHARES, s=st.integers(1, 3))
def test_the_bound_at_the_end_holds(data_free, case, alpha, s):
    """E3, also with the best alpha, with and without the norm of the trained product."""
    product0, delta = case
    w = product0.B + delta
    assume(delta.any())
    assume((product0.column_norms * np.abs(w).reshape(product0.d, -1).sum(axis=1)).any())
    moved = float(np.linalg.norm(delta / np.abs(delta).max()) * np.abs(delta).max())
    share = bounds.best_alpha(product0, moved, data_free=data_free) if alpha is None else alpha
    if data_free:
        start = probabilities.squared(product0.B)
        p = probabilities.mixture(start, probabilities.uniform(product0.d), share)
    else:
        p = probabilities.defensive(product0, share)
    unit = (np.linalg.norm(product0.column_norms) * np.abs(w).max()) ** 2
    moment = exact(product0, w, p, s)
    norm2 = Product(product0.A, w).norm2
    options = {"alpha": alpha, "data_free": data_free}
    plain = bounds.end_of_training(product0, moved, s, **options)
    limit = bounds.end_of_training(product0, moved, s, **options, trained_norm2=norm2)
    assert moment <= limit / unit + EXACT * plain / unit
    np.testing.assert_allclose(plain - limit, norm2 / s, rtol=EXACT, atol=EXACT * plain)
    target(float(moment / (limit / unit)) if limit > 0 else 0.0, label=f"E3 {data_free}")


@given(trained(), st.booleans(), SHARES)
def test_the_best_alpha_is_the_best(case, data_free, alpha):
    product0, delta = case
    moved = float(np.abs(delta).max())
    best = bounds.end_of_training(product0, moved, [1, 7], data_free=data_free)
    other = bounds.end_of_training(product0, moved, [1, 7], alpha=alpha, data_free=data_free)
    assert (best <= other * (1 + EXACT)).all()
    share = bounds.best_alpha(product0, moved, data_free=data_free)
    at_best = bounds.end_of_training(product0, moved, [1, 7], alpha=share, data_free=data_free)
    np.testing.assert_allclose(best, at_best, rtol=EXACT)
    # A fixed half costs at most twice the best.
    half = bounds.end_of_training(product0, moved, [1, 7], alpha=0.5, data_free=data_free)
    assert (half <= 2 * best * (1 + EXACT)).all()


def test_the_bound_in_closed_form():
    """U0 = 7, ||X||_F = 5, ||w0|| = sqrt(2), max a_i sqrt(d) = 4 sqrt(2)."""
    product0 = Product([[3.0, 4.0]], [1.0, -1.0])
    bound = bounds.end_of_training(product0, 0.5, 2, alpha=0.2, trained_norm2=3.0)
    square = (7 / np.sqrt(0.8) + 2.5 / np.sqrt(0.2)) ** 2
    np.testing.assert_allclose(bound, (square - 3.0) / 2, rtol=EXACT)
    bound = bounds.end_of_training(product0, 0.5, 2, alpha=0.5, data_free=True)
    np.testing.assert_allclose(bound, 14.0**2 / 2, rtol=EXACT)
    share = bounds.best_alpha(product0, 0.5, data_free=True)
    np.testing.assert_allclose(share / (1 - share), 0.4 ** (2 / 3), rtol=EXACT)
    assert share == bounds.best_alpha(product0=product0, delta_norm=0.5, data_free=True)


def test_no_training_is_the_optimal_draw():
    product0 = Product([[3.0, 4.0]], [1.0, -1.0])
    assert bounds.best_alpha(product0, 0.0) == 0.0
    for alpha in (None, 0.0):
        bound = bounds.end_of_training(product0, 0.0, 2, alpha=alpha, trained_norm2=1.0)
        np.testing.assert_allclose(bound, moments.optimal(product0, 2), rtol=EXACT)
    assert bounds.end_of_training(product0, 0.1, 2, alpha=0.0) == np.inf
    assert bounds.end_of_training(product0, 0.1, 2, alpha=1.0) == np.inf
    assert bounds.end_of_training(product0, np.inf, 2) == np.inf
    assert bounds.best_alpha(product0, np.inf) == 1.0


def test_the_plain_draw_can_be_biased_at_the_end():
    """E1 asks for p > 0 where the trained weight is not zero."""
    product0 = Product([[1.0, 1.0]], [1.0, 0.0])
    end = Product([[1.0, 1.0]], [1.0, 0.5])
    with pytest.raises(ValueError, match="biased"):
        moments.multinomial(end, probabilities.optimal(product0), 2)
    assert moments.multinomial(end, probabilities.defensive(product0, 0.5), 2) > 0


@pytest.mark.parametrize("case", KNOWN)
def test_known_answers(case):
    product0 = Product(case["A"], case["w0"])
    end = Product(case["A"], case["w_end"])
    moved = float(np.linalg.norm(np.subtract(case["w_end"], case["w0"])))
    exact = moments.multinomial(end, case["p"], case["s"])
    np.testing.assert_allclose(exact, case["E1"], rtol=PUBLISHED)
    bound = bounds.end_of_training(product0, moved, case["s"])
    np.testing.assert_allclose(bound, case["E3"], rtol=PUBLISHED)


TIMES = [0.0, 1e-3, 0.5, 1.0, 30.0, 1e4, np.inf]


def moves(X, r0, kind, amount):
    """Delta by the slow twin, and the arguments of `displacement` for the same training."""
    top = np.linalg.norm(X, 2) ** 2
    start = np.zeros((X.shape[1], r0.shape[1]))
    if kind == "descent":
        steps, share = amount
        rate = share * 2.0 / top
        if steps is None:
            return end(X, r0), {"rate": rate}
        return reference.descended(X, r0, start, np.ones(len(start)), rate, steps), {
            "rate": rate,
            "steps": steps,
        }
    if kind == "ridge":
        penalty = amount * top
        return reference.ridged(X, r0, start, np.ones(len(start)), penalty), {"penalty": penalty}
    if np.isinf(amount):
        return end(X, r0), {"time": amount}
    return reference.flowed(X, r0, start, np.ones(len(start)), amount / top), {"time": amount / top}


def end(X, r0):
    return np.linalg.pinv(X, rcond=rank(*X.shape)) @ r0


AMOUNTS = {
    "flow": st.sampled_from(TIMES),
    "descent": st.tuples(st.none() | st.integers(0, 30), st.floats(0.01, 0.99)),
    "ridge": st.sampled_from([1e-6, 0.01, 0.25, 1.0, 100.0]),
}


@pytest.mark.parametrize("kind", AMOUNTS)
@given(product=products(max_exponent=3), data=st.data())
def test_displacement_holds(kind, product, data):
    X = reference.wide(product.A)
    n = product.q * data.draw(st.integers(1, 3))
    entries = st.lists(st.integers(-9, 9), min_size=n, max_size=n)
    r0 = np.reshape(data.draw(entries), (product.q, -1)).astype(float)
    # Zero singular values are zeros of the tolerance for both sides, or of neither.
    sigma = np.linalg.svd(X, compute_uv=False)
    assume(not ((sigma > 1e-16 * sigma[0]) & (sigma < QUADRATURE * sigma[0])).any())
    sigma = sigma[sigma > QUADRATURE * sigma[0]]
    delta, arguments = moves(X, r0, kind, data.draw(AMOUNTS[kind]))
    limit = bounds.displacement(product.A, r0, kind, **arguments)
    size = np.linalg.norm(r0)
    assert np.linalg.norm(delta) <= limit * (1 + QUADRATURE)
    # The table of the theory page.
    table = 1 / sigma[-1]
    if kind == "flow":
        table = min(table, 0.6382 * np.sqrt(arguments["time"]))
    if kind == "descent" and arguments["rate"] > 1 / sigma[0] ** 2:
        table *= 2
    if kind == "ridge":
        table = 0.5 / np.sqrt(arguments["penalty"])
    assert limit <= size * table * (1 + EXACT)


@pytest.mark.parametrize("kind", AMOUNTS)
@given(product=products(max_exponent=3), data=st.data())
def test_displacement_is_attained(kind, product, data):
    """By the worst of the left singular vectors."""
    X = reference.wide(product.A)
    U, sigma, _ = np.linalg.svd(X, full_matrices=False)
    assume(not ((sigma > 1e-16 * sigma[0]) & (sigma < 1e-3 * sigma[0])).any())
    amount = data.draw(AMOUNTS[kind])
    delta, arguments = moves(X, U, kind, amount)
    limits = bounds.displacement(product.A, U[:, 0], kind, **arguments)
    np.testing.assert_allclose(
        np.linalg.norm(delta, axis=0).max(), limits, rtol=QUADRATURE, atol=EXACT / sigma[0]
    )


def test_displacement_in_its_limits():
    rng = np.random.default_rng(2)
    X, r0 = rng.standard_normal((7, 4)), rng.standard_normal((7, 2))
    done = bounds.displacement(X, r0)
    np.testing.assert_allclose(done, np.linalg.norm(r0) / np.linalg.svd(X)[1][-1], rtol=EXACT)
    rate = 1.0 / np.linalg.norm(X, 2) ** 2
    for same in (
        bounds.displacement(X, r0, time=np.inf),
        bounds.displacement(X, r0, time=1e9),
        bounds.displacement(X, r0, "descent", rate=rate),
        bounds.displacement(X, r0, "descent", rate=rate, steps=10**15),
        bounds.displacement(X, r0, "ridge", penalty=0.0),
    ):
        np.testing.assert_allclose(same, done, rtol=EXACT)
    assert bounds.displacement(X, r0, "ridge", penalty=np.inf) == 0.0
    assert bounds.displacement(X, r0, time=0) == 0.0
    assert bounds.displacement(np.zeros((7, 4)), r0) == 0.0
    # Descent with a tiny rate is the flow for the time rate times steps.
    flow = bounds.displacement(X, r0, time=1e-9)
    slow = bounds.displacement(X, r0, "descent", rate=1e-18, steps=10**9)
    np.testing.assert_allclose(slow, flow, rtol=QUADRATURE)


def test_shapes_follow_the_arguments():
    X, r0 = np.eye(3), np.ones(3)
    for kind, name, other in (
        ("flow", "time", {}),
        ("ridge", "penalty", {}),
        ("descent", "steps", {"rate": 1.5}),
    ):
        grid = bounds.displacement(X, r0, kind, **{name: [[0, 1], [2, 3]]}, **other)
        one = bounds.displacement(X, r0, kind, **{name: 2}, **other)
        assert grid.shape == (2, 2)
        assert isinstance(one, float)
        assert grid[1, 0] == one


def test_digits_from_start_to_end():
    """The whole chain: train, bound the move, bound the error; several outputs, raw pixels."""
    data = datasets.load("digits")
    rng = np.random.default_rng(3)
    X, y = data.X, np.eye(10)[data.y]
    w0 = rng.standard_normal((X.shape[1], 10)) / 8
    product0, s = Product(X, w0), np.array([16, 32])
    times = np.array([0.0, 1e-4, 1e-2, 1.0, np.inf])
    limits = bounds.displacement(X, y - X @ w0, time=times)
    ends = regression.gradient_flow(X, y, w0, time=times)
    for w, limit in zip(ends, limits, strict=True):
        moved, trained = float(np.linalg.norm(w - w0)), Product(X, w)
        assert moved <= limit * (1 + EXACT)
        for data_free in (False, True):
            share = bounds.best_alpha(product0, moved, data_free=data_free)
            start = probabilities.squared(w0) if data_free else probabilities.optimal(product0)
            floor = np.ones(64) if data_free else product0.column_norms**2
            p = probabilities.mixture(start, floor, share)
            options = {"data_free": data_free, "trained_norm2": trained.norm2}
            moment = moments.multinomial(trained, p, s)
            sharp = bounds.end_of_training(product0, moved, s, **options)
            loose = bounds.end_of_training(product0, float(limit), s, **options)
            assert (moment <= sharp * (1 + EXACT)).all()
            assert (sharp <= loose * (1 + EXACT)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda P, X, r: bounds.end_of_training(P, -1.0, 2), "delta_norm must lie in"),
        (lambda P, X, r: bounds.end_of_training(P, np.nan, 2), "delta_norm must lie in"),
        (lambda P, X, r: bounds.end_of_training(P, 1.0, 0), "s must be at least 1"),
        (lambda P, X, r: bounds.end_of_training(P, 1.0, 2, alpha=1.5), "alpha must lie in"),
        (lambda P, X, r: bounds.end_of_training(P, 1.0, 2, trained_norm2=-1), "trained_norm2 must"),
        (
            lambda P, X, r: bounds.end_of_training(P, 0.0, 2, trained_norm2=1e9),
            r"must be at most .* = 9; got 1000000000.0: delta_norm is too small",
        ),
        (lambda P, X, r: bounds.best_alpha(P, -1.0), "delta_norm must lie in"),
        (lambda P, X, r: bounds.displacement(X, r, "adam"), "kind must be one of descent, flow"),
        (lambda P, X, r: bounds.displacement(X, r, rate=0.1), "rate is not for kind 'flow'"),
        (
            lambda P, X, r: bounds.displacement(X, r, "descent", time=1.0),
            "time is not for kind 'descent', which reads rate and steps",
        ),
        (lambda P, X, r: bounds.displacement(X, r, "descent", steps=2), "rate is missing"),
        (lambda P, X, r: bounds.displacement(X, r, "ridge"), "penalty is missing"),
        (lambda P, X, r: bounds.displacement(X, r, "ridge", penalty=-1), "penalty must be >= 0"),
        (lambda P, X, r: bounds.displacement(X, r, time=[1.0, np.nan]), "time must be >= 0"),
        (lambda P, X, r: bounds.displacement(X, r, time=[]), "time must hold at least one"),
        (
            lambda P, X, r: bounds.displacement(X, r, "descent", rate=0.5),
            r"rate must be below 2/sigma_max\^2 = 0.5",
        ),
        (
            lambda P, X, r: bounds.displacement(X, r, "descent", rate=0.1, steps=-1),
            "steps must be at least 0",
        ),
        (lambda P, X, r: bounds.displacement(X, r[:1]), "r0 must have one row for each of the 2"),
        (lambda P, X, r: bounds.displacement(X, [np.nan, 1.0]), "r0 must be finite"),
        (lambda P, X, r: bounds.displacement([[np.inf], [1.0]], r), "X must be finite"),
    ],
)
def test_bad_input(call, message):
    X, r0 = np.diag([2.0, 1.0]), np.ones(2)
    with pytest.raises(ValueError, match=message):
        call(Product(X, r0), X, r0)


def test_bad_types():
    X, r0 = np.eye(2), np.ones(2)
    with pytest.raises(TypeError, match="time must be a number"):
        bounds.displacement(X, r0, time="long")
    with pytest.raises(TypeError, match="steps must be an integer"):
        bounds.displacement(X, r0, "descent", rate=0.1, steps=1.5)
