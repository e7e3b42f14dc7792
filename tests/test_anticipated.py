"""E6, E7 and D5: every label vector and every mask of small problems, and closed forms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import reference
import scipy.sparse
import scipy.special

from lth_sketch import Product, bounds, moments, probabilities, regression
from lth_sketch.testing import enumerate_masks, squared_errors
from lth_sketch.tolerances import EXACT, QUADRATURE, ROUNDING

# Every sign pattern of four labels: independent, of mean zero and variance one.
SIGNS = np.array(list(itertools.product([-1.0, 1.0], repeat=4))).T

TRAININGS = {
    "end": ({}, lambda X, y, w0: regression.gradient_flow(X, y, w0)),
    "flow": ({"time": 0.3}, lambda X, y, w0: regression.gradient_flow(X, y, w0, time=0.3)),
    "start": ({"time": 0.0}, lambda X, y, w0: regression.gradient_flow(X, y, w0, time=0.0)),
    "descent": (
        {"kind": "descent", "rate": 0.02, "steps": 7},
        lambda X, y, w0: regression.gradient_descent(X, y, w0, rate=0.02, steps=7),
    ),
    "descended": (
        {"kind": "descent", "rate": 0.02},
        lambda X, y, w0: regression.gradient_flow(X, y, w0),
    ),
    "ridge": (
        {"kind": "ridge", "penalty": 0.7},
        lambda X, y, w0: regression.ridge(X, y, w0, penalty=0.7),
    ),
}


def features(seed=0, rank=3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(4, 3))
    if rank == 2:
        X[:, 2] = X[:, 0] - 2 * X[:, 1]
    return X, rng


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("name", TRAININGS)
def test_the_moment_over_all_labels_and_masks(name, rank):
    X, rng = features(rank=rank)
    arguments, train = TRAININGS[name]
    L = rng.normal(size=(4, 4))
    sample = rng.normal(size=(4, 5)) + 1.0
    for labels, columns in (
        (2.25, 1.5 * SIGNS),
        (L @ L.T, L @ SIGNS),
        (sample, sample),
        (sample[:, 0], sample[:, :1]),
    ):
        for w0 in (rng.normal(size=3), rng.normal(size=(3, 2)), None):
            starts = np.zeros((3, 1)) if w0 is None else w0.reshape(3, -1)
            p, s = rng.dirichlet(np.ones(3)), 2
            masks, chances = enumerate_masks(p, s)
            expected = 0.0
            for start in starts.T:
                for y in columns.T:
                    w = train(X, y, start)
                    if np.any(w):
                        errors = squared_errors(Product(X, w), masks)
                        expected += chances @ errors / columns.shape[1]
            got = moments.anticipated(X, p, s, w0, **arguments, labels=labels)
            np.testing.assert_allclose(got, expected, rtol=QUADRATURE, atol=EXACT)


def test_the_moment_step_by_step():
    X, rng = features(8)
    w0, p, rate = rng.normal(size=3), rng.dirichlet(np.ones(3)), 0.1 / np.linalg.norm(X, 2) ** 2
    for steps in (0, 1, 2, 9):
        expected = reference.anticipated_moment(X, w0, 2 * SIGNS, rate, steps, p, 3)
        got = moments.anticipated(X, p, 3, w0, "descent", labels=4.0, rate=rate, steps=steps)
        np.testing.assert_allclose(got, expected, rtol=EXACT)


def test_times_share_one_factorisation_and_come_first():
    X, rng = features()
    w0, times = rng.normal(size=3), np.array([[0.0, 0.1], [2.0, np.inf]])
    p = probabilities.anticipated(X, w0, time=times)
    assert p.shape == (2, 2, 3)
    np.testing.assert_allclose(p.sum(axis=-1), 1.0, rtol=ROUNDING)
    exact = moments.anticipated(X, [1, 1, 2], [1, 2, 5], w0, time=times)
    assert exact.shape == (2, 2, 3)
    for i, j in np.ndindex(2, 2):
        one = probabilities.anticipated(X, w0, time=times[i, j])
        np.testing.assert_allclose(p[i, j], one, rtol=EXACT)
        alone = moments.anticipated(X, [1, 1, 2], [1, 2, 5], w0, time=times[i, j])
        np.testing.assert_allclose(exact[i, j], alone, rtol=EXACT)
    assert isinstance(moments.anticipated(X, [1, 1, 2], 3, w0), float)
    # Each time with its own draw.
    own = moments.anticipated(X, p, [1, 2, 5], w0, time=times)
    assert (own <= exact).all()
    alone = moments.anticipated(X, p[1, 0], [1, 2, 5], w0, time=2.0)
    np.testing.assert_allclose(own[1, 0], alone, rtol=EXACT)
    with pytest.raises(ValueError, match=r"p must have shape \(3,\) or \(2, 2, 3\); got"):
        moments.anticipated(X, p[:1], 1, w0, time=times)


def test_at_the_start_it_is_the_optimal_draw():
    X, rng = features()
    w0 = rng.normal(size=(3, 2))
    got = probabilities.anticipated(X, w0, time=0.0)
    np.testing.assert_allclose(got, probabilities.optimal(Product(X, w0)), rtol=EXACT)


@pytest.mark.parametrize("name", TRAININGS)
def test_no_other_draw_is_better_and_what_it_costs(name):
    """S3 with the mean square of each weight in the place of its square."""
    X, rng = features(1)
    w0 = rng.normal(size=3)
    arguments = {**TRAININGS[name][0], "labels": 4.0}
    best = probabilities.anticipated(X, w0, **arguments)
    least = moments.anticipated(X, best, 3, w0, **arguments)
    one = moments.anticipated(X, np.ones(3), 1, w0, **arguments)
    unit = (one - least * 3) / probabilities.chi2(best, np.ones(3))
    for _ in range(20):
        p = rng.dirichlet(np.ones(3))
        moment = moments.anticipated(X, p, 3, w0, **arguments)
        excess = unit * probabilities.chi2(best, p) / 3
        np.testing.assert_allclose(moment, least + excess, rtol=QUADRATURE)
        assert excess >= 0


def test_at_the_end_it_is_the_root_of_the_variance_inflation_factors():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(30, 6)) @ rng.normal(size=(6, 6))
    correlations = (X / np.linalg.norm(X, axis=0)).T @ (X / np.linalg.norm(X, axis=0))
    inflation = np.diag(np.linalg.inv(correlations))
    expected = np.sqrt(inflation) / np.sqrt(inflation).sum()
    for w0, labels in ((None, 1.0), (rng.normal(size=6), 9.0)):
        got = probabilities.anticipated(X, w0, labels=labels)
        np.testing.assert_allclose(got, expected, rtol=QUADRATURE)
    price = 6 * inflation.sum() / np.sqrt(inflation).sum() ** 2
    np.testing.assert_allclose(bounds.collinearity_price(X), price, rtol=QUADRATURE)
    uniform, best = (moments.anticipated(X, p, 1) for p in (np.ones(6), expected))
    fitted = 6.0  # E||X w||^2: the projection on six dimensions of independent labels
    np.testing.assert_allclose((uniform + fitted) / (best + fitted), price, rtol=QUADRATURE)


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array, scipy.sparse.csc_array])
def test_forms_of_the_data_and_features_that_are_zero(form):
    X, rng = features(3)
    X[:, 1] = 0.0
    w0 = rng.normal(size=3)
    got = probabilities.anticipated(form(X), w0, time=1.0)
    expected = probabilities.anticipated(X[:, [0, 2]], w0[[0, 2]], time=1.0)
    np.testing.assert_allclose(got, [expected[0], 0.0, expected[1]], rtol=EXACT, atol=EXACT)
    assert got[1] == 0.0


def test_a_label_matrix_is_a_sample_and_outputs_scale():
    X, rng = features(4)
    Y = rng.normal(size=(4, 7))
    Y -= Y.mean(axis=1, keepdims=True)
    w0 = rng.normal(size=3)
    pair = [
        moments.anticipated(X, [1, 2, 3], 2, w0, labels=labels, time=0.4)
        for labels in (Y, Y @ Y.T / 7)
    ]
    np.testing.assert_allclose(pair[0], pair[1], rtol=QUADRATURE)
    many = moments.anticipated(X, [1, 2, 3], 2, labels=Y, outputs=5)
    np.testing.assert_allclose(many, 5 * moments.anticipated(X, [1, 2, 3], 2, labels=Y))
    # Independent of the outputs, as no weights are known.
    one, ten = (probabilities.anticipated(X, labels=Y, outputs=r) for r in (1, 10))
    np.testing.assert_allclose(one, ten, rtol=EXACT)


def mean_norm(mu2, v, r):
    """E||w|| of a Gaussian in r dimensions, ||E w||^2 = mu2 and covariance v I."""
    root = np.exp(scipy.special.gammaln((r + 1) / 2) - scipy.special.gammaln(r / 2))
    return np.sqrt(2 * v) * root * scipy.special.hyp1f1(-0.5, r / 2, -mu2 / (2 * v))


def test_the_price_of_unseen_labels(size):
    """G of the anticipated draw against a lower bound on E U^2, with weights of any mean."""
    rng = np.random.default_rng(5)
    for _ in range(size(500, 100)):
        d, r = int(rng.integers(1, 9)), int(rng.integers(1, 12))
        X = rng.normal(size=(12, d)) * np.exp(rng.normal(size=d))
        w0 = rng.normal(size=(d, r)) * np.exp(2 * rng.normal())
        time = np.exp(rng.normal()) / np.linalg.norm(X, 2) ** 2
        _, sigma, Vt = np.linalg.svd(X, full_matrices=False)
        g = -np.expm1(-time * sigma**2) / sigma
        mu2 = np.square(w0 - Vt.T @ ((sigma * g)[:, None] * (Vt @ w0))).sum(axis=1)
        v = np.square(g) @ np.square(Vt)
        a = np.linalg.norm(X, axis=0)
        ours = (a @ np.sqrt(mu2 + r * v)) ** 2
        seen = (a @ mean_norm(mu2, v, r)) ** 2
        assert ours <= bounds.label_price(r) * seen * (1 + QUADRATURE)
        p = probabilities.anticipated(X, w0, time=time)
        np.testing.assert_allclose(p, a * np.sqrt(mu2 + r * v) / np.sqrt(ours), rtol=QUADRATURE)


def test_the_price_by_its_closed_form(size):
    """One output, mean zero: E|w_i||w_j| = (2/pi) m_i m_j (sqrt(1 - c^2) + c arcsin c)."""
    rng = np.random.default_rng(6)
    ratios = []
    for _ in range(size(500, 100)):
        d = int(rng.integers(1, 30))
        X = rng.normal(size=(d + 5, d)) @ np.diag(np.exp(rng.normal(size=d)))
        X += rng.exponential() * rng.normal(size=(d + 5, 1))
        S = np.linalg.inv(X.T @ X)
        am = np.linalg.norm(X, axis=0) * np.sqrt(np.diag(S))
        c = np.clip(S / np.sqrt(np.outer(np.diag(S), np.diag(S))), -1, 1)
        seen = 2 / np.pi * am @ (np.sqrt(1 - c * c) + c * np.arcsin(c)) @ am
        ratios.append(am.sum() ** 2 / seen)
    assert max(ratios) <= bounds.label_price(1)
    assert min(ratios) >= 1 - QUADRATURE
    # Sixty independent weights come near the limit.
    near = 60 / (2 / np.pi * 59 + 1)
    assert 0.99 * np.pi / 2 < near < bounds.label_price(1)


def test_the_price_of_labels_in_numbers():
    got = bounds.label_price([1, 2, 3, 10])
    np.testing.assert_allclose(got[:3], [np.pi / 2, 4 / np.pi, 3 * np.pi / 8], rtol=EXACT)
    np.testing.assert_allclose(got[3], 1.051, atol=5e-4)
    assert isinstance(bounds.label_price(1), float)
    many = bounds.label_price(np.array([10**3, 10**6]))
    np.testing.assert_allclose(many, 1 + 1 / (2 * np.array([10**3, 10**6])), rtol=1e-6)


def test_the_price_of_collinearity():
    rng = np.random.default_rng(7)
    Q = np.linalg.qr(rng.normal(size=(9, 5)))[0]
    np.testing.assert_allclose(bounds.collinearity_price(Q * [1, 2, 3, 4, 5]), 1.0, rtol=EXACT)
    # Rank-deficient: training from zero splits what two equal features share.
    twice = np.column_stack([Q[:, :2], Q[:, 1]])
    np.testing.assert_allclose(bounds.collinearity_price(twice), 3 * 1.5 / 4, rtol=EXACT)


NOT = np.array([[1.0, 2.0], [2.0, 1.0]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X": np.zeros((2, 3))}, "X must have an entry that is not zero"),
        ({"X": np.full((2, 3), 1e-200)}, "rescale X"),
        ({"labels": NOT}, "smallest eigenvalue is -1"),
        ({"labels": [[1.0, 2.0], [0.0, 1.0]]}, "not symmetric"),
        ({"labels": -1.0}, r"labels must lie in \[0"),
        ({"labels": np.ones((3, 2))}, "labels must be a variance, an"),
        ({"labels": [np.nan, 1.0]}, "labels must be finite"),
        ({"labels": 0.0}, "every trained weight is zero"),
        ({"time": 0.0}, "every trained weight is zero"),
        ({"time": -1.0}, "time must be >= 0"),
        ({"penalty": 1.0}, "penalty is not for kind 'flow'"),
        ({"kind": "ridge"}, "penalty is missing"),
        ({"kind": "adam"}, "kind must be one of"),
        ({"kind": "descent", "rate": 9.0}, "else descent diverges"),
        ({"outputs": 0}, "outputs must be at least 1"),
        ({"w0": np.ones((3, 2)), "outputs": 4}, "outputs must be the number of columns of w0, 2"),
        ({"w0": np.ones(4)}, "w0 must have one row for each of the 3 features"),
    ],
)
def test_bad_input(arguments, message):
    call = {"X": np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]), **arguments}
    with pytest.raises(ValueError, match=message):
        probabilities.anticipated(**call)


def test_bad_draws_and_prices():
    X = np.eye(3)
    with pytest.raises(ValueError, match="biased"):
        moments.anticipated(X, [1, 1, 0], 2)
    with pytest.raises(ValueError, match="s must be at least 1"):
        moments.anticipated(X, [1, 1, 1], 0)
    with pytest.raises(ValueError, match="outputs must be at least 1"):
        bounds.label_price(0)
    with pytest.raises(TypeError, match="outputs must be an integer"):
        bounds.label_price(1.5)
    with pytest.raises(ValueError, match="X must have an entry"):
        bounds.collinearity_price(np.zeros((2, 2)))


@pytest.mark.parametrize("largest", [1e-140, 1e140])
def test_the_ends_of_the_range_belong_to_it(largest):
    X = np.array([[1.0, 0.0], [0.5, 0.25]])
    w0 = [1.0, 1.0]
    p = probabilities.anticipated(X * largest, w0, time=1.0 / largest**2)
    assert p.sum() == pytest.approx(1.0, rel=EXACT)
    beyond = np.nextafter(largest, np.log10(largest) * np.inf)
    with pytest.raises(ValueError, match="largest entry in"):
        probabilities.anticipated(X * beyond, w0, time=1.0 / largest**2)
