"""Layers of every kind: which weights are pruned, and that their zeros are what is run."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from lth_sketch import networks
from lth_sketch.networks import layers
from lth_sketch.tolerances import CONDITIONED, EXACT, LAYER, PUBLISHED, SINGLE


class HuggingConv1D(nn.Module):
    """The layer of the package transformers: its weight is (inputs, outputs)."""

    def __init__(self, outputs, inputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight).view(*x.shape[:-1], -1)


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(layers, "_REGISTERED", {})
    networks.register(HuggingConv1D, inputs=0)


CONVOLUTIONS = {
    "plain 1d": (nn.Conv1d(4, 6, 3, stride=2, padding=1), (4, 9)),
    "dilated 2d": (nn.Conv2d(4, 6, (3, 2), dilation=(2, 1), padding=(2, 1)), (4, 6, 5)),
    "same 2d": (nn.Conv2d(4, 6, 3, padding="same", padding_mode="reflect"), (4, 6, 5)),
    "grouped 2d": (nn.Conv2d(4, 6, 2, groups=2, stride=2), (4, 6, 6)),
    "depthwise 1d": (nn.Conv1d(4, 4, 3, groups=4), (4, 8)),
    "plain 3d": (nn.Conv3d(4, 6, 2, padding=1), (4, 3, 4, 3)),
    "transposed 1d": (nn.ConvTranspose1d(4, 6, 3, stride=2, padding=1), (4, 5)),
    "transposed 2d": (
        nn.ConvTranspose2d(4, 6, (3, 2), stride=(2, 3), padding=(2, 1), output_padding=(1, 2)),
        (4, 5, 4),
    ),
    "transposed groups": (nn.ConvTranspose2d(4, 6, 3, groups=2, dilation=2), (4, 3, 4)),
    "transposed 3d": (nn.ConvTranspose3d(4, 6, 2, stride=2), (4, 2, 3, 2)),
}


def without_bias(layer, weight, X):
    state = {"weight": torch.as_tensor(weight, dtype=torch.float64)}
    if layer.bias is not None:
        state["bias"] = torch.zeros_like(layer.bias)
    return torch.func.functional_call(layer, state, (X,)).detach().numpy()


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_are_products_of_their_windows(name):
    """The layer's own arithmetic, with each output's error, against the unfolded product."""
    layer, shape = CONVOLUTIONS[name]
    layer = layer.double()
    X = torch.randn(3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    product = networks.layer_products(layer, X)["weight"]
    weight = layer.weight.detach().numpy()
    whole = without_bias(layer, weight, X)
    np.testing.assert_allclose(
        product.values2, (whole**2).sum((0, *range(2, whole.ndim))), rtol=PUBLISHED
    )
    assert product.count == whole.size // whole.shape[1]
    rng = np.random.default_rng(0)
    for mask in (rng.integers(0, 2, weight.shape), rng.exponential(size=weight.shape)):
        errors = without_bias(layer, weight * mask, X) - whole
        expected = (errors**2).sum((0, *range(2, errors.ndim)))
        np.testing.assert_allclose(product.squared_errors(mask), expected, rtol=CONDITIONED)
    # Each term by itself: removing one weight changes the output by its term norm.
    scores = networks.layer(layer, X)["weight"]
    for place in rng.permutation(weight.size)[:10]:
        mask = np.ones(weight.size)
        mask[place] = 0
        errors = without_bias(layer, weight * mask.reshape(weight.shape), X) - whole
        assert np.linalg.norm(errors) == pytest.approx(scores.ravel()[place], rel=CONDITIONED)


class Attention(nn.Module):
    def __init__(self, apart):
        super().__init__()
        sizes = {"kdim": 5, "vdim": 7} if apart else {}
        self.inner = nn.MultiheadAttention(8, 2, batch_first=True, **sizes)
        self.key = nn.Linear(8, 5 if apart else 8)
        self.value = nn.Linear(8, 7 if apart else 8)

    def forward(self, x):
        return self.inner(x, self.key(x), value=self.value(x))[0]


@pytest.mark.parametrize("apart", [False, True])
def test_each_projection_of_attention_sees_its_own_inputs(apart):
    torch.manual_seed(0)
    net = Attention(apart).double()
    X = torch.randn(3, 4, 8, dtype=torch.float64)
    before = net(X).detach()
    products = networks.layer_products(net, X)
    assert torch.equal(net(X), before)
    flat = X.reshape(-1, 8)
    inputs = {
        "q": flat,
        "k": net.key(X).reshape(-1, net.key.out_features),
        "v": net.value(X).reshape(-1, net.value.out_features),
    }
    for place, (letter, rows) in enumerate(inputs.items()):
        if apart:
            product = products[f"inner.{letter}_proj_weight"]
            part, weight = slice(None), getattr(net.inner, f"{letter}_proj_weight")
        else:
            product, part = products["inner.in_proj_weight"], slice(8 * place, 8 * place + 8)
            weight = net.inner.in_proj_weight[part]
        expected = (rows @ weight.T).square().sum(0).detach()
        np.testing.assert_allclose(product.values2[part], expected, rtol=PUBLISHED)
    # The joined heads: what the output projection makes of them is the attention's output.
    product = products["inner.out_proj.weight"]
    outputs = net(X) - net.inner.out_proj.bias
    expected = outputs.square().sum((0, 1)).detach()
    np.testing.assert_allclose(product.values2, expected, rtol=CONDITIONED)


def test_all_layers_of_an_encoder_are_met_in_evaluation_mode():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    net = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    X = torch.randn(5, 3, 8)
    flags = torch.backends.mha.get_fastpath_enabled()
    products = networks.layer_products(net, X)
    assert torch.backends.mha.get_fastpath_enabled() == flags
    assert list(products) == list(networks.prunable(net))
    assert len(products) == 8
    assert {product.count for product in products.values()} == {15}
    # A layer's inputs in the middle, by hand.
    middle = net.layers[1].norm1(
        net.layers[1]._sa_block(net.layers[0](X), None, None) + net.layers[0](X)
    )
    expected = middle.detach().double().reshape(15, 8).norm(dim=0)
    np.testing.assert_allclose(products["layers.1.linear1.weight"].norms[0], expected, rtol=LAYER)
    assert not net.layers[0].self_attn._forward_hooks


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_cells_see_their_inputs_and_their_state(kind):
    class Steps(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = kind(4, 6), nn.Linear(6, 2)

        def forward(self, x):
            state = None
            for step in x.unbind(1):
                state = self.cell(step, state)
            return self.head(state[0] if isinstance(state, tuple) else state)

    torch.manual_seed(0)
    net = Steps()
    X = torch.randn(5, 3, 4)
    products = networks.layer_products(net, X, include="cell.weight*")
    np.testing.assert_allclose(
        products["cell.weight_ih"].norms[0], X.double().square().sum((0, 1)).sqrt(), rtol=SINGLE
    )
    assert products["cell.weight_hh"].count == 15
    masks = networks.prune(net, 0.3, score="layer", X=X, include="cell.weight*", floor=1)
    assert (net.cell.weight_hh == 0).sum() == (masks["cell.weight_hh"] == 0).sum()


def test_recurrent_layers_on_request():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.LSTM(4, 6, batch_first=True), nn.Linear(6, 2)

        def forward(self, x):
            return self.head(self.cell(x)[0][:, -1])

    torch.manual_seed(0)
    net, X, y = Net(), np.random.default_rng(0).standard_normal((6, 3, 4)), np.arange(6) % 2
    assert list(networks.prunable(net)) == ["head.weight"]
    for score in ("snip", "grasp", "sketch"):
        scores = networks.scores(net, score, X, y, include="cell.weight*")
        assert all(values.any() for values in scores.values())
    masks = networks.prune(net, 0.1, score="snip", X=X, y=y, include="*weight*", floor=1)
    assert networks.kept(net).density == pytest.approx(0.1, abs=0.01)
    assert not networks.kept(net).left
    assert masks["cell.weight_hh_l0"].shape == (24, 6)
    with pytest.raises(ValueError, match=r"no rule for the inputs of LSTM.*exclude="):
        networks.layer_products(Net(), X, include="cell.weight*")


def test_embeddings_on_request():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Embedding(6, 4), nn.Flatten(), nn.Linear(8, 3))
    X, y = np.array([[0, 1], [1, 2], [1, 5], [0, 0]]), np.array([0, 1, 2, 0])
    layer = networks.layer_products(net, X, include="0.weight")["0.weight"]
    counts = np.bincount(X.ravel(), minlength=6)
    np.testing.assert_allclose(layer.norms[0], np.sqrt(counts))
    weight = net[0].weight.detach().numpy().astype(float)
    np.testing.assert_allclose(layer.values2, (weight**2 * counts[:, None]).sum(0), rtol=EXACT)
    np.testing.assert_allclose(layer.scores(), abs(weight) * np.sqrt(counts)[:, None], rtol=EXACT)
    for score in ("snip", "grasp", "sketch", "layer", "synflow"):
        assert networks.scores(net, score, X, y, include="0.*")["0.weight"].any()


def test_registered_layers(registered):
    torch.manual_seed(0)
    net = nn.Sequential(HuggingConv1D(6, 4), nn.ReLU(), HuggingConv1D(3, 6))
    X, y = torch.randn(5, 2, 4), torch.arange(10).reshape(5, 2) % 3
    assert list(networks.prunable(net)) == ["0.weight", "2.weight"]
    layer = networks.layer_products(net, X)["0.weight"]
    assert layer.weight.shape == (6, 4)
    expected = (X.double() @ net[0].weight.double()).square().sum((0, 1)).detach()
    np.testing.assert_allclose(layer.values2, expected, rtol=SINGLE)
    masks = networks.prune(net, 0.5, score="layer", X=X, scope="row")
    np.testing.assert_array_equal(masks["0.weight"].sum(0), 2)
    assert networks.scores(net, "snip", X, y)["0.weight"].shape == (4, 6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "Conv1D"}, "kind must be a subclass"),
        ({"kind": np.ndarray}, "kind must be a subclass"),
        ({"kind": HuggingConv1D, "inputs": 2}, "inputs must be 0 or 1"),
        ({"kind": HuggingConv1D, "weight": "a b"}, "weight must be the name of an attribute"),
    ],
)
def test_registrations_that_cannot_be(options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        networks.register(**options)


def test_parameters_of_ones_own_on_request():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix = nn.Parameter(torch.randn(4, 4))
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return self.head(torch.relu(x @ self.mix))

    net, X = Own(), torch.randn(6, 4)
    assert list(networks.prunable(net)) == ["head.weight"]
    masks = networks.prune(net, 0.5, score="snip", X=X, y=np.arange(6) % 2, include="mix")
    assert (net.mix == 0).sum() == (masks["mix"] == 0).sum()
    with pytest.raises(ValueError, match=r"no rule for the inputs of mix.*register"):
        networks.layer_products(Own(), X, include="mix")


def test_layers_that_are_not_met_are_named():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Linear(4, 2), nn.Linear(3, 3)

        def forward(self, x):
            return self.used(x)

    with pytest.raises(ValueError, match=r"idle\.weight was not met.*exclude='idle\.weight'"):
        networks.layer_products(Idle(), np.ones((2, 4)))
    assert list(networks.layer(Idle(), np.ones((2, 4)), exclude="idle*")) == ["used.weight"]
