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
        interval = intervals.mean(law.rvs(size=10_000, random_state=rng), risk, kurtosis=50.0)
        assert interval.low <= interval.measured <= interval.high < np.inf
        missed += not interval.low <= law.mean() <= interval.high
    assert missed <= scipy.stats.binom.isf(SIGNIFICANCE, runs, risk)


def test_a_mean_gets_narrow_and_is_near_the_sample_mean():
    x = np.random.default_rng(1).exponential(size=200_000)
    interval = intervals.mean(x, 1e-6)
    assert interval.high - interval.low < 0.05
    assert abs(interval.measured - x.mean()) < 0.005


def test_one_outlier_hardly_moves_a_mean():
    x = np.random.default_rng(2).normal(size=20_000)
    clean = intervals.mean(x, 0.01, kurtosis=10.0)
    x[0] = 1e6
    assert abs(intervals.mean(x, 0.01, kurtosis=10.0).measured - clean.measured) < 0.05


def test_means_of_too_few_samples():
    assert intervals.mean([1.0, 2.0, 3.0], 0.01) == (2.0, -np.inf, np.inf)
    # The median of means needs a pair for each of its blocks, Catoni more than 2 log samples.
    blocks = int(np.ceil(8 * np.log(2 / 0.01)))
    x = np.tile([0.0, 1.0], 200 * blocks)
    assert intervals.mean(x[: 2 * blocks - 2], 0.01, kurtosis=1.0).high == np.inf
    few = int(2 * np.log(2 / 0.01))
    assert intervals.mean(x[:few], 0.01, variance=1.0) == (x[:few].mean(), -np.inf, np.inf)
    assert intervals.mean(x[: few + 1], 0.01, variance=1.0).high < np.inf


def test_samples_that_agree_tell_nothing_of_a_law_that_is_not_known():
    for x in (np.ones(10_000), np.zeros(10_000), np.eye(1, 10_000, 7)[0]):
        interval = intervals.mean(x, 0.01, kurtosis=3.0)
        assert (interval.low, interval.high) == (-np.inf, np.inf)
    assert intervals.mean(np.ones(10_000), 0.01, variance=0.0) == (1.0, 1.0, 1.0)
    assert intervals.mean([1.0, 1.0, 1.5, *[1.0] * 50], 0.5, variance=0.0) == (1.0, 1.0, 1.5)


# Half of the samples is 0, half 1: every half squared difference of the two halves is 1/2.
HALVES = np.repeat([0.0, 1.0], 30_000)


@pytest.mark.parametrize("risk", [1e-2, 1e-3, 1e-6])
@pytest.mark.parametrize("kurtosis", [3.0, 30.0])
def test_the_constants_of_an_estimated_variance(risk, kurtosis):
    """Each from its theorem: block means miss with chance 1/4, and half of 8 log(1/r) with r."""
    blocks = int(np.ceil(8 * np.log(1 / (risk / 2))))
    length = 30_000 // blocks
    # Chebyshev: a mean of `length` of variance (kurtosis + 1) / 2 misses by `off` with 1/4.
    off = np.sqrt((kurtosis + 1) / 2 / length / (1 / 4))
    limit = 0.5 / (1 - off)
    log = np.log(2 / (risk / 2))
    radius = np.sqrt(2 * limit * log / (60_000 - 2 * log))
    interval = intervals.mean(HALVES, risk, kurtosis=kurtosis)
    np.testing.assert_allclose(interval, [0.5, 0.5 - radius, 0.5 + radius], rtol=EXACT)


@pytest.mark.parametrize("risk", [1e-2, 1e-3, 1e-6])
@pytest.mark.parametrize("variance", [0.25, 9.0])
def test_the_constants_of_a_known_variance(risk, variance):
    log = np.log(2 / risk)
    radius = np.sqrt(2 * variance * log / (60_000 - 2 * log))
    interval = intervals.mean(HALVES, risk, variance=variance)
    np.testing.assert_allclose(interval, [0.5, 0.5 - radius, 0.5 + radius], rtol=EXACT)
    assert not isinstance(interval, intervals.Estimated)


def test_catoni_solves_his_equation():
    x, variance, risk = np.random.default_rng(5).exponential(size=400) ** 2, 20.0, 1e-3
    log, n = np.log(2 / risk), 400
    alpha = np.sqrt(2 * log / (n * variance * (1 + 2 * log / (n - 2 * log))))
    gaps = alpha * (x - intervals.mean(x, risk, variance=variance).measured)
    influence = np.where(gaps >= 0, 1, -1) * np.log(1 + abs(gaps) + gaps**2 / 2)
    assert abs(influence.sum()) < np.sqrt(EXACT)


# Bernoulli laws have kurtosis 1 / (p (1 - p)) - 3: this one has 50, all of it in the rare value.
RARE = scipy.stats.bernoulli(0.5 - np.sqrt(0.25 - 1 / 53))


@pytest.mark.parametrize("risk", [1e-2, 1e-3])
@pytest.mark.parametrize("sure", [True, False])
def test_means_are_covered_at_small_risks(risk, sure, size):
    """The heaviest law allowed, at sizes that are just enough."""
    runs, n = size(1000, 100), 2500 if sure else 16_000
    rng = np.random.default_rng(6)
    how = {"variance": float(RARE.var())} if sure else {"kurtosis": 50.0 + EXACT}
    missed = 0
    for _ in range(runs):
        x = np.zeros(n)
        x[: rng.binomial(n, RARE.mean())] = 1.0
        rng.shuffle(x)
        interval = intervals.mean(x, risk, **how)
        assert interval.high < np.inf
        missed += not interval.low <= RARE.mean() <= interval.high
    assert missed <= scipy.stats.binom.isf(SIGNIFICANCE, runs, risk)


@pytest.mark.parametrize("risk", [1e-2, 1e-3])
def test_the_limit_on_the_variance_is_covered(risk, size):
    """Its own risk, seen through the radius; blocks are as short as they may be."""
    runs, n = size(1000, 100), 16_000
    rng = np.random.default_rng(7)
    log, missed = np.log(4 / risk), 0
    for _ in range(runs):
        x = (rng.random(n) < RARE.mean()).astype(float)
        interval = intervals.mean(x, risk, kurtosis=50.0 + EXACT)
        limit = ((interval.high - interval.low) / 2) ** 2 * (n - 2 * log) / (2 * log)
        missed += limit < RARE.var()
    assert missed <= scipy.stats.binom.isf(SIGNIFICANCE, runs, risk / 2)


def test_an_estimated_interval_says_what_it_rests_on():
    x = np.random.default_rng(8).normal(size=50_000)
    interval = intervals.mean(x, 1e-3, kurtosis=5.0)
    assert isinstance(interval, intervals.Estimated)
    assert interval.kurtosis == 5.0
    np.testing.assert_allclose(interval.seen, scipy.stats.kurtosis(x, fisher=False), rtol=EXACT)
    assert interval.met
    x[0] = 100.0
    heavy = intervals.mean(x, 1e-3, kurtosis=5.0).map(2.0, 1.0).widened(0.5)
    assert heavy.seen > 5.0
    assert not heavy.met
    np.testing.assert_allclose(heavy[1:], np.array(interval[1:]) * 2 + [0.5, 1.5], atol=0.01)
    made = intervals.resting_on(intervals.exact(1.0), interval, heavy, intervals.exact(2.0))
    assert (made.seen, made.kurtosis) == (heavy.seen, 5.0)
    plain = intervals.resting_on(intervals.exact(1.0), intervals.exact(2.0))
    assert not isinstance(plain, intervals.Estimated)


def test_the_kurtosis_of_a_law_at_its_limit_is_met():
    assert intervals.mean(np.tile([0.0, 1.0], 500), 0.1, kurtosis=1.0).met
    assert intervals.mean(np.ones(500), 0.1, kurtosis=1.0).met


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_means_of_any_scale(scale):
    x = np.random.default_rng(9).exponential(size=2000)
    for how in ({"kurtosis": 9.0}, {"variance": 1.0}):
        one = intervals.mean(x, 0.01, **how)
        if "variance" in how:
            how = {"variance": scale * scale}
        np.testing.assert_allclose(intervals.mean(x * scale, 0.01, **how), np.array(one) * scale)


@pytest.mark.parametrize("name", ["normal", "rare", "heavy"])
@pytest.mark.parametrize("delta", [0.05, 0.5])
def test_quantiles_are_covered(name, delta, size):
    law, risk, runs = LAWS[name], 0.05, size(400, 60)
    rng = np.random.default_rng(3)
    truth = law.isf(delta)
    missed = 0
    for _ in range(runs):
        interval = intervals.quantile(law.rvs(size=500, random_state=rng), delta, risk)
        missed += not interval.low <= truth <= interval.high
    assert missed <= scipy.stats.binom.isf(SIGNIFICANCE, runs, risk)


def test_quantile_limits_are_the_tightest_order_statistics_allowed():
    n, delta, risk = 1000, 0.1, 0.02
    interval = intervals.quantile(np.arange(n), delta, risk)
    law = scipy.stats.binom(n, delta)
    above = n - interval.high  # order statistics at or above the upper limit
    assert law.cdf(above - 1) <= risk / 2 < law.cdf(above)
    beyond = n - 1 - interval.low  # those above the lower limit
    assert law.sf(beyond) <= risk / 2 < law.sf(beyond - 1)


def test_quantiles_of_too_few_samples():
    interval = intervals.quantile([1.0, 2.0, 3.0], 0.01, 1e-3)
    assert interval.low == -np.inf or interval.low >= 1.0
    assert interval.high == np.inf


def test_rates_are_clopper_and_pearson():
    interval = intervals.rate(3, 50, 0.1)
    assert abs(scipy.stats.binom.sf(2, 50, interval.low) - 0.05) < np.sqrt(EXACT)
    assert abs(scipy.stats.binom.cdf(3, 50, interval.high) - 0.05) < np.sqrt(EXACT)
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
    with pytest.raises(ValueError, match="successes must be at most trials = 4; got 5"):
        intervals.rate(5, 4, 0.1)
    for risk in (0, 1, -0.5, np.nan):
        with pytest.raises(ValueError, match=r"risk must lie in \(0, 1\)"):
            intervals.rate(1, 4, risk)
    with pytest.raises(ValueError, match="variance must lie in"):
        intervals.mean([1.0], 0.1, variance=-1.0)
    with pytest.raises(ValueError, match="kurtosis must lie in"):
        intervals.mean([1.0], 0.1, kurtosis=0.5)


def test_the_measured_quantile_is_an_order_statistic():
    found = intervals.quantile(
        np.random.default_rng(0).permutation(1000.0 + np.arange(1000)), 0.1, 1e-3
    )
    assert found.measured == 1899.0
    assert 1850.0 < found.low < found.measured < found.high < 1950.0
