"""Capped water filling and the inclusion probabilities of the five designs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import reference
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import sized_weights

from lth_sketch.inclusion import checked, quadrature
from lth_sketch.kernels import inclusion as kernels
from lth_sketch.parallel import blockwise
from lth_sketch.probabilities import inclusion
from lth_sketch.tolerances import EXACT, QUADRATURE

WITHOUT = ("poisson", "systematic", "priority", "top")


@given(sized_weights(), st.integers(1, 5))
def test_water_filling_matches_its_twin_for_any_blocks(case, block):
    p, s = case
    expected = reference.inclusion_by_filling(p, s)
    for design in ("poisson", "systematic"):
        assert inclusion(p, s, design=design) == pytest.approx(expected, rel=EXACT, abs=EXACT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blockwise, "BLOCK", block)
        weights = checked.survey(p)
        with np.errstate(over="ignore"):
            pi = np.minimum(1.0, p / checked.threshold(weights, s, threads=2))
    assert pi == pytest.approx(expected, rel=EXACT, abs=EXACT)
    assert (weights.total, weights.largest) == (pytest.approx(p.sum(), rel=EXACT), p.max())
    assert weights.nonzero == np.count_nonzero(p)


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_weights_are_scaled_beyond_the_bounds_only(zero):
    for end in (checked.SMALLEST, checked.LARGEST):
        assert checked.survey(np.array([end, zero])).largest == end
    for beyond in (checked.SMALLEST / 2, checked.LARGEST * 2):
        assert checked.survey(np.array([beyond, zero])).largest == 0.5


def test_capping_refills():
    # Capping alone would keep 1 + 2/3 + 1/3: an index too few.
    assert inclusion([4, 2, 1, 1], 3, design="poisson") == pytest.approx([1, 1, 0.5, 0.5])


@pytest.mark.parametrize("design", WITHOUT)
def test_all_nonzero_are_kept_when_s_is_their_number(design):
    assert inclusion([0.2, 0, 0.7, 1e-9], 3, design=design).tolist() == [1, 0, 1, 1]


@pytest.mark.parametrize("d", [1, 5, 300])
def test_all_have_a_threshold_below_every_number(d):
    p = np.random.default_rng(d).random(d) + 0.1
    assert checked.threshold(checked.survey(p), d) == checked.ALL
    assert checked.threshold(checked.survey(p), d - 0.5) > checked.ALL


def test_multinomial_enumerated():
    p = np.array([0.5, 0.3, 0.0, 0.2])
    for s in (1, 2, 4):
        law = list(reference.replacement_masks(p, s))
        kept = sum(chance * (mask > 0) for mask, chance in law)
        assert inclusion(7 * p, s) == pytest.approx(kept, rel=EXACT)
    assert inclusion([0, 3], 5).tolist() == [0, 1]
    # 1 - (1 - p)^s would lose these digits.
    assert inclusion([1.0, 1e-18], 3)[1] == pytest.approx(3e-18, rel=EXACT, abs=0)


def test_systematic_sets_enumerated():
    pi = inclusion([3, 1, 0, 5, 2, 2], 3, design="systematic")
    kept = np.zeros(6)
    for indices, chance in reference.systematic_sets(pi):
        kept[indices] += chance
    assert pi == pytest.approx(kept, rel=EXACT, abs=EXACT)


@given(sized_weights(max_size=5))
@example((np.array([1.0, 1.0, 0.5, 0.001, 0.001]), 4))
def test_priority_matches_exact_polynomials(case):
    p, s = case
    p = p / p.max()
    pi = inclusion(p, s, design="priority")
    expected = reference.priority_inclusion(p, s)
    assert pi == pytest.approx(expected, rel=QUADRATURE, abs=EXACT)


def test_fewer_than_s_others_enumerated():
    q = np.array([1.0, 0.9, 0.5, 0.5, 0.2, 0.0])
    chances = np.empty(6)
    for s in range(1, 7):
        expected = np.zeros(6)
        for happens in itertools.product((0, 1), repeat=6):
            events = np.array(happens)
            for i in range(6):
                others = np.delete(np.where(events, q, 1 - q), i).prod()
                # Both values of event i come by, with the same others.
                expected[i] += others / 2 * (events.sum() - events[i] < s)
        kernels.kept(q, s, np.empty(8), chances)
        assert chances == pytest.approx(expected, rel=EXACT, abs=EXACT)


@pytest.mark.parametrize("s", [1, 2, 10, 60, 99])
def test_priority_sums_to_its_size(s, size):
    # With s from 60 on the integral starts above zero; sizes this large have no exact twin.
    # Without compilation the largest are tried below the size of a hundred.
    d, s = size(100, 40), size(s, max(1, s * 2 // 5))
    p = np.random.default_rng(3).random(d) ** 4
    pi = inclusion(p, s, design="priority")
    assert pi.sum() == pytest.approx(s, rel=QUADRATURE)
    assert (np.diff(pi[np.argsort(p)]) >= -EXACT).all()


def test_priority_of_equal_weights_is_uniform(size):
    d = size(2000, 60)
    # From the second size on the integral starts above zero.
    for s in (size(300, 7), size(400, 40)):
        pi = inclusion(np.ones(d), s, design="priority")
        assert pi == pytest.approx(np.full(d, s / d), rel=QUADRATURE)


def test_priority_leaves_out_what_is_below_exp_minus_40(monkeypatch):
    """No more and no less: the levels of the law, by the inequality named."""

    def bernstein(mean, count):
        return (count - mean) ** 2 / (2 * (mean + abs(count - mean) / 3))

    seen = []

    def recorded(q, s, law, out):
        seen.append((q[0], len(law) - 1))
        out[:] = 1.0

    monkeypatch.setattr(kernels, "kept", recorded)
    d, s = 2000, 300
    inclusion(np.ones(d), s, design="priority")
    rule = quadrature.rule(np.full(d, 1 / d), s)
    means, levels = np.array(seen).T[0] * d, {level for _, level in seen}
    assert means == pytest.approx(rule.nodes, rel=EXACT)
    (level,) = levels
    assert bernstein(rule.stop, level) >= 40 > bernstein(rule.stop, level - 1)


def test_top_breaks_ties_by_index():
    assert inclusion([1, 2, 0, 1, 1], 3, design="top").tolist() == [1, 1, 0, 1, 0]


@pytest.mark.parametrize("design", WITHOUT)
def test_more_than_can_be_kept(design):
    limit, message = (3, "d = 3") if design == "top" else (2, "2.*only 'multinomial'")
    assert inclusion([1.0, 0.0, 2.0], limit, design=design).sum() == limit
    with pytest.raises(ValueError, match=f"s must be at most {message}"):
        inclusion([1.0, 0.0, 2.0], limit + 1, design=design)


def test_the_least_threshold_is_the_least_normal_number():
    tiny = float(np.finfo(np.float64).tiny)
    checked.check_span(tiny, 1)
    with pytest.raises(ValueError, match="too many orders of magnitude for s = 1"):
        checked.check_span(float(np.nextafter(tiny, 0.0)), 1)


def test_weights_beyond_float64_are_refused():
    with pytest.raises(ValueError, match="too many orders of magnitude"):
        inclusion([1.0, 1e-315, 1e-315, 1e-315], 3, design="poisson")
    with pytest.raises(ValueError, match="too many orders of magnitude"):
        inclusion([1.0, 1e-315, 1e-315], 1, design="priority")
    # A cap that rounding lets reach all of s: the rest is nothing beside it.
    assert inclusion([1.0, 1.0, 1e-300], 2, design="poisson")[:2].tolist() == [1, 1]


def test_arguments():
    with pytest.raises(ValueError, match="design must be one of"):
        inclusion([1.0], 1, design="uniform")
    with pytest.raises(ValueError, match="s must be at least 1"):
        inclusion([1.0], 0)
