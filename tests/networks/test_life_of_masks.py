"""The life of a mask in PyTorch: whatever reads the weight reads its zeros."""

from __future__ import annotations

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from lth_sketch import networks
from lth_sketch.networks import masked, masking
from lth_sketch.tolerances import LAYER, SINGLE

NEAR = {"rtol": LAYER, "atol": SINGLE}


class Encoder(nn.Module):
    """Tokens through a transformer of two layers to three classes."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 16)
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.encoder(self.embed(x)).mean(1))


class Recurrent(nn.Module):
    """A sequence through two bidirectional layers to three classes."""

    def __init__(self, kind=nn.LSTM):
        super().__init__()
        self.cell = kind(5, 8, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.cell(x)[0].mean(1))


class Images(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)
        )

    def forward(self, x):
        return self.body(x)


def make(name, seed=0):
    torch.manual_seed(seed)
    if name == "transformer":
        return Encoder(), torch.randint(0, 20, (12, 7)), {}
    if name in ("lstm", "gru"):
        kind = nn.LSTM if name == "lstm" else nn.GRU
        return Recurrent(kind), torch.randn(12, 4, 5), {"include": "cell.weight*"}
    return Images(), torch.randn(12, 1, 4, 4), {}


KINDS = ("transformer", "lstm", "gru", "images")
Y = torch.arange(12) % 3


def pruned(name, density=0.1):
    net, X, options = make(name)
    masks = networks.prune(net, density, floor=1, **options)
    return net, X, masks


def train(net, X, steps=10):
    optimiser = torch.optim.Adam(net.parameters(), 1e-2, weight_decay=0.1)
    net.train()
    losses = []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(net(X), Y)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    net.eval()
    return losses


def zeros_stay(net, masks):
    weights = networks.prunable(net, include=list(masks))
    return all(not weights[name].numpy()[mask == 0].any() for name, mask in masks.items())


@pytest.fixture(scope="module", params=KINDS)
def trained(request):
    net, X, masks = pruned(request.param)
    losses = train(net, X)
    return request.param, net, X, masks, losses


def test_training_learns_and_keeps_zeros(trained):
    _, net, X, masks, losses = trained
    assert networks.kept(net).density == pytest.approx(0.1, abs=0.01)
    assert losses[-1] < losses[0]
    assert zeros_stay(net, masks)
    # What is run agrees with the plain network of the masked weights.
    other = copy.deepcopy(net)
    networks.remove(other)
    assert not any("parametrizations" in name for name in other.state_dict())
    torch.testing.assert_close(other(X), net(X), **NEAR)


def test_what_is_run_without_gradients_is_masked_as_well(trained):
    """Fused kernels of encoders and recurrent layers read weights without calling the layer."""
    _, net, X, _, _ = trained
    with torch.no_grad():
        fast = net(X)
    torch.testing.assert_close(fast, net(X), **NEAR)


def test_a_state_dict_is_loaded_into_another_masked_network(trained):
    name, net, X, masks, _ = trained
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    other, _, options = make(name, seed=1)
    networks.prune(other, 0.5, design="priority", rng=0, floor=1, **options)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other.eval()(X), net(X))
    assert networks.kept(other) == networks.kept(net)
    assert zeros_stay(other, masks)


def test_copies_live_by_themselves(trained):
    _, net, X, masks, _ = trained
    before = net(X).detach()
    copies = [copy.deepcopy(net), pickle.loads(pickle.dumps(net))]
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    copies.append(torch.load(file, weights_only=False))
    for other in copies:
        assert type(other) is type(net)
        assert torch.equal(other(X), before)
        assert networks.kept(other) == networks.kept(net)
        train(other, X, steps=2)
        assert zeros_stay(other, masks)
        assert not torch.equal(other(X), before)
        networks.remove(other)
        with pytest.raises(ValueError, match="no masks"):
            networks.remove(other)
    # The class that PyTorch makes for a parametrised layer is shared with copies: still whole.
    assert torch.equal(net(X), before)
    assert networks.kept(net)


def test_averages_of_weights_are_masked(trained):
    _, net, X, masks, _ = trained
    net = copy.deepcopy(net)
    average = torch.optim.swa_utils.AveragedModel(
        net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9), use_buffers=True
    )
    for _ in range(3):
        train(net, X, steps=1)
        average.update_parameters(net)
    average.eval()
    assert zeros_stay(average.module, masks)
    assert not torch.equal(average(X), net(X))


@pytest.mark.filterwarnings("ignore:The tensor attributes self.cell._flat_weights:UserWarning")
@pytest.mark.parametrize("removed", [False, True])
def test_exports_have_equal_outputs(trained, removed):
    _, net, X, _, _ = trained
    net = copy.deepcopy(net)
    if removed:
        networks.remove(net)
    program = torch.export.export(net, (X,))
    torch.testing.assert_close(program.module()(X), net(X), **NEAR)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_removed_network_is_traced_and_scripted(trained):
    """What onnx exporters of the older kind start from, after `remove`."""
    name, net, X, _, _ = trained
    net = copy.deepcopy(net)
    networks.remove(net)
    if name != "transformer":
        scripted = torch.jit.script(net)
        torch.testing.assert_close(scripted(X), net(X), **NEAR)
    if name == "images":
        traced = torch.jit.trace(net, X)
        torch.testing.assert_close(traced(X), net(X), **NEAR)
        with pytest.raises(TypeError, match=r"module is scripted.*before torch\.jit\.script"):
            networks.find(traced, 0.5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_removed_network_is_written_as_onnx(trained):
    onnx = pytest.importorskip("onnx")
    reference = pytest.importorskip("onnx.reference")
    _, net, X, _, _ = trained
    net = copy.deepcopy(net)
    networks.remove(net)
    file = io.BytesIO()
    # The exporter that needs no more than onnx.
    torch.onnx.export(net, (X,), file, dynamo=False)
    model = onnx.load_from_string(file.getvalue())
    outputs = reference.ReferenceEvaluator(model).run(None, {model.graph.input[0].name: X.numpy()})
    torch.testing.assert_close(torch.as_tensor(outputs[0]), net(X), **NEAR)


@pytest.mark.parametrize("kind", ["aot_eager", "wrapper"])
def test_compiled_networks(kind):
    net, X, _ = make("images")
    net.eval()
    compiled = torch.compile(net, backend="eager" if kind == "wrapper" else kind)
    compiled(X)
    masks = networks.prune(compiled, 0.3, score="snip", X=X, y=Y, floor=1)
    assert list(masks) == ["body.0.weight", "body.4.weight"]
    assert networks.kept(compiled) == networks.kept(net)
    torch.testing.assert_close(compiled(X), net(X), **NEAR)
    assert (net.body[4].weight == 0).sum() == (masks["body.4.weight"] == 0).sum()
    networks.remove(compiled)
    torch.testing.assert_close(compiled(X), net(X), **NEAR)


def test_apply_is_all_or_nothing(monkeypatch):
    net, X, _ = make("images")
    before, masks = net(X).detach(), networks.find(net, 0.5, floor=1)
    wrong = {**masks, "body.4.weight": np.ones((2, 2))}
    with pytest.raises(ValueError, match=r"masks\['body\.4\.weight'\] must have shape"):
        networks.apply(net, wrong)
    with pytest.raises(ValueError, match=r"masks\['body\.4\.weight'\] must be finite"):
        networks.apply(net, {**masks, "body.4.weight": np.full((3, 24), np.nan)})
    real, calls = masked._register, []

    def stumble(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise MemoryError
        real(*arguments)

    monkeypatch.setattr(masked, "_register", stumble)
    order = list(net.state_dict())
    with pytest.raises(MemoryError):
        networks.apply(net, masks)
    assert list(net.state_dict()) == order
    assert type(net.body[0]) is nn.Conv2d
    net.eval()
    torch.testing.assert_close(net.train()(X), before)
    monkeypatch.undo()
    networks.apply(net, masks)
    # A second mask takes the place of the first, all or nothing again.
    with pytest.raises(ValueError, match="must have shape"):
        networks.apply(net, wrong)
    assert networks.kept(net) == networks.kept(masks)
    less = networks.find(net, 0.25, floor=1)
    networks.apply(net, less)
    assert networks.kept(net) == networks.kept(less)


def test_masks_lie_beside_parametrizations_of_others():
    torch.manual_seed(0)
    net = nn.LSTM(3, 4)
    nn.utils.parametrizations.spectral_norm(net, "weight_hh_l0")
    with pytest.raises(ValueError, match="weight_hh_l0 is pruned or parametrised already"):
        networks.prune(net, 0.5, include="weight*")
    networks.prune(net, 0.5, include="weight_ih*")
    X = torch.randn(2, 3, 3)
    net.eval()
    out = net(X)[0]
    with pytest.raises(TypeError, match="parametrizations of others"):
        pickle.dumps(net)
    torch.testing.assert_close(copy.deepcopy(net)(X)[0], out)
    networks.remove(net)
    torch.testing.assert_close(net(X)[0], out)
    assert nn.utils.parametrize.is_parametrized(net, "weight_hh_l0")


def test_a_shared_weight_has_one_mask_and_counts_once():
    torch.manual_seed(0)

    class Language(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(11, 6)
            self.inner = nn.Linear(6, 6)
            self.head = nn.Linear(6, 11, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, x):
            return self.head(torch.tanh(self.inner(self.embed(x))))

    net, X = Language(), torch.randint(0, 11, (4, 5))
    y = X.roll(1, 1)
    for score in ("magnitude", "snip", "grasp", "sketch", "layer"):
        scores = networks.scores(net, score, X, y)
        assert list(scores) == ["head.weight", "inner.weight"], score
    masks = networks.prune(net, 0.5, score="snip", X=X, y=y)
    assert networks.kept(net) == networks.kept(masks)
    assert sum(layer.size for layer in networks.kept(net).values()) == 36 + 66
    assert torch.equal(net.embed.weight, net.head.weight)
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    assert len(list(net.parameters())) == 3
    nn.functional.cross_entropy(net(X).movedim(-1, 1), y).backward()
    optimiser.step()
    assert torch.equal(net.embed.weight, net.head.weight)
    assert not net.head.weight.detach().numpy()[masks["head.weight"] == 0].any()
    out = net(X)
    other = copy.deepcopy(net)
    assert (
        other.embed.parametrizations.weight.original is other.head.parametrizations.weight.original
    )
    networks.remove(net)
    assert net.head.weight is net.embed.weight
    torch.testing.assert_close(net(X), out)
    # Left out by any of its names, for one mask would act on both.
    assert list(networks.prunable(net, exclude="embed*")) == ["inner.weight"]


def test_a_layer_that_is_met_twice_is_one():
    layer = nn.Linear(3, 3)
    net = nn.Sequential(layer, nn.ReLU(), layer)
    masks = networks.prune(net, 0.34)
    assert list(masks) == ["0.weight"]
    assert (layer.weight != 0).sum() == 3
    networks.remove(net)
    assert type(layer) is nn.Linear


def test_weights_that_lie_in_one_memory_have_one_mask():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight.data = net[0].weight.data
    assert list(networks.prunable(net)) == ["0.weight"]
    masks = networks.prune(net, 0.34)
    assert torch.equal(net[0].weight, net[1].weight)
    assert (net[1].weight != 0).sum() == masks["0.weight"].sum()


def test_unbiased_masks_survive_removal_of_shared_weights():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    net[1].weight = net[0].weight
    before = net[0].weight.detach().numpy().copy()
    masks = networks.prune(net, 0.5, design="priority", binary=False, rng=0)
    networks.remove(net)
    # Multiplied once, not once a layer.
    np.testing.assert_allclose(net[1].weight.detach(), before * masks["0.weight"], rtol=SINGLE)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_masks_of_half_precision(dtype):
    net = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2)).to(dtype)
    masks = networks.prune(net, 0.5)
    assert net[0].weight.dtype == dtype
    assert (net[0].weight != 0).sum() + (net[1].weight != 0).sum() == 40
    out = net(torch.ones(2, 8, dtype=dtype))
    assert out.dtype == dtype
    assert masking.kept(net) == networks.kept(masks)


def test_masks_of_a_network_in_parallel():
    net = nn.DataParallel(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)))
    masks = networks.prune(net, 0.5, floor=1)
    assert list(masks) == ["0.weight", "1.weight"]
    assert (net.module[0].weight != 0).sum() == masks["0.weight"].sum()
    assert networks.kept(net) == networks.kept(masks)
