"""Every registered figure computes and draws, on data made by hand; what the command line takes."""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import io
import json
import sys
from types import ModuleType

import numpy as np
import pytest
from matplotlib.figure import Figure

import figures
from figures import __main__ as command
from figures import gallery, publish
from lth_sketch import Product, datasets, plots, probabilities
from lth_sketch.plots import tables
from lth_sketch.plots.tables import distinct, select

# Compiled only: the figures are no part of the library whose lines are counted.
pytestmark = pytest.mark.large


@pytest.fixture(scope="module")
def own():
    """Nine features, three classes with labels of their own: nothing that digits would have."""
    rng = np.random.default_rng(0)
    y = rng.choice([2, 5, 11], 60)
    X = rng.gamma(2.0, size=(60, 9)) + y[:, None] * rng.random(9)
    return datasets.Dataset(X, y, "by hand")


@pytest.mark.parametrize("script", gallery.SCRIPTS, ids=lambda script: script.NAME)
def test_every_figure_is_drawn_for_data_made_by_hand(script, own):
    table = script.compute(own, script.SIZES["tiny"], np.random.default_rng(0))
    assert distinct(table, "data") == ["by hand"]
    files = publish.render(script, table, ["svg"])
    assert files.keys() == {"csv", "svg", "png"}
    assert files["svg"].startswith(b"<?xml")
    assert script.SIZES.keys() == {"tiny", "smoke", "paper"}
    # Alternative text says what is seen, in more words than the title and in fewer than a caption.
    assert len(script.TITLE) < len(script.ALT) < len(script.CAPTION)
    # Whoever reads the CSV draws the same picture from it.
    for reader in readers():
        again = reader(files["csv"])
        assert publish.render(script, again, ["svg"])["svg"] == files["svg"], reader.__name__


def readers():
    """Readers of CSV: the standard library's, texts alone; pandas, or what it would make of it."""

    def as_frames_do(content):
        """Empty cells are no numbers, and a column of numbers is one of numbers."""
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        for name in rows[0]:
            with contextlib.suppress(ValueError):
                for row, value in zip(rows, [float(row[name]) for row in rows], strict=True):
                    row[name] = value
        return [{k: np.nan if v == "" else v for k, v in row.items()} for row in rows]

    def pandas(content):
        import pandas

        return pandas.read_csv(io.BytesIO(content)).to_dict("records")

    forms = [tables.read, as_frames_do]
    return [*forms, pandas] if importlib.util.find_spec("pandas") else forms


def test_a_new_figure_is_one_file(monkeypatch):
    script = ModuleType("figures.mine")
    for name in ("TITLE", "CAPTION", "ALT", "SHOWS", "SIZES", "compute", "shape", "draw"):
        setattr(script, name, getattr(gallery.SCRIPTS[0], name))
    script.NAME = "mine"
    monkeypatch.setitem(sys.modules, "figures.mine", script)
    listed = list(gallery.pkgutil.iter_modules(figures.__path__))
    info = listed[0]._replace(name="mine")
    monkeypatch.setattr(gallery.pkgutil, "iter_modules", lambda path: [*listed, info])
    assert [script.NAME for script in gallery.scripts()] == [*gallery.ORDER, "mine"]


def test_data_of_ones_own_from_a_file(tmp_path, own):
    np.savez(tmp_path / "mine.npz", X=own.X, y=own.y)
    out = tmp_path / "out"
    arguments = ["--size", "tiny", "--only", "price_of_independence", "--out", str(out)]
    command.main([*arguments, "--data", str(tmp_path / "mine.npz"), "--format", "svg"])
    names = {path.name for path in out.iterdir()}
    assert names == {
        *(f"price_of_independence.{kind}" for kind in ("csv", "svg", "png")),
        "index.html",
        "manifest.json",
    }
    (item,) = json.loads((out / "manifest.json").read_text())["figures"]
    assert item["data"] == [{"name": "mine", "split": "all", "samples": 60, "features": 9}]


def test_figures_are_listed(capsys):
    command.main(["--list"])
    lines = capsys.readouterr().out.splitlines()
    names = [line.split(":")[0] for line in lines if not line.startswith(" ")]
    assert names == [script.NAME for script in gallery.SCRIPTS]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(("width", "inches"), [("one", 3.4), ("two", 7.0)])
def test_widths_are_those_of_columns(width, inches):
    figure, axes = publish._paper(2, 2, width)
    assert axes.shape == (2, 2)
    assert figure.get_figwidth() == inches


# The panels for a product of one's own


def test_panels_are_those_of_the_figure():
    """The same numbers on the same axes, whoever asks."""
    script = gallery.SCRIPTS[0]
    data = datasets.load("digits", subset=100)
    sizes = {"trials": 50, "points": 5, "work": 10**9}
    table = script.compute(data, sizes, np.random.default_rng(0))
    rng = np.random.default_rng(0)
    w = rng.standard_normal(64)
    product = Product(data.X, w)
    draws = {
        "optimal": probabilities.optimal(product),
        "data-free": probabilities.data_free(w),
        "squared": probabilities.squared(w),
        "uniform": probabilities.uniform(64),
    }
    s = np.unique([row["s"] for row in table if row["quantity"] == "S2"])
    axes = plots.errors(product, draws, s, trials=50, rng=rng)
    first = Figure().subplots(*script.shape(1), squeeze=False)
    script.draw(table, first)
    ours = [line.get_ydata() for line in axes.get_lines()]
    theirs = [line.get_ydata() for line in first[0, 0].get_lines()]
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, other)
    exact = select(table, product="gaussian", draw="optimal", quantity="S2")["value"]
    assert any(np.array_equal(line, exact) for line in ours)


def test_panels_draw_on_the_axes_that_are_given():
    product = Product(np.eye(8), np.arange(1.0, 9.0))
    for draw in (plots.errors, plots.sharpness, plots.designs):
        axes = Figure().subplots()
        assert draw(product, s=[2, 4, 6], axes=axes, trials=20, rng=0) is axes
        assert axes.get_lines()
    axes = plots.layers({"a": np.ones(3), "b": np.zeros(2)}, label="first")
    assert plots.layers({"a": np.ones(3), "b": np.ones(2)}, axes, label="second") is axes
    assert [text.get_text() for text in axes.texts] == ["empty"]
    assert len(axes.get_legend().get_texts()) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda product: plots.layers({}), "kept must hold at least one layer"),
        (lambda product: plots.designs(product, s=[8]), "s must be from 1 to 7 here"),
        (lambda product: plots.designs(product, [1, 1, 0, 0, 0, 0, 0, 0]), "at least 3 entries"),
        (lambda product: plots.errors(product, trials=0), "trials must be"),
        (lambda product: plots.style(3).__enter__(), "columns must be 1 or 2; got 3"),
    ],
)
def test_bad_input_of_panels_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call(Product(np.eye(8), np.ones(8)))
