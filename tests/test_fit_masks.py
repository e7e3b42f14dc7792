"""Fits under many masks at once, next to a fit of each from scratch."""

from __future__ import annotations

import os

import numpy as np
import pytest
import reference
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from lth_sketch import datasets, tolerances
from lth_sketch.reduction import ALIKE
from lth_sketch.regression import Problem, fit_masks, maskfits, ridge
from lth_sketch.testing import masks, problems
from lth_sketch.tolerances import EXACT, ROUNDING, SINGLE

local = pytest.mark.skipif("LTH_SKETCH_DATA" not in os.environ, reason="needs LTH_SKETCH_DATA")
csr = scipy.sparse.csr_array
X = np.eye(4)[:, [0, 0, 1]]
Y = np.array([1.0, 2.0, 3.0, 4.0])


def tall(n, d, r=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) + 1, rng.normal(size=(n, r))


def from_scratch(A, y, m, penalty=0.0):
    """Effective weights (d, r) of one mask, by the slow twins."""
    targets = y.reshape(len(y), -1)
    start = np.zeros((A.shape[1], targets.shape[1]))
    if penalty > 0:
        return reference.ridged(A, targets, start, m, penalty)
    return m[:, None] * reference.nearest_least_squares(A * m, targets, start)


def losses(A, y, w):
    return np.sum((y.reshape(len(y), -1) - A @ w) ** 2, axis=0)


@pytest.fixture
def by_spectrum(monkeypatch):
    """Count the masks that are fitted from their own singular value decomposition."""
    seen = []
    original = maskfits._by_spectrum

    def counted(data, mask, penalty):
        seen.append(mask)
        return original(data, mask, penalty)

    monkeypatch.setattr(maskfits, "_by_spectrum", counted)
    return seen


def check(A, y, rows, penalty=0.0, rtol=ROUNDING):
    """Compare losses, held-out losses and weights of every mask with fits from scratch."""
    X_test, y_test = np.cos(A[::-1] * 3), y[::-1] * 2
    train, test, w = fit_masks(
        A, y, csr(rows), penalty=penalty, X_test=X_test, y_test=y_test, weights=True
    )
    for b, m in enumerate(rows):
        expected = from_scratch(A, y, m, penalty)
        np.testing.assert_allclose(train[b], losses(A, y, expected), rtol=rtol)
        np.testing.assert_allclose(test[b], losses(X_test, y_test, expected), rtol=rtol)
        np.testing.assert_allclose(w[b], expected, rtol=0, atol=rtol * np.abs(expected).max())
    return train


# --- against fits from scratch -----------------------------------------------------------------


def test_dependent_features_share_their_weight():
    rows = np.array([[1.0, 0, 0], [2, 2, 0], [1, 2, 0], [0.5, 0.5, 3]])
    train, test, w = fit_masks(X, Y, csr(rows), weights=True)
    np.testing.assert_allclose(train[:, 0], [29, 29, 29, 25], rtol=EXACT)
    assert test is None
    # v of least norm is proportional to the mask, so the effective weights are to its square.
    expected = [[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.8, 0], [0.5, 0.5, 2]]
    np.testing.assert_allclose(w[:, :, 0], expected, atol=EXACT)


@given(problems(), st.sampled_from([0.0, 0.0, 1e-3, 1.0]), st.data())
def test_every_mask_is_a_fit_of_its_own(case, fraction, data):
    d = case.X.shape[1]
    rows = np.array(data.draw(st.lists(masks(d), min_size=1, max_size=4)))
    penalty = fraction * case.sigma**2
    targets = case.y.reshape(len(case.y), -1)
    train, test, w = Problem(case.X, case.y, case.w0).fit_masks(
        csr(rows), penalty=penalty, X_test=case.X, y_test=case.y, weights=True
    )
    assert w.shape == (len(rows), d, targets.shape[1])
    size = np.linalg.norm(reference.wide(case.y))
    for b, m in enumerate(rows):
        expected = from_scratch(case.X, case.y, m, penalty)
        sigma = np.linalg.svd(case.X * m, compute_uv=False)
        kappa = 9 * (sigma[0] / sigma[sigma > 1e-11 * sigma[0]][-1] if sigma[0] > 0 else 1.0)
        off = ROUNDING * kappa * size
        assert np.linalg.norm(case.X @ (w[b] - expected)) <= off
        # An exact fit leaves the square of a rounding, another loss a rounding.
        expected_loss = losses(case.X, case.y, expected)
        atol = off * (np.sqrt(expected_loss.max()) + off)
        np.testing.assert_allclose(train[b], expected_loss, rtol=0, atol=atol)
        np.testing.assert_allclose(test[b], train[b], rtol=0, atol=atol)
        assert (w[b][m == 0] == 0).all()


@given(problems(conditions=(1,)), st.data())
def test_weights_are_those_of_least_norm(case, data):
    rows = np.array(data.draw(st.lists(masks(case.X.shape[1]), min_size=1, max_size=3)))
    w = fit_masks(case.X, case.y, csr(rows), weights=True)[2]
    for b, m in enumerate(rows):
        expected = from_scratch(case.X, case.y, m)
        sigma = np.linalg.svd(case.X * m, compute_uv=False)
        kept = sigma[sigma > 1e-11 * sigma[0]]
        off = ROUNDING * 9 * (kept[0] / kept[-1]) ** 2 / kept[0] if kept.size else 0.0
        off *= np.linalg.norm(reference.wide(case.y))
        if w.dtype == np.float32:
            off += SINGLE * np.linalg.norm(expected)
        assert w.dtype == case.X.dtype
        assert np.linalg.norm(w[b] - expected) <= off


@pytest.mark.parametrize("penalty", [0.0, 0.5])
def test_the_fast_route(penalty, by_spectrum, size):
    d = size(40, 12)
    A, y = tall(20 * d, d)
    rows = np.random.default_rng(1).random((size(70, 9), d)) * (
        np.random.default_rng(2).random((size(70, 9), d)) < 0.5
    )
    check(A, y, rows, penalty)
    assert not by_spectrum


@pytest.mark.parametrize("penalty", [0.0, 0.5])
def test_the_fast_route_of_one_feature(penalty, by_spectrum):
    A, y = tall(20, 3)
    A[:, 2] = A[:, 1]
    # The last mask has two, of which one is told dependent.
    check(A, y, np.vstack([np.diag([1.0, 0.5, 2.0]), [0, 1, 1]])[: 3 if penalty else 4], penalty)
    assert not by_spectrum


def test_the_fast_route_sees_dependent_and_zero_features(by_spectrum):
    A, y = tall(90, 12)
    A[:, 3], A[:, 5] = 0, A[:, 1]
    A[:, 7] = A[:, 1] - 2 * A[:, 2] + A[:, 8]
    A[:, 9] = 4 * A[:, 7]
    rows = np.vstack([np.ones(12), np.random.default_rng(3).random((12, 12)) + 0.2])
    rows[5, [3, 7]] = 0
    rows[6, 1] = 0
    check(A, y, rows)
    assert not by_spectrum


@pytest.mark.parametrize("gap", [1e-6, 1e-8, 1e-10])
def test_nearly_dependent_features_go_the_slow_way(gap, by_spectrum):
    A, y = tall(90, 4)
    A[:, 3] = A[:, 0] + gap * A[:, 3]
    y = A @ np.ones((4, 1))
    train, _, w = fit_masks(A, y, csr([[1.0, 1, 1, 1], [1, 1, 1, 0]]), weights=True)
    assert len(by_spectrum) == 1
    np.testing.assert_allclose(w[0], 1.0, atol=ROUNDING / gap)
    assert train[0, 0] <= (ROUNDING / gap) ** 2 * 90
    assert train[1, 0] == pytest.approx(
        losses(A, y, from_scratch(A, y, np.array([1, 1, 1, 0.0])))[0]
    )


def test_refinement_gives_back_the_digits_that_the_gram_matrix_took(by_spectrum):
    A, _ = tall(90, 4)
    A[:, 3] = A[:, 0] + 2e-4 * A[:, 3]
    w = fit_masks(A, A.sum(axis=1), csr(np.ones((1, 4))), weights=True)[2]
    assert np.abs(w - 1).max() <= 2**6 * tolerances.EPS / 2e-4
    assert not by_spectrum


def test_a_condition_that_no_pivot_betrays(by_spectrum):
    # Kahan's matrix: unit columns, pivots above 0.005, and a singular value of 1e-10.
    sine, d = 0.9, 50
    cosine = np.sqrt(1 - sine**2)
    A = sine ** np.arange(d)[:, None] * (np.eye(d) - cosine * np.triu(np.ones((d, d)), 1))
    y = A @ np.ones((d, 1))
    train, _, w = fit_masks(A, y, csr(np.ones((1, d))), weights=True)
    np.testing.assert_allclose(w[0], 1.0, atol=2**8 * tolerances.EPS * np.linalg.cond(A))
    assert train[0, 0] <= EXACT**2
    assert len(by_spectrum) == 1


def test_no_feature_is_cut_for_its_size(by_spectrum):
    A, y = tall(50, 3)
    plain = np.linalg.lstsq(A, y, rcond=None)[0]
    A[:, 2] *= 1e-20
    rows = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    train, _, w = fit_masks(A, y, csr(rows), weights=True)
    assert not by_spectrum
    np.testing.assert_allclose(w[0] * [[1], [1], [1e-20]], plain, rtol=0, atol=EXACT)
    assert (train[0] < train[1] * (1 - 1e-6)).all()


@pytest.mark.parametrize("pivot", [1.0, 0.5, 0.01])
@pytest.mark.parametrize("size", [1e-13, 1e-16, 1e-100, 1e60])
def test_masks_of_any_size_fit_alike(size, pivot, by_spectrum):
    """Unit features, `pivot` apart, one of them with a mask of another size."""
    Q = np.linalg.qr(tall(20, 2)[0])[0]
    A = np.column_stack([Q[:, 0], np.sqrt(1 - pivot**2) * Q[:, 0] + pivot * Q[:, 1]])
    train = fit_masks(A, np.ones(20), csr(np.array([[1.0, size], [1.0, 1.0]])))[0]
    np.testing.assert_allclose(train[0], train[1], rtol=EXACT)
    assert not by_spectrum


def test_masks_of_features_that_are_all_zero(by_spectrum):
    A, y = tall(20, 3)
    A[:, 1] = 0
    train, _, w = fit_masks(A, y, csr([[0.0, 2, 0]]), weights=True)
    np.testing.assert_allclose(train[0], np.sum(y**2, axis=0), rtol=EXACT)
    assert not w.any()
    assert len(by_spectrum) == 1


def test_more_features_than_samples(by_spectrum):
    A, y = tall(5, 9)
    rows = np.vstack([np.ones(9), np.arange(9.0)])
    train, _, w = fit_masks(A, y, csr(rows), weights=True)
    np.testing.assert_allclose(train, 0, atol=EXACT**2)
    for b, m in enumerate(rows):
        np.testing.assert_allclose(w[b], from_scratch(A, y, m), rtol=0, atol=EXACT)
    assert len(by_spectrum) == 2


@pytest.mark.parametrize("penalty", [1e-30, 1e-13, 1e-4, 1e4])
def test_any_penalty_on_dependent_features(penalty, by_spectrum):
    A, y = tall(90, 5)
    A[:, 3] = A[:, 0]
    m = np.array([1.0, 0.5, 1.0, 2.0, 1.0])
    _, _, w = fit_masks(A, y, csr([m]), penalty=penalty, weights=True)
    expected = ridge(A, y, penalty=penalty, mask=m)
    np.testing.assert_allclose(w[0], expected, rtol=0, atol=EXACT * 90)
    assert len(by_spectrum) == (penalty < 1e-6)


def test_masks_too_small_to_square(by_spectrum):
    A, y = tall(30, 2)
    for m, penalty in (([1e-200, 1e-200], 1.0), ([1.0, 1e-170], 1e10)):
        w = fit_masks(A, y, csr([m]), penalty=penalty, weights=True)[2]
        np.testing.assert_allclose(w[0], ridge(A, y, penalty=penalty, mask=m), atol=EXACT)
        assert np.isfinite(w).all()
    assert len(by_spectrum) == 2


# --- the same bits, whatever the way they were asked for ---------------------------------------


def test_threads_do_not_matter(size):
    d = size(30, 8)
    A, y = tall(200, d, seed=5)
    A[:, 2] = A[:, 1]
    rows = csr((np.random.default_rng(6).random((80, d)) < 0.6) * 1.0 + np.eye(80, d))
    runs = [fit_masks(A, y, rows, X_test=A, y_test=y, weights=True, n_jobs=k) for k in (1, 3, None)]
    for run in runs[1:]:
        for one, other in zip(runs[0], run, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("entries", "sizes"),
    [
        (1, [1] * 9),
        (36, [1] * 9),
        (71, [1] * 9),
        (72, [2, 2, 2, 2, 1]),
        (108, [3, 3, 3]),
        (144, [4, 4, 1]),
        (10**9, [4, 4, 1]),
    ],
)
def test_blocks_of_masks_are_as_large_as_their_factors_allow(entries, sizes, monkeypatch):
    """With at most four together: a factor has 6^2 entries, as the widest mask asks for."""
    A, y = tall(40, 6)
    rows = np.random.default_rng(7).random((9, 6)) + 0.1
    rows[::2, ::2] = 0
    expected = fit_masks(A, y, csr(rows))[0]
    seen = []
    original = maskfits._Normal.fit

    def recorded(self, block, L, parallel):
        seen.append(len(block))
        return original(self, block, L, parallel)

    monkeypatch.setattr(maskfits._Normal, "fit", recorded)
    monkeypatch.setattr(maskfits, "ENTRIES", entries)
    monkeypatch.setattr(maskfits, "TOGETHER", 4)
    np.testing.assert_allclose(fit_masks(A, y, csr(rows))[0], expected, rtol=EXACT)
    assert seen == sizes


def test_sparse_data_single_precision_and_outputs():
    A, y = tall(60, 5, r=1)
    A[A < 1] = 0
    rows = csr([[1.0, 0, 2, 1, 0], [0, 1, 1, 1, 1]])
    dense = fit_masks(A, y, rows, X_test=A, y_test=y, weights=True)
    sparse = fit_masks(csr(A), y, rows, X_test=scipy.sparse.csc_array(A), y_test=y, weights=True)
    vector = fit_masks(A, y[:, 0], rows, X_test=A, y_test=y[:, 0], weights=True)
    for one, other, third in zip(dense, sparse, vector, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, third)
    single = A.astype(np.float32)
    train, _, w = fit_masks(single, y, rows, weights=True)
    assert (train.dtype, w.dtype) == (np.float64, np.float32)
    np.testing.assert_array_equal(train, fit_masks(single.astype(float), y, rows)[0])
    assert len(fit_masks(A, y, rows)) == 2


def test_masks_need_not_be_canonical():
    A, y = tall(20, 3)
    data, indices, indptr = np.array([1.0, 0, 1, 1]), np.array([2, 1, 2, 0]), np.array([0, 4])
    messy = csr((data, indices, indptr), shape=(1, 3))
    before = [part.copy() for part in (messy.data, messy.indices, messy.indptr)]
    expected = fit_masks(A, y, csr([[1.0, 0, 2]]), penalty=1.0)[0]
    np.testing.assert_array_equal(fit_masks(A, y, messy, penalty=1.0)[0], expected)
    for part, was in zip((messy.data, messy.indices, messy.indptr), before, strict=True):
        np.testing.assert_array_equal(part, was)
    boolean = scipy.sparse.csr_matrix(np.array([[True, False, True]]))
    assert fit_masks(A, y, boolean)[0] == pytest.approx(fit_masks(A, y, csr([[1.0, 0, 1]]))[0])


@pytest.mark.parametrize(
    ("rows", "options", "error", "text"),
    [
        (np.ones((1, 3)), {}, TypeError, "masks must be a CSR matrix.*got ndarray"),
        (scipy.sparse.csc_array(np.ones((1, 3))), {}, TypeError, "masks must be a CSR .*csc_array"),
        (csr(np.ones((1, 2))), {}, ValueError, r"masks must have 3 columns.*got \(1, 2\)"),
        (csr(np.ones((1, 4))), {}, ValueError, r"masks must have 3 columns.*got \(1, 4\)"),
        (csr([[1.0, 0, 0], [0, 0, 0]]), {}, ValueError, "row 1 keeps nothing"),
        (csr(np.eye(3)[[0, 1, 1]] * [1, 0, 0]), {}, ValueError, "row 1 keeps nothing"),
        (csr([[1.0, 0, 0], [1, 0, -2]]), {}, ValueError, "masks must be >= 0; got -2.0 in row 1"),
        (csr([[1.0, 0, np.nan]]), {}, ValueError, "masks.data must be finite"),
        (csr(np.ones((1, 3))), {"penalty": -1.0}, ValueError, "penalty must lie in"),
        (csr(np.ones((1, 3))), {"penalty": np.inf}, ValueError, "penalty must lie in"),
        (csr(np.ones((1, 3))), {"n_jobs": 0}, ValueError, "n_jobs must be at least 1"),
        (csr(np.ones((1, 3))), {"X_test": X}, ValueError, "y_test is missing"),
        (csr(np.ones((1, 3))), {"y_test": Y}, ValueError, "X_test is missing"),
        (csr(np.ones((1, 3))), {"X_test": X, "y_test": Y[:2]}, ValueError, "y_test must have one"),
        (csr(np.ones((1, 3))), {"X_test": X[:, :2], "y_test": Y}, ValueError, "the 3 features"),
        (csr(np.ones((1, 3))), {"X_test": X, "y_test": Y[:, None]}, ValueError, "outputs"),
    ],
)
def test_bad_input_is_named(rows, options, error, text):
    with pytest.raises(error, match=text):
        fit_masks(X, Y, rows, **options)


@local
@pytest.mark.large
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_masks_on_images_are_fits_by_lstsq(name, by_spectrum):
    images = datasets.load(name, subset=6000)
    y = np.eye(10)[images.y]
    rows = (np.random.default_rng(8).random((3, 784)) < 0.5) * 1.0
    held_out, y_test = images.X[:1000] ** 2, y[:1000]
    train, test = fit_masks(images.X, y, csr(rows), X_test=held_out, y_test=y_test)
    for b, m in enumerate(rows):
        kept = np.flatnonzero(m)
        w = np.linalg.lstsq(images.X[:, kept], y, rcond=None)[0]
        for fitted, A, target in ((train, images.X, y), (test, held_out, y_test)):
            np.testing.assert_allclose(
                fitted[b], losses(A[:, kept], target, w), rtol=tolerances.PUBLISHED
            )
    # The slow route is for features that are dependent and of very different sizes alone.
    norms = np.linalg.norm(images.X, axis=0)
    for features, _ in by_spectrum:
        live = features[norms[features] > 0]
        assert norms[live].max() > ALIKE * norms[live].min()
        assert np.linalg.matrix_rank(images.X[:, live] / norms[live]) < len(live)
