"""Patterns: n of every M, exactly; laws by every order and start, moments by every set."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
import reference
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from lth_sketch import Product, moments, pruning, sampling
from lth_sketch.inclusion import groups
from lth_sketch.kernels import groups as kernels
from lth_sketch.parallel import blockwise
from lth_sketch.tolerances import EXACT

# Each statistical test below errs with probability 1e-9 at most.
SIGNIFICANCE = 1e-9
GROUPS = [[3, 1, 1, 1], [1, 1, 1, 1], [8, 1, 2, 1], [5, 0, 1, 2], [9, 9, 1, 1], [3, 4, 0, 0]]


def filled(p, n):
    """Inclusions of one group in fractions, and the first zeros where too few are positive."""
    live = [i for i in range(len(p)) if p[i] > 0]
    if len(live) <= n:
        zeros = [i for i in range(len(p)) if p[i] == 0]
        return [Fraction(int(i in [*live, *zeros[: n - len(live)]])) for i in range(len(p))]
    sure = set()
    while True:
        rest = sum(p[i] for i in live if i not in sure)
        new = {i for i in live if i not in sure and p[i] * (n - len(sure)) >= rest}
        if not new:
            break
        sure |= new
    return [
        Fraction(1) if i in sure else Fraction(p[i] * (n - len(sure)), rest) for i in range(len(p))
    ]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.data())
def test_inclusions_of_a_group(p, data):
    n = data.draw(st.integers(1, len(p)))
    pi = groups.inclusions(np.array(p, dtype=float), n, len(p))
    np.testing.assert_allclose(pi, [float(x) for x in filled(p, n)], rtol=EXACT)
    assert pi.sum() == pytest.approx(n, rel=EXACT)


@pytest.mark.parametrize("p", [*GROUPS, [1, 2, 3, 1, 2], [1, 2], [4, 1, 3]])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_joint_inclusions_by_every_order_and_start(p, n):
    M = len(p)
    pi = filled(p, min(n, M))
    law = reference.grouped_law(pi)
    exact = [
        [float(sum(c for kept, c in law.items() if i in kept and j in kept)) for j in range(M)]
        for i in range(M)
    ]
    joint = np.empty((M, M))
    values = np.array([float(x) for x in pi])
    kernels.joint(values, groups.between(M), np.empty(M, np.int64), joint)
    np.testing.assert_allclose(joint, exact, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("p", GROUPS)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_masks_follow_the_law_of_all_sets(p, n, size):
    """Every set of a group by its frequency; the mean of all masks is one."""
    law = reference.grouped_law(filled(p, n))
    assert all(len(kept) == n for kept in law)
    count = size(20_000, 1000)
    masks = sampling.grouped(np.tile(np.array(p, dtype=float), count), (n, 4), rng=3)
    masks = masks.reshape(count, 4)
    seen = dict.fromkeys(law, 0)
    for kept in map(tuple, (np.flatnonzero(mask).tolist() for mask in masks)):
        seen[kept] += 1
    for kept, chance in law.items():
        binomial = scipy.stats.binom(count, min(1.0, float(chance)))
        tail = min(binomial.cdf(seen[kept]), binomial.sf(seen[kept] - 1))
        assert tail >= SIGNIFICANCE / (20 * len(law))
    pi = np.array([float(x) for x in filled(p, n)])
    weights = np.divide(1.0, pi, out=np.zeros(4), where=pi > 0)
    np.testing.assert_allclose(masks, (masks > 0) * weights, rtol=EXACT)


@pytest.mark.parametrize(("n", "M"), [(1, 2), (2, 4), (1, 4), (3, 4), (4, 4), (2, 3)])
def test_moments_by_every_set(n, M):
    rng = np.random.default_rng(n + 10 * M)
    d = 2 * M
    product = Product(rng.normal(size=(3, d)), rng.normal(size=(d, 2)))
    p = rng.integers(1, 6, size=d)
    laws = [reference.grouped_law(filled(p[g : g + M].tolist(), n)) for g in (0, M)]
    pi = groups.inclusions(p.astype(float), n, M)
    exact, mean = 0.0, np.zeros(d)
    for (first, c1), (second, c2) in itertools.product(*(law.items() for law in laws)):
        kept = [*first, *(M + i for i in second)]
        mask = np.zeros(d)
        mask[kept] = 1.0 / pi[kept]
        chance = float(c1 * c2)
        mean += chance * mask
        exact += chance * float(np.sum((product.A * mask @ product.B - product.value) ** 2))
    np.testing.assert_allclose(mean, 1.0, rtol=EXACT)
    floor = EXACT * product.total**2
    assert moments.grouped(product, p, (n, M)) == pytest.approx(exact, rel=EXACT, abs=floor)


def test_a_pattern_of_everything_costs_nothing():
    product = Product(np.ones((2, 6)), np.arange(1.0, 7.0))
    assert moments.grouped(product, np.ones(6), (3, 3)) == 0.0
    assert (sampling.grouped(np.ones(6), (3, 3), rng=0) == 1.0).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_counts_are_exact_and_bits_those_of_any_threads(dtype, monkeypatch):
    monkeypatch.setattr(blockwise, "BLOCK", 100)
    p = np.random.default_rng(1).gamma(0.3, size=4000).astype(dtype)
    p[:40] = 0.0
    masks = [sampling.grouped(p, (2, 4), rng=2, n_jobs=n) for n in (1, 2, 5)]
    np.testing.assert_array_equal(masks[0], masks[1])
    np.testing.assert_array_equal(masks[0], masks[2])
    assert masks[0].dtype == dtype
    assert (np.count_nonzero(masks[0].reshape(-1, 4), axis=1) == 2).all()
    ones = sampling.grouped(p, (2, 4), binary=True, rng=2)
    np.testing.assert_array_equal(ones, masks[0] > 0)


@given(
    st.lists(st.lists(st.integers(-3, 3), min_size=6, max_size=6), min_size=1, max_size=4),
    st.sampled_from([(1, 2), (2, 3), (1, 3), (5, 6), (2, 2)]),
)
def test_the_largest_of_each_group(rows, pattern):
    n, M = pattern
    scores = np.array(rows, dtype=float)
    mask = pruning.select(scores, pattern=pattern)
    for values, kept in zip(scores.reshape(-1, M), mask.reshape(-1, M), strict=True):
        order = sorted(range(M), key=lambda i: (-values[i], i))
        assert sorted(order[:n]) == np.flatnonzero(kept).tolist()


def test_layers_keep_their_shapes_and_their_rows():
    """Groups run along the inputs of an output, of a convolution along channels and window."""
    rng = np.random.default_rng(4)
    layers = [rng.random((3, 8)), rng.random((2, 2, 2, 2)).astype(np.float32), rng.random(12)]
    for design in ("top", "systematic"):
        masks = pruning.select(layers, 0.5, design=design, pattern=(2, 4), rng=5)
        for layer, mask in zip(layers, masks, strict=True):
            assert mask.shape == layer.shape
            assert mask.dtype == layer.dtype
            rows = mask.reshape(len(mask) if mask.ndim > 1 else 1, -1, 4)
            assert (rows.sum(axis=2) == 2).all()
    # Each layer has a child of its own: what is drawn of one hangs on no other.
    drawn = pruning.select(layers, design="systematic", pattern=(2, 4), binary=False, rng=5)
    for layer, mask, child in zip(layers, drawn, np.random.default_rng(5).spawn(3), strict=True):
        alone = sampling.grouped(layer.ravel(), (2, 4), rng=child)
        np.testing.assert_array_equal(mask.ravel(), alone)
    with pytest.raises(ValueError, match=r"scores\[1\] are all zero"):
        pruning.select([layers[0], np.zeros(4)], design="systematic", pattern=(2, 4))
    logs = pruning.select(np.log(layers[0]), design="systematic", pattern=(2, 4), log=True, rng=6)
    plain = pruning.select(layers[0], design="systematic", pattern=(2, 4), rng=6)
    np.testing.assert_array_equal(logs, plain)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"pattern": (2, 5)}, ValueError, r"multiple of 5; scores\[0\] has rows of 8: .* 10"),
        ({"pattern": (5, 4)}, ValueError, "at most as many as there are; got 5 of 4"),
        ({"pattern": (0, 4)}, ValueError, r"pattern\[0\] must be at least 1"),
        ({"pattern": "2:4"}, TypeError, "must be a pair"),
        ({"pattern": (2, 4, 1)}, TypeError, "must be a pair"),
        ({"pattern": (2, 4), "density": 0.3}, ValueError, "density must be 0.5, or None"),
        ({"pattern": (2, 4), "design": "poisson"}, ValueError, "'top' or 'systematic'"),
        ({"density": None}, TypeError, "density must be a number"),
    ],
)
def test_bad_patterns(options, error, text):
    with pytest.raises(error, match=text):
        pruning.select([np.ones((3, 8)), np.ones((2, 4))], **options)


def test_signed_scores_are_no_weights():
    with pytest.raises(ValueError, match=r"scores has an entry below zero \(-1.0\)"):
        pruning.select(np.array([1.0, -1.0]), design="systematic", pattern=(1, 2))
    assert pruning.select(np.array([1.0, -1.0]), pattern=(1, 2)).tolist() == [1.0, 0.0]


def test_bad_input_of_draw_and_moment():
    product = Product(np.ones((1, 26)), np.ones(26))
    with pytest.raises(ValueError, match=r"2\^11 sets.* up to 12"):
        moments.grouped(product, np.ones(26), (2, 13))
    with pytest.raises(ValueError, match=r"p\[3\] = 0, but the term norm"):
        moments.grouped(product, np.arange(26) != 3, (1, 2))
    with pytest.raises(ValueError, match="multiple of 4; p has rows of 26"):
        sampling.grouped(np.ones(26), (2, 4))
