"""From scores to masks: counts, ties, floors, layers that are emptied, and the shuffle control."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from lth_sketch import pruning
from lth_sketch.tolerances import EXACT, SINGLE

DRAWN = ("multinomial", "poisson", "priority", "systematic")
CLOSED = ("multinomial", "poisson", "systematic", "top")
# Each statistical test allows this many standard errors: a risk below 1e-11 a comparison.
SIGMAS = 7


@st.composite
def layers(draw, positive=True, max_size=5):
    """One to three layers of integer scores, with ties and (one entry a layer at least) zeros."""
    sizes = draw(st.lists(st.integers(1, max_size), min_size=1, max_size=3))
    entries = st.integers(1 if positive else -3, 4)
    layers = [np.array(draw(st.lists(entries, min_size=n, max_size=n)), float) for n in sizes]
    for layer in layers:
        layer[0] = layer[0] or 1.0
    return layers


def flat(masks):
    return np.concatenate([np.ravel(layer) for layer in masks])


def size(masks):
    return sum(layer.size for layer in masks)


# --- counts, ties, floors -----------------------------------------------------------------------


@given(layers(positive=False), st.floats(0.01, 1.0))
def test_top_keeps_exactly_k_and_the_first_of_equals(scores, density):
    d = size(scores)
    kept = math.floor(density * d + 0.5)
    if kept == 0:
        return
    masks = pruning.select(scores, density)
    order = sorted(range(d), key=lambda i: (-flat(scores)[i], i))
    assert np.flatnonzero(flat(masks)).tolist() == sorted(order[:kept])
    assert set(flat(masks)) <= {0.0, 1.0}
    assert [mask.shape for mask in masks] == [layer.shape for layer in scores]


@pytest.mark.parametrize("kept", [1, 3, 6])
def test_ties_keep_neither_none_nor_all(kept):
    for scores in (np.ones((2, 3)), -np.ones((2, 3))):
        mask = pruning.select(scores, kept / 6)
        assert mask.ravel().tolist() == [1.0] * kept + [0.0] * (6 - kept)
    # A signed zero is a zero.
    assert pruning.select([0.0, -0.0, -1.0], 1 / 3).tolist() == [1, 0, 0]


@given(
    layers(),
    st.floats(0.05, 1.0),
    st.integers(0, 2),
    st.sampled_from(["global", "layer"]),
    st.sampled_from([*DRAWN, "top"]),
    st.integers(0, 2**20),
)
def test_counts_and_floors(scores, density, floor, scope, design, seed):
    d = size(scores)
    kept = math.floor(density * d + 0.5)
    if kept < max(1, floor * len(scores)) or floor > min(layer.size for layer in scores):
        return
    masks = pruning.select(
        scores, density, design=design, scope=scope, floor=floor, rng=seed, binary=False
    )
    counts = [np.count_nonzero(mask) for mask in masks]
    if design in ("priority", "systematic", "top"):
        assert sum(counts) == kept
    assert min(counts) >= floor
    for layer, mask in zip(scores, masks, strict=True):
        best = sorted(range(len(layer)), key=lambda i, layer=layer: (-layer[i], i))[:floor]
        assert (mask[best] == 1.0).all()
        assert (mask[mask > 0] >= (1.0 if design not in ("multinomial", "top") else 0.0)).all()
    if kept == d:
        assert flat(masks).tolist() == [1.0] * d


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.floats(0.01, 1.0), st.data())
def test_shares_of_layers(sizes, density, data):
    d, count = sum(sizes), len(sizes)
    kept = math.floor(density * d + 0.5)
    if kept == 0:
        return
    floor = data.draw(st.integers(0, min(kept // count, *sizes)))
    scores = [np.random.default_rng(n).random(n) for n in sizes]
    masks = pruning.select(scores, density, scope="layer", floor=floor)
    counts = np.array([mask.sum() for mask in masks], dtype=int)
    assert counts.sum() == kept
    assert (counts >= floor).all()
    quotas = np.array(sizes) * kept / d
    if floor == 0:
        assert (np.abs(counts - quotas) < 1 + EXACT).all()
        rounded = np.floor(quotas + 0.5)
        halves = np.abs(quotas % 1 - 0.5) < EXACT * d
        if rounded.sum() == kept and not halves.any():
            assert counts.tolist() == rounded.tolist()
    # A layer above its floor has no more than its share of what is left.
    assert (counts[counts > floor] < quotas[counts > floor] + 1 + EXACT).all()
    for layer, mask, number in zip(scores, masks, counts, strict=True):
        assert layer[mask == 1].min(initial=2.0) >= layer[mask == 0].max(initial=0.0) or number == 0


def test_a_layer_that_the_largest_leave_empty():
    scores = [np.array([[5.0, 4.0], [3.0, 6.0]]), np.array([1.0, 2.0])]
    masks = pruning.select(scores, 0.5)
    assert [mask.tolist() for mask in masks] == [[[1, 1], [0, 1]], [0, 0]]
    assert pruning.emptied(scores, 0.5).tolist() == [0, 1]
    masks = pruning.select(scores, 0.5, floor=1)
    assert [mask.tolist() for mask in masks] == [[[1, 0], [0, 1]], [0, 1]]
    assert pruning.emptied(scores, 0.5, floor=1).tolist() == [0, 0]
    masks = pruning.select(scores, 0.5, scope="layer")
    assert [mask.tolist() for mask in masks] == [[[1, 0], [0, 1]], [0, 1]]
    assert pruning.emptied(scores, 0.2, scope="layer").tolist() == [0, 1]


# --- the probability that a layer is emptied ----------------------------------------------------


def kept_sets(p, kept, design):
    """Every kept set of a design with its probability, by enumeration."""
    d = len(p)
    if design == "poisson":
        pi = reference.inclusion_by_filling(p, kept)
        for inside in itertools.product([0, 1], repeat=d):
            chance = math.prod(a if i else 1 - a for i, a in zip(inside, pi, strict=True))
            yield [i for i in range(d) if inside[i]], chance
    elif design == "systematic":
        yield from reference.systematic_sets(reference.inclusion_by_filling(p, kept))
    else:
        expected = [np.sum(1 - (1 - p) ** s) for s in range(60)]
        s = max(s for s in range(60) if expected[s] <= kept * (1 + EXACT))
        more = (kept - expected[s]) / (expected[s + 1] - expected[s])
        for draws, share in ((s, 1 - more), (s + 1, more)):
            for inside in itertools.product([0, 1], repeat=d):
                live = [i for i in range(d) if inside[i]]
                # Inclusion and exclusion over the set that is hit.
                chance = sum(
                    (-1) ** (len(live) - r) * sum(p[list(some)]) ** draws
                    for r in range(len(live) + 1)
                    for some in itertools.combinations(live, r)
                )
                yield live, share * chance


@given(layers(max_size=3), st.floats(0.1, 0.99), st.sampled_from(DRAWN))
def test_emptied_is_exact(scores, density, design):
    d = size(scores)
    kept = math.floor(density * d + 0.5)
    if kept == 0 or kept == d or design == "priority":
        return
    p = flat(scores) / flat(scores).sum()
    owner = np.repeat(range(len(scores)), [layer.size for layer in scores])
    wanted = np.zeros(len(scores))
    total = mean = 0.0
    for live, chance in kept_sets(p, kept, design):
        wanted[[layer for layer in range(len(scores)) if layer not in owner[live]]] += chance
        total, mean = total + chance, mean + len(live) * chance
    assert total == pytest.approx(1, abs=EXACT)
    assert mean == pytest.approx(kept, rel=EXACT)
    got = pruning.emptied(scores, density, design=design)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=2 * EXACT)
    assert not pruning.emptied(scores[:1], 1.0, design=design).any()


@given(st.lists(st.floats(0.01, 9.0), min_size=1, max_size=40), st.data())
def test_every_design_keeps_k_on_average(entries, data):
    kept = data.draw(st.integers(1, len(entries)))
    # Layers of one entry: what is emptied is what is not kept.
    singles = [np.array([entry]) for entry in entries]
    for design in CLOSED:
        empty = pruning.emptied(singles, kept / len(entries), design=design)
        assert ((empty >= 0) & (empty <= 1)).all()
        assert (1 - empty).sum() == pytest.approx(kept, rel=EXACT)


def test_emptied_where_layers_do_not_compete():
    scores = [np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 1.0])]
    for design in ("multinomial", "priority", "systematic", "top"):
        got = pruning.emptied(scores, 0.5, design=design, scope="layer")
        assert got.tolist() == [0, 0]
    # Two of four and one of two, each by itself: pi = (.2, .4, .6, .8) and (.5, .5).
    got = pruning.emptied(scores, 0.5, design="poisson", scope="layer")
    np.testing.assert_allclose(got, [0.8 * 0.6 * 0.4 * 0.2, 0.25], rtol=EXACT)
    assert pruning.emptied(scores, 0.5, design="priority", floor=1).tolist() == [0, 0]


@pytest.mark.parametrize("design", DRAWN)
@pytest.mark.parametrize(("scope", "floor"), [("global", 0), ("global", 1), ("layer", 0)])
def test_draws_are_unbiased_and_keep_k(design, scope, floor, size):
    scores = [np.array([4.0, 1.0, 2.0]), np.array([[0.5, 0.3], [1.2, 2.0]])]
    rng, trials = np.random.default_rng(0), size(2000, 500)
    options = {"design": design, "scope": scope, "floor": floor, "binary": False, "rng": rng}
    masks = np.array([flat(pruning.select(scores, 4 / 7, **options)) for _ in range(trials)])
    errors = masks.std(axis=0) / np.sqrt(trials)
    assert (np.abs(masks.mean(axis=0) - 1) <= SIGMAS * errors + EXACT).all()
    counts = np.count_nonzero(masks, axis=1)
    spread = counts.std() / np.sqrt(trials)
    assert (spread == 0) == (design in ("priority", "systematic"))
    assert abs(counts.mean() - 4) <= SIGMAS * spread
    if design in CLOSED:
        chance = pruning.emptied(scores, 4 / 7, design=design, scope=scope, floor=floor)
        empty = [(masks[:, :3] == 0).all(axis=1).mean(), (masks[:, 3:] == 0).all(axis=1).mean()]
        assert (np.abs(empty - chance) <= SIGMAS * np.sqrt(chance / trials)).all()


# --- forms: logarithms, types, signs, shapes ----------------------------------------------------


@pytest.mark.parametrize("design", [*DRAWN, "top"])
@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("offset", [0.0, 1e4, -1e4])
def test_log_scores_select_as_the_scores_do(design, scope, offset):
    rng = np.random.default_rng(0)
    scores = [rng.exponential(size=(5, 4)), 1e-3 * rng.exponential(size=8)]
    scores[0][0, 0] = 0.0
    with np.errstate(divide="ignore"):
        logs = [np.log(layer) + offset for layer in scores]
    options = {"design": design, "scope": scope, "binary": False, "floor": 1}
    for seed in range(5):
        plain = pruning.select(scores, 0.4, rng=seed, **options)
        got = pruning.select(logs, 0.4, rng=seed, log=True, **options)
        # An offset of 1e4 costs four digits of the logarithms.
        np.testing.assert_allclose(flat(got), flat(plain), rtol=1e4 * EXACT)
    if design in CLOSED:
        np.testing.assert_allclose(
            pruning.emptied(logs, 0.4, design=design, scope=scope, log=True),
            pruning.emptied(scores, 0.4, design=design, scope=scope),
            rtol=1e4 * EXACT,
        )


def test_a_layer_far_below_the_others_is_emptied():
    logs = [np.zeros(3), np.full(2, -2000.0)]
    for design in ("multinomial", "poisson", "systematic"):
        for density in (0.4, 0.6):
            # Two of three equal entries, each by itself, or so many that some are kept for sure.
            none = 1 / 27 if design == "poisson" and density == 0.4 else 0.0
            got = pruning.emptied(logs, density, design=design, log=True)
            np.testing.assert_allclose(got, [none, 1], rtol=EXACT, atol=0)
            masks = pruning.select(logs, density, design=design, log=True, rng=0)
            assert masks[1].tolist() == [0, 0]
        masks = pruning.select(logs, 0.6, design=design, log=True, rng=0, binary=False)
        assert masks[0].tolist() == [1, 1, 1]
        masks = pruning.select(logs, 0.8, design=design, log=True, floor=2, rng=0)
        assert masks[1].tolist() == [1, 1]
        assert len(pruning.select(logs, 0.6, design=design, log=True, scope="layer", rng=0)) == 2


def test_masks_have_the_type_of_the_scores_and_scores_stay():
    scores = [np.ones((2, 2), np.float32), np.arange(1.0, 4.0), np.arange(1, 4)]
    before = [layer.copy() for layer in scores]
    for design in (*DRAWN, "top"):
        masks = pruning.select(tuple(scores), 0.7, design=design, binary=False, rng=0)
        assert [mask.dtype for mask in masks] == [np.float32, np.float64, np.float64]
    for layer, old in zip(scores, before, strict=True):
        np.testing.assert_array_equal(layer, old)
    assert isinstance(pruning.select([scores[1]], 0.5), list)
    assert pruning.select([[1.0, 2.0], [3.0, 0.5]], 0.5).tolist() == [[0, 1], [1, 0]]
    logs = np.log(scores[0], dtype=np.float32)
    assert pruning.select(logs, 0.5, log=True, design="poisson", rng=0).dtype == np.float32


def test_float32_weights_of_a_mask_are_right():
    scores = np.arange(1, 9, dtype=np.float32)
    wide = pruning.select(scores.astype(float), 0.5, design="priority", binary=False, rng=3)
    narrow = pruning.select(scores, 0.5, design="priority", binary=False, rng=3)
    np.testing.assert_allclose(narrow, wide, rtol=SINGLE)


def test_signed_scores_are_ranked_but_not_drawn():
    scores = [np.array([1.0, 2.0]), np.array([-3.0, 0.5])]
    assert flat(pruning.select(scores, 0.75)).tolist() == [1, 1, 0, 1]
    with pytest.raises(ValueError, match=r"scores\[1\] has an entry below zero \(-3\.0\).*shift"):
        pruning.select(scores, 0.5, design="poisson")
    for how in ("shift", "absolute"):
        drawn = pruning.select(pruning.nonnegative(scores, how), 0.5, design="systematic", rng=0)
        assert flat(drawn).sum() == 2


def test_a_seed_gives_one_mask():
    scores = np.random.default_rng(0).random(200)
    for design in DRAWN:
        first, second, other = (
            pruning.select(scores, 0.3, design=design, rng=seed) for seed in (5, 5, 6)
        )
        np.testing.assert_array_equal(first, second)
        assert (first != other).any()


@pytest.mark.large
def test_long_scores():
    rng = np.random.default_rng(0)
    scores = [rng.exponential(size=(500, 400)), rng.exponential(size=300_000)]
    for design in (*DRAWN, "top"):
        masks = pruning.select(scores, 0.2, design=design, rng=1)
        kept = flat(masks).sum()
        if design in ("priority", "systematic", "top"):
            assert kept == 100_000
        else:
            assert abs(kept - 100_000) < SIGMAS * np.sqrt(100_000)


# --- the control --------------------------------------------------------------------------------


def test_the_shuffle_shuffles():
    rng = np.random.default_rng(0)
    masks = [np.zeros((30, 20)), np.zeros(50, np.float32), np.ones((2, 3))]
    masks[0][:5] = 1.0
    masks[1][:10] = 2.5
    before = [mask.copy() for mask in masks]
    shuffled = pruning.shuffle(masks, rng)
    for mask, old, new in zip(masks, before, shuffled, strict=True):
        np.testing.assert_array_equal(mask, old)
        assert new.shape == old.shape
        assert new.dtype == old.dtype
        np.testing.assert_array_equal(np.sort(new, axis=None), np.sort(old, axis=None))
    assert (shuffled[0] != masks[0]).any()
    assert (shuffled[1] != masks[1]).any()
    # Not whole rows or columns alone.
    assert len(set(shuffled[0].sum(axis=1))) > 1
    assert len(set(shuffled[0].sum(axis=0))) > 1
    np.testing.assert_array_equal(shuffled[2], 1.0)


def test_all_orders_of_a_shuffle_are_equally_likely():
    rng = np.random.default_rng(0)
    mask = np.array([[1.0, 1.0], [0.0, 0.0]])
    shuffled = [pruning.shuffle(mask, rng) for _ in range(6000)]
    codes = [int(f.ravel() @ [8, 4, 2, 1]) for f in shuffled]
    counts = np.array([codes.count(code) for code in (3, 5, 6, 9, 10, 12)])
    assert counts.sum() == 6000
    # Binomial(6000, 1/6).
    assert (np.abs(counts - 1000) < SIGMAS * np.sqrt(6000 * 5 / 36)).all()


# --- bad input ----------------------------------------------------------------------------------

GOOD = np.array([1.0, 2.0, 3.0])
ZERO = np.zeros(2)


@pytest.mark.parametrize(
    ("scores", "density", "options", "text"),
    [
        (GOOD, 0.0, {}, r"density must lie in \(0, 1\].*got 0\.0"),
        (GOOD, 1.01, {}, r"density must lie in \(0, 1\].*got 1\.01"),
        (GOOD, -0.5, {}, r"density must lie in \(0, 1\]"),
        (GOOD, np.nan, {}, "density must lie in"),
        (GOOD, 0.1, {}, "density = 0.1 keeps none of 3 entries; raise it to 0.333"),
        (GOOD, 0.5, {"design": "best"}, "design must be one of conditional, hybrid"),
        (GOOD, 0.5, {"scope": "row"}, "scope must be one of global, layer"),
        (GOOD, 0.5, {"floor": -1}, "floor must be at least 0"),
        ([GOOD, GOOD], 0.5, {"floor": 2}, "floor = 2 in each of 2 layers needs 4 .* keeps 3 of 6"),
        ([GOOD, ZERO + 1], 1.0, {"floor": 3}, r"floor = 3 is more than the 2 entries of scores\[1"),
        ([GOOD, ZERO], 0.5, {}, r"scores\[1\] are all zero"),
        (ZERO, 0.5, {"design": "poisson"}, "scores are all zero"),
        ([GOOD, ZERO - np.inf], 0.5, {"log": True}, r"scores\[1\] are all zero"),
        ([GOOD, GOOD * np.array([1, np.inf, 1])], 0.5, {}, r"scores\[1\]\[1\] = inf"),
        ([GOOD * np.nan, GOOD], 0.5, {"log": True}, r"scores\[0\]\[0\] = nan"),
        ([np.array([np.inf, -np.inf])], 0.5, {"log": True}, r"scores\[0\]\[0\] = inf"),
        ([GOOD - np.inf, GOOD], 0.5, {}, r"scores\[0\]\[0\] = -inf"),
        (GOOD - 2, 0.5, {"design": "priority"}, r"scores has an entry below zero \(-1\.0\)"),
        (
            [GOOD, np.array([1.0, 0.0, 0.0])],
            0.7,
            {"design": "systematic", "scope": "layer"},
            r"keeps 2 entries of scores\[1\], but only 1 there are not zero.*design='top'",
        ),
        ([GOOD, np.array([1.0, 0, 0])], 0.9, {"design": "multinomial"}, "keeps 5 .* only 4 there"),
        (
            [GOOD, GOOD * 1e-12],
            0.67,
            {"design": "multinomial"},
            r"more than 134217728 draws.*design='poisson'",
        ),
        ([], 0.5, {}, "scores must hold at least one layer"),
        ([np.empty(0)], 0.5, {}, r"scores\[0\] must not be empty"),
    ],
)
def test_bad_input(scores, density, options, text):
    with pytest.raises(ValueError, match=text):
        pruning.select(scores, density, **options)
    with pytest.raises(ValueError, match=text):
        pruning.emptied(scores, density, **options)


def test_bad_types():
    with pytest.raises(TypeError, match="rng must be"):
        pruning.select(GOOD, 0.5, rng="seed")
    with pytest.raises(TypeError, match="density must be a number"):
        pruning.select(GOOD, "half")
    with pytest.raises(TypeError, match="floor must be an integer"):
        pruning.select(GOOD, 0.5, floor=0.5)
    with pytest.raises(TypeError, match="scores must hold real numbers"):
        pruning.select(GOOD * 1j, 0.5)
    with pytest.raises(TypeError, match=r"masks\[0\] must hold real numbers"):
        pruning.shuffle([np.array(["a"])])
    with pytest.raises(ValueError, match="no closed form for design 'priority'"):
        pruning.emptied([GOOD, GOOD], 0.5, design="priority")


def test_a_mapping_comes_back_as_one_and_its_names_are_told():
    layers = {"first": np.array([5.0, 4.0]), "second": np.array([1.0, 2.0])}
    masks = pruning.select(layers, 0.5, floor=1)
    assert list(masks) == ["first", "second"]
    assert masks["first"].tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match=r"scores\['second'\] are all zero"):
        pruning.select(layers | {"second": np.zeros(2)}, 0.5)
    with pytest.raises(ValueError, match=r"scores\['first'\] has rows of 2"):
        pruning.select(layers, pattern=(1, 3))
