"""Nothing happens in silence: densities, weights that are left out, layers that are emptied."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from lth_sketch import networks


def stock():
    """A network as PyTorch makes it, whose first layer has the smallest weights."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10)
    )


@pytest.mark.parametrize("density", [5, 0, -0.1, 1.0001, np.inf, np.nan])
@pytest.mark.parametrize("call", ["find", "prune"])
@pytest.mark.parametrize("options", [{}, {"rounds": 3}, {"scope": "layer"}, {"scope": "row"}])
def test_a_density_that_is_no_share_is_refused(call, density, options):
    net = nn.Linear(4, 3)
    with pytest.raises(ValueError, match="density must"):
        getattr(networks, call)(net, density, **options)
    assert sorted(net.state_dict()) == ["bias", "weight"]


@pytest.mark.parametrize("density", ["half", None, [0.1]])
def test_a_density_that_is_no_number_is_refused(density):
    with pytest.raises((TypeError, ValueError), match="density"):
        networks.find(nn.Linear(4, 3), density)


def test_an_emptied_layer_is_told_with_its_name_and_the_mend():
    net = stock()
    with pytest.warns(networks.EmptyLayer, match=r"0\.weight \(0 of 235,200\).*floor=1") as told:
        masks = networks.find(net, 0.03)
    assert len(told) == 1
    assert networks.kept(masks).emptied == ["0.weight"]
    for options in ({"floor": 1}, {"scope": "layer"}, {"design": "priority", "rng": 0}):
        assert not networks.kept(networks.find(net, 0.03, **options)).emptied


def test_what_is_left_out_is_named_with_the_density_reached():
    net = nn.Sequential(nn.Embedding(50, 8), nn.LSTM(8, 16, batch_first=True))
    net.append(nn.Linear(16, 4))
    networks.prune(net, 0.25)
    counts = networks.kept(net)
    assert counts == {"2.weight": (16, 64)}
    assert counts.left == {
        "0.weight": 400, "1.weight_ih_l0": 512, "1.weight_hh_l0": 1024,
    }  # fmt: skip
    assert counts.density == 0.25
    assert counts.reached == (16 + 1936) / 2000
    table = counts.table()
    assert "1.weight_hh_l0" in table
    assert table.count("left whole") == 3
    assert table.splitlines()[-1].split()[:4] == ["all", "1,952", "of", "2,000"]
    assert networks.kept(networks.find(net, 0.25, include="1.*")).density == pytest.approx(0.25)


def test_a_module_without_masks_is_all_left():
    counts = networks.kept(nn.Linear(3, 2))
    assert (dict(counts), counts.left, counts.reached) == ({}, {"weight": 6}, 1.0)


def test_patterns_choose_weights_and_a_typing_error_is_told():
    net = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    assert list(networks.prunable(net)) == ["1.weight", "2.weight"]
    assert list(networks.prunable(net, include="0.*")) == ["0.weight", "1.weight", "2.weight"]
    assert list(networks.prunable(net, exclude=["2.*"])) == ["1.weight"]
    for argument in ("include", "exclude"):
        with pytest.raises(ValueError, match=rf"{argument} has the pattern 'head\*'.*0\.weight"):
            networks.find(net, 0.5, **{argument: "head*"})
    with pytest.raises(TypeError, match="exclude must hold patterns"):
        networks.prunable(net, exclude=[3])
    with pytest.raises(ValueError, match=r"no prunable parameters.*it has 0\.weight"):
        networks.prunable(net, exclude=["1.*", "2.*"])


def test_lottery_tickets_in_rounds(batch):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 20), nn.ReLU(), nn.Linear(20, 3))
    X, y = batch(24)
    X, y = X.float(), torch.as_tensor(y)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    masks, before = None, None
    for density in (0.5, 0.25, 0.125):
        masks = networks.prune(net, density, masks=masks, floor=1)
        for _ in range(3):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(X), y).backward()
            optimiser.step()
        now = networks.vector(masks) != 0
        assert now.sum() == int(density * 160 + 0.5)
        # What is left out stays out.
        assert before is None or not (now & ~before).any()
        before = now
        assert networks.kept(net).density == pytest.approx(density, abs=1 / 160)
    zeros = networks.vector(networks.prunable(net)) == 0
    assert zeros[~before].all()
    with pytest.raises(ValueError, match=r"density must be at most 0\.125"):
        networks.find(net, 0.5, masks=masks)
    with pytest.raises(ValueError, match="binary must be True"):
        networks.find(net, 0.1, masks=masks, binary=False, design="priority")
    networks.remove(net)
    assert torch.equal(net[0].weight == 0, torch.as_tensor(masks["0.weight"] == 0))
    # The optimiser goes on with the same parameters.
    held = optimiser.param_groups[0]["params"]
    assert all(a is b for a, b in zip(held, net.parameters(), strict=True))
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    with pytest.raises(ValueError, match="no masks to remove"):
        networks.remove(net)


def test_the_score_and_design_of_rounds_see_the_masks():
    net = nn.Linear(40, 10)
    first = networks.find(net, 0.5, design="priority", rng=0)
    later = networks.find(net, 0.2, design="priority", masks=first, rounds=3, rng=1)
    assert later["weight"].sum() == 80
    assert not (later["weight"] > first["weight"]).any()


def test_each_row_keeps_its_share():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(2, 6, 3), nn.Flatten(), nn.Linear(24, 5))
    masks = networks.find(net, 0.25, scope="row")
    np.testing.assert_allclose(masks["0.weight"].sum((1, 2, 3)), 4.5, atol=0.51)
    np.testing.assert_array_equal(masks["2.weight"].sum(1), 6)
    for row, weights in zip(masks["2.weight"], net[2].weight.detach().numpy(), strict=True):
        assert abs(weights[row == 1]).min() > abs(weights[row == 0]).max()
    masks = networks.find(net, 0.25, scope="row", design="priority", rounds=2, rng=0)
    np.testing.assert_allclose(masks["2.weight"].sum(1), 6, atol=1)
    with torch.no_grad():
        net[2].weight[0] = 0
    assert networks.find(net, 0.25, scope="row")["2.weight"][0].sum() == 6
