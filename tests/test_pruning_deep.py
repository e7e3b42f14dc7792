"""Scores of deep linear networks against differences of the loss and sums over paths."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import reference
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from lth_sketch import Product, pruning
from lth_sketch.pruning import deep
from lth_sketch.tolerances import EXACT


@st.composite
def networks(draw):
    """X, y and weights: one to three layers, small integers over 4, zeros included."""
    widths = draw(st.lists(st.integers(1, 3), min_size=2, max_size=4))
    rows = draw(st.integers(1, 3))

    def entries(shape):
        size = int(np.prod(shape))
        values = draw(st.lists(st.integers(-8, 8), min_size=size, max_size=size))
        return np.array(values, dtype=float).reshape(shape) / 4

    weights = [entries(shape) for shape in itertools.pairwise(widths)]
    return entries((rows, widths[0])), entries((rows, widths[-1])), weights


def close(got, wanted):
    scale = max(1.0, *(np.abs(W).max() for W in wanted))
    for one, other in zip(got, wanted, strict=True):
        assert one.dtype == np.float64
        np.testing.assert_allclose(one, other, rtol=0, atol=EXACT * scale)


@given(networks())
def test_snip_is_the_derivative_by_the_mask(case):
    X, y, weights = case
    gradient = reference.network_gradient(X, y, weights)
    close(deep.snip(X, y, weights), [abs(W * G) for W, G in zip(weights, gradient, strict=True)])


@given(networks())
def test_grasp_keeps_what_gradient_flow_needs(case):
    # Scaling a weight by c: its score is half the slope of ||g||^2 at c = 1.
    X, y, weights = case
    if sum(W.size for W in weights) > 12:
        weights = weights[:1]
        y = np.resize(y, (len(X), weights[0].shape[1]))
    wanted = [np.zeros(W.shape) for W in weights]
    for layer, W in enumerate(weights):
        for index in np.ndindex(W.shape):

            def flow(c, layer=layer, index=index, value=W[index]):
                network = reference.changed(weights, layer, index, c * value)
                return reference.gradient_norm2(X, y, network)

            wanted[layer][index] = reference.slope(flow) / 2
    close(deep.grasp(X, y, weights), wanted)


@given(networks())
def test_sketch_is_the_product_of_the_jacobian_and_the_weights(case):
    X, _, weights = case
    columns = []
    for layer, W in enumerate(weights):
        for index in np.ndindex(W.shape):
            one, zero = (reference.changed(weights, layer, index, v) for v in (1.0, 0.0))
            # The output is linear in a single weight.
            columns.append(
                (
                    np.linalg.multi_dot([X, *one, np.eye(W_out(weights))])
                    - np.linalg.multi_dot([X, *zero, np.eye(W_out(weights))])
                ).ravel()
            )
    J, w = np.array(columns).T, np.concatenate([W.ravel() for W in weights])
    got = deep.sketch(X, weights)
    ends = np.cumsum([W.size for W in weights])[:-1]
    wanted = np.split(np.linalg.norm(J, axis=0) * np.abs(w), ends)
    close(got, [part.reshape(W.shape) for part, W in zip(wanted, weights, strict=True)])
    if np.concatenate([layer.ravel() for layer in got]).any():
        flat = np.concatenate([layer.ravel() for layer in got])
        np.testing.assert_allclose(Product(J, w).term_norms, flat, rtol=EXACT, atol=EXACT)


def W_out(weights):
    return weights[-1].shape[1]


@given(networks())
def test_synflow_is_a_sum_over_paths_and_conserved_over_layers(case):
    _, _, weights = case
    logs = deep.log_synflow(weights)
    close([np.exp(layer) for layer in logs], reference.synflow_by_paths(weights))
    total = reference.synflow_by_paths(weights)[0].sum()
    for layer in logs:
        np.testing.assert_allclose(np.exp(logsumexp(layer)), total, rtol=EXACT)


@given(st.integers(1, 40), st.integers(1, 6), st.integers(0, 2**31), st.sampled_from([1e-9, 1e9]))
def test_conservation_of_synflow_at_any_depth_and_scale(depth, width, seed, scale):
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, width + 1, depth + 1)
    weights = [scale * rng.normal(size=shape) for shape in itertools.pairwise(widths)]
    totals = [logsumexp(layer) for layer in deep.log_synflow(weights)]
    np.testing.assert_allclose(totals, totals[0], rtol=0, atol=EXACT * (1 + abs(totals[0])))


@pytest.mark.parametrize("scale", [1.0, 1e30, 1e-30])
def test_a_deep_network_in_float32_has_finite_log_scores(scale):
    rng = np.random.default_rng(0)
    weights = [(scale * rng.normal(size=(64, 64))).astype(np.float32) for _ in range(200)]
    logs = deep.log_synflow(weights)
    assert len(logs) == 200
    assert all(np.isfinite(layer).all() for layer in logs)
    totals = [logsumexp(layer) for layer in logs]
    np.testing.assert_allclose(totals, totals[0], rtol=EXACT)
    # The plain scores leave float64: this is what the logarithms are for.
    assert abs(totals[0]) > np.log(np.finfo(float).max)
    masks = pruning.select(logs[::50], 0.1, design="systematic", log=True, rng=0)
    assert sum(mask.sum() for mask in masks) == round(0.1 * 4 * 64**2)


def test_one_layer_agrees_with_the_linear_model():
    rng = np.random.default_rng(1)
    X, w, y = rng.normal(size=(5, 4)), rng.normal(size=(4, 1)), rng.normal(size=5)
    for got, wanted in [
        (deep.magnitude([w]), pruning.magnitude(w)),
        (deep.snip(X, y, [w]), pruning.snip(X, y[:, None], w)),
        (deep.grasp(X, y, [w]), pruning.grasp(X, y[:, None], w)),
        (deep.sketch(X, [w]), pruning.sketch(X, w)),
        ([np.exp(layer) for layer in deep.log_synflow([w])], pruning.synflow(w)),
    ]:
        np.testing.assert_allclose(got[0][:, 0], wanted, rtol=EXACT)


def test_sparse_and_float32_data_give_float64_scores():
    rng = np.random.default_rng(2)
    X = (rng.normal(size=(6, 4)) * (rng.random((6, 4)) < 0.5)).astype(np.float32)
    y = rng.normal(size=(6, 2)).astype(np.float32)
    weights = [rng.normal(size=shape).astype(np.float32) for shape in [(4, 3), (3, 2)]]
    before = [W.copy() for W in weights]
    wide = [W.astype(float) for W in weights]
    for form in (np.asarray, scipy.sparse.csr_array, scipy.sparse.csc_matrix):
        for score in (deep.snip, deep.grasp):
            close(score(form(X), y, weights), score(X.astype(float), y.astype(float), wide))
        close(deep.sketch(form(X), weights), deep.sketch(X.astype(float), wide))
    close(deep.magnitude(weights), deep.magnitude(wide))
    close(deep.log_synflow(weights), deep.log_synflow(wide))
    for W, old in zip(weights, before, strict=True):
        np.testing.assert_array_equal(W, old)


def test_random_orders_all_layers_as_one_vector():
    weights = [np.zeros((3, 4)), np.zeros((4, 2))]
    layers = deep.random(weights, rng=0)
    assert [layer.shape for layer in layers] == [(3, 4), (4, 2)]
    flat = np.concatenate([layer.ravel() for layer in layers])
    np.testing.assert_array_equal(flat, pruning.random(20, rng=0))


def test_a_dead_network_has_no_paths():
    logs = deep.log_synflow([np.ones((2, 2)), np.zeros((2, 3)), np.ones((3, 1))])
    assert all((layer == -np.inf).all() for layer in logs)


ONE = np.ones((1, 1))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: deep.magnitude([]), "weights must hold at least one layer"),
        (lambda: deep.magnitude([ONE, [[np.nan]]]), r"weights\[1\]\[0, 0\] = nan"),
        (lambda: deep.magnitude(np.ones((2, 2))), r"weights\[0\] must have 2 axes"),
        (
            lambda: deep.log_synflow([np.ones((1, 2)), ONE]),
            r"weights\[1\] must have 2 rows.*got shape \(1, 1\).*torch.nn.Linear",
        ),
        (lambda: deep.sketch(np.ones((3, 2)), [ONE]), r"X must have 1 columns.*got shape \(3, 2\)"),
        (lambda: deep.snip(ONE, np.ones((1, 2)), [ONE]), r"y must have shape \(1, 1\)"),
        (
            lambda: deep.grasp(ONE, np.ones(2), [ONE]),
            r"y must have shape \(1, 1\).*got shape \(2,\)",
        ),
        (lambda: deep.snip(ONE, ONE, [1e200 * ONE] * 2), "scores of layer 0 that leave float64"),
        (lambda: deep.grasp(ONE, ONE, [1e99 * ONE] * 3), "scores of layer 0 that leave float64"),
        (lambda: deep.sketch(ONE, [1e200 * ONE] * 2), "log_synflow"),
    ],
)
def test_bad_input(call, text):
    with pytest.raises(ValueError, match=text):
        call()
