"""Scores against their definitions by a second route: finite differences and explicit Hessians."""

from __future__ import annotations

import inspect
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from lth_sketch import networks, pruning, tolerances


def by_hand(net, X, y):
    """The loss as a function of one vector of all prunable weights, written without the library."""
    layers = [m for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    names = [n for n, p in net.named_parameters() if any(p is m.weight for m in layers)]
    start = torch.cat([m.weight.detach().reshape(-1) for m in layers])

    def loss(w):
        parts, place = {}, 0
        for name, layer in zip(names, layers, strict=True):
            n = layer.weight.numel()
            parts[name] = w[place : place + n].reshape(layer.weight.shape)
            place += n
        buffers = {name: b.clone() for name, b in net.named_buffers()}
        outputs = torch.func.functional_call(net, {**parts, **buffers}, (X,))
        logs = outputs - outputs.logsumexp(1, keepdim=True)
        return -logs[torch.arange(len(X)), torch.as_tensor(y)].mean()

    return start, loss


def inputs_of(kind, batch):
    return batch(6, (2, 4, 4) if kind == "residual" else (5,))


@pytest.mark.parametrize("kind", [2, 3, "residual"])
def test_snip_is_the_derivative_by_the_mask(network, batch, kind):
    net, (X, y) = network(kind), inputs_of(kind, batch)
    start, loss = by_hand(net.train(), X, y)
    scores = networks.vector(networks.snip(net, X, y))
    # Central differences in each mask entry; the kinks of ReLU are not met at this step.
    step = 1e-6
    slopes = np.empty(len(start))
    for i in range(len(start)):
        up, down = start.clone(), start.clone()
        up[i] *= 1 + step
        down[i] *= 1 - step
        slopes[i] = (loss(up) - loss(down)).item() / (2 * step)
    np.testing.assert_allclose(scores, np.abs(slopes), atol=tolerances.QUADRATURE)


@pytest.mark.parametrize("kind", [2, 3, "residual"])
def test_grasp_is_weight_times_hessian_times_gradient(network, batch, kind):
    net, (X, y) = network(kind), inputs_of(kind, batch)
    start, loss = by_hand(net.train(), X, y)
    H = torch.autograd.functional.hessian(loss, start)
    g = torch.func.grad(loss)(start)
    expected = (start * (H @ g)).detach().numpy()
    scores = networks.vector(networks.grasp(net, X, y))
    np.testing.assert_allclose(scores, expected, atol=tolerances.QUADRATURE)
    # Its sign: scaling the weight of the largest score down lowers ||g||^2.
    best, worst = int(scores.argmax()), int(scores.argmin())
    for i, sign in ((best, -1), (worst, 1)):
        assert np.sign(scores[i]) == -sign
        moved = start.clone()
        moved[i] *= 1 - 1e-5
        gain = (torch.func.grad(loss)(moved) ** 2).sum() - (g**2).sum()
        assert np.sign(gain.item()) == sign


def test_grasp_draws_by_the_size_of_its_effect(network, batch):
    """Half the change of ||g||^2 by each weight's scale, by finite differences, signs dropped."""
    net, (X, y) = network(3), batch(6)
    start, loss = by_hand(net.train(), X, y)
    step, effects = 1e-5, np.empty(len(start))
    for i in range(len(start)):
        norms = []
        for sign in (1, -1):
            moved = start.clone()
            moved[i] *= 1 + sign * step
            norms.append((torch.func.grad(loss)(moved) ** 2).sum().item())
        effects[i] = (norms[0] - norms[1]) / (4 * step)
    scores = networks.vector(networks.grasp(net, X, y))
    np.testing.assert_allclose(scores, effects, atol=tolerances.QUADRATURE)

    def kept(signed, seed):
        options = {"score": "grasp", "X": X, "y": y, "design": "priority", "signed": signed}
        return networks.vector(networks.find(net, 0.2, rng=seed, **options)) != 0

    shifted = effects - effects.min()
    for seed in range(20):
        for signed, weights in (("absolute", abs(effects)), ("shift", shifted)):
            expected = pruning.select(weights, 0.2, design="priority", rng=seed) != 0
            np.testing.assert_array_equal(kept(signed, seed), expected)
    # What GraSP removes first: never drawn after a shift, but drawn by its size.
    worst = int(effects.argmin())
    assert abs(effects[worst]) > np.median(abs(effects))
    assert not any(kept("shift", seed)[worst] for seed in range(20))
    assert any(kept("absolute", seed)[worst] for seed in range(20))
    top = networks.vector(networks.find(net, 0.2, score="grasp", X=X, y=y)) != 0
    assert effects[top].min() >= effects[~top].max()


def test_grasp_of_a_linear_loss_is_zero(batch):
    net, (X, y) = nn.Linear(5, 3).double(), batch(6)
    scores = networks.grasp(net, X, y, loss=lambda outputs, y: outputs.sum())
    assert not scores["weight"].any()


def test_deep_linear_scores_agree_with_pruning_deep(batch):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 4, bias=False), nn.Linear(4, 3, bias=False)).double()
    X, labels = batch(6)
    y = np.eye(3)[labels]
    matrices = [layer.weight.detach().numpy().T for layer in net]
    # The library's loss there is a sum, here a mean over samples.
    pairs = {
        "snip": (networks.snip(net, X, y), pruning.deep.snip(X.numpy(), y, matrices), 6),
        "grasp": (networks.grasp(net, X, y), pruning.deep.grasp(X.numpy(), y, matrices), 36),
        "sketch": (networks.sketch(net, X), pruning.deep.sketch(X.numpy(), matrices), 1),
    }
    for name, (scores, expected, factor) in pairs.items():
        for one, other in zip(scores.values(), expected, strict=True):
            np.testing.assert_allclose(
                factor * one, other.T, err_msg=name, rtol=tolerances.PUBLISHED
            )
    flow = networks.synflow(net, torch.ones(1, 5))
    for one, logs in zip(flow.values(), pruning.deep.log_synflow(matrices), strict=True):
        np.testing.assert_allclose(np.log(one), logs.T, atol=tolerances.PUBLISHED)


def test_synflow_is_the_sum_over_paths(network):
    net = network(3, width=3, inputs=2, outputs=2)
    layers = [np.abs(layer.weight.detach().numpy()) for layer in net if hasattr(layer, "weight")]
    sums = [np.zeros_like(W) for W in layers]
    for units in itertools.product(range(2), range(3), range(3), range(2)):
        steps = list(itertools.pairwise(units))
        path = np.prod([W[j, i] for W, (i, j) in zip(layers, steps, strict=True)])
        for total, (i, j) in zip(sums, steps, strict=True):
            total[j, i] += path
    saliency = networks.synflow(net, torch.ones(1, 2))
    for scores, total in zip(saliency.values(), sums, strict=True):
        np.testing.assert_allclose(scores, total, rtol=tolerances.ROUNDING)


def test_synflow_with_normalisation_biases_and_a_skip(network):
    net = network("residual")
    net.norm.running_var[:] = torch.tensor([0.5, 1.0, 2.0, 4.0])
    net.norm.running_mean[:] = 3.0
    nn.init.normal_(net.norm.weight)
    nn.init.normal_(net.norm.bias)

    # The same flow written out: no shifts, absolute weights.
    leaves = [
        layer.weight.detach().abs().requires_grad_() for layer in (net.stem, net.inner, net.head)
    ]
    stem, inner, head = leaves
    scale = net.norm.weight.detach().abs() / (net.norm.running_var + net.norm.eps).sqrt()
    x = nn.functional.conv2d(torch.ones(1, 2, 4, 4).double(), stem, padding=1)
    x = x * scale[None, :, None, None]
    x = x + nn.functional.conv2d(x, inner, padding=1)
    total = (x.mean((2, 3)) @ head.T).sum()
    expected = torch.autograd.grad(total, leaves)
    saliency = networks.synflow(net, torch.ones(1, 2, 4, 4))
    for (name, scores), leaf, slope in zip(saliency.items(), leaves, expected, strict=True):
        np.testing.assert_allclose(
            scores, (leaf * slope).detach(), rtol=tolerances.PUBLISHED, err_msg=name
        )
    # Every path crosses stem and head once, and the skip goes round the inner layer.
    totals = {name: scores.sum() for name, scores in saliency.items()}
    np.testing.assert_allclose(totals["stem.weight"], total.item(), rtol=tolerances.PUBLISHED)
    np.testing.assert_allclose(totals["head.weight"], total.item(), rtol=tolerances.PUBLISHED)
    assert totals["inner.weight"] < total.item()


class Deep(nn.Module):
    """A chain of residual blocks whose flow grows or shrinks by `gain` a block, skips included."""

    def __init__(self, depth, gain):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(4, 4, bias=False) for _ in range(depth))
        self.joins = nn.ModuleList(nn.Linear(4, 4, bias=False) for _ in range(depth))
        for layer in (*self.blocks, *self.joins):
            with torch.no_grad():
                layer.weight.abs_().mul_(gain)

    def forward(self, x):
        for block, join in zip(self.blocks, self.joins, strict=True):
            x = torch.relu(join(x))
            x = x + torch.relu(block(x))
        return x


@pytest.mark.parametrize(("depth", "gain"), [(400, 1e3), (400, 1e-3), (40, 1.0)])
def test_synflow_neither_overflows_nor_vanishes(depth, gain):
    torch.manual_seed(0)
    net = Deep(depth, gain)
    scores = networks.synflow(net, torch.ones(1, 4))
    joins = np.array([scores[f"joins.{i}.weight"].sum() for i in range(depth)])
    assert np.isfinite(joins).all()
    # Conservation: every path crosses each join once.
    np.testing.assert_allclose(joins, joins[0], rtol=tolerances.PUBLISHED)
    # Against logarithms, path sums written as matrix products in integers of Python's range.
    log = 0.0
    x = np.ones(4)
    for block, join in zip(net.blocks, net.joins, strict=True):
        x = join.weight.detach().numpy().astype(float) @ x
        x = x + block.weight.detach().numpy().astype(float) @ x
        size = x.max()
        x, log = x / size, log + np.log2(size)
    gap = np.log2(joins[0]) - (log + np.log2(x.sum()))
    # They differ by a power of two: one, unless the flow leaves 2^256.
    assert abs(gap - round(gap)) < 1e-9
    assert (round(gap) == 0) == (depth == 40)


def test_sketch_is_weight_times_column_norm(network, batch):
    net, (X, _) = network("residual"), batch(3, (2, 4, 4))
    product = networks.tangent_product(net, X)
    scores = networks.vector(networks.sketch(net, X))
    np.testing.assert_allclose(scores, product.term_norms, rtol=tolerances.PUBLISHED)


def test_magnitude_and_random():
    net = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2)).to(torch.bfloat16)
    scores = networks.magnitude(net)
    assert scores["0.weight"].dtype == np.float32
    np.testing.assert_array_equal(scores["1.weight"], net[1].weight.detach().abs().float())
    one, other = (networks.vector(networks.random(net, rng=seed)) for seed in (0, 1))
    assert len(set(one)) == 10
    assert (one.argsort() != other.argsort()).any()
    np.testing.assert_array_equal(networks.vector(networks.random(net, rng=0)), one)


@pytest.mark.parametrize("name", ["magnitude", "random", "snip", "grasp", "synflow", "sketch"])
def test_masked_weights_score_zero_and_nothing_is_changed(network, batch, name):
    net, (X, y) = network("residual").train(), batch(6, (2, 4, 4))
    before = {key: value.clone() for key, value in net.state_dict().items()}
    masks = networks.find(net, 0.5, score="random", rng=0)
    whole = networks.scores(net, name, X, y, rng=0)
    scores = networks.scores(net, name, X, y, masks=masks, rng=0)
    for layer, mask in masks.items():
        assert whole[layer].all()
        assert not scores[layer][mask == 0].any()
        assert scores[layer].shape == mask.shape
    assert net.training
    assert net.norm.training
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key])
        assert value.requires_grad == before[key].requires_grad


def test_scores_of_a_masked_network_are_those_of_the_network_with_zeros(network, batch):
    net, (X, y) = network(3), batch(6)
    masks = networks.find(net, 0.5, score="random", rng=0)
    saliency = {name: networks.scores(net, name, X, y, masks=masks) for name in ("snip", "synflow")}
    with torch.no_grad():
        for name, mask in masks.items():
            net.get_parameter(name).mul_(torch.as_tensor(mask))
    for name, scores in saliency.items():
        for one, other in zip(
            scores.values(), networks.scores(net, name, X, y).values(), strict=True
        ):
            np.testing.assert_array_equal(one, other)


def test_sources(batch):
    X, y = batch(60, (2, 3))
    X = X * 2 + 7
    same, labels = networks.source(X, y, "real")
    np.testing.assert_array_equal(same, X)
    assert labels is not None
    drawn, labels = networks.source(X, y, "random", rng=0)
    again, _ = networks.source(X, y, "random", rng=0)
    np.testing.assert_array_equal(drawn, again)
    assert drawn.shape == (60, 2, 3)
    assert abs(drawn.mean() - 7) < 0.6
    assert set(labels) == {0, 1, 2}
    assert (labels != y).any()
    _, targets = networks.source(X, np.linspace(0, 1, 60), "random", rng=0)
    assert targets.dtype.kind == "f"
    ones, zero = networks.source(X, y, "ones")
    assert ones.shape == (1, 2, 3)
    assert (ones == 1).all()
    assert zero == 0
    with pytest.raises(ValueError, match="one length"):
        networks.source(X, y[:3], "real")
    with pytest.raises(ValueError, match="kind must be one of"):
        networks.source(X, y, "fake")


def test_without_data_snip_is_weight_times_jt_f(network, batch):
    net = network(2)
    X, y = networks.source(*batch(6), "ones")
    product = networks.tangent_product(net, X)
    output = net(torch.as_tensor(X)).detach().numpy().ravel()
    expected = np.abs(product.B * (product.A.T @ output))
    np.testing.assert_allclose(
        networks.vector(networks.snip(net, X, y)), expected, rtol=tolerances.PUBLISHED
    )


def test_missing_and_useless_data_are_named(network, batch):
    net, (X, y) = network(2), batch(6)
    with pytest.raises(ValueError, match="y is missing"):
        networks.scores(net, "snip", X)
    with pytest.raises(ValueError, match="X is missing"):
        networks.scores(net, "synflow")
    with pytest.raises(ValueError, match="score must be one of"):
        networks.scores(net, "best", X, y)
    with pytest.raises(ValueError, match="one length"):
        networks.snip(net, X, y[:2])
    with pytest.raises(ValueError, match="not finite"):
        networks.snip(net, X * 1e200, np.ones((6, 3)))
    dead = network(2)
    nn.init.zeros_(dead[0].weight)
    with pytest.raises(ValueError, match="synaptic flow R = 0"):
        networks.synflow(dead, X)


def test_a_single_sample_is_seen_with_stored_statistics(network, batch):
    """Statistics of one value a channel are no statistics: they would make every output a bias."""
    net = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3)).double()
    with torch.no_grad():
        net[1].running_mean.copy_(torch.tensor([0.3, -0.2, 0.1, 0.0]))
        net[1].running_var.copy_(torch.tensor([0.5, 2.0, 1.0, 3.0]))
    X, y = batch(1)
    scores = networks.snip(net.train(), X, y)
    loss = nn.functional.cross_entropy(net.eval()(X), torch.as_tensor(y))
    slopes = torch.autograd.grad(loss, [net[0].weight, net[3].weight])
    for name, weight, slope in zip(("0.weight", "3.weight"), (net[0], net[3]), slopes, strict=True):
        expected = (weight.weight * slope).abs().detach().numpy()
        np.testing.assert_allclose(scores[name], expected, rtol=tolerances.PUBLISHED)
    # Two samples are a batch.
    X, y = batch(2)
    assert not np.allclose(
        networks.snip(net.train(), X, y)["0.weight"],
        networks.snip(net.eval(), X[:1], y[:1])["0.weight"],
    )


@pytest.mark.parametrize("name", ["sketch", "random"])
def test_the_weights_of_a_mask_do_not_weigh_scores(network, batch, name):
    """A drawn mask holds numbers such as 2.5: what counts is which are zero, in `random` too."""
    net, (X, y) = network(2), batch()
    kept = networks.find(net, 0.5, score="random", rng=0)
    drawn = {layer: 2.5 * mask for layer, mask in kept.items()}
    one, other = (networks.scores(net, name, X, y, masks=masks, rng=0) for masks in (drawn, kept))
    for layer, mask in drawn.items():
        np.testing.assert_array_equal(one[layer], other[layer])
        np.testing.assert_array_equal(one[layer] == 0, mask == 0)


def test_the_sketch_of_a_float32_network_is_computed_in_float64(network, batch):
    net, (X, _) = network(3), batch()
    narrow = network(3).float()
    with torch.no_grad():
        for one, other in zip(net.parameters(), narrow.parameters(), strict=True):
            one.copy_(other)
    X = X.float()
    exact = networks.sketch(net, X.double())
    for layer, scores in networks.sketch(narrow, X).items():
        assert scores.dtype == np.float64
        np.testing.assert_allclose(scores, exact[layer], rtol=tolerances.EXACT)


def test_integers_stay_integers():
    """Tokens of an embedding, and a buffer that is used as an index."""

    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(9, 4)
            self.head = nn.Linear(4, 3)
            self.register_buffer("order", torch.tensor([2, 0, 1, 3]))

        def forward(self, x):
            return self.head(self.table(x).mean(1)[:, self.order])

    torch.manual_seed(0)
    net = Tokens()
    X, y = torch.tensor([[1, 2, 8], [0, 3, 3]]), np.array([2, 0])
    scores = networks.snip(net, X, y)["head.weight"]
    wide = Tokens().double()
    wide.load_state_dict(net.state_dict())
    loss = nn.functional.cross_entropy(wide(X), torch.as_tensor(y))
    (slope,) = torch.autograd.grad(loss, [wide.head.weight])
    expected = (wide.head.weight * slope).abs().detach().numpy()
    np.testing.assert_allclose(scores, expected, rtol=tolerances.PUBLISHED)


def test_outputs_that_hang_on_no_weight_have_no_score():
    class Cut(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))

        def forward(self, x):
            return self.layers(x).detach()

    scores = networks.snip(Cut(), np.ones((4, 3)), np.array([0, 1, 0, 1]))
    assert {name: part.shape for name, part in scores.items()} == {
        "layers.0.weight": (4, 3),
        "layers.1.weight": (2, 4),
    }
    assert not any(part.any() for part in scores.values())


@pytest.mark.parametrize("name", [name for name in networks.__all__ if name[0].islower()])
def test_options_go_by_their_names(name):
    """No argument has to go by its place alone, and none after the fourth may."""
    function = getattr(networks, name)
    if not callable(function):
        return
    kinds = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
    assert inspect.Parameter.POSITIONAL_ONLY not in kinds
    assert kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) <= 4
