"""Draws and masks, exactly: the same variates, followed by slow twins."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from strategies import sized_weights

from lth_sketch.inclusion import checked
from lth_sketch.kernels import draws, walks
from lth_sketch.parallel import blockwise
from lth_sketch.probabilities import inclusion
from lth_sketch.sampling import draw, mask, masks
from lth_sketch.tolerances import EXACT


@given(sized_weights(max_size=30), st.integers(1, 9), st.integers(0, 99))
def test_draws_replayed_in_numpy(case, block, seed):
    p, s = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blockwise, "BLOCK", block)
        patch.setattr(draws, "BATCH", 3)
        v = reference.replayed_uniforms(len(p), np.random.default_rng(seed), block)
        pi = reference.inclusion_by_filling(p, s)
        indices, weights = draw(p, s, design="poisson", rng=seed)
        assert indices.tolist() == np.flatnonzero(v <= pi).tolist()
        assert weights == pytest.approx(1 / pi[indices], rel=EXACT)

        ranks = p / v
        order = np.sort(np.argsort(-ranks, kind="stable")[:s])
        tau = -np.sort(-ranks)[s] if s < np.count_nonzero(p) else 0.0
        indices, weights = draw(p, s, design="priority", rng=seed)
        assert indices.tolist() == order.tolist()
        assert weights == pytest.approx(np.maximum(1.0, tau / p[order]), rel=EXACT)

        counts = reference.replayed_counts(p, 3 * s, np.random.default_rng(seed), block, 3)
        indices, weights = draw(p, 3 * s, rng=seed)
        assert indices.tolist() == np.flatnonzero(counts).tolist()
        assert weights == pytest.approx(
            counts[indices] / (3 * s * (p[indices] / p.sum())), rel=EXACT
        )

        indices, weights = draw(p, s, design="top")
        assert (indices.tolist(), weights.tolist()) == (reference.top_set(p, s), [1.0] * s)


@given(sized_weights(max_size=12), st.integers(0, 99))
def test_rows_replayed_in_numpy(case, seed):
    p, s = case
    n, d = 3, len(p)
    v = 1 - np.random.default_rng(seed).random((n, d))
    pi = reference.inclusion_by_filling(p, s)
    live = pi > 0
    inverse = np.divide(1.0, pi, out=np.zeros(d), where=live)
    rows = masks(p, s, n, design="poisson", rng=seed).toarray()
    assert rows == pytest.approx(np.where(v <= pi, inverse, 0.0), rel=EXACT)

    # Rows that fill a block each have a Generator each.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blockwise, "BLOCK", d)
        rows = masks(p, s, n, design="poisson", rng=seed).toarray()
        apart = [1 - child.random(d) for child in np.random.default_rng(seed).spawn(n)]
        assert rows == pytest.approx(np.where(np.array(apart) <= pi, inverse, 0.0), rel=EXACT)
        # Two of them fit here, and the third is alone.
        patch.setattr(blockwise, "BLOCK", 3 * d - 1)
        rows = masks(p, s, n, design="poisson", rng=seed).toarray()
        pair, alone = np.random.default_rng(seed).spawn(2)
        apart = np.vstack([1 - pair.random((2, d)), 1 - alone.random((1, d))])
        assert rows == pytest.approx(np.where(apart <= pi, inverse, 0.0), rel=EXACT)

    rows = masks(p, s, n, design="systematic", rng=seed).toarray()
    assert rows == pytest.approx(np.where(rows > 0, inverse, 0.0), rel=EXACT)

    rows = masks(p, s, n, design="priority", rng=seed).toarray()
    for row, ranks in zip(rows, p / v, strict=True):
        order = np.argsort(-ranks, kind="stable")
        tau = ranks[order[s]] if s < np.count_nonzero(p) else 0.0
        expected = np.zeros(d)
        expected[order[:s]] = np.maximum(1.0, tau / p[order[:s]])
        assert row == pytest.approx(expected, rel=EXACT)

    rng = np.random.default_rng(seed)
    counts = [reference.replayed_counts(p, 3 * s, rng, d, draws.BATCH) for _ in range(n)]
    scale = np.divide(p.sum(), 3 * s * p, out=np.zeros(d), where=p > 0)
    assert masks(p, 3 * s, n, rng=seed).toarray() == pytest.approx(counts * scale, rel=EXACT)


@pytest.mark.parametrize("s", [400, 800, 1200, 1600])
def test_priority_where_a_bin_holds_many_ranks(s, monkeypatch):
    monkeypatch.setattr(blockwise, "BLOCK", 100)
    p = 1 + np.random.default_rng(32).random(2000) / 100
    ranks = p / reference.replayed_uniforms(len(p), np.random.default_rng(s), 100)
    order = np.argsort(-ranks)
    indices, weights = draw(p, s, design="priority", rng=s)
    assert indices.tolist() == np.sort(order[:s]).tolist()
    assert weights == pytest.approx(np.maximum(1.0, ranks[order[s]] / p[indices]), rel=EXACT)


@pytest.mark.parametrize("d", range(1, 34))
def test_draws_with_replacement_of_any_length(d):
    p = np.random.default_rng(31).random(d)
    counts = reference.replayed_counts(p, 40, np.random.default_rng(d), d, draws.BATCH)
    drawn = mask(p, 40, rng=d) * 40 * p / p.sum()
    assert drawn == pytest.approx(counts, rel=EXACT, abs=EXACT)


def test_running_sums_are_those_of_float64():
    p = np.random.default_rng(30).random(1000)
    sums = np.empty(len(p) // draws.GROUP)
    draws.running(p, sums)
    ends = np.cumsum(p)[draws.GROUP - 1 :: draws.GROUP]
    assert sums[:-1] == pytest.approx(ends[:-1], rel=EXACT)
    assert sums[-1] == np.inf


@given(sized_weights(max_size=8))
def test_systematic_law_enumerated(case):
    """Every interval of starts: the kernel's sets have the first and second order of the twin."""
    p, s = case
    pi = reference.inclusion_by_filling(p, s)
    surveyed = checked.survey(p)
    # All are kept at any threshold that the least of them reaches.
    tau = checked.threshold(surveyed, s) if s < surveyed.nonzero else float(p[p > 0].min())
    indices, weights = np.empty(s, np.int64), np.empty(s)
    pairs, expected = np.zeros((2, len(p), len(p)))
    start = 0.0
    for kept, chance in reference.systematic_sets(pi):
        expected[np.ix_(kept, kept)] += chance
        if chance > EXACT:
            phase = int((1 - (start + chance / 2)) * walks.UNIT)
            walks.systematic(p, tau, phase, 0, indices, weights)
            assert weights == pytest.approx(1 / pi[indices], rel=EXACT)
            pairs[np.ix_(indices, indices)] += chance
        start += chance
    assert pairs == pytest.approx(expected, abs=EXACT)
    assert pairs.diagonal() == pytest.approx(inclusion(p, s, design="systematic"), abs=EXACT)


@given(sized_weights(max_size=40), st.integers(1, 9), st.integers(0, 99))
def test_systematic_counts_every_stretch_within_one(case, block, seed):
    p, s = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blockwise, "BLOCK", block)
        indices, weights = draw(p, s, design="systematic", rng=seed)
    pi = reference.inclusion_by_filling(p, s)
    kept = np.bincount(indices, minlength=len(p))
    assert len(np.unique(indices)) == s
    assert weights == pytest.approx(1 / pi[indices], rel=EXACT)
    ends = np.concatenate([[0], np.cumsum(kept - pi)])
    assert np.ptp(ends) < 1 + EXACT
