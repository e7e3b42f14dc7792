"""The price of never looking at the data: D1-D3, exactly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import reference
from hypothesis import assume, given, target
from hypothesis import strategies as st

from lth_sketch import Product, bounds, datasets, moments, probabilities
from lth_sketch.testing import products
from lth_sketch.tolerances import EXACT, PUBLISHED, ROUNDING

KNOWN = json.loads((Path(__file__).parent / "known_answers.json").read_text())
NORMS = st.lists(st.floats(0.01, 100.0), min_size=1, max_size=6).map(np.array)


@given(products())
def test_price_is_the_ratio_of_second_moments(product):
    """D2, against G by definition and against the exact second moments of S2 and S3."""
    q = probabilities.data_free(product.B)
    scaled = np.linalg.norm(
        np.reshape(product.B, (product.d, -1)) / product.row_norms.max(), axis=1
    )
    a = product.column_norms / product.column_norms.max()
    ratio = reference.uncentred_moment(a, scaled, q) / (a @ scaled) ** 2
    price = bounds.price(product.column_norms, product.B)
    np.testing.assert_allclose(price, ratio, rtol=EXACT)
    assert price >= 1.0
    if (q > 0)[product.term_norms > 0].all():
        excess = moments.multinomial(product, q, 3) - moments.optimal(product, 3)
        np.testing.assert_allclose(
            excess / product.total**2, (price - 1) / 3, rtol=EXACT, atol=EXACT * price
        )


@given(products(), st.data())
def test_price_of_a_transfer(product, data):
    d = product.d
    other = np.array(data.draw(st.lists(st.floats(0.01, 100.0), min_size=d, max_size=d)))
    draw = probabilities.from_scores(other * probabilities.data_free(product.B))
    a = product.column_norms / product.column_norms.max()
    w = probabilities.data_free(product.B)
    ratio = reference.uncentred_moment(a, w, draw) / (a @ w) ** 2
    price = bounds.price(product.column_norms, product.B, other=other)
    np.testing.assert_allclose(price, ratio, rtol=EXACT)
    # A feature that is zero in both is never missed.
    padded = bounds.price([*product.column_norms, 0.0], [*w, 1.0], other=[*other, 0.0])
    np.testing.assert_allclose(padded, ratio, rtol=EXACT)
    # Norms of the data themselves are the optimal draw.
    own = bounds.price(product.column_norms, product.B, other=product.column_norms * 3)
    np.testing.assert_allclose(own, 1.0, rtol=ROUNDING)


@given(products())
def test_equal_norms_make_the_data_unnecessary(product):
    """D1: a data set whose features have one norm, except where the weight is zero."""
    A = np.eye(product.d) * np.where(product.row_norms > 0, 2.0, 0.5)
    same = Product(A, product.B)
    np.testing.assert_allclose(
        probabilities.data_free(product.B), probabilities.optimal(same), rtol=EXACT, atol=0
    )
    np.testing.assert_allclose(bounds.price(same.column_norms, product.B), 1.0, rtol=EXACT)


@given(products(), st.data())
def test_the_limit_holds(product, data):
    """D3, which needs a_i > 0 wherever w_i is not zero."""
    a = product.column_norms[product.row_norms > 0]
    assume((a > 0).all())
    limit = bounds.price_limit(a.max() / a.min())
    price = bounds.price(product.column_norms, product.B)
    assert price <= limit * (1 + EXACT)
    target(price / limit, label="D3")
    other = data.draw(NORMS.filter(lambda norms: len(norms) >= product.d))[: product.d]
    ratio = (product.column_norms / other)[product.row_norms > 0]
    price = bounds.price(product.column_norms, product.B, other=other)
    assert price <= bounds.price_limit(ratio.max() / ratio.min()) * (1 + EXACT)


@given(NORMS, NORMS)
def test_the_limit_is_attained(a, other):
    w = bounds.price_witness(a)
    limit = bounds.price_limit(a.max() / a.min())
    np.testing.assert_allclose(bounds.price(a, w), limit, rtol=EXACT)
    # On data with these norms the witness pays it in second moments.
    G = reference.uncentred_moment(a, w, w / w.sum())
    np.testing.assert_allclose(G / (a @ w) ** 2, limit, rtol=EXACT)
    size = min(len(a), len(other))
    a, other = a[:size], other[:size]
    ratio = a / other
    price = bounds.price(a, bounds.price_witness(a, other=other), other=other)
    np.testing.assert_allclose(price, bounds.price_limit(ratio.max() / ratio.min()), rtol=EXACT)


def test_a_dead_feature_breaks_the_limit():
    """Why D3 asks for a_i > 0: among live features kappa is 1, and the price is 2."""
    assert bounds.price([1.0, 0.0], [1.0, 1.0]) == 2.0 > bounds.price_limit(1.0)


def test_standardised_features_cost_nothing_raw_ones_do():
    X = datasets.load("digits").X
    w = np.random.default_rng(0).standard_normal(X.shape[1])
    raw = bounds.price(np.linalg.norm(X, axis=0), w)
    live = X.std(axis=0) > 0
    standard = (X[:, live] - X[:, live].mean(axis=0)) / X[:, live].std(axis=0)
    np.testing.assert_allclose(bounds.price(np.linalg.norm(standard, axis=0), w[live]), 1.0)
    product = Product(X, w)
    q = probabilities.data_free(w)
    excess = moments.multinomial(product, q, 1) - moments.optimal(product, 1)
    np.testing.assert_allclose(excess / product.total**2, raw - 1, rtol=ROUNDING)
    assert raw > 1.2


@pytest.mark.parametrize("case", KNOWN)
def test_known_answers(case):
    a = Product(case["A"], case["w0"]).column_norms
    price = bounds.price(a, case["w0"])
    np.testing.assert_allclose(price, case["D2_price"], rtol=PUBLISHED)
    live = a[np.array(case["w0"]) != 0]
    limit = bounds.price_limit(live.max() / live.min())
    np.testing.assert_allclose(limit, case["D3_limit"], rtol=PUBLISHED)


@pytest.mark.parametrize("scale", [1e-140, 1e140])
def test_scales_cancel(scale):
    a, w, other = np.array([1.0, 2.0]), np.array([2.0, 3.0]), np.array([3.0, 1.0])
    plain = bounds.price(a, w, other=other)
    np.testing.assert_allclose(bounds.price(a * scale, w, other=other / scale), plain, rtol=EXACT)
    np.testing.assert_allclose(bounds.price(a, w * scale, other=other), plain, rtol=EXACT)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bounds.price([1.0, -1.0], [1.0, 1.0]), "a must be >= 0"),
        (lambda: bounds.price([1.0], [1.0, 1.0]), "a must have length 2"),
        (lambda: bounds.price([1.0, 2.0], [0.0, 0.0]), "w must have an entry > 0"),
        (lambda: bounds.price([1.0, 0.0], [0.0, 1.0]), "product of zeros"),
        (lambda: bounds.price([1.0, np.nan], [1.0, 1.0]), r"a must be finite; got a\[1\] = nan"),
        (
            lambda: bounds.price([1.0, 1.0], [1.0, 1.0], other=[1.0, 0.0]),
            r"other\[1\] = 0, .* biased",
        ),
        (lambda: bounds.price([1.0, 1.0], [1.0, 1.0], other=[1.0]), "other must have length 2"),
        (lambda: bounds.price_limit(0.5), r"kappa must lie in \[1, inf\]; got 0.5"),
        (lambda: bounds.price_limit(np.nan), "kappa must lie in"),
        (lambda: bounds.price_witness([1.0, 0.0]), r"a must be > 0; got a\[1\] = 0"),
        (lambda: bounds.price_witness([1.0, 2.0], other=[1.0]), "other must have length 2"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
