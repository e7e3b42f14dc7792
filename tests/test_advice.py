"""Advice from scores: exact counts, probabilities against pruning.emptied, and the command."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from lth_sketch import advice, advice_picture, checkpoints, cli, named, pruning
from lth_sketch.tolerances import CONDITIONED, HALF

# Probabilities use the mean of scores that agree in seven binary digits.
BINNED = {"rtol": 3e-3, "atol": 1e-9}


def layers(seed=0, kind="normal"):
    rng = np.random.default_rng(seed)
    shapes = {"a": (40, 30), "b": (30, 20), "c": (20, 5)}
    scales = {"a": 0.2, "b": 1.0, "c": 1.5}
    layers = {}
    for name, shape in shapes.items():
        values = np.abs(rng.standard_normal(shape)) * scales[name]
        if kind == "heavy":
            values = values**6
        if kind == "ties":
            values = np.ceil(values)
        layers[name] = values.astype(np.float32)
    return layers


@pytest.mark.parametrize("kind", ["normal", "heavy", "ties"])
@pytest.mark.parametrize("density", [0.003, 0.02, 0.3, 1.0])
def test_top_k_is_counted_exactly(kind, density):
    scores = layers(kind=kind)
    advised = advice.advise(scores, density)
    kept = named.kept(named.select(scores, density))
    for layer in advised.layers:
        assert layer.kept["top"] * layer.size == pytest.approx(
            kept[layer.name].kept, abs=CONDITIONED
        )
        assert layer.emptied["top"] == float(kept[layer.name].kept == 0)


@pytest.mark.parametrize("kind", ["normal", "heavy"])
@pytest.mark.parametrize("density", [0.003, 0.02, 0.3])
def test_probabilities_are_those_of_the_library(kind, density):
    scores = layers(kind=kind)
    advised = advice.advise(scores, density)
    for design in ("multinomial", "poisson", "systematic"):
        exact = pruning.emptied(list(scores.values()), density, design=design)
        ours = [layer.emptied[design] for layer in advised.layers]
        np.testing.assert_allclose(ours, exact, rtol=0.02, atol=HALF, err_msg=design)
        total = sum(layer.kept[design] * layer.size for layer in advised.layers)
        assert total == pytest.approx(int(density * 1900 + 0.5), rel=1e-3)


def test_expected_fractions_agree_with_drawn_masks(size):
    scores = layers()
    advised = advice.advise(scores, 0.1)
    rng = np.random.default_rng(1)
    drawn = {"multinomial": [], "poisson": [], "systematic": []}
    for design, counts in drawn.items():
        for _ in range(size(200, 40)):
            masks = named.select(scores, 0.1, design=design, rng=rng)
            counts.append([mask.mean() for mask in masks.values()])
        expected = [layer.kept[design] for layer in advised.layers]
        # Six standard deviations of a mean.
        spread = 6 * np.std(counts, axis=0) / np.sqrt(len(counts)) + 1e-3
        assert (abs(np.mean(counts, axis=0) - expected) < spread).all(), design


def test_the_sentence():
    steep = {"a": np.full(1000, 1e-6), "b": np.linspace(1, 2, 100)}
    assert advice.advise(steep, 0.05).verdict == "floor"
    spread = {"a": np.linspace(0.5, 1, 1000), "b": np.linspace(1, 2, 100)}
    advised = advice.advise(spread, 0.05)
    assert advised.verdict == "draw"
    assert "top-k empties a" in advised.sentence
    assert advised.danger == ["a"]
    assert "a" in advised.table()
    assert advised.table().endswith(advised.sentence)
    even = {"a": np.linspace(1, 2, 100), "b": np.linspace(1, 2, 100)}
    assert advice.advise(even, 0.5).verdict == "same"
    assert not advice.advise(spread, 0.05, floor=1).danger
    few = {"a": np.linspace(1, 2, 1000), "b": np.array([3.0, 0.001])}
    assert advice.advise(few, 0.002).verdict == "top"


@pytest.mark.parametrize(
    ("scores", "density", "words"),
    [
        ({}, 0.5, "at least one layer"),
        ({"a": np.array([1.0, np.nan])}, 0.5, r"scores\['a'\] must be finite"),
        ({"a": np.zeros(3)}, 0.5, "scores are all zero"),
        ({"a": np.ones(3)}, 5, "density must"),
        ({"a": np.ones(3)}, 0, "density must"),
    ],
)
def test_scores_that_tell_nothing(scores, density, words):
    with pytest.raises(ValueError, match=words):
        advice.advise(scores, density)


def test_concentration_is_the_share_of_the_largest():
    scores = layers(kind="heavy")
    flat = np.sort(np.concatenate([values.ravel() for values in scores.values()]))
    advised = advice.advise(scores, 0.1).concentration
    assert advised == pytest.approx(flat[-190:].sum() / flat.sum(), rel=1e-3)


def test_the_command_prints_a_table_and_draws_a_picture(tmp_path, capsys):
    path, picture = tmp_path / "weights.npz", tmp_path / "advice.svg"
    weights = {f"fc{name}.weight": values for name, values in layers().items()}
    checkpoints.write(path, weights | {"fca.bias": np.ones(3, np.float32)})
    assert cli.main(["advise", str(path), "--density", "0.02", "--out", str(picture)]) == 0
    shown = capsys.readouterr().out
    assert "fca.weight" in shown
    assert "bias" not in shown
    assert "Keep the largest" in shown or "Draw" in shown
    root = ET.fromstring(picture.read_text())
    texts = [node.text for node in root.iter() if node.tag.endswith("text")]
    assert "fcb.weight" in texts
    assert any("of all weights kept" in (text or "") for text in texts)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["advice.svg", "weights.npz"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--density", "2"], "--density must"),
        (["--density", "0.1", "--out", "a.png"], "--out must end in .svg"),
        (["--density", "0.1", "--out", "no/where.svg"], "no folder"),
        (["--density", "0.1", "--floor", "-1"], "--floor"),
    ],
)
def test_the_command_tells_what_is_wrong(tmp_path, capsys, options, words):
    path = tmp_path / "weights.npz"
    checkpoints.write(path, {"fc.weight": np.ones((3, 3), np.float32)})
    assert cli.main(["advise", str(path), *options]) == 2
    assert words in capsys.readouterr().err


def test_names_are_escaped_in_the_picture():
    advised = advice.advise({"a<b>&": np.array([2.0, 1.0])}, 0.5)
    ET.fromstring(advice_picture.svg(advised))
