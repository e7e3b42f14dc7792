"""The bound for priority samples, and the minimax Poisson design."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lth_sketch import Product, bounds, moments, probabilities
from lth_sketch.testing import products
from lth_sketch.tolerances import EXACT, QUADRATURE

weights = st.lists(
    st.one_of(st.integers(-3, 3).map(float), st.integers(-40, 40).map(lambda n: 10.0**n)),
    min_size=1,
    max_size=7,
).filter(any)


@given(products(), st.integers(1, 7))
def test_priority_bound(product, s):
    """At least the exact moment, at most the usual bound, and what S5 says it is."""
    live = np.count_nonzero(product.term_norms)
    u = product.term_norms / product.total
    bound = bounds.priority(product, s) / product.total**2
    if s >= live:
        assert bound == 0.0
    elif s == 1:
        assert bound == np.inf
    else:
        pairs = sum(x * y for i, x in enumerate(u) for j, y in enumerate(u) if i != j)
        assert bound == pytest.approx(pairs / (s - 1), rel=EXACT, abs=EXACT)
    if s <= live:
        exact = moments.priority(product, probabilities.optimal(product), s) / product.total**2
        assert exact <= bound * (1 + QUADRATURE) + EXACT


def test_priority_bound_is_near_for_equal_terms():
    """d (d - s) / (s - 1) is the error, d (d - 1) / (s - 1) the bound."""
    product = Product(np.ones((1, 50)), np.ones(50))
    s = np.array([2, 5, 25])
    ratio = bounds.priority(product, s) / moments.priority(product, np.ones(50), s)
    np.testing.assert_allclose(ratio, 49 / (50 - s), rtol=QUADRATURE)


def test_priority_bound_has_the_shape_of_s():
    product = Product([[3.0, 4.0, 1.0]], [1.0, -1.0, 2.0])
    assert isinstance(bounds.priority(product, 2), float)
    grid = bounds.priority(product, [[1, 2], [3, 2]])
    np.testing.assert_array_equal(grid, [[np.inf, grid[0, 1]], [0.0, grid[0, 1]]])
    with pytest.raises(ValueError, match="s must be at least 1"):
        bounds.priority(product, 0)


@given(weights, st.integers(1, 6), st.sampled_from([1.0, 0.25, 1e30]))
def test_minimax_equalises_the_features(w, s, alpha):
    w = np.array(w)
    worst, pi = bounds.poisson_minimax(w, s, alpha)
    live = w != 0
    if s >= live.sum():
        assert worst == 0.0
        np.testing.assert_array_equal(pi, live)
        return
    assert pi.sum() == pytest.approx(s, rel=EXACT)
    assert (pi[~live] == 0).all()
    # All data in one feature: w_i^2 (1 / pi_i - 1) alpha^2 is c alpha^2, whichever it is.
    u = np.abs(w[live]) / np.abs(w).max()
    c = worst / (alpha * np.abs(w).max()) ** 2
    np.testing.assert_allclose(pi[live], u**2 / (u**2 + c), rtol=EXACT)
    assert worst < (alpha * np.linalg.norm(w)) ** 2 / s


def test_minimax_of_many_weights_in_any_order():
    """Weights so far apart that the s largest of them all but have their places."""
    rng = np.random.default_rng(1)
    for s in range(1, 60):
        w = 10.0 ** rng.permutation(np.linspace(-30, 30, 60))
        worst, pi = bounds.poisson_minimax(w, s)
        assert pi.sum() == pytest.approx(s, rel=EXACT)
        np.testing.assert_allclose(pi, 1 / (1 + (np.sqrt(worst) / w) ** 2), rtol=EXACT)


@given(weights, st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_no_other_inclusions_have_a_smaller_worst_case(w, s, seed):
    w = np.array(w)
    assume(s < np.count_nonzero(w))
    w /= np.abs(w).max()
    worst, pi = bounds.poisson_minimax(w, s)
    live = w != 0
    # Any other inclusions of the same sum: some go down, and the worst of these is worse.
    step = np.random.default_rng(seed).normal(size=live.sum())
    step -= step.mean()
    room = np.where(step > 0, (1 - pi[live]) / np.abs(step), pi[live] / np.abs(step)).min()
    other = pi[live] + 0.5 * room * step
    assert (w[live] ** 2 * (1 / other - 1)).max() >= worst * (1 - EXACT)


def test_minimax_is_the_moment_of_its_worst_data():
    """D4 (d) against S4: the data of a single feature, and random data of the same norm."""
    w = np.array([3.0, 1.0, 0.5, 0.2])
    worst, pi = bounds.poisson_minimax(w, 2, alpha=2.0)
    variances = w**2 * (1 / pi - 1)
    np.testing.assert_allclose(4.0 * variances, worst, rtol=EXACT)
    X = np.random.default_rng(0).normal(size=(3, 4))
    X *= 2.0 / np.linalg.norm(X)
    assert (X**2).sum(axis=0) @ variances <= worst * (1 + EXACT)
    # For equal weights c is (d - s) / s.
    assert bounds.poisson_minimax(np.ones(9), 3).worst == pytest.approx(2.0, rel=EXACT)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"w": [0.0, 0.0]}, ValueError, "w must have an entry > 0; all 2 are zero"),
        ({"w": [[1.0]]}, ValueError, "w must have 1 axes"),
        ({"w": [np.nan, 1.0]}, ValueError, r"w\[0\] = nan"),
        ({"s": 0}, ValueError, "s must be at least 1"),
        ({"s": 1.5}, TypeError, "s must be an integer"),
        ({"alpha": 0.0}, ValueError, r"alpha must lie in \(0, inf\)"),
    ],
)
def test_bad_input(change, error, text):
    with pytest.raises(error, match=text):
        bounds.poisson_minimax(**({"w": [1.0, 2.0], "s": 1} | change))
