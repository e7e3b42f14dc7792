"""Where p comes from, and the chi-square distance that prices it (S3)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lth_sketch import Product, moments, probabilities
from lth_sketch.testing import probabilities as draws
from lth_sketch.testing import products
from lth_sketch.tolerances import EXACT, QUADRATURE


@given(products())
def test_every_source_is_a_law(product):
    w = product.B
    candidates = [
        probabilities.optimal(product),
        probabilities.data_free(w),
        probabilities.squared(w),
        probabilities.uniform(product.d),
        probabilities.from_scores(product.term_norms),
        probabilities.defensive(product, 0.3),
    ]
    for p in candidates:
        assert p.dtype == np.float64
        assert p.shape == (product.d,)
        assert (p >= 0).all()
        assert abs(p.sum() - 1) <= EXACT


@given(products(), st.data(), st.integers(1, 50))
def test_chi2_is_the_price_of_any_other_draw(product, data, s):
    p = data.draw(draws(product))
    excess = moments.multinomial(product, p, s) - moments.optimal(product, s)
    chi2 = probabilities.chi2(probabilities.optimal(product), p)
    assert chi2 >= -EXACT
    scale = product.total**2 / s
    assert abs(excess / scale - chi2) <= EXACT * (1 + chi2)


def test_definitions():
    w = np.array([[3.0, 4.0], [0.0, -5.0], [0.0, 0.0]])
    np.testing.assert_allclose(probabilities.data_free(w), [0.5, 0.5, 0], rtol=EXACT)
    np.testing.assert_allclose(probabilities.squared([1.0, -2.0]), [0.2, 0.8], rtol=EXACT)
    np.testing.assert_array_equal(probabilities.mixture([1, 0], [0, 2], 0.25), [0.75, 0.25])
    np.testing.assert_array_equal(probabilities.mixture([1, 0], [0, 2], 0), [1, 0])
    product = Product([[1.0, 2.0], [0.0, 0.0]], [2.0, 1.0])
    np.testing.assert_allclose(
        probabilities.defensive(product, 0.5), 0.5 * np.array([0.5 + 0.2, 0.5 + 0.8]), rtol=EXACT
    )


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_squares_of_extreme_weights(scale):
    w = np.array([1.0, 2.0]) * scale
    np.testing.assert_allclose(probabilities.squared(w), [0.2, 0.8], rtol=EXACT)
    np.testing.assert_allclose(
        probabilities.data_free(w[:, None] * [1, 1]), [1 / 3, 2 / 3], rtol=EXACT
    )


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_the_floor_of_extreme_data(scale):
    product = Product(np.array([[1.0, 2.0]]) * scale, [2.0, 1.0])
    np.testing.assert_allclose(probabilities.defensive(product, 0.5), [0.35, 0.65], rtol=EXACT)


@pytest.mark.parametrize("shape", [(30, 5), (5, 30), (6, 6), (1, 4)])
@pytest.mark.parametrize("ridge", [0.0, 0.7])
def test_leverage_is_its_definition(shape, ridge):
    A = np.random.default_rng(0).normal(size=shape)
    A[:, 1] = A[:, 0]
    K = A @ A.T + ridge * np.eye(len(A))
    tau = np.diag(A.T @ np.linalg.pinv(K, hermitian=True) @ A)
    np.testing.assert_allclose(probabilities.leverage(A, ridge), tau / tau.sum(), rtol=QUADRATURE)


def test_chi2_by_hand():
    assert probabilities.chi2([1, 1], [1, 0]) == np.inf
    assert probabilities.chi2([1, 1, 1], [1, 1, 0]) == np.inf
    assert probabilities.chi2([3], [2]) == 0.0
    assert probabilities.chi2([2, 0], [1, 1]) == 1.0
    assert probabilities.chi2([1, 3], [1, 3]) == 0.0


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: probabilities.data_free([0.0, 0.0]), "w must have an entry > 0"),
        (lambda: probabilities.squared([0.0]), "w must have an entry > 0"),
        (lambda: probabilities.squared([np.nan]), r"w\[0\] = nan"),
        (lambda: probabilities.uniform(0), "d must be at least 1"),
        (lambda: probabilities.data_free(np.zeros((2, 2))), "w must have an entry > 0; all 2 are"),
        (lambda: probabilities.leverage([[0.0]]), "A must have an entry that is not zero"),
        (lambda: probabilities.leverage([[1.0]], -1), r"ridge must lie in \[0, inf\]"),
        (lambda: probabilities.from_scores([1, -1]), r"scores\[1\] = -1"),
        (lambda: probabilities.mixture([1], [1, 2], 0.5), "q must have length 1"),
        (lambda: probabilities.mixture([1], [1], 1.5), r"alpha must lie in \[0, 1\]; got 1.5"),
        (lambda: probabilities.chi2([1], [1, 2]), "p must have length 1"),
    ],
)
def test_bad_input(call, text):
    with pytest.raises(ValueError, match=text):
        call()


@pytest.mark.parametrize("shape", [(8, 30), (30, 8)])
def test_leverage_counts_no_direction_that_rounding_made(shape):
    rng = np.random.default_rng(5)
    A = rng.normal(size=(shape[0], 3)) @ rng.normal(size=(3, shape[1]))
    basis = np.linalg.svd(A)[2][:3]
    expected = (basis**2).sum(axis=0) / 3
    np.testing.assert_allclose(probabilities.leverage(A), expected, rtol=EXACT)


def test_a_factor_too_large_is_told_in_gibibytes(monkeypatch):
    monkeypatch.setattr(probabilities, "FACTOR_ENTRIES", 3 * 2**4)
    with pytest.raises(
        ValueError, match=r"needs a factor of 7 x 8 .*\(4\.17e-07 GiB, limit 3\.58e-07"
    ):
        probabilities.leverage(np.ones((7, 8)))
