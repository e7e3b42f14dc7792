"""Each compiled loop by itself, next to a slow twin, at sizes around the edges of its blocks."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import reference
import scipy.stats

from lth_sketch.kernels import draws, errors, inclusion, moments, norms, regression, walks
from lth_sketch.kernels._jit import prefetch
from lth_sketch.tolerances import EXACT, SINGLE

TOLERANCES = {np.float64: EXACT, np.float32: SINGLE}


class Scripted:
    """A stand-in for a Generator: what it answers is given."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def random(self):
        return self.answers.pop(0)

    standard_exponential = random

    def standard_gamma(self, shape):
        return self.answers.pop(0)


def interpreted(kernel):
    """The kernel in plain Python, whatever the JIT."""
    return getattr(kernel, "py_func", kernel)


# --- one pass over the weights --------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("d", [1, 2, 3, 8, 13])
def test_survey_and_cap(d, dtype):
    p = np.random.default_rng(d).integers(0, 4, d).astype(dtype) / 3
    bits = p.view(np.uint32 if dtype is np.float32 else np.uint64)
    # Every place in turn holds the largest entry, or the only one.
    for place in range(d):
        for weights in (p.copy(), np.zeros(d, dtype)):
            weights[place] = 7
            bits = weights.view(bits.dtype)
            total, largest, nonzero, none = inclusion.survey(weights, bits, None)
            assert none == (0, 0, 0, 0)
            assert total == pytest.approx(sum(map(float, weights)), rel=EXACT)
            assert (largest, nonzero) == (weights[place], np.count_nonzero(weights))
        # What has a sign, or is no number, comes after all that are sound.
        for bad in (-1.0, -0.0, np.nan, np.inf):
            weights[place // 2] = bad
            for exponent in (None, 3):
                largest = inclusion.survey(weights, weights.view(bits.dtype), exponent)[1]
                assert not (largest > 0) or largest == np.inf


def fraction(counted, exponent):
    """What is counted in the units of the grids, and nothing is left."""
    assert counted[3] == 0
    units = [Fraction(2) ** (exponent - grid) for grid in (35, 71, 107)]
    return sum(count * unit for count, unit in zip(counted, units, strict=False))


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("d", [1, 2, 63, 64, 65, 150])
def test_exact_sums_and_where_they_end(d, dtype):
    rng = np.random.default_rng(d)
    p = np.ldexp(rng.random(d), -rng.integers(0, 40, d)).astype(dtype)
    bits = p.view(np.uint32 if dtype is np.float32 else np.uint64)
    entries = [Fraction(float(x)) for x in p]
    for exponent in (0, 1, 7):
        counted = inclusion.survey(p, bits, exponent)[3]
        assert fraction(counted, exponent) == sum(entries)
    # The threshold itself is not below.
    for tau in (float(p.max()), float(p.min()), float(np.median(p)), 9.0, math.inf):
        counted, capped, below, above = inclusion.exact(p, tau, 0)
        assert fraction(counted, 0) == sum(x for x in entries if x < tau)
        assert capped == sum(x >= tau for x in entries)
        assert below == max((x for x in entries if x < tau), default=0.0)
        assert above == min((x for x in entries if x >= tau), default=math.inf)


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_what_the_grids_are_too_coarse_for_is_left(dtype):
    p = np.array([1.0, 2.0**-107, 2.0**-108], dtype)
    bits = p.view(np.uint32 if dtype is np.float32 else np.uint64)
    for counted in (inclusion.survey(p, bits, 0)[3], inclusion.exact(p, math.inf, 0)[0]):
        assert counted[3] != 0
    for counted in (inclusion.survey(p[:2], bits[:2], 0)[3], inclusion.exact(p, 0.0, 0)[0]):
        assert counted[3] == 0


@pytest.mark.parametrize("scale", [1.0, 2.0**-1000])
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_products_reach_what_divisions_reach(dtype, scale):
    """Weights around ``tau (1 - u)``, where a product and a division may differ."""
    rng = np.random.default_rng(5)
    if dtype is np.float32:
        scale = max(scale, 2.0**-100)
    differ = 0
    for tau in scale * (0.5 + rng.random(40)):
        uniforms = rng.random(30)
        p = (tau * (1.0 - uniforms)).astype(dtype)
        for step in (0, -1, 1):
            near = p if step == 0 else np.nextafter(p, dtype(step * np.inf))
            reached = [i for i in range(30) if float(near[i]) / (1.0 - uniforms[i]) >= tau]
            differ += reached != [i for i in range(30) if float(near[i]) >= tau * (1 - uniforms[i])]
            indices = np.empty(30, np.int64)
            count = draws.reaching(near, uniforms, tau, 7, indices)
            assert list(indices[:count] - 7) == reached
            marks = np.ones(30, np.bool_)
            draws.mark_reaching(near, uniforms, tau, marks)
            assert list(np.flatnonzero(marks)) == reached
    # Only then there is something to be seen.
    assert differ > 0 or dtype is np.float32


@pytest.mark.parametrize(("s", "levels"), [(1, 2), (3, 4), (3, 45), (9, 41)])
def test_chances_to_be_kept(s, levels):
    q = -np.sort(-(np.random.default_rng(s).random(40) ** 8) / 4)
    q[:s] += 0.7 * (levels > 40)
    law = np.array([reference.number_of_events(np.delete(q, i)) for i in range(40)])
    out = np.empty(40)
    inclusion.kept(q, s, np.empty(max(levels, 35)), out)
    assert out == pytest.approx(law[:, :s].sum(axis=1), rel=EXACT)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("rows", [1, norms.ABREAST - 1, norms.ABREAST, 2 * norms.ABREAST + 3])
@pytest.mark.parametrize(("first", "last"), [(0, 1), (0, 40), (3, 11), (5, 39), (39, 40)])
def test_squares_of_columns(rows, first, last, dtype):
    A = np.random.default_rng(rows).normal(size=(rows, 40)).astype(dtype)
    out = np.full(last - first, np.nan)
    norms.column_squares(A, first, last, out)
    expected = (A[:, first:last].astype(float) ** 2).sum(axis=0)
    np.testing.assert_allclose(out, expected, rtol=EXACT)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("rows", [1, 3, 4, 5, 11])
def test_squares_of_rows(rows, dtype):
    A = np.random.default_rng(rows).normal(size=(rows, 50)).astype(dtype)
    out = np.full(rows, np.nan)
    norms.row_squares(A, out)
    np.testing.assert_allclose(out, (A.astype(float) ** 2).sum(axis=1), rtol=EXACT)


def test_what_is_asked_for_ahead_may_lie_beyond_the_end():
    A = np.arange(6.0).reshape(2, 3)
    for j, i in ((0, 0), (1, 2), (1, 3), (1, 10**6)):
        assert prefetch(A, j, i) is None
    np.testing.assert_array_equal(A, np.arange(6.0).reshape(2, 3))


# --- draws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", range(1, 8))
def test_running_sums_of_any_number_of_groups(groups):
    p = np.random.default_rng(groups).random(draws.GROUP * groups)
    sums = np.full(groups, np.nan)
    draws.running(p, sums)
    ends = np.add.accumulate(p)[draws.GROUP - 1 :: draws.GROUP]
    np.testing.assert_allclose(sums, [*ends[:-1], np.inf], rtol=EXACT)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 21])
@pytest.mark.parametrize("groups", [1, 2, 3, 10])
def test_merge_of_targets(groups, n):
    """Targets at the sums themselves among them: these belong to the next group."""
    rng = np.random.default_rng([groups, n])
    for first in range(groups):
        sums = np.append(np.cumsum(rng.integers(0, 3, groups - 1)), np.inf)
        targets = np.sort(rng.integers(0, 2 * groups, n) / 1.0)
        merged = np.full(n, 99, np.uint64)
        last = draws.merge(sums, targets, merged, np.uint64(first))
        expected = np.maximum(np.searchsorted(sums, targets, side="right"), first)
        assert merged.tolist() == expected.tolist()
        assert last == merged[-1]


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("batch", [1, 2, 5, 64])
@pytest.mark.parametrize("d", [1, 7, 8, 9, 16, 29])
def test_draws_of_any_batch(d, batch, dtype):
    p = np.random.default_rng(d).random(d).astype(dtype)
    p[::4] *= 40
    n = 33
    room = min(d, n)
    integers = np.empty((2, room), np.int64)
    scratch = draws.Merge(
        np.empty(batch), np.empty(batch, np.uint64), np.empty(-(-d // draws.GROUP) + 2), *integers
    )
    distinct = draws.multinomial(p, float(p.sum(dtype=float)), n, np.random.default_rng(3), scratch)
    expected = reference.replayed_counts(p.astype(float), n, np.random.default_rng(3), d, batch)
    assert scratch.positions[:distinct].tolist() == np.flatnonzero(expected).tolist()
    assert scratch.counts[:distinct].tolist() == expected[expected > 0].tolist()
    indices, weights = np.empty(distinct, np.int64), np.empty(distinct, dtype)
    draws.counted(p, scratch, 0.75, 100, indices, weights)
    assert indices.tolist() == (100 + np.flatnonzero(expected)).tolist()
    chosen = expected > 0
    shares = 0.75 * expected[chosen] / p[chosen].astype(float)
    np.testing.assert_allclose(weights, shares, TOLERANCES[dtype])


def test_a_uniform_at_a_running_sum_draws_the_next_entry():
    """Spacings of one each: the k-th uniform is the k-th running sum of equal weights."""
    d = 2 * draws.GROUP
    integers = np.empty((2, d), np.int64)
    scratch = draws.Merge(np.empty(d), np.empty(d, np.uint64), np.empty(2), *integers)
    rng = Scripted(*[1.0] * d)
    distinct = interpreted(draws.multinomial)(np.ones(d), float(d), d - 1, rng, scratch)
    assert scratch.positions[:distinct].tolist() == list(range(1, d))


def test_lists_of_what_is_kept():
    p = np.array([4.0, 1.0, 2.0, 0.5, 3.0])
    keep = np.array([[1, 0, 0, 1, 1], [0, 1, 0, 0, 0], [1, 1, 1, 1, 1]], bool)
    for row in keep:
        indices = np.full(row.sum(), -1)
        draws.listed(row, 7, indices)
        assert indices.tolist() == (7 + np.flatnonzero(row)).tolist()
    starts = np.array([2, 5, 6, 11])
    taus = np.array([2.0, 3.0, 0.25])
    indices, weights = np.full(12, -1), np.full(12, np.nan)
    draws.listed_rows(p, keep, taus, starts, indices, weights)
    rows = np.repeat(np.arange(3), np.diff(starts))
    assert indices.tolist() == [-1, -1, *np.nonzero(keep)[1], -1]
    assert weights[2:11].tolist() == np.maximum(1, taus[rows] / p[indices[2:11]]).tolist()
    assert np.isnan(weights[[0, 1, 11]]).all()


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("d", range(1, 8))
def test_systematic_walks_in_integers(d, dtype):
    """Phases, steps and units are integers of Python here, which have no end."""
    p = np.random.default_rng(d).random(d).astype(dtype)
    tau = float(p.max()) * 0.7
    scale = walks.UNIT / tau
    steps = [min(int(float(x) * scale), walks.UNIT) for x in p]
    low, high = walks.steps(p, tau)
    assert int(low) + (int(high) << walks.HALF) == sum(steps)
    phases = [0, 1, walks.UNIT // 3, walks.UNIT - 1]
    paths = [[phase + sum(steps[:i]) for i in range(d + 1)] for phase in phases]
    kept = [
        [i for i in range(d) if walk[i] >> walks.FRACTION != walk[i + 1] >> walks.FRACTION]
        for walk in paths
    ]
    starts = np.cumsum([1, *map(len, kept)])
    indices, weights = np.full(starts[-1] + 1, -1), np.full(starts[-1] + 1, np.nan, dtype)
    walks.systematic_rows(p, tau, np.array(phases), starts, indices, weights)
    assert indices.tolist() == [-1, *(i for row in kept for i in row), -1]
    places = indices[1:-1]
    shares = np.maximum(1, tau / p[places].astype(float))
    np.testing.assert_allclose(weights[1:-1], shares, TOLERANCES[dtype])
    for phase, row in zip(phases, kept, strict=True):
        alone, theirs = np.empty(len(row), np.int64), np.empty(len(row), dtype)
        walks.systematic(p, tau, phase, 50, alone, theirs)
        assert alone.tolist() == [50 + i for i in row]


def test_histogram_adds_to_what_is_there():
    ranks = np.random.default_rng(0).random(50) ** -4
    bins = np.arange(draws.BINS)
    draws.histogram(ranks.view(np.int64), bins)
    # A bin has four bits of the mantissa: it is a sixteenth of a power of two wide.
    mantissas, exponents = np.frexp(ranks)
    cells = (1022 + exponents) * 16 + np.floor((2 * mantissas - 1) * 16).astype(int)
    expected = np.bincount(cells, minlength=draws.BINS)
    assert (bins - np.arange(draws.BINS)).tolist() == expected.tolist()


# --- simulated errors -----------------------------------------------------------------------------


def terms(d, rank, seed):
    """Terms with lengths; what lies beyond them is not read."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, rank + 1, d)
    beyond = np.arange(rank) >= lengths[:, None]
    full = rng.normal(size=(d, rank))
    return np.where(beyond, np.nan, full), lengths, np.where(beyond, 0.0, full)


def assert_errors(errors, expected):
    np.testing.assert_allclose(errors, expected, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("k", [1, 4, 5, 8, 13])
def test_guide_to_a_running_sum(k):
    """Eighths, which some of the places hit."""
    cumulative = np.array([0.125, 0.125, 0.5, 0.75, np.inf])
    table = np.empty(k, np.int64)
    errors.guide(cumulative, table)
    places = np.arange(k) / k
    assert table.tolist() == np.searchsorted(cumulative, places, side="right").tolist()


@pytest.mark.parametrize("d", [1, 2, 9, 40])
def test_errors_of_draws_replayed(d):
    """Sizes far apart and near, where draws are counted first and where they are not."""
    given, lengths, full = terms(d, 3, d)
    centre = np.array([0.5, -1.0, 2.0])
    p = np.random.default_rng(d).random(d) * (np.arange(d) % 4 != 3)
    cumulative = np.cumsum(p / p.sum())
    cumulative[np.flatnonzero(p)[-1] :] = np.inf
    table = np.empty(d, np.int64)
    errors.guide(cumulative, table)
    sizes = np.array([1, 2, 7, 12, 40, 41])
    out = np.empty((len(sizes), 3))
    errors.replacement_errors(
        given, lengths, centre, cumulative, table, sizes, np.random.default_rng(1), out
    )
    uniforms = np.random.default_rng(1).random((3, sizes[-1]))
    drawn = np.searchsorted(cumulative, uniforms, side="right")
    for size, row in zip(sizes, out, strict=True):
        assert_errors(row, np.sum((full[drawn[:, :size]].mean(axis=1) - centre) ** 2, axis=1))
    counts = np.full((len(sizes), 3, d), np.nan)
    errors.replacement_counts(cumulative, table, sizes, np.random.default_rng(1), counts)
    for size, rows in zip(sizes, counts, strict=True):
        for row, trial in zip(rows, drawn, strict=True):
            assert row.tolist() == np.bincount(trial[:size], minlength=d).tolist()


@pytest.mark.parametrize("limit", [0.0, 0.2, 1e9])
@pytest.mark.parametrize("poisson", [True, False])
@pytest.mark.parametrize("d", [1, 2, 9, 16, 300])
def test_errors_of_ranks_replayed(d, poisson, limit):
    """Thresholds so low that large weights are at the cap, and limits that too few ranks reach."""
    given, lengths, full = terms(d, 3, d + 50)
    centre = np.array([0.5, -1.0, 2.0])
    p = np.random.default_rng(d + 60).random(d) ** 2 + 1e-3
    p /= p.sum()
    sizes = np.unique([1, 2, d // 2, d - 1, d])
    sizes = sizes[(sizes > 0) & (sizes <= d)]
    taus = 0.9 * p.max() / np.arange(1, len(sizes) + 1) if poisson else np.zeros(len(sizes))
    order = np.argsort(-p, kind="stable")
    limit = taus[-1] if poisson else limit
    out = np.empty((len(sizes), 4))
    errors.rank_errors(
        given, lengths, centre, p, order, taus, limit, sizes, np.random.default_rng(2), out
    )
    for trial, v in enumerate(1 - np.random.default_rng(2).random((4, d))):
        for k, size in enumerate(sizes):
            ranks = p / v
            tau = taus[k] if poisson else np.append(np.sort(ranks)[::-1], 0.0)[size]
            kept = ranks >= tau if poisson else ranks > tau
            mask = kept * np.maximum(1.0, tau / p)
            assert_errors(out[k, trial], np.sum((mask @ full - centre) ** 2))


@pytest.mark.parametrize("d", [1, 2, 9])
def test_errors_of_systematic_samples_replayed(d):
    given, lengths, full = terms(d, 3, d + 70)
    centre = np.array([0.5, -1.0, 2.0])
    p = np.random.default_rng(d).random(d) + 0.1
    pi = np.array([reference.inclusion_by_filling(p, s) for s in range(1, d + 1)])
    ends = np.cumsum(pi, axis=1)
    ends[:, -1] = np.arange(1, d + 1)
    out = np.empty((d, 5))
    errors.systematic_errors(given, lengths, centre, ends, 1 / pi, np.random.default_rng(4), out)
    starts = 1 - np.random.default_rng(4).random((5, d))
    for trial, s in np.ndindex(5, d):
        # Points start, start + 1, ...: an entry is kept for the one in its stretch.
        points = starts[trial, s] + np.arange(s + 1)
        mask = np.bincount(np.searchsorted(ends[s], points), minlength=d) / pi[s]
        assert_errors(out[s, trial], np.sum((mask @ full - centre) ** 2))


def test_uniforms_that_hit_an_end():
    """An interval holds its lower end where entries are drawn, its upper end on a walk."""
    full, one = np.full(4, 4), np.array([4])
    out = np.full((1, 1), np.nan)
    cumulative = np.array([0.25, 0.5, 0.75, np.inf])
    interpreted(errors.replacement_errors)(
        np.diag([1.0, 2, 4, 8]),
        full,
        np.array([1.0, 2, 4, 8]) / 4,
        cumulative,
        np.array([0]),
        one,
        Scripted(0.0, 0.25, 0.5, 0.75),
        out,
    )
    assert out[0, 0] == 0.0
    ends, weights = np.array([[0.5, 1.5, 2.0]]), np.array([[2.0, 1.0, 2.0]])
    centre = np.array([2.0, 1.0, 0.0])
    interpreted(errors.systematic_errors)(
        np.eye(3), np.full(3, 3), centre, ends, weights, Scripted(0.5), out
    )
    assert out[0, 0] == 0.0


def test_a_rank_at_the_threshold_is_kept():
    """With v = 1 the rank is p itself, and the weight of an entry at the cap is 1."""
    p, tau = np.array([0.5, 0.25, 0.25]), np.array([0.5])
    out = np.full((1, 1), np.nan)
    interpreted(errors.rank_errors)(
        np.eye(3),
        np.full(3, 3),
        np.array([1.0, 0.0, 0.0]),
        p,
        np.arange(3),
        tau,
        0.5,
        np.array([1]),
        Scripted(0.0, 0.0, 0.0),
        out,
    )
    assert out[0, 0] == 0.0


# --- moments --------------------------------------------------------------------------------------


def test_a_walk_over_starts_loses_no_digit():
    """Two entries at a time; one of weight 1e14 comes and goes, and what it was added to stays."""
    rng = np.random.default_rng(6)
    C, first = rng.normal(size=(7, 3)), np.array([1, 0, 0, 0, 1, 0, 0])
    inverse = np.array([2.0, 3.0, 1e14, 1.5, 4.0, 1.0, 2.5])
    order = np.array([0, 4, 1, 2, 5, 3])
    lengths = np.array([0.3, 0.1, 0.0, 1e-28, 0.2, 0.15, 0.25])
    expected, kept = 0.0, first.copy()
    for length, i in zip(lengths, [*order, None], strict=True):
        parts = np.concatenate([-C, (kept * inverse)[:, None] * C])
        expected += length * sum(math.fsum(column) ** 2 for column in parts.T)
        if i is not None:
            kept[[i, i + 1]] += [-1, 1]
    out = np.empty(len(lengths))
    moments.systematic(C, inverse, first, order, out)
    assert np.square(np.sqrt(lengths) * out).sum() == pytest.approx(expected, rel=EXACT)


@pytest.mark.parametrize(("d", "s"), [(3, 2), (12, 5), (70, 2), (70, 6), (70, 60)])
def test_integrand_of_priority(d, s):
    """Nodes from where almost nobody is above to where almost everybody is."""
    p = -np.sort(-(np.random.default_rng(d).random(d) ** 3) - 1e-4)
    gains = np.random.default_rng(s).random(d)
    nodes = np.array([1e-3, 0.1, 0.4, 0.7, 0.9, 0.99]) / p[s]
    out = np.empty(len(nodes))
    moments.priority(p, gains, s, nodes, out)
    expected = [reference.priority_integrand(p, gains, s, z) for z in nodes]
    np.testing.assert_allclose(out, expected, rtol=EXACT)


def test_integrand_of_priority_of_many_equal_weights():
    """The law is cut ten deviations above its mean, where nothing of it is left."""
    d, s, z = 600, 360, 0.6
    out = np.empty(1)
    moments.priority(np.ones(d), np.ones(d), s, np.array([z]), out)
    expected = d * scipy.stats.binom.sf(s - 1, d - 1, z) / z**2
    np.testing.assert_allclose(out, expected, rtol=EXACT)


# --- closed-form training -------------------------------------------------------------------------


@pytest.mark.parametrize("count", range(1, 11))
@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_factor_with_dropping(count, penalty):
    """Any set of dependent features: in every place of a group of four, or the whole of it."""
    rng = np.random.default_rng(count)
    for chance in (0.0, 0.3, 0.8):
        A = rng.normal(size=(30, 12))
        for j in range(1, 12):
            if rng.random() < chance:
                A[:, j] = A[:, :j] @ rng.integers(-1, 2, j)
        H = A.T @ A
        features = rng.permutation(12)[:count] if chance < 0.8 else np.arange(count)
        ridge = penalty * rng.random(count)
        kept, L = np.full(count, -1), np.full((count, count), np.nan)
        rank = regression.cholesky(H, features, ridge, 1e-9, kept, L)
        expected, factor = reference.dropped_cholesky(H, features, ridge, 1e-9)
        assert kept[:rank].tolist() == expected
        triangle = np.tril(np.nan_to_num(L[:rank, :rank]))
        np.testing.assert_allclose(triangle, factor, rtol=0, atol=EXACT * np.sqrt(H.max()))

        # Entries beyond the rank are not touched, and rows of L beyond it not read.
        right = rng.normal(size=(3, count))
        solution = right.copy()
        L[rank:] = np.nan
        regression.solve(L, rank, solution)
        small = right[:, :rank]
        back = solution[:, :rank] @ factor @ factor.T
        np.testing.assert_allclose(back, small, rtol=0, atol=EXACT * np.linalg.cond(factor) ** 2)
        assert (solution[:, rank:] == right[:, rank:]).all()


def test_a_pivot_at_the_threshold_is_left_out():
    H = np.array([[4.0, 2.0], [2.0, 2.0]])
    kept, L = np.empty(2, np.int64), np.zeros((2, 2))
    # The second pivot is 1, half of its diagonal entry.
    assert regression.cholesky(H, np.arange(2), np.zeros(2), 0.5, kept, L) == 1
    assert regression.cholesky(H, np.arange(2), np.zeros(2), 0.5 - EXACT, kept, L) == 2
    H[0, 0] = np.nan
    assert regression.cholesky(H, np.arange(2), np.zeros(2), 0.5, kept, L) == 1
    assert kept[0] == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (5, 9), (9, 5)])
@pytest.mark.parametrize("dependent", [False, True])
def test_losses_of_prefixes(shape, dependent):
    rng = np.random.default_rng(shape)
    A, C = rng.normal(size=shape), rng.normal(size=(3, shape[1]))
    if dependent:
        A[0] = 0
        A[2::3] = -2 * A[1::3][: len(A[2::3])]
    room = min(shape)
    V, out = np.full((room, shape[1]), np.nan), np.empty((shape[0], 3))
    expected = reference.prefix_losses(A.T, C.T, range(shape[0]))
    regression.prefix_losses(A.copy(), C.copy(), EXACT, V, out)
    np.testing.assert_allclose(out, expected, rtol=EXACT, atol=EXACT)


def test_a_feature_at_the_tolerance_makes_no_reflector():
    for tolerance, expected in ((2.0, [9.0, 4.0]), (2.0 - EXACT, [5.0, 0.0])):
        A, C = np.array([[-2.0, 0.0], [0.0, 3.0]]), np.array([[2.0, np.sqrt(5.0)]])
        out = np.empty((2, 1))
        regression.prefix_losses(A, C, tolerance, np.empty((2, 2)), out)
        np.testing.assert_allclose(out[:, 0], expected, atol=EXACT)
