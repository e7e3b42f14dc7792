"""D4 and S6: worst cases over the data, attained by their witnesses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import reference
import scipy.optimize
from hypothesis import assume, given
from hypothesis import strategies as st

from lth_sketch import Product, bounds, moments, probabilities
from lth_sketch.bounds.worst_cases import _closing
from lth_sketch.testing import probabilities as draws
from lth_sketch.testing import products
from lth_sketch.tolerances import EXACT, PUBLISHED

KNOWN = json.loads((Path(__file__).parent / "known_answers.json").read_text())
NORMS = {
    "frobenius": (reference.worst_over_frobenius, lambda X: np.linalg.norm(X)),
    "columns": (reference.worst_over_columns, lambda X: np.linalg.norm(X, axis=0).max()),
}
RADII = st.floats(0.01, 100.0)
# Half of the cases have one dominant weight, or two that are equal, or three equal in pairs.
WEIGHTS = st.one_of(
    st.lists(st.integers(-5, 5), min_size=1, max_size=6),
    st.lists(st.floats(-3.0, 3.0, width=16), min_size=1, max_size=6),
    st.lists(st.floats(-1.0, 1.0, width=16), min_size=0, max_size=4).map(lambda w: [100.0, *w]),
).map(lambda w: np.array(w, dtype=np.float64))


@pytest.mark.parametrize("norm", NORMS)
@given(w=WEIGHTS, alpha=RADII)
def test_minimax_is_attained_by_its_witness(norm, w, alpha):
    assume(w.any())
    worst, p, X = bounds.minimax(w, alpha, norm=norm)
    size = alpha**2 * reference.uncentred_moment(np.ones(len(w)), w, np.where(w != 0, p, 1))
    assert X.shape == (2, len(w))
    assert NORMS[norm][1](X) <= alpha * (1 + EXACT)
    np.testing.assert_allclose(p.sum(), 1, rtol=EXACT)
    # The draw attains it there ...
    moment = reference.one_draw_moment(X, w, p)
    np.testing.assert_allclose(moment, worst, rtol=EXACT, atol=EXACT * size)
    # ... nowhere is it worse ...
    live = w != 0
    direct = alpha**2 * NORMS[norm][0](p[live], w[live])
    np.testing.assert_allclose(direct, worst, rtol=EXACT, atol=EXACT * size)
    # ... and for this X the optimal draw, hence every draw, has at least as much.
    terms = np.linalg.norm(X, axis=0) * np.abs(w)
    least = terms.sum() ** 2 - np.sum((X @ w) ** 2)
    np.testing.assert_allclose(least, worst, rtol=EXACT, atol=EXACT * size)


def test_minimax_in_closed_form():
    """The cases of D4: balanced, one dominant weight, one weight only."""
    worst, p, _ = bounds.minimax([1.0, -2.0, 2.0, 0.0], 3.0)
    np.testing.assert_allclose(worst, 9.0 * 9.0, rtol=EXACT)
    np.testing.assert_allclose(p, [1 / 9, 4 / 9, 4 / 9, 0], rtol=EXACT)
    worst, p, _ = bounds.minimax([3.0, -12.0, 4.0])
    np.testing.assert_allclose(worst, 2 * 12 * 5, rtol=EXACT)
    np.testing.assert_allclose(p, [9 / 85, 12 / 17, 16 / 85], rtol=EXACT)
    assert worst < bounds.worst_case(probabilities.squared([3.0, -12.0, 4.0]), [3, -12, 4]).worst
    assert bounds.minimax([0.0, 7.0]).worst == bounds.minimax([7.0], norm="columns").worst == 0.0
    np.testing.assert_allclose(bounds.minimax([1, 1, -3], norm="columns").worst, 24, rtol=EXACT)
    np.testing.assert_allclose(bounds.minimax([2, 1, -3], norm="columns").worst, 36, rtol=EXACT)


def test_a_dominant_weight_keeps_the_digits_of_the_others():
    for norm in NORMS:
        worst = bounds.minimax([1.0, 3e-12, 4e-12], norm=norm).worst
        np.testing.assert_allclose(
            worst, {"frobenius": 1e-11, "columns": 2.8e-11}[norm], rtol=EXACT
        )


@pytest.mark.parametrize("norm", NORMS)
def test_no_draw_without_data_beats_minimax(norm, size):
    """A numerical optimiser over the simplex finds the minimax value, and nothing below it."""
    rng = np.random.default_rng(5)
    largest = NORMS[norm][0]
    for case in range(size(150, 60)):
        d = 2 + case % 3
        # Weights that are alike, uneven and very uneven.
        w = rng.standard_normal(d) * rng.exponential(size=d) ** (case // 3 % 3)
        worst, best, _ = bounds.minimax(w, norm=norm)
        worst_of_draws = []
        for start in (np.zeros(d), rng.standard_normal(d), np.log(best) + 0.1):

            def objective(logits, w=w):
                p = np.exp(logits - logits.max())
                return largest(p / p.sum(), w)

            options = {"xatol": 1e-4, "fatol": 1e-6 * worst, "maxfev": 250}
            worst_of_draws.append(
                scipy.optimize.minimize(objective, start, method="Nelder-Mead", options=options).fun
            )
        assert min(worst_of_draws) >= worst - EXACT * np.abs(w).sum() ** 2, case
        assert min(worst_of_draws) <= worst * 1.001, case


@given(products(max_exponent=3), st.data(), RADII)
def test_worst_case_of_any_draw(product, data, alpha):
    """No data of that norm is worse, and the witness attains it; vectors and matrices."""
    p = data.draw(draws(product))
    W = np.where((product.term_norms > 0)[:, None], product.B.reshape(product.d, -1), 0.0)
    worst, X = bounds.worst_case(p, W, alpha)
    size = alpha**2 * reference.uncentred_moment(np.ones(product.d), W, np.where(p > 0, p, 1))
    np.testing.assert_allclose(
        reference.one_draw_moment(X, W, p), worst, rtol=EXACT, atol=EXACT * size
    )
    assert np.linalg.norm(X) <= alpha * (1 + EXACT)
    other = product.A * (alpha / np.linalg.norm(product.A))
    assert reference.one_draw_moment(other, W, p) <= worst + EXACT * size
    if product.B.ndim == 1:
        flat, X = bounds.worst_case(p, W[:, 0], alpha, norm="columns")
        moment = reference.one_draw_moment(X, W, p)
        np.testing.assert_allclose(moment, flat, rtol=EXACT, atol=EXACT * size)
        other = product.A * (alpha / product.column_norms.max())
        assert reference.one_draw_moment(other, W, p) <= flat + EXACT * size


@given(products())
def test_worst_case_of_several_outputs_in_closed_form(product):
    """D4 (f): squared row norms, zero rows left out."""
    W = product.B.reshape(product.d, -1) / product.row_norms.max()
    rows = W[product.row_norms > 0]
    expected = np.sum(rows**2) - np.linalg.eigvalsh(rows @ rows.T)[0]
    worst = bounds.worst_case(probabilities.squared(W), W).worst
    np.testing.assert_allclose(worst, expected, rtol=EXACT, atol=EXACT * np.sum(rows**2))


def test_zero_rows_are_left_out():
    W = [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    np.testing.assert_allclose(bounds.worst_case(probabilities.squared(W), W).worst, 1, rtol=EXACT)


@pytest.mark.parametrize("norm", NORMS)
def test_worst_case_agrees_with_minimax(norm):
    rng = np.random.default_rng(1)
    for d in (1, 2, 5, 40):
        w = rng.standard_normal(d)
        worst, p, _ = bounds.minimax(w, 2.0, norm=norm)
        np.testing.assert_allclose(
            bounds.worst_case(p, w, 2.0, norm=norm).worst, worst, rtol=EXACT, atol=EXACT * d
        )


@given(products(max_exponent=3), st.data(), RADII)
def test_top_is_attained_and_never_exceeded(product, data, alpha):
    scores = data.draw(draws(product))
    s = data.draw(st.integers(1, product.d))
    worst, X = bounds.top(product.B, scores, s, alpha)
    scale = alpha**2 * product.row_norms.max() ** 2
    kept = np.isin(np.arange(product.d), np.argsort(-scores, kind="stable")[:s])
    attained = reference.squared_error(X, product.B, kept.astype(float))
    np.testing.assert_allclose(attained, worst, rtol=EXACT, atol=EXACT * scale)
    assert np.linalg.norm(X) <= alpha * (1 + EXACT)
    exact = moments.top(product, scores, s) / np.sum(product.column_norms**2) * alpha**2
    assert exact <= worst + EXACT * scale * product.d


def test_top_does_not_fall_like_a_draw():
    """Equal weights: linear in s, against 1/s of the minimax draw."""
    d, s = 20, 10
    w = np.ones(d)
    np.testing.assert_allclose(bounds.top(w, w, s).worst, d - s, rtol=EXACT)
    assert bounds.minimax(w).worst / s < bounds.top(w, w, s).worst


@pytest.mark.parametrize("case", KNOWN)
def test_known_answers(case):
    worst = bounds.minimax(case["w0"]).worst
    np.testing.assert_allclose(worst, case["D4_value"], rtol=PUBLISHED)


def test_the_witness_is_data_for_the_library():
    w = np.array([0.5, -1.0, 2.0])
    worst, p, X = bounds.minimax(w, 3.0)
    np.testing.assert_allclose(moments.multinomial(Product(X, w), p, 7), worst / 7, rtol=EXACT)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bounds.minimax([0.0, 0.0]), "w must have an entry that is not zero"),
        (lambda: bounds.minimax([1.0, np.inf]), "w must be finite"),
        (lambda: bounds.minimax([[1.0], [2.0]]), "w must have 1 axes"),
        (lambda: bounds.minimax([1.0], 0.0), r"alpha must lie in \(0, "),
        (lambda: bounds.minimax([1.0], np.nan), "alpha must lie in"),
        (lambda: bounds.minimax([1.0], norm="spectral"), "norm must be one of columns, frobenius"),
        (lambda: bounds.minimax([1e-160]), "rescale w or alpha"),
        (lambda: bounds.minimax([1e100], 1e100), "rescale w or alpha"),
        (lambda: bounds.worst_case([1, 0], [1.0, 1.0]), "biased"),
        (lambda: bounds.worst_case([1], [1.0, 1.0]), "p must have length 2"),
        (lambda: bounds.worst_case([1], [[1.0, 1.0]], norm="columns"), "w must have 1 axes"),
        (lambda: bounds.worst_case([1], [1.0], norm="max"), "norm must be one of"),
        (lambda: bounds.top([1.0, 1.0], [1, 1], 3), "s must be at most d = 2"),
        (lambda: bounds.top([1.0, 1.0], [1, 1], 0), "s must be at least 1"),
        (lambda: bounds.top([1.0, 1.0], [1, -1], 1), "p must be >= 0"),
        (lambda: bounds.top([0.0], [1], 1), "B must have an entry that is not zero"),
        (lambda: bounds.top([1.0], [1], 1, -1.0), "alpha must lie in"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_multiple_eigenvalue_is_found():
    """p of w^2 makes the largest eigenvalue d - 1 times the same."""
    for seed in range(8):
        w = np.random.default_rng(seed).normal(size=200)
        worst, X = bounds.worst_case(w**2, w)
        np.testing.assert_allclose(worst, w @ w, rtol=EXACT)
        np.testing.assert_allclose(np.linalg.norm(X), 1.0, rtol=EXACT)


@pytest.mark.parametrize("length", [0.1, 0.3, 0.7])
def test_equal_lengths_close_whatever_rounding_makes_of_an_angle(length):
    """Of 6, 8, ... equal sides two of the triangle lie on the third: cosines beyond one."""
    for d in range(2, 40):
        lengths = np.full(d, length)
        vectors = _closing(lengths)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=0), 1.0, rtol=EXACT)
        np.testing.assert_allclose(vectors @ lengths, 0.0, atol=EXACT * lengths.sum())
