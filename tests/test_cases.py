"""The products that statements are tried on, each by its definition."""

from __future__ import annotations

import numpy as np
import pytest

from lth_sketch import Product, datasets, probabilities
from lth_sketch.statements import PRODUCTS
from lth_sketch.statements.case import STANDARDISED, THUMBNAIL
from lth_sketch.tolerances import CONDITIONED, EXACT

DATA = datasets.load("digits", subset=300)
START = np.random.default_rng([5, 0]).normal(size=64)
TARGET = np.where(DATA.y == 0, 1.0, -1.0)


@pytest.mark.parametrize(
    ("name", "B", "p"),
    [
        ("initial", START, None),
        ("data_free", START, abs(START)),
        ("coherent", abs(START), None),
    ],
)
def test_products_at_initialization(name, B, p):
    product, drawn = PRODUCTS[name](DATA, 5)
    np.testing.assert_array_equal(product.A, DATA.X)
    np.testing.assert_array_equal(product.B.ravel(), B)
    expected = product.term_norms if p is None else p
    np.testing.assert_allclose(drawn, expected / expected.sum(), rtol=EXACT)


def test_the_trained_product_is_at_the_least_loss_of_its_ridge():
    product, p = PRODUCTS["trained"](DATA, 5)
    X, w = DATA.X, product.B.ravel()
    penalty = np.square(X).sum() / 1000
    slope = X.T @ (X @ w - TARGET) + penalty * (w - START)
    assert np.linalg.norm(slope) <= CONDITIONED * np.linalg.norm(X.T @ (X @ START - TARGET))
    before = Product(X, START)
    np.testing.assert_allclose(p, probabilities.defensive(before, 0.5), rtol=EXACT)


def test_the_standardised_product_has_centred_columns_of_norm_one():
    product, p = PRODUCTS["standardised"](DATA, 5)
    live = np.flatnonzero(DATA.X.std(axis=0) > 0)
    assert product.d == min(STANDARDISED, len(live))
    np.testing.assert_allclose(product.A.sum(axis=0), 0.0, atol=EXACT)
    np.testing.assert_allclose(product.column_norms, 1.0, rtol=EXACT)
    np.testing.assert_allclose(p, abs(product.B.ravel()) / abs(product.B).sum(), rtol=EXACT)


def test_a_thumbnail_is_spread_over_the_columns_that_are_not_zero():
    product, p = PRODUCTS["thumbnail"](DATA, 5)
    live = np.flatnonzero((DATA.X != 0).any(axis=0))
    chosen = live[np.linspace(0, len(live) - 1, THUMBNAIL).astype(int)]
    np.testing.assert_array_equal(product.A, DATA.X[:, chosen])
    np.testing.assert_array_equal(product.B.ravel(), START[chosen])
    np.testing.assert_allclose(p, probabilities.optimal(product), rtol=EXACT)


def test_kernels_and_single_samples():
    kernel, p = PRODUCTS["kernel"](DATA, 5)
    np.testing.assert_array_equal(kernel.A, DATA.X[:50])
    np.testing.assert_array_equal(kernel.B, DATA.X[:50].T)
    squares = np.square(DATA.X[:50]).sum(axis=0)
    np.testing.assert_allclose(p, squares / squares.sum(), rtol=EXACT)
    single, p = PRODUCTS["single"](DATA, 5)
    np.testing.assert_array_equal(single.A, DATA.X[:1])
    np.testing.assert_array_equal(single.B.ravel(), START)
    np.testing.assert_allclose(p, single.term_norms / single.term_norms.sum(), rtol=EXACT)
