"""Advice for networks: numbers, and the rule on the cells that it was chosen on and on others."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import nn

from experiments import deciders, known, runs, store, summary
from experiments.__main__ import KNOWN, RESULTS
from experiments.architectures import build
from lth_sketch import datasets, networks
from lth_sketch.networks import advice

DIGITS = datasets.load("digits", subset=200)


def test_a_stock_network_at_three_percent():
    """PyTorch's own initial weights: top-k by magnitude keeps nothing of the first layer."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10)
    )
    advised = networks.advise(net, 0.03)["magnitude"]
    assert advised.verdict == "draw"
    assert advised.danger == ["0.weight"]
    assert "top-k empties 0.weight" in advised.sentence
    X = np.random.default_rng(0).standard_normal((8, 784))
    seen = networks.advise(net, 0.03, score="magnitude", X=X)["magnitude"]
    assert seen.verdict == "draw"
    # In few steps neither is learnt.
    few = networks.advise(net, 0.03, score="magnitude", X=X, steps=50)["magnitude"]
    assert few.verdict == "floor"
    assert "neither leaves a network that learns" in few.sentence
    # Samples that are all alike tell nothing of what can be learnt: the scores do.
    alike = networks.advise(net, 0.03, score="magnitude", X=np.ones((2, 784)))["magnitude"]
    assert alike.sentence == advised.sentence
    assert seen.layers[0].error["top"] == 1.0
    assert "coherence" in seen.table()
    assert all(np.isfinite(layer.coherence) for layer in seen.layers)


def test_scores_at_hand():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 10))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    advised = networks.advise(net, 0.3, X=DIGITS.X, y=DIGITS.y)
    assert list(advised) == ["magnitude", "layer", "synflow", "snip"]
    assert {one.verdict for one in advised.values()} == {"same"}
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    encoder = nn.TransformerEncoderLayer(8, 2, 8, batch_first=True)
    assert list(networks.advise(encoder, 0.5, X=torch.randn(4, 3, 8))) == ["magnitude", "layer"]
    with pytest.raises(ValueError, match="density must"):
        networks.advise(net, 3)
    with pytest.raises(ValueError, match="score must be one of"):
        networks.advise(net, 0.5, score="best")


# The tables that the rule was chosen on, and one that it was not.
CHOSEN = (
    "grid_fc_fashion_mnist",
    "grid_vgg_fashion_mnist",
    "grid_vgg_cifar10",
    "grid_resnet_fashion_mnist",
    "who_digits",
)
# Grids and scores whose networks are scored in seconds; the Jacobian's are left out.
LATER = ("unseen_fashion_mnist",)
CELLS = [
    (condition, gap)
    for path in ("grid_fc_fashion_mnist", "grid_vgg_fashion_mnist", "grid_resnet_fashion_mnist")
    for condition, gap in summary.differences(store.read(RESULTS / f"{path}.csv")).items()
    if abs(gap.value) - gap.half > 0.05
]


def fields(condition):
    return dict(zip(summary.GROUP, condition, strict=False))


def stored(condition):
    """What the masks of a stored cell leave of its network, from seed 0, on noise for images."""
    cell = fields(condition)
    run = runs.Run(
        cell["architecture"], cell["dataset"], float(cell["density"]), cell["score"], cell["data"],
        "top", int(cell["rounds"]), "none", 0, int(cell["width"]), 0, 0, 0, 0.0,
    )  # fmt: skip
    return run, build(run.architecture, (1, 28, 28), run.width, 0)


@pytest.mark.parametrize("name", ["magnitude", "synflow"])
def test_stored_cells_without_data_are_called_right(name):
    """Each cell whose five-seed interval excludes zero by more than five points."""
    X = np.random.default_rng(0).standard_normal((16, 1, 28, 28)).astype(np.float32)
    seen = 0
    for condition, gap in CELLS:
        cell = fields(condition)
        if cell["score"] != name or cell["control"] != "none" or cell["rounds"] != "1":
            continue
        run, net = stored(condition)
        advised = networks.advise(net, run.density, score=name, X=X)[name]
        assert advised.verdict == ("draw" if gap.value > 0 else "top"), (cell, advised.sentence)
        seen += 1
    assert seen >= 2


def told(name):
    """The cells of a stored table, with what is known of their masks before training."""
    rows = store.table(RESULTS / f"{name}.csv")
    return deciders.called(known.joined(rows, store.read(KNOWN / f"{name}.csv")))


@pytest.mark.parametrize("name", CHOSEN)
def test_the_rule_on_the_cells_that_it_was_chosen_on(name):
    """All cells that five seeds decide by more than five points are called right."""
    decided = [cell for cell in told(name) if cell.kind == "decided"]
    assert decided
    assert {cell.gap.seeds for cell in decided} == {5}
    assert [cell for cell in decided if not cell.right] == []


def test_how_often_the_rule_is_right():
    """What docs/results says of it, misses included."""
    page = (RESULTS / "README.md").read_text()
    for label, names in (("rule was chosen on", CHOSEN), ("came after it", LATER)):
        cells = [cell for name in names for cell in told(name)]
        counts = [
            f"{sum(cell.right for cell in part)} of {len(part)}"
            for part in ([c for c in cells if c.kind == kind] for kind in ("decided", "even"))
        ]
        row = rf"\|[^|]* {label}[^|]* \| {counts[0]}[^|]* \| {counts[1]} \|"
        assert re.search(row, page), counts


def test_strength_tells_more_than_anything_else():
    rows = known.joined(
        store.table(RESULTS / "who_digits.csv"), store.read(KNOWN / "who_digits.csv")
    )
    value, count = deciders.of_the_rule(rows)
    assert (round(value, 2), count) == (0.74, 65)
    others = deciders.correlations(rows)
    assert value > max(abs(one[0]) for one in others.values()) + 0.2
    page = deciders.markdown(rows)
    assert "held within 6 and 1000 | +0.74 |" in page
    assert "23 of 23 decided cells" in page


def test_the_rule_is_a_comparison_of_strengths():
    def verdict(top, draw, error=1.0, paths=(1.0, 1.0), steps=100):
        tried = (advice.Tried(top, error, paths[0]), advice.Tried(draw, 1.0, paths[1]))
        return advice.judge(*tried, steps)[0]

    # Weak masks count alike, and so do strong ones.
    assert verdict(0, 0.06) == verdict(10, 1e9) == "same"
    assert verdict(0, 0.1) == verdict(1, 1.6) == "draw"
    assert verdict(0.1, 0) == verdict(1.6, 1) == "top"
    assert verdict(1, 1.4) == verdict(1.4, 1) == "same"
    # What is not learnt in few steps is in many.
    assert [verdict(0.01, 0.03, steps=n) for n in (100, 1000)] == ["same", "draw"]
    # Top-k that spoils a layer loses to what is learnt, and not to what is not.
    assert verdict(9, 2, error=1.5) == "draw"
    assert verdict(9, 0.01, error=1.5) == "top"
    assert verdict(20, 20, paths=(0.9, 0.5)) == "top"
    assert verdict(20, 20, paths=(0.5, 0.9)) == verdict(20, 20, paths=(np.nan, 0.1)) == "same"
