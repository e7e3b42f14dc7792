"""One rule of rank: every way to least squares agrees, whatever the sizes of the columns."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from lth_sketch import probabilities, reduction, tolerances
from lth_sketch.regression import Problem, fit_masks, path
from lth_sketch.tolerances import CONDITIONED, EXACT, HALF, PUBLISHED


def losses(X, y):
    """The loss of least squares on all features, by every route."""
    problem, d = Problem(X, y), X.shape[1]
    ones = scipy.sparse.csr_array(np.ones((1, d)))
    rate = 1.0 / problem.singular_values[0] ** 2
    by_route = {
        "path": path(X, y, np.arange(d))[-1],
        "path backwards": path(X, y, np.arange(d)[::-1])[-1],
        "problem.path": problem.path(np.arange(d))[-1],
        "flow": problem.loss(problem.gradient_flow()),
        "ridge": problem.loss(problem.ridge(0.0)),
        "masked": problem.loss(problem.ridge(0.0, mask=np.ones(d))),
        "fit_masks": fit_masks(X, y, ones)[0][0, 0],
    }
    if problem.singular_values[-1] > 1e-4 * problem.singular_values[0]:
        by_route["descent"] = problem.loss(problem.gradient_descent(rate, 2**62))
    return by_route


def test_a_column_far_from_zero():
    # A constant and a column whose mean is 1e8 times its spread: the loss is 0.0266, not 225.
    rng = np.random.default_rng(0)
    x = rng.normal(size=100)
    X = np.column_stack([np.ones(100), x + 1e8])
    y = 1.5 * x + 0.01 * rng.normal(size=100)
    expected = reference.exact_loss(X, y)
    assert expected < 0.1
    # The data themselves are known to eps times the condition of unit columns, about 1e8.
    for name, loss in losses(X, y).items():
        assert loss == pytest.approx(expected, rel=HALF), name
    assert Problem(X, y).rank == 2


@pytest.mark.parametrize("size", [1e-100, 1e-200, 1e-13, 1e13, 1e100])
def test_columns_of_any_size(size):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(30, 4))
    y = rng.normal(size=30)
    expected = reference.exact_loss(X, y)
    scaled = X * [1.0, size, 1.0, size]
    for name, loss in losses(scaled, y).items():
        assert loss == pytest.approx(expected, rel=EXACT), name
    shares = probabilities.leverage(scaled)
    np.testing.assert_allclose(shares, probabilities.leverage(X), rtol=EXACT)
    # A dependent column stays one.
    twice = np.column_stack([scaled, scaled[:, 1] * 1e-3])
    assert Problem(twice, y).rank == 4
    for name, loss in losses(twice, y).items():
        assert loss == pytest.approx(expected, rel=EXACT), name


@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 12),
    st.lists(st.integers(-60, 60), min_size=1, max_size=5),
    st.integers(0, 2),
)
def test_every_route_agrees(seed, n, exponents, dependent):
    rng = np.random.default_rng(seed)
    d = len(exponents)
    X = rng.integers(-3, 4, (n, d)).astype(float)
    for j in range(min(dependent, d - 1)):
        # Exactly dependent, of another size.
        X[:, -1 - j] = X[:, 0] * 4.0
    if not X.any():
        X[0, 0] = 1.0
    y = rng.integers(-3, 4, n).astype(float)
    expected = reference.exact_loss(X, y)
    scaled = X * 2.0 ** np.array(exponents)
    for name, loss in losses(scaled, y).items():
        # An exact fit leaves the square of rounding.
        assert loss == pytest.approx(expected, rel=CONDITIONED, abs=EXACT * (y @ y)), name
    nonzero = np.abs(X).max(axis=0) > 0
    wanted = np.linalg.matrix_rank(X / np.maximum(np.linalg.norm(X, axis=0), 1e-300))
    assert Problem(scaled, y).rank == wanted
    if wanted == nonzero.sum():
        tau = probabilities.leverage(scaled) * wanted
        np.testing.assert_allclose(tau[nonzero], 1.0, rtol=CONDITIONED)


def test_a_spectrum_of_columns_of_every_size_keeps_its_digits():
    rng = np.random.default_rng(2)
    base = rng.normal(size=(6, 6))
    sizes = 10.0 ** np.array([0.0, -30, -60, -90, 40, -120])
    U, sigma, Vt, _ = reduction.decomposition(base * sizes, 6)
    assert len(sigma) == 6
    # The product of the singular values is the determinant, here in logarithms.
    expected = np.linalg.slogdet(base)[1] + np.log(sizes).sum()
    assert np.log(sigma).sum() == pytest.approx(expected, abs=PUBLISHED)
    np.testing.assert_allclose(U.T @ U, np.eye(6), atol=EXACT)
    np.testing.assert_allclose(Vt @ Vt.T, np.eye(6), atol=EXACT)
    np.testing.assert_allclose(U * sigma @ Vt / sizes, base, rtol=CONDITIONED, atol=PUBLISHED)


def test_dependent_within_the_tolerance_and_beyond():
    rng = np.random.default_rng(3)
    x, z, y = rng.normal(size=(3, 50))
    for gap, rank in ((4e-15, 1), (1e-12, 2)):
        X = np.column_stack([x, x + gap * z]) * [1.0, 1e-40]
        assert Problem(X, y).rank == rank, (gap, tolerances.rank(50, 2))
        assert (np.ptp(path(X, y, [0, 1])) == 0) == (rank == 1)


def test_leverage_reads_sparse_data_by_rows():
    rng = np.random.default_rng(4)
    A = scipy.sparse.csr_array(rng.normal(size=(5000, 20)) * (rng.random((5000, 20)) < 0.1))
    np.testing.assert_allclose(
        probabilities.leverage(A, 0.5), probabilities.leverage(A.toarray(), 0.5), rtol=EXACT
    )
    huge = scipy.sparse.csr_array(([1.0], ([0], [0])), shape=(10**6, 10**5))
    with pytest.raises(ValueError, match=r"\(1000000, 100000\).*74.5 GiB"):
        probabilities.leverage(huge)
    np.testing.assert_allclose(
        probabilities.leverage(A * 1e-200, 0.0), probabilities.leverage(A), rtol=EXACT
    )
    np.testing.assert_allclose(
        probabilities.leverage(A * 1e-150, 1e10), probabilities.leverage(A, 1e50), rtol=EXACT
    )


def test_masks_and_starts_beyond_range_are_refused():
    X, y = np.eye(3), np.ones(3)
    for value in (1e308, 1e155, 1e141):
        mask = np.array([1.0, value, 0.0])
        with pytest.raises(ValueError, match="mask must"):
            Problem(X, y).ridge(1.0, mask=mask)
        with pytest.raises(ValueError, match="masks must"):
            fit_masks(X, y, scipy.sparse.csr_array(mask[None]))
    with pytest.raises(ValueError, match="mask must keep"):
        Problem(X * 1e100, y).ridge(1.0, mask=np.full(3, 1e100))
    with pytest.raises(ValueError, match="w0 must"):
        Problem(X, y, np.full(3, 1e200))
