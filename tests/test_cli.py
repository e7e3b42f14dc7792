"""The command, as a user calls it."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lth_sketch import bounds, checkpoints, cli, datasets
from lth_sketch.statements import PRODUCTS, REGISTER

WEIGHTS = {
    "one.weight": np.arange(12.0).reshape(3, 4) - 6,
    "one.bias": np.ones(3),
    "two.weight": np.full((2, 3), 0.5),
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "weights.npz"
    checkpoints.write(path, WEIGHTS)
    return path


def run(file: Path, *options: str) -> Path:
    out = file.with_name("mask.npz")
    assert cli.main(["mask", str(file), "--out", str(out), *options]) == 0
    return out


def test_a_mask_is_written_and_its_layers_are_told(file, capsys):
    masks = checkpoints.read(run(file, "--density", "0.5"))
    assert list(masks) == ["one.weight", "two.weight"]
    np.testing.assert_array_equal(masks["one.weight"], np.abs(WEIGHTS["one.weight"]) > 1)
    assert not masks["two.weight"].any()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines] == [
        ["one.weight", "9", "of", "12"],
        ["two.weight", "0", "of", "6"],
        ["all", "9", "of", "18"],
    ]


def test_options_reach_the_selection(file):
    first = checkpoints.read(
        run(file, "--density", "0.3", "--design", "priority", "--rng", "4", "--floor", "1")
    )
    expected = checkpoints.masks(WEIGHTS, 0.3, design="priority", rng=4, floor=1)
    for name, mask in expected.items():
        np.testing.assert_array_equal(first[name], mask)
    rescaled = checkpoints.read(
        run(file, "--density", "0.3", "--design", "systematic", "--rng", "4", "--rescale")
    )
    assert max(mask.max() for mask in rescaled.values()) > 1
    only = checkpoints.read(
        run(file, "--density", "0.5", "--scope", "layer", "--score", "random", "--skip", "one*")
    )
    assert list(only) == ["two.weight"]
    assert only["two.weight"].sum() == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--density", "2"], "density"),
        (["--density", "0.1", "--skip", "*"], "no prunable weights"),
        (["--density", "0.1", "--out", "mask.txt"], "suffix"),
        (["--density", "0.1", "--design", "priority", "--rng", "-1"], "rng"),
    ],
)
def test_errors_are_one_line(file, capsys, options, words):
    out = ["--out", str(file.with_name("mask.npz"))]
    assert cli.main(["mask", str(file), *out, *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("lth-sketch mask: error: ")
    assert words in error
    assert len(error.splitlines()) == 1
    assert list(file.parent.iterdir()) == [file]


def test_the_weights_are_never_overwritten(file, capsys):
    assert cli.main(["mask", str(file), "--density", "0.5", "--out", str(file)]) == 2
    assert "must differ" in capsys.readouterr().err


def test_the_command_is_installed(file):
    command = shutil.which("lth-sketch", path=Path(sys.executable).parent)
    assert command is not None
    out = file.with_name("mask.npz")
    subprocess.run([command, "mask", file, "--density", "0.5", "--out", out], check=True)
    assert out.exists()


def test_verify_prints_a_table_or_json_and_writes_a_page(tmp_path, capsys):
    page = tmp_path / "report.html"
    options = ["--statements", "S0", "S6", "--trials", "10"]
    assert cli.main(["verify", *options, "--out", str(page)]) == 0
    assert "certified" in capsys.readouterr().out
    assert "certified" in page.read_text()
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    assert cli.main(["verify", *options, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["label"] for row in rows} == {"S0", "S6"}


def test_verify_puts_drawn_figures_on_the_page(tmp_path, capsys):
    figures, page = tmp_path / "figures", tmp_path / "report.html"
    figures.mkdir()
    options = ["verify", "--statements", "S0", "--trials", "10", "--figures", str(figures)]
    assert cli.main([*options, "--out", str(page)]) == 2
    assert "no picture of initialization_error" in capsys.readouterr().err
    assert not page.exists()
    (figures / "initialization_error.png").write_bytes(b"a picture")
    assert cli.main(options) == 2
    assert "--figures needs --out" in capsys.readouterr().err
    assert cli.main([*options, "--out", str(page)]) == 0
    assert "data:image/png;base64," in page.read_text()
    again = tmp_path / "again.html"
    assert cli.main([*options, "--out", str(again)]) == 0
    assert again.read_bytes() == page.read_bytes()


def test_networks_without_torch_say_what_is_missing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.startswith("lth_sketch.networks")]:
        monkeypatch.delitem(sys.modules, name)
    assert cli.main(["verify", "--networks"]) == 2
    assert "--networks needs PyTorch: pip install" in capsys.readouterr().err


def test_verify_fails_when_something_is_refuted(monkeypatch, capsys):
    wrong = dataclasses.replace(REGISTER[0], value=lambda case: 0.0)
    monkeypatch.setattr(cli, "REGISTER", (wrong,))
    assert cli.main(["verify", "--trials", "10"]) == 1
    assert "refuted" in capsys.readouterr().out


def test_bounds_are_those_of_the_library(capsys):
    assert cli.main(["bounds", "--draws", "64", "--product", "coherent"]) == 0
    lines = capsys.readouterr().out.splitlines()
    data = datasets.load("digits")
    product, p = PRODUCTS["coherent"](data, 0)
    expected = bounds.cantelli(product, p, 64, 0.05) / product.norm2**0.5
    shown = dict(zip(lines[1].split(), lines[2].split(), strict=True))
    assert shown["B7"] == f"{expected:.3g}"
    assert shown["s"] == "64"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["verify", "--statements", "S99"], "--statements must be one of"),
        (["verify", "--statements", "N1"], "--statements (N1 to N3 need --networks) must be one"),
        (["verify", "--out", "no/such/folder/page.html"], "there is no folder"),
        (["verify", "--risk", "2"], "risk must lie in"),
        (["verify", "--data", "imagenet"], "imagenet"),
        (["bounds", "--draws", "0"], "--draws[0] must be at least 1"),
        (["bounds", "--delta", "1"], "--delta must lie in"),
    ],
)
def test_bad_options_of_verify_and_bounds(arguments, text, capsys):
    assert cli.main(arguments) == 2
    assert text in capsys.readouterr().err
