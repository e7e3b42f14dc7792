"""Intervals miss as rarely as they say, for light tails and heavy ones."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from lth_sketch import intervals
from lth_sketch.tolerances import EXACT

SIGNIFICANCE = 1e-9
LAWS = {
    "normal": scipy.stats.norm(3.0, 2.0),
    "exponential": scipy.stats.expon(),
    "rare": scipy.stats.bernoulli(0.02),
    "heavy": scipy.stats.t(5, loc=1.0),
}


@pytest.mark.parametrize("name", LAWS)
def test_means_are_covered(name, size):
    law, risk, runs = LAWS[name], 0.05, size(200, 40)
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(runs):
        found = intervals.mean(law.rvs(size=10_000, random_state=rng), risk, kurtosis=50.0)
        assert found.low <= found.measured <= found.high < np.inf
        missed += not found.low <= law.mean() <= found.high
    assert missed <= scipy.stats.binom.isf(SIGNIFICANCE, runs, risk)


def test_a_mean_gets_narrow_and_is_near_the_sample_mean():
    x = np.random.default_rng(1).exponential(size=200_000)
    found = intervals.mean(x, 1e-6)
    assert found.high - found.low < 0.05
    assert abs(found.measured - x.mean()) < 0.005


def test_one_outlier_hardly_moves_a_mean():
    x = np.random.default_rng(2).normal(size=20_000)
    clean = intervals.mean(x, 0.01, kurtosis=10.0)
    x[0] = 1e6
    assert abs(intervals.mean(x, 0.01, kurtosis=10.0).measured - clean.measured) < 0.05


def test_means_of_too_few_or_equal_samples():
    assert intervals.mean([1.0, 2.0, 3.0], 0.01).high == np.inf
    assert intervals.mean(np.ones(10_000), 0.01, kurtosis=3.0) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("name", ["normal", "rare", "heavy"])
@pytest.mark.parametrize("delta", [0.05, 0.5])
def test_quantiles_are_covered(name, delta, size):
    law, risk, runs = LAWS[name], 0.05, size(400, 60)
    rng = np.random.default_rng(3)
    truth = law.isf(delta)
    missed = 0
    for _ in range(runs):
        found = intervals.quantile(law.rvs(size=500, random_state=rng), delta, risk)
        missed += not found.low <= truth <= found.high
    assert missed <= scipy.stats.binom.isf(SIGNIFICANCE, runs, risk)


def test_quantile_limits_are_the_tightest_order_statistics_allowed():
    n, delta, risk = 1000, 0.1, 0.02
    found = intervals.quantile(np.arange(n), delta, risk)
    law = scipy.stats.binom(n, delta)
    above = n - found.high  # order statistics at or above the upper limit
    assert law.cdf(above - 1) <= risk / 2 < law.cdf(above)
    beyond = n - 1 - found.low  # those above the lower limit
    assert law.sf(beyond) <= risk / 2 < law.sf(beyond - 1)


def test_quantiles_of_too_few_samples():
    found = intervals.quantile([1.0, 2.0, 3.0], 0.01, 1e-3)
    assert found.low == -np.inf or found.low >= 1.0
    assert found.high == np.inf


def test_rates_are_clopper_and_pearson():
    found = intervals.rate(3, 50, 0.1)
    assert abs(scipy.stats.binom.sf(2, 50, found.low) - 0.05) < np.sqrt(EXACT)
    assert abs(scipy.stats.binom.cdf(3, 50, found.high) - 0.05) < np.sqrt(EXACT)
    assert intervals.rate(0, 9, 0.1).low == 0.0


def test_exact_numbers_and_maps():
    assert intervals.exact(2.0, 0.5) == (2.0, 1.5, 2.5)
    assert intervals.exact(2.0, 0.5).map(2.0, 1.0) == (5.0, 4.0, 6.0)


def test_bad_input():
    with pytest.raises(ValueError, match="risk"):
        intervals.mean([1.0], 0.0)
    with pytest.raises(ValueError, match=r"samples\[0\] = nan"):
        intervals.quantile([np.nan], 0.1, 0.1)
    with pytest.raises(ValueError, match="trials"):
        intervals.rate(0, 0, 0.1)
