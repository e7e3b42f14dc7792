"""The theory on real images: digits always, the others where LTH_SKETCH_DATA says they lie."""

from __future__ import annotations

import os

import numpy as np
import pytest
import scipy.stats

from lth_sketch import Product, bounds, datasets, moments, montecarlo, probabilities
from lth_sketch.tolerances import EXACT

SIGNIFICANCE = 1e-9
DELTA = 0.01
S = np.array([8, 128, 784])

local = pytest.mark.skipif("LTH_SKETCH_DATA" not in os.environ, reason="needs LTH_SKETCH_DATA")
NAMES = [
    "digits",
    pytest.param("mnist", marks=local),
    pytest.param("fashion_mnist", marks=local),
    pytest.param("cifar10", marks=local),
]


@pytest.fixture(scope="module", params=NAMES)
def product(request):
    # CIFAR-10 has more features than the others, so fewer samples keep its factor small.
    subset = 500 if request.param == "cifar10" else None
    X = datasets.load(request.param, subset=subset).X
    return Product(X, np.random.default_rng(0).normal(size=X.shape[1]))


@pytest.fixture(params=["optimal", "data_free", "uniform"])
def draw(request, product):
    return {
        "optimal": probabilities.optimal(product),
        "data_free": probabilities.data_free(product.B),
        "uniform": probabilities.uniform(product.d),
    }[request.param]


@pytest.mark.large
def test_means_quantiles_and_the_asymptotic_law(product, draw):
    trials = 20_000
    simulated = montecarlo.squared_errors(product, draw, S, trials=trials, rng=1)
    exact = moments.multinomial(product, draw, S)
    spread = np.sqrt(moments.variance(product, draw, S) / trials)
    assert (
        abs(simulated.mean(axis=1) - exact) <= scipy.stats.norm.isf(SIGNIFICANCE) * spread
    ).all()
    errors = np.sqrt(simulated)
    allowed = scipy.stats.binom.isf(SIGNIFICANCE, trials, DELTA)
    for bound in (bounds.mcdiarmid, bounds.bousquet, bounds.radial, bounds.cantelli):
        limit = bound(product, draw, S, DELTA)
        assert ((errors > limit[:, None]).sum(axis=1) <= allowed).all()
        assert (np.quantile(errors, 1 - DELTA, axis=1) <= limit).all()


@pytest.mark.large
def test_asymptotic_quantiles_are_within_seven_percent(product):
    s = S[S >= 128]
    for p in (probabilities.optimal(product), probabilities.data_free(product.B)):
        errors = montecarlo.squared_errors(product, p, s, trials=20_000, rng=2)
        measured = np.sqrt(np.quantile(errors, 1 - DELTA, axis=1))
        limit = bounds.asymptotic_quantile(product, p, s, DELTA)
        assert (abs(limit / measured - 1) < 0.07).all()


@pytest.mark.large
def test_a_kernel_product_costs_no_more_than_its_parts():
    """(J, J^T) with q r > d is reduced to d x d, and gives what its definition gives."""
    J = np.random.default_rng(3).normal(size=(100, 784))
    product = Product(J, J.T)
    p = probabilities.optimal(product)
    K = J @ J.T
    gradients = np.linalg.norm(J, axis=0)
    np.testing.assert_allclose(product.norm2, np.sum(K**2), rtol=EXACT)
    np.testing.assert_allclose(
        moments.optimal(product, 50), (np.sum(J**2) ** 2 - np.sum(K**2)) / 50, rtol=EXACT
    )
    np.testing.assert_allclose(p, gradients**2 / np.sum(J**2), rtol=EXACT)
    assert product.unit_factor.shape == (784, 784)
    assert bounds.sharpest(product, p, 50, 0.05) > bounds.asymptotic_quantile(product, p, 50, 0.05)
