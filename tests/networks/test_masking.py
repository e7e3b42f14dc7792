"""Masked modules: exact counts, rounds, floors, and the life of a mask in PyTorch."""

from __future__ import annotations

import copy
import io
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from benchmarks import masks as benchmark
from lth_sketch import networks, tolerances

# Small networks at small densities: that a layer may be emptied is told in test_silence.
pytestmark = pytest.mark.filterwarnings("ignore::lth_sketch.networks.EmptyLayer")

EXACT = ("top", "priority", "systematic")
SCORES = ("magnitude", "random", "snip", "grasp", "synflow", "sketch")


def total(masks):
    return sum(layer.kept for layer in networks.kept(masks).values())


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("design", EXACT)
@pytest.mark.parametrize("rounds", [1, 4])
def test_kept_counts_are_exact(network, batch, score, design, rounds):
    net, (X, y) = network(3), batch(6)
    options = {"score": score, "X": X, "y": y, "design": design, "rounds": rounds}
    d = len(networks.vector(networks.prunable(net)))
    for density in (0.1, 0.333, 1.0):
        masks = networks.find(net, density, rng=5, **options)
        assert total(masks) == int(np.floor(density * d + 0.5))
        assert set(np.unique(networks.vector(masks))) <= {0, 1}
        again = networks.find(net, density, rng=5, **options)
        np.testing.assert_array_equal(networks.vector(masks), networks.vector(again))


@pytest.mark.parametrize("design", EXACT)
def test_counts_are_exact_with_ties(design):
    net = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 2))
    for layer in net:
        nn.init.constant_(layer.weight, 0.5)
    for kept in (1, 7, 39, 40):
        assert total(networks.find(net, kept / 40, design=design, rng=0)) == kept


def test_another_seed_draws_another_mask(network):
    net = network(3)
    one, other = (
        networks.vector(networks.find(net, 0.2, design="priority", rng=seed)) for seed in (0, 1)
    )
    assert (one != other).any()


def test_masks_do_not_depend_on_the_number_of_threads():
    net = nn.Sequential(nn.Linear(300, 400), nn.Linear(400, 50))
    threads = torch.get_num_threads()
    masks = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            masks.append(networks.vector(networks.find(net, 0.1, design="priority", rng=0)))
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(*masks)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("kind", ["connected", "convolutions"])
def test_masks_are_the_same_for_any_number_of_threads_and_on_any_device(score, kind):
    """Float32 gradients would differ in their last bits, and the draws of SNIP with them."""
    torch.manual_seed(0)
    if kind == "connected":
        X = torch.randn(256, 300)
        net = nn.Sequential(
            nn.Linear(300, 400), nn.BatchNorm1d(400), nn.ReLU(),
            nn.Linear(400, 200), nn.ReLU(), nn.Linear(200, 10),
        )  # fmt: skip
    else:
        X = torch.randn(64, 3, 16, 16)
        net = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
        )  # fmt: skip
    X = X[:16] if score == "sketch" else X
    machines = [("cpu", 1), ("cpu", 2), *([("cuda", 1)] if torch.cuda.is_available() else [])]
    threads, drawn = torch.get_num_threads(), []
    try:
        for device, count in machines:
            torch.set_num_threads(count)
            net.to(device)
            scores = networks.scores(net, score, X, np.arange(len(X)) % 10, rng=0)
            drawn.append([
                networks.vector(networks.find(
                    net, 0.05, score=lambda *_, s=scores: s, design=design, signed="absolute",
                    rng=0,
                ))
                for design in ("top", "multinomial", "poisson", "priority", "systematic")
            ])  # fmt: skip
    finally:
        torch.set_num_threads(threads)
    for other in drawn[1:]:
        np.testing.assert_array_equal(other, drawn[0])


@pytest.mark.large
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("design", benchmark.DESIGNS)
def test_many_weights_take_little_memory(design):
    """At most 40 bytes a weight above the module: 4 GB for 10^8 of them."""
    weights = 10**7
    cost = benchmark.measure(weights, design)
    assert cost["kept"] == weights // 10
    # The scores and the masks at least are there: the peak was seen.
    assert 8 * weights <= cost["bytes"] <= 40 * weights


@pytest.mark.parametrize("design", ["top", "multinomial", "poisson", "priority", "systematic"])
@pytest.mark.parametrize("rounds", [1, 3])
def test_a_floor_never_empties_a_layer(design, rounds):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(40, 30), nn.Linear(30, 20), nn.Linear(20, 4))
    with torch.no_grad():
        net[2].weight.mul_(1e-6)
    if design in EXACT:
        assert networks.kept(networks.find(net, 0.02, design=design, rng=0))["2.weight"].kept == 0
    masks = networks.find(net, 0.02, design=design, floor=2, rounds=rounds, rng=0)
    assert min(layer.kept for layer in networks.kept(masks).values()) >= 2


def test_one_shot_synflow_empties_a_layer_and_rounds_do_not():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(400, 100), nn.ReLU(), nn.Linear(100, 40), nn.Linear(40, 10))
    options = {"score": "synflow", "X": torch.ones(1, 400)}
    once = networks.kept(networks.find(net, 0.01, **options))
    assert once["0.weight"].kept == 0
    rounds = networks.kept(networks.find(net, 0.01, rounds=50, **options))
    assert min(layer.kept for layer in rounds.values()) > 0


def test_rounds_follow_the_exponential_schedule_and_rescore(network):
    net, seen = network(3), []

    def score(module, masks):
        scores = networks.magnitude(module, masks=masks)
        if masks is not None:
            seen.append((total(masks), networks.vector(scores)[networks.vector(masks) == 0].max()))
        return scores

    networks.find(net, 0.1, score=score, rounds=4)
    # d = 105
    assert [kept for kept, _ in seen] == [59, 33, 19]
    assert max(left for _, left in seen) == 0


def test_a_cut_network_keeps_its_last_scores(network, batch):
    net, (X, y) = network(4), batch(6)

    def score(module, masks):
        scores = networks.magnitude(module)
        return scores if masks is None else {name: 0 * values for name, values in scores.items()}

    masks = networks.find(net, 0.1, score=score, rounds=5)
    expected = networks.find(net, 0.1)
    np.testing.assert_array_equal(networks.vector(masks), networks.vector(expected))
    # With a real score: rounds of top-k that cut the network still keep the exact number.
    assert total(networks.find(net, 0.02, score="snip", X=X, y=y, rounds=3)) == 3


def test_scope_layer_and_unbiased_weights(network):
    net = network(3)
    shares = networks.kept(networks.find(net, 0.2, scope="layer", design="priority", rng=0))
    assert [layer.kept for layer in shares.values()] == [7, 10, 4]
    masks = networks.find(net, 0.2, design="systematic", binary=False, rng=0)
    assert networks.vector(masks).max() > 1


def masked(seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)
    )
    return net, networks.prune(net, 0.3, design="priority", floor=1, rng=0)


def zeros_stay(net, masks):
    names = {"0.weight": net[0], "4.weight": net[4]}
    return all(not layer.weight.detach().numpy()[masks[n] == 0].any() for n, layer in names.items())


def test_training_keeps_zeros():
    net, masks = masked()
    before = net[4].weight.detach().clone()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(5):
        optimiser.zero_grad()
        net(torch.randn(8, 1, 4, 4)).square().sum().backward()
        optimiser.step()
        net(torch.randn(2, 1, 4, 4))
        assert zeros_stay(net, masks)
    assert (net[4].weight != before).any()


def test_a_state_dict_makes_a_round_trip():
    net, masks = masked()
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    other, _ = masked(seed=1)
    other.load_state_dict(torch.load(file, weights_only=True))
    X = torch.randn(3, 1, 4, 4)
    assert torch.equal(net.eval()(X), other.eval()(X))
    assert zeros_stay(other, masks)


def test_a_deep_copy_is_masked_by_itself():
    net, masks = masked()
    other = copy.deepcopy(net)
    with torch.no_grad():
        other[4].parametrizations.weight.original.add_(1.0)
    other(torch.randn(2, 1, 4, 4))
    assert zeros_stay(other, masks)
    other[4].weight.sum().backward()
    assert other[4].parametrizations.weight.original.grad is not None
    assert not torch.equal(other[4].weight, net[4].weight)


def test_remove_makes_the_layers_plain():
    net, masks = masked()
    networks.remove(net)
    assert sorted(name for name, _ in net[4].named_parameters()) == ["bias", "weight"]
    assert zeros_stay(net, masks)
    # The zeros are plain weights again, which a new mask may keep.
    assert total(networks.prune(net, 1.0)) == 27 + 24


def test_unbiased_weights_multiply_the_weights():
    net = nn.Linear(20, 10)
    before = net.weight.detach().clone()
    masks = networks.prune(net, 0.3, design="priority", binary=False, rng=0)
    expected = before.numpy() * masks["weight"]
    np.testing.assert_allclose(net.weight.detach().numpy(), expected, rtol=tolerances.SINGLE)


@pytest.mark.parametrize("signed", ["shift", "absolute"])
def test_signed_scores_of_a_draw(signed):
    net = nn.Linear(4, 1)
    scores = np.array([[-8.0, 0.0, 0.0, 1.0]])
    draws = [
        networks.find(
            net, 0.25, score=lambda *_: {"weight": scores}, design="priority", signed=signed, rng=i
        )["weight"]
        for i in range(200)
    ]
    kept = np.sum(draws, axis=0)[0]
    if signed == "shift":
        assert kept[0] == 0
        assert min(kept[1:]) > 30
    else:
        assert kept[0] > 140
        assert kept[1] == kept[2] == 0


def broken(name):
    net = nn.Linear(3, 3)
    if name == "not a module":
        return np.ones(3), TypeError, "torch.nn.Module"
    if name == "nothing to prune":
        return nn.Sequential(nn.BatchNorm1d(3), nn.Embedding(3, 3)), ValueError, "no prunable"
    if name == "nan":
        net.weight.data[1, 2] = torch.nan
        return net, ValueError, r"weight must be finite; got weight\[1, 2\] = nan"
    if name == "integers":
        net.weight = nn.Parameter(torch.ones(3, 3, dtype=torch.int8), requires_grad=False)
        return net, TypeError, "int8"
    if name == "lazy":
        return nn.Sequential(nn.LazyLinear(3)), ValueError, "not initialised"
    torch_prune.l1_unstructured(net, "weight", 0.5)
    return net, ValueError, r"parametrised already.*torch\.nn\.utils\.prune\.remove"


@pytest.mark.parametrize(
    "name",
    [
        "not a module", "nothing to prune", "nan", "integers", "lazy", "pruned",
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_modules_that_cannot_be_pruned(name):
    module, kind, words = broken(name)
    with pytest.raises(kind, match=words):
        networks.prune(module, 0.5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"density": 0.0}, "density"),
        ({"density": 0.5, "score": "best"}, "score must be one of"),
        ({"density": 0.5, "rounds": 0}, "rounds"),
        ({"density": 0.5, "rounds": 2, "binary": False}, "binary must be True"),
        ({"density": 0.5, "design": "dice"}, "design"),
        ({"density": 0.5, "signed": "squared"}, "signed"),
        ({"density": 0.5, "score": "snip"}, "X is missing"),
        ({"density": 0.01, "floor": 3}, "floor"),
    ],
)
def test_bad_options_leave_the_module_alone(network, options, words):
    net = network(3)
    before = list(net.state_dict())
    with pytest.raises(ValueError, match=words):
        networks.prune(net, **options)
    assert list(net.state_dict()) == before


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        ({"weight": np.ones((2, 2))}, r"must have shape \(3, 3\)"),
        ({"bias": np.ones(3)}, "must name the prunable weights weight"),
    ],
)
def test_masks_must_fit(masks, words):
    net = nn.Linear(3, 3)
    with pytest.raises(ValueError, match=words):
        networks.apply(net, masks)
    assert sorted(net.state_dict()) == ["bias", "weight"]
