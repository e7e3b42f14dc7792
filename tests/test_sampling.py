"""Draws and masks: sure properties, edges, errors."""

from __future__ import annotations

from threading import Event
from types import SimpleNamespace

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from strategies import sized_weights

from lth_sketch.inclusion import checked
from lth_sketch.kernels import draws, walks
from lth_sketch.parallel import blockwise
from lth_sketch.sampling import _ranks, _systematic, draw, mask, masks
from lth_sketch.tolerances import EXACT, SINGLE

DESIGNS = ("multinomial", "poisson", "systematic", "priority", "top")
UNBIASED = DESIGNS[:4]
FIXED = DESIGNS[2:]
P = np.array([0.1, 0.0, 0.3, 0.05, 0.25, 0.3])


@pytest.fixture
def blocks(monkeypatch):
    """Blocks so short that a few weights fill several of them."""
    monkeypatch.setattr(blockwise, "BLOCK", 4)
    monkeypatch.setattr(draws, "BATCH", 3)


# --- what holds for every draw --------------------------------------------------------------------


@pytest.mark.parametrize("design", DESIGNS)
@given(case=sized_weights(max_size=30), seed=st.integers(0, 99), block=st.sampled_from([4, 1000]))
def test_sure_properties(design, case, seed, block):
    p, s = case
    before = p.copy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blockwise, "BLOCK", block)
        indices, weights = draw(p, s, design=design, rng=seed)
        many = masks(p, s, 3, design=design, rng=seed)
    assert (p == before).all()
    assert (indices.dtype, weights.dtype) == (np.int64, np.float64)
    assert (np.diff(indices) > 0).all()
    assert (p[indices] > 0).all()
    assert np.isfinite(weights).all()
    assert (p[many.indices] > 0).all()
    if design in FIXED:
        assert len(indices) == s
        assert (np.diff(many.indptr) == s).all()
    if design in UNBIASED[1:]:
        assert (weights >= 1).all()
    if design == "multinomial":
        assert weights @ (p[indices] / p.sum()) == pytest.approx(1, rel=EXACT)


@pytest.mark.parametrize("design", ["poisson", "priority"])
@given(case=sized_weights(max_size=30), seed=st.integers(0, 99), block=st.sampled_from([4, 1000]))
def test_masks_are_nested_in_s(design, case, seed, block):
    p, s = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blockwise, "BLOCK", block)
        small = mask(p, s, design=design, rng=seed) > 0
        for larger in range(s + 1, np.count_nonzero(p) + 1):
            large = mask(p, larger, design=design, rng=seed) > 0
            assert (small <= large).all()
            small = large
        one, two = (masks(p, k, 4, design=design, rng=seed).toarray() > 0 for k in (1, s))
    assert (one <= two).all()


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("design", DESIGNS)
def test_same_bits_for_any_number_of_threads(design, single, size):
    d = size(300_000, 50)
    p = np.random.default_rng(9).random(d).astype(np.float32 if single else np.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blockwise, "BLOCK", size(blockwise.BLOCK, 8))
        ones = draw(p, d // 5, design=design, rng=10, n_jobs=1)
        rows = masks(p[:40], 7, 30, design=design, rng=10, n_jobs=1)
        for n_jobs in (2, 4):
            more = draw(p, d // 5, design=design, rng=10, n_jobs=n_jobs)
            for a, b in zip(ones, more, strict=True):
                assert (a == b).all()
            again = masks(p[:40], 7, 30, design=design, rng=10, n_jobs=n_jobs)
            assert (again != rows).nnz == 0
    assert ones[1].dtype == rows.dtype == p.dtype
    # As scipy has it: no wider than the indices ask for.
    assert rows.indices.dtype == rows.indptr.dtype == np.int32


@pytest.mark.parametrize("design", DESIGNS)
def test_float32_weights_are_added_up_in_float64(design, size):
    """Sums in float32 would shift the draws: they are those of the same numbers in float64."""
    d = size(100_000, 2_000)
    single = np.random.default_rng(20).random(d, dtype=np.float32)
    double = single.astype(np.float64)
    assert checked.survey(single).total == pytest.approx(double.sum(), rel=EXACT)
    indices, weights = draw(single, d // 3, design=design, rng=21)
    expected = draw(double, d // 3, design=design, rng=21)
    assert (indices == expected[0]).all()
    assert weights == pytest.approx(expected[1], rel=SINGLE)


@pytest.mark.parametrize("design", UNBIASED)
def test_a_generator_moves_on(design, blocks):
    for p in (P, P[2:]):
        rng = np.random.default_rng(11)
        first, second = (
            [draw(p, 2, design=design, rng=rng)[0].tolist() for _ in range(8)] for _ in range(2)
        )
        assert first != second
        rows = [masks(p, 2, 8, design=design, rng=rng).toarray() for _ in range(2)]
        assert (rows[0] != rows[1]).any()


@pytest.mark.parametrize("design", DESIGNS)
def test_binary_masks_and_dtypes(design):
    for dtype in (np.float32, np.float64):
        p = P.astype(dtype)
        weighted = mask(p, 3, design=design, rng=12)
        binary = mask(p, 3, design=design, rng=12, binary=True)
        assert weighted.dtype == binary.dtype == dtype
        assert ((weighted > 0) == binary).all()
        assert set(binary) == {0, 1}
        rows = masks(p, 3, 5, design=design, rng=12)
        marks = masks(p, 3, 5, design=design, rng=12, binary=True)
        assert rows.dtype == marks.dtype == dtype
        assert ((rows.toarray() > 0) == marks.toarray()).all()
    single, double = (mask(p, 3, design=design, rng=12) for p in (P.astype(np.float32), P))
    assert single == pytest.approx(double, rel=SINGLE)


@pytest.mark.parametrize("design", DESIGNS)
def test_forms_of_p(design, blocks):
    whole = np.array([1, 0, 6, 2, 5, 4])
    frozen = whole.astype(float)
    frozen.flags.writeable = False
    strided = np.repeat(whole.astype(float), 2)[::2]
    swapped = whole.astype(">f8")
    signed = np.where(whole == 0, -0.0, whole)
    expected = draw(whole.astype(float), 4, design=design, rng=13)
    for p in (whole, whole.tolist(), frozen, strided, swapped, signed):
        for a, b in zip(draw(p, 4, design=design, rng=13), expected, strict=True):
            assert (a == b).all()
    # p is normalised: sums that overflow and weights without all their bits do no harm.
    for exponent in (-1074, 1021):
        p = np.ldexp(whole.astype(float), exponent)
        for a, b in zip(draw(p, 4, design=design, rng=13), expected, strict=True):
            assert a == pytest.approx(b, rel=EXACT)


# --- edges ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", range(1, 10))
def test_every_block_is_in_one_share(threads):
    for count in range(1, 50):
        parts = blockwise.share(list, count, threads)
        assert sorted(b for part in parts for b in part) == list(range(count))


@pytest.mark.parametrize("design", DESIGNS)
def test_one_weight(design):
    assert mask([3.0], 1, design=design, rng=0).tolist() == [1.0]
    assert masks([3.0], 1, 2, design=design, rng=0).toarray().tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize("design", DESIGNS)
def test_the_last_index_can_be_drawn_and_zeros_cannot(design, blocks):
    p = np.zeros(23)
    p[[5, 22]] = 1.0
    rng = np.random.default_rng(14)
    seen = {int(i) for _ in range(60) for i in draw(p, 1, design=design, rng=rng)[0]}
    assert seen == ({5} if design == "top" else {5, 22})
    assert draw(p, 2, design="top")[0].tolist() == [5, 22]


@pytest.mark.parametrize("design", DESIGNS[1:])
def test_all_nonzero_are_kept_when_s_is_their_number(design):
    # The sum of these rounds up: s p_i / sum would stay below 1.
    p = np.array([0.1, 0.0, 0.1, 0.1])
    assert mask(p, 3, design=design, rng=23).tolist() == [1, 0, 1, 1]
    assert masks(p, 3, 2, design=design, rng=23).toarray().tolist() == [[1, 0, 1, 1]] * 2


@pytest.mark.parametrize("d", [1, 2, 255, 256, 257, 300])
@pytest.mark.parametrize("design", DESIGNS[1:])
def test_all_are_kept_when_s_is_their_number(design, d):
    p = np.random.default_rng(d).random(d) + 0.1
    assert (mask(p, d, design=design, rng=24) == 1).all()
    assert (masks(p, d, 2, design=design, rng=24).toarray() == 1).all()


def test_uniforms_beyond_the_running_sum_go_to_the_last_entry_that_counts():
    p = np.array([0.5, 0.5, 0.0, 1e-300, 0.0])
    scratch = draws.merge_scratch(5, 400)
    # Half of the uniforms lie beyond the sum of 1: as if it had been rounded down by that much.
    n = draws.multinomial(p, 2.0, 400, np.random.default_rng(15), scratch)
    assert scratch.positions[:n].tolist() == [0, 1]
    # Three quarters of the draws, within seven standard deviations.
    assert scratch.counts[:n].sum() == 400
    assert abs(scratch.counts[1] - 300) < 7 * np.sqrt(75)


@pytest.mark.parametrize("design", DESIGNS)
def test_three_hundred_orders_of_magnitude(design, blocks):
    p = 10.0 ** -np.arange(0.0, 301.0, 25.0)
    for s in (1, 5, 13):
        drawn = mask(p, s, design=design, rng=16)
        assert np.isfinite(drawn).all()
        assert design == "multinomial" or drawn[0] == pytest.approx(1)
        assert design not in FIXED or np.count_nonzero(drawn) == s


@pytest.mark.parametrize("exponent", [-945, -1000])
def test_systematic_threshold_of_the_smallest_numbers(exponent, blocks):
    """The steps are those of weights of order one, down to where 1 / tau would overflow."""
    plain, tiny = np.array([4.0, 3, 1, 2, 2]), np.ldexp([0.0, 3, 1, 2, 2], exponent)
    tiny[0] = 2.0**-200
    for seed in range(9):
        small, expected = (draw(p, 3, design="systematic", rng=seed) for p in (tiny, plain))
        assert [x.tolist() for x in small] == [x.tolist() for x in expected]
    small, expected = (masks(p, 3, 10, design="systematic", rng=1) for p in (tiny, plain))
    assert small.toarray().tolist() == expected.toarray().tolist()


def test_lifting_changes_no_digit():
    p, tau = np.array([5e-324, 3e-300, 0.0, 0.7]), _systematic.SMALL / 3
    for before, after in zip((p, tau), _systematic._lifted(p, tau), strict=True):
        np.testing.assert_array_equal(np.frexp(after)[0], np.frexp(before)[0])


def test_every_block_starts_from_a_fraction_of_a_unit(monkeypatch, blocks):
    seen = []
    walk = walks.systematic

    def recorded(p, tau, phase, *rest):
        seen.append(phase)
        walk(p, tau, phase, *rest)

    monkeypatch.setattr(walks, "systematic", recorded)
    for seed in range(9):
        draw(np.ones(15), 6, design="systematic", rng=seed)
    assert len(seen) == 9 * 4
    assert all(0 <= phase < walks.UNIT for phase in seen)


def test_a_block_that_fails_leaves_no_other_waiting():
    waiting = Event()

    def work(b, place):
        if b == 0:
            waiting.wait()
            raise ZeroDivisionError
        waiting.set()
        place(1)

    with pytest.raises(ZeroDivisionError):
        blockwise.chain(work, 4, 2)


def test_systematic_starts_make_up_for_rounding():
    """A walk longer or shorter than s units still completes s of them, from every start."""
    rng = np.random.default_rng(22)
    for excess in (-walks.UNIT // 2, 0, walks.UNIT // 2):
        length = 5 * walks.UNIT + excess
        for phase in _systematic._phases(length, 5, rng, 50):
            assert 0 <= phase < walks.UNIT
            assert (int(phase) + length) >> walks.FRACTION == 5


@pytest.mark.parametrize("excess", [-walks.UNIT // 3, -2, -1, 0, 1, 2, walks.UNIT // 3])
def test_systematic_starts_are_all_that_complete_the_number(excess):
    class Ends:
        def integers(self, low, high, size):
            return np.array([low, high])

    length = 5 * walks.UNIT + excess
    low, high = (int(end) for end in _systematic._phases(length, 5, Ends(), 2))
    starts = [low - 1, low, high - 1, high]
    complete = [0 <= x < walks.UNIT and (x + length) >> walks.FRACTION == 5 for x in starts]
    assert complete == [False, True, True, False]


@pytest.mark.parametrize("excess", [-0.5, 0.5])
def test_a_walk_that_completes_another_number_is_walked_again(monkeypatch, excess):
    """As if rounding had made it half a unit longer or shorter: s of them from every seed."""
    threshold = checked.threshold
    monkeypatch.setattr(blockwise, "BLOCK", 7)
    monkeypatch.setattr(
        checked, "threshold", lambda count, s, threads: threshold(count, s) * s / (s + excess)
    )
    p = np.random.default_rng(29).random(50) + 0.5
    for seed in range(20):
        indices, weights = draw(p, 9, design="systematic", rng=seed)
        assert len(indices) == len(weights) == 9
        assert (np.diff(indices) > 0).all()
        assert (weights > 1).all()


@pytest.mark.parametrize(
    ("d", "s", "size", "most", "dtype"),
    [(4, 3, 2, 6, "i4"), (4, 3, 2, 5, "i8"), (9, 1, 1, 9, "i4"), (9, 1, 1, 8, "i8")],
)
def test_wide_indices_where_the_narrow_ones_end(d, s, size, most, dtype, monkeypatch):
    """As if int32 ended at `most`: neither entries nor columns may pass it."""
    iinfo = np.iinfo
    narrow = SimpleNamespace(min=-most - 1, max=most)
    monkeypatch.setattr(np, "iinfo", lambda t: narrow if t == np.int32 else iinfo(t))
    rows = masks(np.arange(1.0, d + 1), s, size, design="top")
    assert rows.indices.dtype == rows.indptr.dtype == dtype
    assert rows.indices.tolist() == list(range(d - s, d)) * size


def test_ties_keep_exactly_s(blocks):
    p = np.array([1.0, 2, 1, 1, 1, 2, 1, 1, 1])
    for s in range(1, 10):
        assert np.flatnonzero(mask(p, s, design="top")).tolist() == reference.top_set(p, s)
        assert (
            masks(p, s, 2, design="top").toarray()[1].tolist() == mask(p, s, design="top").tolist()
        )


# The second one ties at the ends of the bins that ranks are counted in, powers of two times n/16.
@pytest.mark.parametrize("values", [[1.0, 2.0], [1.0, 1.0625], [0.96875, 1.0], [1.9375, 2.0]])
def test_equal_ranks_keep_exactly_s(values, monkeypatch):
    """Ranks of equal value do not occur in practice; the size is exact even then."""
    monkeypatch.setattr(_ranks, "_drawn_ranks", lambda p, rng, out: np.add(p, 0.0, out=out))
    p = np.array(values)[[0, 1, 0, 0, 0, 1, 0, 0, 0]]
    for s in range(1, 9):
        for block in (4, 1000):
            monkeypatch.setattr(blockwise, "BLOCK", block)
            indices, weights = draw(p, s, design="priority", rng=0)
            assert indices.tolist() == reference.top_set(p, s)
            tau = np.sort(p)[-1 - s]
            assert weights.tolist() == np.maximum(1.0, tau / p[indices]).tolist()
        rows = masks(p, s, 2, design="priority", rng=0)
        assert rows.indices.tolist() == reference.top_set(p, s) * 2
        assert rows.data.tolist() == weights.tolist() * 2


def test_an_entry_at_the_cap_is_kept_at_any_uniform(monkeypatch):
    # With v = 1 the rank is p itself: the threshold is reached, not passed.
    monkeypatch.setattr(_ranks, "_drawn_ranks", lambda p, rng, out: np.add(p, 0.0, out=out))
    assert mask([2.0, 1.0, 1.0], 2, design="poisson", rng=0).tolist() == [1, 0, 0]
    rows = masks([2.0, 1.0, 1.0], 2, 2, design="poisson", rng=0)
    assert rows.toarray().tolist() == [[1, 0, 0]] * 2


BAD = [
    ({"p": [1.0, -0.5]}, ValueError, r"p must be >= 0; got p\[1\] = -0.5"),
    ({"p": np.array([1.0, np.nan])}, ValueError, r"p must be finite; got p\[1\] = nan"),
    ({"p": np.array([np.inf, 1.0])}, ValueError, r"p must be finite; got p\[0\] = inf"),
    ({"p": np.zeros(3)}, ValueError, "p must have an entry > 0; all 3 are zero"),
    ({"p": []}, ValueError, "p must not be empty"),
    ({"p": np.array([])}, ValueError, "p must not be empty"),
    ({"p": np.ones((2, 2))}, ValueError, "p must have 1 axes"),
    ({"p": np.array(1.0)}, ValueError, "p must have 1 axes"),
    ({"p": np.ones(2, complex)}, TypeError, "p must hold real numbers"),
    ({"s": 0}, ValueError, "s must be at least 1; got 0"),
    ({"s": 1.5}, TypeError, "s must be an integer; got 1.5"),
    ({"s": True}, TypeError, "s must be an integer; got True"),
    ({"design": "bernoulli"}, ValueError, "design must be one of conditional, .*, poisson"),
    ({"rng": "seed"}, TypeError, "rng must be a numpy.random.Generator"),
    ({"s": 4, "design": "top"}, ValueError, "s must be at most d = 3 for the design .top.; got 4"),
    (
        {"s": 3, "design": "priority"},
        ValueError,
        "only 'multinomial' and 'hybrid' draw with replacement",
    ),
]


@pytest.mark.parametrize(("changes", "error", "message"), BAD)
def test_errors(changes, error, message):
    arguments = {"p": np.array([1.0, 2.0, 0.0]), "s": 1} | changes
    for function in (draw, mask, lambda p, s, **rest: masks(p, s, 2, **rest)):
        with pytest.raises(error, match=message):
            function(**arguments)


@pytest.mark.parametrize("function", [draw, mask, masks])
def test_every_argument_has_a_name(function):
    options = {"design": "top", "rng": 0}
    rows = {"size": 2} if function is masks else {}
    function(p=P, s=2, **rows, **options)
    with pytest.raises(TypeError, match="positional"):
        function(P, 2, *rows.values(), *options.values())


def test_errors_of_masks_and_threads():
    with pytest.raises(ValueError, match="size must be at least 1; got 0"):
        masks([1.0], 1, 0)
    with pytest.raises(ValueError, match="n_jobs must be at least 1; got 0"):
        masks([1.0], 1, 1, n_jobs=0)
    with pytest.raises(TypeError, match="n_jobs must be an integer"):
        draw([1.0], 1, n_jobs=1.5)
