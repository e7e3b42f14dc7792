"""Weighted sums of chi-squares: one weight to a thousand, both tails."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from lth_sketch.quadratic_forms import quantile, survival
from lth_sketch.tolerances import PUBLISHED, QUADRATURE


@pytest.mark.parametrize("k", [1, 2, 3, 10, 300])
@pytest.mark.parametrize("chance", [1e-100, 1e-9, 0.05, 0.95, 1 - 1e-7])
def test_equal_weights_are_a_chi_square(k, chance):
    law = scipy.stats.chi2(k)
    x = law.isf(chance)
    for scale in (1.0, 1e-60, 1e60):
        weights = np.full(k, scale)
        np.testing.assert_allclose(survival(x * scale, weights), law.sf(x), rtol=QUADRATURE)
        np.testing.assert_allclose(quantile(chance, weights), x * scale, rtol=QUADRATURE)


@given(st.sets(st.integers(1, 20), min_size=1, max_size=6), st.floats(0.1, 60.0))
def test_pairs_of_weights_are_a_sum_of_exponentials(weights, x):
    pairs = np.repeat(np.array(sorted(weights), dtype=float), 2)
    np.testing.assert_allclose(
        survival(x, pairs), reference.exponential_sum_tail(x, sorted(weights)), atol=QUADRATURE
    )


def test_against_imhofs_integral():
    weights = [1.0, 0.9, 0.7, 0.7, 0.5, 0.2, 0.1, 0.05, 0.01, 0.01]
    for x in (1.0, 4.0, 12.0):
        np.testing.assert_allclose(
            survival(x, weights), reference.chi2_tail_by_imhof(x, weights), atol=QUADRATURE
        )


@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=6), st.floats(1e-6, 1 - 1e-6))
def test_quantile_inverts_survival(weights, delta):
    np.testing.assert_allclose(survival(quantile(delta, weights), weights), delta, rtol=PUBLISHED)


def test_zero_weights_do_not_matter():
    assert quantile(0.1, [0.0, 2.0, 0.0, 1.0]) == quantile(0.1, [2.0, 1.0])


def test_bad_input():
    with pytest.raises(ValueError, match="x must lie"):
        survival(0.0, [1.0])
    with pytest.raises(ValueError, match="all 1 are zero"):
        quantile(0.5, [0.0])
    with pytest.raises(ValueError, match="delta"):
        quantile(1.0, [1.0])
