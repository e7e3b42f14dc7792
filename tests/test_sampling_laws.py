"""The laws of the samplers: chi-square and binomial tests with fixed seeds."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import scipy.stats

from lth_sketch.inclusion import checked
from lth_sketch.kernels import draws
from lth_sketch.parallel import blockwise
from lth_sketch.probabilities import inclusion
from lth_sketch.sampling import draw, masks
from lth_sketch.tolerances import EXACT, SINGLE

# A true sampler fails one of these tests with this probability.
RISK = 1e-9
UNBIASED = ("multinomial", "poisson", "systematic", "priority")
P = np.array([0.1, 0.0, 0.3, 0.05, 0.25, 0.3])


def fits(observed, chances):
    """Chi-square test of counts with the law `chances`; cells that cannot occur must be empty."""
    observed, chances = np.asarray(observed), np.asarray(chances)
    assert (observed[chances == 0] == 0).all()
    expected = chances[chances > 0] / chances.sum() * observed.sum()
    assert expected.min() > 5
    return scipy.stats.chisquare(observed[chances > 0], expected).pvalue > RISK


def test_multinomial_law_of_whole_outcomes(size):
    p, s, n = np.array([0.5, 0.3, 0.0, 0.2]), 3, size(40_000, 2_000)
    law: dict[tuple[float, ...], float] = {}
    for outcome, chance in reference.replacement_masks(p, s):
        key = tuple(np.round(outcome * s * p))
        law[key] = law.get(key, 0.0) + chance
    counts = np.round(masks(p, s, n, rng=1).toarray() * s * p)
    observed = [(counts == key).all(axis=1).sum() for key in law]
    assert sum(observed) == n
    assert fits(observed, list(law.values()))


@pytest.mark.parametrize("n_blocks", [1, 3])
def test_multinomial_counts_of_single_draws(n_blocks, size, monkeypatch):
    monkeypatch.setattr(blockwise, "BLOCK", -(-len(P) // n_blocks))
    monkeypatch.setattr(draws, "BATCH", 4)
    rng = np.random.default_rng(2)
    s = 20
    counts = np.zeros(6)
    for _ in range(size(2000, 300)):
        indices, weights = draw(P, s, rng=rng, n_jobs=1)
        counts[indices] += weights * s * P[indices]
    assert fits(counts, P)


@pytest.mark.parametrize("n_blocks", [1, 3])
@pytest.mark.parametrize("design", ["poisson", "systematic", "priority"])
def test_inclusions_of_single_draws(design, n_blocks, size, monkeypatch):
    monkeypatch.setattr(blockwise, "BLOCK", -(-len(P) // n_blocks))
    rng = np.random.default_rng(3)
    n = size(3000, 300)
    kept = np.zeros(6)
    for _ in range(n):
        kept[draw(P, 3, design=design, rng=rng, n_jobs=1)[0]] += 1
    for k, pi in zip(kept, inclusion(P, 3, design=design), strict=True):
        assert scipy.stats.binomtest(int(k), n, min(1.0, pi)).pvalue > RISK / len(P)


@pytest.mark.parametrize("design", UNBIASED)
def test_rows_of_masks_are_unbiased_and_independent(design, size):
    n = size(20_000, 1_000)
    rows = masks(P, 3, n, design=design, rng=4)
    assert rows.shape == (n, 6)
    assert rows.has_sorted_indices
    kept = rows.toarray() > 0
    for column, pi in zip(kept.T, inclusion(P, 3, design=design), strict=True):
        assert scipy.stats.binomtest(int(column.sum()), n, min(1.0, pi)).pvalue > RISK / 6
    # E m_i = 1, with an exact variance only for bounded weights: compare within 7 standard errors.
    live = rows.toarray()[:, P > 0]
    errors = live.std(axis=0) / np.sqrt(n)
    assert (abs(live.mean(axis=0) - 1) <= 7 * errors + EXACT).all()
    # Neighbouring rows repeat one another no more often than chance has it.
    again = (kept[1:] == kept[:-1]).all(axis=1).mean()
    chance = (np.unique(kept, axis=0, return_counts=True)[1] / n) ** 2
    assert abs(again - chance.sum()) < 7 / np.sqrt(n)


@pytest.mark.large
def test_draws_over_many_blocks(size):
    """Cells of nearly equal mass hold what they should: the split, the merge and the Gamma rest."""
    d, s, cells = 1_000_000, 200_000, 64
    p = np.random.default_rng(5).random(d) ** 2
    cell = np.minimum((np.cumsum(p) / p.sum() * cells).astype(int), cells - 1)
    indices, weights = draw(p, s, rng=6)
    counts = weights * s * p[indices] / p.sum()
    assert counts == pytest.approx(np.round(counts), rel=EXACT)
    assert counts.sum() == pytest.approx(s, rel=EXACT)
    assert fits(np.bincount(cell[indices], counts), np.bincount(cell, p))
    pi = inclusion(p, s, design="poisson")
    indices, _ = draw(p, s, design="poisson", rng=7)
    gaps = np.bincount(cell[indices], minlength=cells) - np.bincount(cell, pi)
    square = (gaps**2 / np.bincount(cell, pi * (1 - pi))).sum()
    assert RISK / 2 < scipy.stats.chi2.sf(square, cells) < 1 - RISK / 2
    ranks = p / reference.replayed_uniforms(d, np.random.default_rng(8), blockwise.BLOCK)
    indices, weights = draw(p, s, design="priority", rng=8)
    order = np.argsort(-ranks)
    assert (indices == np.sort(order[:s])).all()
    assert weights == pytest.approx(np.maximum(1.0, ranks[order[s]] / p[indices]), rel=EXACT)


@pytest.mark.large
def test_more_weights_than_float32_can_count():
    d = 2**24 + 1
    p = np.ones(d, np.float32)
    assert checked.survey(p).total == d
    indices, weights = draw(p, 2**20, design="systematic", rng=17)
    assert (np.diff(indices) >= 16).all()
    assert weights == pytest.approx(d / 2**20, rel=SINGLE)
    indices, weights = draw(p, 2**20, rng=18)
    counts = np.round(weights.astype(float) * 2**20 / d)
    assert counts.sum() == 2**20
    assert fits(np.bincount(indices * 64 // d, counts), np.full(64, 1 / 64))
    p[:-1] = 0
    assert draw(p, 3, rng=19)[0].tolist() == [d - 1]
