"""Hybrid, pivotal and conditional Poisson draws: laws, inclusions, moments and errors, exactly."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import reference
import scipy.optimize
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from lth_sketch import Product, moments, montecarlo, probabilities, sampling, simulations
from lth_sketch.inclusion import conditional, hybrid
from lth_sketch.kernels import fixed
from lth_sketch.testing import enumerate_masks, products, squared_errors
from lth_sketch.tolerances import EPS, EXACT, QUADRATURE

DESIGNS = ["hybrid", "pivotal", "conditional"]
# Each statistical test below errs with probability 1e-9 at most.
SIGNIFICANCE = 1e-9
WEIGHTS = [
    [0.5, 2.0, 1.0, 4.0, 0.0, 1.5],
    [1.0, 1.0, 1.0, 1.0, 1.0],
    [100.0, 1.0, 1.0, 1.0, 1.0, 1.0],
    [3.0, 1.0, 1.0, 1.0],
]
cases = st.lists(st.integers(0, 12), min_size=2, max_size=7).filter(any)


@given(cases, st.integers(1, 7))
def test_what_a_hybrid_draw_keeps_surely(p, s):
    assert hybrid.sure(np.array(p, dtype=float), s).tolist() == reference.hybrid_sure(p, s)


@given(cases, st.data())
def test_inclusions_of_a_conditional_draw(p, data):
    """To 1e-12 of every set in fractions."""
    s = data.draw(st.integers(1, np.count_nonzero(p)))
    pi = probabilities.inclusion(p, s, design="poisson")
    law = reference.conditional_law(pi, s)
    exact = [float(sum(c for kept, c in law.items() if i in kept)) for i in range(len(p))]
    own = probabilities.inclusion(p, s, design="conditional")
    np.testing.assert_allclose(own, exact, rtol=EXACT)
    assert own.sum() == pytest.approx(s, rel=EXACT)


@pytest.mark.parametrize("tiny", [1e-3, 1e-9, 1e-30])
def test_inclusions_of_a_conditional_draw_that_are_tiny(tiny):
    p = np.array([1.0, 0.7, 0.9, tiny, 0.4])
    law = reference.conditional_law(probabilities.inclusion(p, 2, design="poisson"), 2)
    exact = float(sum(c for kept, c in law.items() if 3 in kept))
    assert probabilities.inclusion(p, 2, design="conditional")[3] == pytest.approx(exact, rel=EXACT)


def test_inclusions_of_a_conditional_draw_of_many():
    """By the recursion over the number of events, all of its terms positive."""
    p = np.random.default_rng(0).gamma(2.0, size=300)
    pi = probabilities.inclusion(p, 90, design="poisson")
    law = reference.number_of_events(pi)
    exact = [
        pi[i] * reference.number_of_events(np.delete(pi, i))[89] / law[90] for i in range(0, 300, 7)
    ]
    own = probabilities.inclusion(p, 90, design="conditional")
    np.testing.assert_allclose(own[::7], exact, rtol=EXACT)


@pytest.mark.parametrize(("n", "pi"), [(400, 0.5), (900, 0.1), (3000, 0.01), (5, 0.4), (60, 0.5)])
def test_a_conditional_law_has_as_many_nodes_as_values(n, pi):
    """Those below the tail of exp(-40) by Bernstein's inequality, or all n + 1 and one more."""
    _, u = next(conditional.nodes(np.full(n, pi), int(n * pi)))
    z = u[0] * (1 - pi) / (pi * (1 - u[0]))
    count = np.pi / np.angle(z)
    variance = n * pi * (1 - pi)
    tail = scipy.optimize.brentq(lambda t: t * t / 2 / (variance + t / 3) - 40.0, 1.0, 1e4)
    least = min(n + 2, tail + 4)
    assert count == pytest.approx(2 * np.ceil(least / 2), rel=QUADRATURE)


@given(st.lists(st.integers(1, 12), min_size=2, max_size=7), st.data())
def test_the_laws_of_testing_against_fractions(p, data):
    s = data.draw(st.integers(1, len(p)))
    pi = probabilities.inclusion(p, s, design="poisson")
    masks, chances = enumerate_masks(p, s, "conditional")
    law = reference.conditional_law(pi, s)
    for mask, chance in zip(masks, chances, strict=True):
        kept = tuple(np.flatnonzero(mask).tolist())
        assert chance == pytest.approx(float(law[kept]), rel=EXACT)


@pytest.mark.parametrize(
    "pi",
    [
        [(1, 2), (1, 2), (1, 2), (1, 2)],
        [(1, 3), (2, 3), (1, 4), (3, 4)],
        [(2, 5), (4, 5), (4, 5), (1, 2), (1, 2)],
        [(9, 10), (9, 10), (1, 10), (1, 10)],
    ],
)
def test_the_law_of_a_pivotal_draw(pi):
    """Every set, in fractions; each entry is in it with its own probability."""
    exact = [Fraction(*x) for x in pi]
    law = reference.pivotal_law(exact)
    s = int(sum(exact))
    assert all(len(kept) == s for kept in law)
    for i, x in enumerate(exact):
        assert sum(chance for kept, chance in law.items() if i in kept) == x
    masks, chances = enumerate_masks([float(x) for x in exact], s, "pivotal")
    listed = {}
    for mask, chance in zip(masks, chances, strict=True):
        kept = tuple(np.flatnonzero(mask).tolist())
        listed[kept] = listed.get(kept, 0.0) + chance
    for kept, chance in law.items():
        assert listed.pop(kept, 0.0) == pytest.approx(float(chance), abs=EXACT)
    assert sum(listed.values()) <= EXACT


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("p", WEIGHTS)
@pytest.mark.parametrize("s", [1, 2, 3, 4])
def test_inclusions_are_those_of_the_law(design, p, s):
    masks, chances = enumerate_masks(p, s, design)
    exact = chances @ (masks > 0)
    np.testing.assert_allclose(probabilities.inclusion(p, s, design=design), exact, atol=EXACT)
    np.testing.assert_allclose(chances @ masks, np.array(p) > 0, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("design", DESIGNS)
@given(product=products(max_d=6, max_q=3, max_r=2), data=st.data())
def test_moments_by_every_outcome(design, product, data):
    p = probabilities.mixture(
        probabilities.optimal(product), data.draw(st.sampled_from([[1.0] * product.d])), 0.5
    )
    s = data.draw(st.integers(1, product.d))
    masks, chances = enumerate_masks(p, s, design)
    exact = float(chances @ squared_errors(product, masks))
    floor = EXACT * product.total**2 / p.min()
    assert getattr(moments, design)(product, p, s) == pytest.approx(exact, rel=EXACT, abs=floor)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("p", WEIGHTS)
@pytest.mark.parametrize("s", [1, 2, 3])
def test_draws_and_rows_follow_the_law(design, p, s, size):
    """Single draws, and rows of masks: how often each outcome comes, weights and all."""
    law: dict[tuple[float, ...], float] = {}
    for mask, chance in zip(*enumerate_masks(p, s, design), strict=True):
        key = tuple(np.round(mask, 9).tolist())
        law[key] = law.get(key, 0.0) + chance
    rows = sampling.masks(p, s, size(4000, 400), design=design, rng=11).toarray()
    rng = np.random.default_rng(12)
    singles = [sampling.mask(p, s, design=design, rng=rng) for _ in range(size(400, 40))]
    for sample in (rows, singles):
        counts = dict.fromkeys(law, 0)
        for mask in sample:
            counts[tuple(np.round(mask, 9).tolist())] += 1
        for key, chance in law.items():
            count = scipy.stats.binom(len(sample), min(1.0, chance))
            tail = min(count.cdf(counts[key]), count.sf(counts[key] - 1))
            assert tail >= SIGNIFICANCE / (4 * len(law))


@pytest.mark.parametrize("design", DESIGNS)
def test_simulated_errors_have_the_exact_moment(design, size):
    """Means of 64 groups, a t-test."""
    rng = np.random.default_rng(3)
    product = Product(rng.normal(size=(4, 30)), rng.normal(size=30))
    p = probabilities.optimal(product)
    sizes = [3, 10, 25]
    errors = montecarlo.squared_errors(
        product, p, sizes, trials=size(64 * 300, 64 * 6), design=design, rng=4
    )
    exact = getattr(moments, design)(product, p, sizes)
    groups = errors.reshape(3, 64, -1).mean(axis=2)
    limit = scipy.stats.t.isf(SIGNIFICANCE / 6, 63) * groups.std(axis=1, ddof=1) / 8
    assert (abs(groups.mean(axis=1) - exact) <= limit).all()


@pytest.mark.parametrize(
    ("p", "s", "route"),
    [
        (WEIGHTS[1], 1, fixed.distinct_errors),
        (WEIGHTS[1], 2, fixed.distinct_errors),
        # The large one is kept surely, and one more is drawn.
        (WEIGHTS[2], 2, fixed.distinct_errors),
        (WEIGHTS[0], 2, fixed.conditional_errors),
        (WEIGHTS[1], 4, fixed.conditional_errors),
        # Nothing is left to chance.
        (WEIGHTS[3], 4, fixed.conditional_errors),
    ],
)
def test_each_way_to_simulate_a_conditional_draw_has_its_law(p, s, route, size):
    """Chi-square test over every outcome; all draws differ, or Poisson's number is right."""
    d = len(p)
    product = Product(np.random.default_rng(9).normal(size=(2, d)) * (np.array(p) > 0), np.ones(d))
    pi, own = (
        probabilities.inclusion(p, s, design=design) for design in ("poisson", "conditional")
    )
    weights = np.divide(1.0, own, out=np.zeros(d), where=own > 0)
    C = product.unit_factor
    lengths = np.full(d, C.shape[1])
    simulate = simulations.of_size(C, lengths, C.sum(axis=0), pi, weights, s)
    assert simulate.func is route
    simulated = np.empty(size(50_000, 2000))
    simulate(np.random.default_rng(10), simulated)
    masks, chances = enumerate_masks(p, s, "conditional")
    errors = squared_errors(product, masks) / product.total**2
    nearest = abs(simulated[:, None] - errors).argmin(axis=1)
    assert abs(simulated - errors[nearest]).max() <= EXACT
    counts = np.bincount(nearest, minlength=len(errors))
    if len(errors) > 1:
        assert scipy.stats.chisquare(counts, chances * len(simulated)).pvalue > SIGNIFICANCE


@pytest.mark.parametrize("design", ["systematic", "pivotal", "conditional"])
@pytest.mark.parametrize("p", WEIGHTS)
def test_rounding_covers_every_mask(design, p):
    """The reach of a mask is ``sum u_i |m_i - 1|``, and no mask has more than the limit says."""
    product = Product([[5.0, 1.0, 2.0, 1.0, 0.0, 7.0][: len(p)]], np.ones(len(p)))
    for s in range(1, np.count_nonzero(p) + 1):
        masks, _ = enumerate_masks(p, s, design)
        reach = (abs(masks - 1.0) @ product.term_norms).max() / product.total
        error = product.unit_error + 2.0 * EPS * (product.d + s)
        floor = montecarlo.rounding(product, p, s, trials=1, design=design)
        assert reach * error * product.total <= floor * (1.0 + EXACT)
        assert floor <= (reach + 2.0) * error * product.total * (1.0 + EXACT)


@pytest.mark.parametrize("design", ["pivotal", "conditional"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sizes_are_fixed_and_bits_are_those_of_any_threads(design, dtype, size):
    d = size(20_000, 500)
    p = np.random.default_rng(5).gamma(0.5, size=d).astype(dtype) + np.finfo(dtype).tiny
    for s in (1, d // 10, d - 1, d):
        indices, weights = sampling.draw(p, s, design=design, rng=6, n_jobs=1)
        assert len(indices) == s
        assert (np.diff(indices) > 0).all()
        assert weights.dtype == dtype
        again = sampling.draw(p, s, design=design, rng=6, n_jobs=3)
        np.testing.assert_array_equal(indices, again[0])
        np.testing.assert_array_equal(weights, again[1])
    rows = [sampling.masks(p[:400], 40, 9, design=design, rng=7, n_jobs=n) for n in (1, 3)]
    np.testing.assert_array_equal(rows[0].toarray(), rows[1].toarray())
    assert (np.diff(rows[0].indptr) == 40).all()


def test_a_hybrid_draw_of_a_huge_weight_is_no_worse_than_either():
    """One term carries all: kept surely it costs nothing, drawn it takes all draws."""
    product = Product([[1000.0, *[1.0, -1.0] * 20]], np.ones(41))
    p = probabilities.optimal(product)
    drawn = moments.multinomial(product, p, 8)
    assert moments.hybrid(product, p, 8) < drawn / 5
    assert moments.hybrid(product, p, 41) == 0.0


def test_the_last_duel_is_won_whatever_rounding_leaves(size):
    """Ten thousand sums of tenths: always the whole number."""
    pi = np.full(size(10_000, 300), 0.1)
    out = np.empty(len(pi), bool)
    rng = np.random.default_rng(8)
    for _ in range(20):
        fixed.pivotal(pi, len(pi) // 10, rng, out)
        assert out.sum() == len(pi) // 10
