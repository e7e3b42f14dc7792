"""The loss of every prefix of an order (E5), next to a fit of each from scratch."""

from __future__ import annotations

import os

import numpy as np
import pytest
import reference
import scipy.sparse
from hypothesis import assume, given
from hypothesis import strategies as st

from lth_sketch import datasets, tolerances
from lth_sketch.reduction import reduce
from lth_sketch.regression import Problem, nested, path
from lth_sketch.testing import problems
from lth_sketch.tolerances import EXACT, ROUNDING

local = pytest.mark.skipif("LTH_SKETCH_DATA" not in os.environ, reason="needs LTH_SKETCH_DATA")
# Example of E5: plain QR gives 29, 25, 16.
X = np.eye(4)[:, [0, 0, 1]]
Y = np.array([1.0, 2.0, 3.0, 4.0])


def tall(n, d, r=2, seed=0):
    """Data whose Gram matrix is fit for use, with a residual that no weights remove."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) + 1, rng.normal(size=(n, r))


def both(A, y, order):
    """The Gram route, which must not decline, and the Householder route."""
    targets = y.reshape(len(y), -1)
    gram = nested.from_gram(A, targets, np.asarray(order))
    assert gram is not None
    return gram, nested.from_reduced(reduce(A, targets), np.asarray(order))


def test_dependent_features_change_no_loss():
    np.testing.assert_allclose(path(X, Y, [0, 1, 2]), [29, 29, 25], rtol=EXACT)
    np.testing.assert_allclose(path(X, Y, [2, 0, 1]), [26, 25, 25], rtol=EXACT)
    twice = np.vstack([X, X])
    for losses in both(twice, np.hstack([Y, Y]), [0, 1, 2]):
        np.testing.assert_allclose(losses[:, 0], [58, 58, 50], rtol=EXACT)


def kappa(X):
    """Condition number of the features in unit norm: that of their spans."""
    X = reference.wide(X)
    norms = np.linalg.norm(X, axis=0)
    sigma = np.linalg.svd(X[:, norms > 0] / norms[norms > 0], compute_uv=False)
    kept = sigma[sigma > 1e-11 * sigma[0]]
    return kept[0] / kept[-1]


@given(problems(), st.integers(1, 6), st.data())
def test_every_prefix_is_a_fit_of_its_own(case, repeats, data):
    # Repeated samples make the data tall, so that the Gram matrix gets its turn.
    A, y = np.tile(case.X, (repeats, 1)), np.concatenate([case.y] * repeats)
    order = np.array(data.draw(st.permutations(range(A.shape[1]))))
    assume(kappa(A) < 1e7)
    expected = reference.prefix_losses(A, y, order)
    off = ROUNDING * kappa(A) * np.sum(reference.wide(y) ** 2)
    for losses in (path(A, y, order), Problem(A, y, case.w0).path(order)):
        assert losses.shape == expected.shape
        np.testing.assert_allclose(losses, expected, rtol=0, atol=off)
        assert (np.diff(losses, axis=0) <= off).all()


@given(problems(conditions=(1e8,)), st.data())
def test_ill_conditioned_features_that_fit_exactly(case, data):
    order = np.array(data.draw(st.permutations(range(case.X.shape[1]))))
    losses = path(case.X, case.y, order)
    full = len(case.X) if len(case.X) < len(order) else len(order)
    assert (
        losses[full - 1 :]
        <= (ROUNDING * kappa(case.X) * np.linalg.norm(reference.wide(case.y))) ** 2
    ).all()


def test_the_last_loss_of_an_exact_fit_does_not_drown_in_the_first():
    # From y^T y by subtraction it would be eps ||y||^2, about 1e-13 here.
    A, _ = tall(60, 5)
    y = A @ np.arange(1.0, 6.0) + 1e-9 * np.sin(np.arange(60))
    # In rational arithmetic: of a loss this small lstsq itself keeps six digits at most.
    expected = reference.exact_loss(A, y)
    assert nested.from_gram(A, y[:, None], np.arange(5)) is None
    np.testing.assert_allclose(path(A, y, range(5))[-1], expected, rtol=tolerances.REFINED)
    assert expected < 1e-16


def test_more_features_than_samples_give_a_flat_end():
    A, y = tall(5, 12)
    losses = path(A, y, np.arange(12)[::-1])
    np.testing.assert_allclose(losses[4:], 0, atol=EXACT)
    assert (losses[3] > 1e-6).all()


def test_the_gram_route_is_the_householder_route(size):
    A, y = tall(size(4000, 400), size(60, 12))
    A[:, 3], A[:, 5] = 0, A[:, 1]
    A[:, 7] = A[:, 1] - 2 * A[:, 2]
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(A.shape[1])
        gram, householder = both(A, y, order)
        np.testing.assert_allclose(gram, householder, rtol=EXACT)
        assert ((np.diff(gram, axis=0) == 0).all(axis=1).sum()) == 3 - (order[0] == 3)


def test_features_only_count_once_their_predecessors_are_in():
    # Feature 2 is the sum of the others: it is dependent last, and not before.
    A, y = tall(50, 3)
    A[:, 2] = A[:, 0] + A[:, 1]
    for order in ([0, 1, 2], [0, 2, 1], [2, 1, 0]):
        for losses in both(A, y, order):
            np.testing.assert_allclose(losses, reference.prefix_losses(A, y, order), rtol=EXACT)
            assert (losses[2] == losses[1]).all()
            assert (losses[1] < losses[0]).all()


def test_a_feature_is_dependent_on_its_predecessors_only():
    # Feature 2 all but repeats feature 0; that feature 1 would complete it does not matter yet.
    A, y = tall(80, 3)
    A[:, 2] = A[:, 0] + 1e-6 * A[:, 1]
    assert nested.from_gram(A, y, np.array([0, 2, 1])) is None
    # (Nor do digits below 1e-10 decide the last loss: the roundings of feature 2 do.)
    expected = reference.prefix_losses(A, y, [0, 2])
    np.testing.assert_allclose(path(A, y, [0, 2, 1])[:2], expected, rtol=ROUNDING * 1e6)


def test_dependence_is_told_beside_nearly_dependent_features():
    # Features 0 and 1 differ by 2e-4; the targets do not care, so the weights stay of order one.
    Q = np.linalg.qr(tall(80, 5)[0])[0]
    A = np.column_stack([Q[:, 0], Q[:, 0] + 2e-4 * Q[:, 1], Q[:, 2], Q[:, 0] - Q[:, 2]])
    A = np.column_stack([A, A[:, 1] + A[:, 2]])
    y = (Q[:, 0] + 2 * Q[:, 2] + Q[:, 3])[:, None]
    for losses in both(A, y, range(5)):
        np.testing.assert_allclose(losses[:, 0], [5, 5, 1, 1, 1], rtol=EXACT)
        assert (losses[3:] == losses[2]).all()


@pytest.mark.parametrize("gap", [1e-5, 1e-7, 1e-9])
def test_the_gram_route_declines_what_it_cannot_tell(gap):
    A, y = tall(80, 4)
    A[:, 3] = A[:, 0] + gap * A[:, 3]
    assert nested.from_gram(A, y, np.arange(4)) is None
    np.testing.assert_allclose(
        path(A, y, range(4)), reference.prefix_losses(A, y, range(4)), rtol=ROUNDING / gap
    )


@pytest.mark.parametrize(("share", "told"), [(0.99, False), (1.01, True)])
def test_the_gram_route_tells_features_apart_from_a_pivot_on(share, told):
    # Two features of any scale; the second has that share of the least residual in unit norm.
    Q = np.linalg.qr(tall(80, 3)[0])[0]
    gap = np.sqrt(share * tolerances.PIVOT)
    A = np.column_stack([5 * Q[:, 0], 7 * (np.sqrt(1 - gap**2) * Q[:, 0] + gap * Q[:, 1])])
    losses = nested.from_gram(A, Q[:, [0]] + Q[:, [2]], np.arange(2))
    assert (losses is not None) == told


@pytest.mark.parametrize(("share", "accurate"), [(0.99, False), (1.01, True)])
def test_the_gram_route_counts_weights_in_unit_norm(share, accurate):
    # For y = q + b r the bound is GRAM (1 + ||y||)^2, and the loss b^2: equal for this b.
    k = np.sqrt(tolerances.GRAM_LOSS / tolerances.GRAM)
    q, r = np.linalg.qr(tall(80, 2)[0])[0].T
    y = q + share * 2 * k / (k**2 - 1) * r
    for scale in (0.1, 5.0):
        losses = nested.from_gram(scale * q[:, None], y[:, None], np.arange(1))
        assert (losses is not None) == accurate


def test_the_gram_route_declines_weights_that_cancel():
    # No pivot is small, but the weights of the fit are large and opposite.
    A, y = tall(80, 2, r=1)
    A[:, 1] = A[:, 0] + 1e-2 * A[:, 1]
    target = (A @ [1e6, -1e6])[:, None] + 1e-2 * y
    assert nested.from_gram(A, y, np.arange(2)) is not None
    assert nested.from_gram(A, target, np.arange(2)) is None


def test_the_gram_route_asks_for_accuracy_of_every_prefix():
    # Each loss in turn just above what the weights of its prefix ask for, and just below.
    rng = np.random.default_rng(10)
    L, c, norms = np.tril(rng.normal(size=(4, 4))) + 3 * np.eye(4), rng.normal(size=(4, 2)), [1, 2]
    sizes = [np.abs(np.linalg.solve(L[:t, :t].T, c[:t])).sum(axis=0) for t in range(5)]
    needed = tolerances.GRAM / tolerances.GRAM_LOSS * (np.array(sizes) + norms) ** 2
    for place in np.ndindex(needed.shape):
        for factor_, enough in ((1 + ROUNDING, True), (1 - ROUNDING, False)):
            losses = 2 * needed
            losses[place] = factor_ * needed[place]
            assert nested._accurate(L, c, losses, np.array(norms)) == enough


@pytest.mark.parametrize(("n", "tall_enough"), [(3, 0), (7, 0), (8, 1), (9, 1), (40, 1)])
def test_the_gram_route_is_for_twice_as_many_samples_as_features(n, tall_enough, monkeypatch):
    asked = []
    monkeypatch.setattr(nested, "from_gram", lambda *data: asked.append(data))
    path(*tall(n, 4), range(4))
    assert len(asked) == tall_enough


def test_scales_of_features_do_not_matter(size):
    A, y = tall(300, 6)
    expected = path(A, y, range(6))
    scaled = A * 10.0 ** np.array([-30, 12, 0, 5, -8, 30])
    np.testing.assert_allclose(path(scaled, y, range(6)), expected, rtol=EXACT)
    np.testing.assert_allclose(Problem(scaled, y).path(range(6)), expected, rtol=EXACT)


@pytest.mark.parametrize("kind", [scipy.sparse.csr_matrix, scipy.sparse.csc_array])
def test_sparse_and_single_precision(kind):
    A, y = tall(300, 6)
    A[A < 1] = 0
    order = [3, 1, 0, 2, 5, 4]
    expected = path(A, y, order)
    np.testing.assert_array_equal(path(kind(A), y, order), expected)
    single = A.astype(np.float32)
    np.testing.assert_array_equal(path(single, y, order), path(single.astype(float), y, order))


def test_no_data_or_no_features_that_live():
    np.testing.assert_allclose(path(np.zeros((9, 2)), np.ones(9), [1, 0]), [9, 9], rtol=EXACT)
    assert path(np.ones((1, 1)), [2.0], [0]) == pytest.approx(0.0)


def test_inputs_are_not_changed():
    A, y = tall(30, 4)
    order = np.array([3, 0, 1, 2])
    for given_ in (A, y, order):
        given_.flags.writeable = False
    path(A, y, order)
    problem = Problem(A, y)
    first = problem.path(order)
    np.testing.assert_array_equal(problem.path(order), first)


@pytest.mark.parametrize(
    ("order", "error", "text"),
    [
        ([0, 1], ValueError, r"permutation of the 3 features, of shape \(3,\); got shape \(2,\)"),
        ([0, 1, 1], ValueError, r"each of 0, \.\.\., 2 once; 1 is missing or repeated"),
        ([0, 1, 3], ValueError, "2 is missing"),
        ([0, -1, 2], ValueError, "1 is missing"),
        ([0.0, 1.0, 2.0], TypeError, "order must hold integers; got dtype float64"),
        ([True, False, True], TypeError, "order must hold integers"),
    ],
)
def test_bad_orders_are_named(order, error, text):
    with pytest.raises(error, match=text):
        path(X, Y, order)
    with pytest.raises(error, match=text):
        Problem(X, Y).path(order)


def test_bad_data_are_named():
    with pytest.raises(ValueError, match=r"X\[0, 1\] = nan"):
        path([[1.0, np.nan]], [1.0], [0, 1])
    with pytest.raises(ValueError, match="y must have one row for each of the 4 rows of X"):
        path(X, Y[:3], [0, 1, 2])


@local
@pytest.mark.large
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_losses_on_images_are_those_of_lstsq(name):
    images = datasets.load(name, subset=6000)
    y = np.eye(10)[images.y]
    order = np.random.default_rng(4).permutation(784)
    gram, householder = both(images.X, y, order)
    for k in (1, 50, 400, 784):
        part = images.X[:, order[:k]]
        fitted = part @ np.linalg.lstsq(part, y, rcond=None)[0]
        expected = np.sum((y - fitted) ** 2, axis=0)
        np.testing.assert_allclose(gram[k - 1], expected, rtol=tolerances.PUBLISHED)
        np.testing.assert_allclose(householder[k - 1], expected, rtol=tolerances.PUBLISHED)
