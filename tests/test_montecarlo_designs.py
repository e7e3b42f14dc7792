"""Simulated Poisson, systematic and priority samples against their moments and laws."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from lth_sketch import Product, moments, montecarlo, probabilities, sampling
from lth_sketch.testing import enumerate_masks, squared_errors
from lth_sketch.tolerances import EXACT

# Each statistical test below errs with probability 1e-9 at most.
SIGNIFICANCE = 1e-9
DESIGNS = ["poisson", "systematic", "priority"]


def sample(rng, q=6, d=12, r=2):
    return Product(rng.normal(size=(q, d)), rng.normal(size=(d, r)))


@pytest.mark.parametrize("shape", [(2, 40, 1), (30, 12, 2)])
@pytest.mark.parametrize("design", DESIGNS)
def test_means_agree_at_every_size(design, shape, size):
    """Trials in sixteen groups, whose means are all but normal: a t-test for each size."""
    rng = np.random.default_rng(0)
    product = sample(rng, *shape)
    p = rng.random(product.d) ** 2 + 0.05
    # Squared errors of priority have a variance from s = 4 on, and a kurtosis from s = 8 on.
    s = [8, 9, product.d - 1] if design == "priority" else [1, 2, 5, 9, product.d - 1]
    trials = size(48_000, 960)
    errors = montecarlo.squared_errors(product, p, s, trials=trials, design=design, rng=1)
    groups = errors.reshape(len(s), 16, -1).mean(axis=2)
    exact = getattr(moments, design)(product, p, s)
    spread = groups.std(axis=1, ddof=1) / 4
    limit = scipy.stats.t.isf(SIGNIFICANCE / 2, 15)
    assert (abs(groups.mean(axis=1) - exact) <= limit * spread + EXACT * product.total**2).all()
    # The test can fail: its interval is narrow enough to tell the designs' moments from others.
    assert (limit * spread < size(0.5, 4.0) * exact).all()


@pytest.mark.parametrize("design", ["poisson", "systematic", "hybrid", "pivotal", "conditional"])
def test_the_whole_law_agrees_with_enumeration(design, size):
    """Chi-square test of the distribution of errors over every outcome."""
    rng = np.random.default_rng(2)
    product = sample(rng, 3, 5, 1)
    p = np.array([0.5, 0.1, 0.0, 0.15, 0.3])
    product = Product(product.A * (p > 0), product.B)
    for s in (1, 2, 3):
        masks, chances = enumerate_masks(p, s, design)
        # Duels lead to one mask by several ways.
        masks, which = np.unique(masks, axis=0, return_inverse=True)
        chances = np.bincount(which.ravel(), chances)
        errors = squared_errors(product, masks)
        trials = size(50_000, 3000)
        simulated = montecarlo.squared_errors(product, p, s, trials=trials, design=design, rng=3)
        nearest = abs(simulated[:, None] - errors).argmin(axis=1)
        assert abs(simulated - errors[nearest]).max() <= EXACT * product.total**2
        counts = np.bincount(nearest, minlength=len(errors))
        assert scipy.stats.chisquare(counts, chances * len(simulated)).pvalue > SIGNIFICANCE


def test_priority_samples_have_the_law_of_the_sampler(size):
    """Kolmogorov's test against errors of masks that `sampling` draws."""
    product = sample(np.random.default_rng(4), 4, 9, 1)
    p = probabilities.optimal(product)
    trials = size(20_000, 1500)
    for s in (1, 2, 5):
        ours = montecarlo.squared_errors(product, p, s, trials=trials, design="priority", rng=5)
        masks = sampling.masks(p, s, trials, design="priority", rng=6).toarray()
        theirs = squared_errors(product, masks)
        assert scipy.stats.ks_2samp(ours, theirs).pvalue > SIGNIFICANCE


@pytest.mark.parametrize("design", ["poisson", "priority"])
def test_masks_of_a_trial_are_nested(design, size):
    """A uniform for each weight decides at every size, by replaying the stream of a block."""
    rng = np.random.default_rng(7)
    product = sample(rng, 3, 9, 1)
    p = probabilities.mixture(probabilities.optimal(product), np.ones(9), 0.3)
    s = np.array([1, 2, 4, 6, 8, 9])
    trials = size(64, 20)
    errors = montecarlo.squared_errors(product, p, s, trials=trials, design=design, rng=8)
    stream = np.random.default_rng(8).spawn(1)[0]
    for trial in range(trials):
        ranks = p / (1 - stream.random(9))
        before = np.zeros(9, bool)
        for k, size_ in enumerate(s):
            pi = probabilities.inclusion(p, size_, design="poisson")
            if design == "poisson":
                kept = ranks >= np.where(pi < 1, p / pi, 0.0)
                mask = kept / pi
            else:
                tau = np.sort(ranks)[::-1][size_] if size_ < 9 else 0.0
                kept = ranks > tau
                mask = kept * np.maximum(1.0, tau / p)
            assert (kept | ~before).all()
            before = kept
            expected = squared_errors(product, mask[None])[0]
            assert abs(errors[k, trial] - expected) <= EXACT * product.total**2 * (1 + mask.max())


@pytest.mark.parametrize("design", DESIGNS)
def test_zero_probabilities_and_sizes_up_to_the_end(design):
    """Entries of p = 0 are not kept; all others are at the last size, and the error is zero."""
    product = Product([[1.0, 0.0, 2.0, 0.0, 3.0]], np.ones(5))
    p = [1, 0, 2, 0, 1]
    errors = montecarlo.squared_errors(product, p, [1, 3], trials=70, design=design, rng=9)
    assert (errors[1] <= EXACT).all()
    assert (errors[0] > EXACT).any()


@pytest.mark.parametrize("design", DESIGNS)
def test_same_bits_for_any_number_of_threads(design):
    rng = np.random.default_rng(10)
    product = sample(rng)
    p = rng.random(product.d)
    one, two, four = (
        montecarlo.squared_errors(
            product, p, [5, 12, 1], trials=150, design=design, rng=6, n_jobs=n
        )
        for n in (1, 2, 4)
    )
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, four)


@pytest.mark.parametrize("design", DESIGNS)
def test_limits_by_simulation_hold_for_every_design(design):
    product = sample(np.random.default_rng(11))
    p = probabilities.optimal(product)
    errors = montecarlo.squared_errors(product, p, [4, 6], trials=99, design=design, rng=12)
    limit = montecarlo.quantile_limit(product, p, [4, 6], 0.05, trials=99, design=design, rng=12)
    floor = montecarlo.rounding(product, p, [4, 6], trials=99, design=design, rng=12)
    assert (floor < EXACT * product.total).all()
    np.testing.assert_array_equal(limit, np.sqrt(np.sort(errors)[:, -5]) + floor)


@pytest.mark.parametrize("design", DESIGNS)
def test_more_than_there_is_is_refused(design):
    product = Product([[3.0, 4.0, 0.0]], np.ones(3))
    with pytest.raises(ValueError, match=r"at most 2, the number of nonzero p.*only 'multinomial'"):
        montecarlo.squared_errors(product, [1, 1, 0], [1, 3], trials=5, design=design)
