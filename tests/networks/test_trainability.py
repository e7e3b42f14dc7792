"""The strength of a masked network: against its Jacobian, and where it must vanish."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from lth_sketch import networks
from lth_sketch.tolerances import CONDITIONED


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)).double()


def masks_of(net, seed=0):
    rng = np.random.default_rng(seed)
    return {
        name: rng.integers(0, 2, tuple(weight.shape)).astype(float)
        for name, weight in networks.prunable(net).items()
    }


def test_the_estimate_is_that_of_the_jacobian():
    net, X, probes = network(), torch.randn(9, 5).double(), 400
    masks = masks_of(net)
    bare = copy.deepcopy(net)
    with torch.no_grad():
        for name, mask in masks.items():
            bare.get_parameter(name).mul_(torch.as_tensor(mask))
    J = networks.jacobian(bare, X, progress=False).astype(np.float64)
    J = J.reshape(9, 3, -1)[:, :, networks.vector(masks) != 0]
    centred = (J - J.mean(0)).reshape(27, -1)
    exact = (centred**2).sum() / 9
    # A probe has variance 2 (||K||^2 - its diagonal's) of the kernel K; 6.2 deviations: 1e-9.
    K = centred @ centred.T / 9
    deviation = np.sqrt(2 * ((K**2).sum() - (np.diag(K) ** 2).sum()) / probes)
    estimate = networks.strength(net, X, masks=masks, probes=probes)
    assert abs(estimate - exact) < 6.2 * deviation
    assert deviation < 0.1 * exact
    assert networks.strength(net, X, masks=masks) == networks.strength(net, X, masks=masks, rng=0)


def test_what_tells_no_samples_apart_has_no_strength():
    net, X = network(), torch.randn(9, 5).double()
    cut = {name: np.zeros(tuple(w.shape)) for name, w in networks.prunable(net).items()}
    assert networks.strength(net, X, masks=cut) == 0
    # Without its first layer a network gives one output for all: nothing to tell apart.
    half = {**cut, "2.weight": np.ones((3, 6))}
    assert networks.strength(net, X, masks=half) == pytest.approx(0, abs=1e-25)
    assert networks.strength(net, X[:1].repeat(4, 1)) == pytest.approx(0, abs=1e-25)


def test_it_goes_with_the_squares_of_the_other_layers():
    net, X = network(), torch.randn(9, 5).double()
    with torch.no_grad():
        for layer in (net[0], net[2]):
            layer.bias.zero_()
    before = networks.strength(net, X)
    state = copy.deepcopy(net.state_dict())
    with torch.no_grad():
        net[0].weight.mul_(3)
        net[2].weight.mul_(3)
    # Both gradients are those of the other layer, which is three times as large.
    assert networks.strength(net, X) == pytest.approx(9 * before, rel=CONDITIONED)
    net.load_state_dict(state)
    assert networks.strength(net, X) == before


def test_normalisation_is_by_the_batch_and_nothing_changes():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)
    )
    X = torch.randn(8, 1, 4, 4)
    before = copy.deepcopy(net.state_dict())
    one = networks.strength(net, X)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    with torch.no_grad():
        net[0].weight.mul_(10)
    # The layer after normalisation answers as before, that before it a hundredth as much.
    assert 0 < networks.strength(net, X) < one


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"probes": 0}, "probes must"),
        ({"masks": {}}, "masks must name"),
        ({"rng": "x"}, "rng must"),
    ],
)
def test_arguments_that_cannot_be(options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        networks.strength(network(), torch.randn(4, 5).double(), **options)
