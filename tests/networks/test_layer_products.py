"""Layers as products (N3): their draws, exact errors and budgets, on real activations."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from lth_sketch import Product, datasets, intervals, montecarlo, networks, probabilities, sampling
from lth_sketch import moments as exact
from lth_sketch.tolerances import CONDITIONED, EXACT, PUBLISHED, QUADRATURE, SINGLE, ULPS

DIGITS = datasets.load("digits", subset=200)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 12), nn.Tanh(), nn.Linear(12, 5)
    ).double()


def inputs(net, place):
    """The activations that a layer sees, by running the layers before it."""
    with torch.no_grad():
        return net[:place](torch.as_tensor(DIGITS.X, dtype=torch.float64)).numpy()


@pytest.mark.parametrize("place", [0, 2, 4])
def test_layer_is_row_by_row_the_optimal_draw(network, place):
    H, W = inputs(network, place), network[place].weight.detach().numpy()
    scores = networks.layer(network, DIGITS.X)[f"{place}.weight"]
    for row, w in zip(scores, W, strict=True):
        p = probabilities.optimal(Product(H, w))
        np.testing.assert_allclose(row / row.sum(), p, rtol=EXACT, atol=ULPS)


@pytest.mark.parametrize("batch", [8, 50])
@pytest.mark.parametrize("samples", [1, 10, 63, 64, 65, 200])
def test_inputs_are_kept_while_they_are_fewer_than_columns(network, samples, batch):
    X = DIGITS.X[:samples]
    layer = networks.layer_products(network, X, batch=batch)["0.weight"]
    (block,) = layer.blocks
    assert (block.inputs is not None) == (samples < 64) == (block.products is None)
    np.testing.assert_allclose(block.gram, X.T @ X, rtol=EXACT, atol=EXACT)
    mask = np.random.default_rng(samples).random(layer.weight.shape) < 0.2
    lost = X @ ((mask - 1.0) * layer.weight).T
    np.testing.assert_allclose(layer.squared_errors(mask), (lost**2).sum(axis=0), rtol=EXACT)


def test_the_moment_of_a_layer_is_certified_by_simulated_masks(network):
    """Each row draws its own mask; real activations of the digits; significance 1e-9."""
    H, W = inputs(network, 2), network[2].weight.detach().numpy()
    layer = networks.layer_products(network, DIGITS.X)["2.weight"]
    s, trials = 10, 100_000
    rng = np.random.default_rng(3)
    total = np.zeros(trials)
    for w in W:
        product = Product(H, w)
        total += montecarlo.squared_errors(
            product, probabilities.optimal(product), s, trials=trials, rng=rng
        )
    value = layer.moment(s).sum()
    interval = intervals.mean(total, 1e-9)
    assert interval.low <= value <= interval.high
    assert interval.high - interval.low < 0.1 * value
    # And with whole masks, through the module itself.
    masks = np.stack([sampling.mask(row, s, rng=rng) for row in layer.term_norms])
    with torch.no_grad():
        change = H @ (masks * W).T - H @ W.T
    np.testing.assert_allclose(layer.squared_errors(masks), (change**2).sum(0), rtol=CONDITIONED)


def test_moments_and_draws_of_the_library_apply_to_a_layer(network):
    H, W = inputs(network, 2), network[2].weight.detach().numpy()
    layer = networks.layer_products(network, DIGITS.X)["2.weight"]
    whole, own = layer.product(), Product(H, W.T)
    p = probabilities.optimal(own)
    np.testing.assert_allclose(probabilities.optimal(whole), p, rtol=CONDITIONED)
    for moment in (exact.multinomial, exact.poisson, exact.systematic, exact.top):
        assert moment(whole, p, 6) == pytest.approx(moment(own, p, 6), rel=QUADRATURE)
    for j in (0, 7):
        row, mine = layer.product(j), Product(H, W[j])
        assert exact.optimal(row, 5) == pytest.approx(exact.optimal(mine, 5), rel=CONDITIONED)
        assert layer.moment(5)[j] == pytest.approx(exact.optimal(mine, 5), rel=CONDITIONED)
        assert layer.values2[j] == pytest.approx(mine.norm2, rel=CONDITIONED)
    errors = [
        montecarlo.squared_errors(product, p, 6, trials=500, rng=0) for product in (whole, own)
    ]
    np.testing.assert_allclose(errors[0], errors[1], rtol=SINGLE)


def test_budgets_are_the_best_of_many(network):
    layer = networks.layer_products(network, DIGITS.X)["0.weight"]
    brackets = layer.moment(1)
    best = layer.budgets(480)
    assert best.sum() == pytest.approx(480)
    least = (brackets / best).sum()
    assert least == pytest.approx(np.sqrt(brackets).sum() ** 2 / 480, rel=EXACT)
    assert least < layer.moment(20).sum()
    rng = np.random.default_rng(0)
    for _ in range(50):
        other = best * rng.uniform(0.5, 1.5, len(best))
        other *= 480 / other.sum()
        assert (brackets / other).sum() >= least


def test_the_published_rule_keeps_the_largest_of_each_row(network):
    masks = networks.find(network, 0.5, score="layer", X=DIGITS.X, scope="row")
    scores = networks.layer(network, DIGITS.X)
    for name, mask in masks.items():
        kept = mask.sum(1)
        assert kept.max() - kept.min() <= 1
        for row, weights in zip(mask, scores[name], strict=True):
            assert weights[row != 0].min() >= weights[row == 0].max()
    # R1: for a binary mask of one term less, the largest term costs most.
    products = networks.layer_products(network, DIGITS.X)
    top = products["2.weight"].squared_errors(masks["2.weight"]).sum()
    uniform = networks.find(network, 0.5, score="random", scope="row", rng=0)
    assert top < products["2.weight"].squared_errors(uniform["2.weight"]).sum()


def test_batches_and_forms_of_data_do_not_matter(network):
    one = networks.layer_products(network, DIGITS.X, batch=200)
    pairs = torch.utils.data.TensorDataset(torch.as_tensor(DIGITS.X), torch.as_tensor(DIGITS.y))
    loader = torch.utils.data.DataLoader(pairs, batch_size=33)
    for other in (
        networks.layer_products(network, DIGITS.X, batch=7),
        networks.layer_products(network, loader),
        networks.layer_products(network, (x for x in np.array_split(DIGITS.X, 3))),
    ):
        for name, product in one.items():
            assert other[name].count == 200
            np.testing.assert_allclose(other[name].norms, product.norms, rtol=EXACT)
            np.testing.assert_allclose(other[name].values2, product.values2, rtol=PUBLISHED)


def test_gram_matrices_take_the_memory_that_is_given(network):
    # 8 bytes for 64^2, 24^2 and 12^2 numbers.
    products = networks.layer_products(network, DIGITS.X, memory=8 * (24**2 + 12**2))
    assert [product.blocks[0].gram is None for product in products.values()] == [True, False, False]
    with pytest.raises(ValueError, match=r"0\.weight has no Gram matrix.*raise memory="):
        products["0.weight"].moment(3)
    assert products["0.weight"].norms.shape == (24, 64)
    none = networks.layer_products(network, DIGITS.X, gram=False)
    assert all(product.blocks[0].gram is None for product in none.values())


def test_products_of_a_masked_network_see_its_activations(network):
    masks = networks.find(network, 0.3, floor=1)
    products = networks.layer_products(network, DIGITS.X, masks=masks)
    weight = network[0].weight.detach().numpy()
    H = np.maximum(DIGITS.X @ (weight * masks["0.weight"]).T + network[0].bias.detach().numpy(), 0)
    np.testing.assert_allclose(
        products["2.weight"].norms[0], np.linalg.norm(H, axis=0), rtol=CONDITIONED
    )
    other = copy.deepcopy(network)
    networks.apply(other, masks)
    again = networks.layer_products(other, DIGITS.X)
    for name in products:
        np.testing.assert_allclose(again[name].norms, products[name].norms, rtol=EXACT)
        np.testing.assert_array_equal(again[name].weight, products[name].weight)


def test_what_cannot_be_asked_of_a_layer(network):
    layer = networks.layer_products(network, DIGITS.X)["0.weight"]
    assert "24 outputs, 64 inputs, 200 rows" in repr(layer)
    with pytest.raises(ValueError, match="output must lie in 0 to 23; got 24"):
        layer.product(24)
    with pytest.raises(ValueError, match=r"mask must have the shape of 0\.weight"):
        layer.squared_errors(np.ones((3, 3)))
    attention = nn.TransformerEncoderLayer(8, 2, 8, batch_first=True)
    layer = networks.layer_products(attention, torch.randn(4, 3, 8))["self_attn.in_proj_weight"]
    with pytest.raises(ValueError, match=r"see different inputs.*name one output"):
        layer.product()
    assert layer.product(20).d == 8
