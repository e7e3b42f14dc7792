"""The figures' files, page, manifest and command line; sizes here are tiny."""

from __future__ import annotations

import csv
import doctest
import hashlib
import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from figures import __main__ as command
from figures import gallery, initialization_error, publish, sharpness
from lth_sketch import datasets, display, tolerances
from lth_sketch.plots import panels, tables
from lth_sketch.statements import REGISTER

# The figures drawn here, and what stands for their size "smoke"; others have tests of their own.
TINY = {
    "initialization_error": {"trials": 40, "points": 7, "work": 10**7},
    "designs": {"trials": 40, "sketches": 5, "points": 4, "measured": 2},
    "sharpness": {"trials": 1000, "points": 5, "work": 10**7},
}
KINDS = ("csv", "pdf", "png")


@pytest.fixture(scope="module", autouse=True)
def _tiny():
    with pytest.MonkeyPatch.context() as patch:
        drawn = tuple(script for script in gallery.SCRIPTS if script.NAME in TINY)
        patch.setattr(gallery, "SCRIPTS", drawn)
        patch.setattr(command, "SCRIPTS", drawn)
        for script in drawn:
            patch.setitem(script.SIZES, "smoke", TINY[script.NAME])
        yield


@pytest.fixture(scope="module")
def made(_tiny, tmp_path_factory):
    """The folder of one run of all figures."""
    out = tmp_path_factory.mktemp("figures")
    run(out)
    return out


@pytest.fixture(scope="module")
def table():
    data = datasets.load("digits", subset=200)
    sizes = TINY["initialization_error"]
    return initialization_error.compute(data, sizes, np.random.default_rng(0))


@pytest.mark.large
def test_every_bound_is_above_the_quantile():
    """B9 with six moments is never above B7 nor B9 with four; only A1 may be below 1."""
    data = datasets.load("digits", subset=200)
    table = sharpness.compute(
        data, {"trials": 1000, "points": 4, "work": 10**7}, np.random.default_rng(0)
    )
    draws = tables.distinct(table, "draw")
    assert len(draws) == 4
    for draw in draws:
        part = [row for row in table if row["draw"] == draw]
        values = {
            name: tables.select(part, quantity=name)["value"]
            for name in tables.distinct(part, "quantity")
        }
        assert (values["B9"] <= values["B9-4"] * (1 + tolerances.ROUNDING)).all()
        assert (values["B9-4"] <= values["B7"] * (1 + tolerances.ROUNDING)).all()
        assert set(values) == (
            set(panels.SHARP) - {"B8"} if draw != sharpness.POISSON else {"B7", "B8", "B9-4", "B9"}
        )
        for name in set(values) - {"A1", "B8"}:
            assert (values[name] > 0.95).all(), (draw, name)


def stub(name, fail=False):
    """A figure that costs nothing."""

    def compute(data, sizes, rng):
        if fail:
            raise RuntimeError("the compute of this stub fails")
        return tables.rows(data=data.name, x=[1, 2], value=rng.random(2))

    def draw(table, axes):
        axes[0, 0].plot(*(tables.select(table)[name] for name in ("x", "value")))

    return SimpleNamespace(
        NAME=name,
        TITLE=f"Title of {name}",
        ALT="one line",
        CAPTION="x < y & z\nsecond paragraph",
        SHOWS=("S1",),
        SIZES={"smoke": {"trials": 2}, "paper": {"trials": 3}},
        compute=compute,
        shape=lambda count: (1, 1),
        draw=draw,
    )


def run(out, *arguments):
    command.main(["--size", "smoke", "--out", str(out), *arguments])
    return manifest(out)


def manifest(out):
    return json.loads((out / "manifest.json").read_text(encoding="utf-8"))["figures"]


class Links(HTMLParser):
    """Targets of a page, and whether its tags are closed in order."""

    def __init__(self):
        super().__init__()
        self.targets, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.targets += [value for key, value in attrs if key in ("href", "src")]
        if tag == "img":
            assert dict(attrs)["alt"]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_run_writes_every_figure_and_lists_it(made):
    listed = manifest(made)
    names = [script.NAME for script in gallery.SCRIPTS]
    assert [item["name"] for item in listed] == names
    expected = {f"{name}.{kind}" for name in names for kind in KINDS}
    assert {path.name for path in made.iterdir()} == expected | {"index.html", "manifest.json"}
    page = (made / "index.html").read_text(encoding="utf-8")
    links = Links()
    links.feed(page)
    assert not links.open
    local = {target for target in links.targets if not target.startswith("#")}
    assert local == expected | {"manifest.json"}
    for item in listed:
        assert (made / item["files"]["png"]).read_bytes().startswith(b"\x89PNG")
        content = (made / item["files"]["csv"]).read_bytes()
        assert item["digest"] == hashlib.sha256(content).hexdigest()
        assert item["digest"] in page
        for s in (s for s in REGISTER if s.label in item["shows"]):
            assert s.claim in item["claims"][s.label]
            assert f"<li><strong>{s.label}</strong> {display.mathematics(s.claim)}</li>" in page
        assert item["caption"].splitlines()[0][:40] in page.replace("&amp;", "&")
        assert item["data"] == [
            {"name": "digits", "split": "all", "samples": 1797, "features": 64},
        ]
        assert (item["seed"], item["size"]) == (0, "smoke")
        assert item["sizes"] == TINY[item["name"]]
        assert {"python", "numpy", "scipy", "numba", "lth_sketch"} <= set(item["versions"])


def test_csv_holds_what_is_plotted(made):
    with (made / "initialization_error.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = ["data", "product", "draw", "quantity", "kept_fraction", "s", "trials", "value"]
    assert list(rows[0]) == columns
    assert {row["product"] for row in rows} == {"gaussian", "coherent"}
    assert {row["draw"] for row in rows} == {*panels.DRAWS}
    quantities = {*panels.STATEMENTS, "B1", "S2", "S6", "q05", "median", "q95"}
    assert {row["quantity"] for row in rows} == quantities
    assert all(0 < float(row["kept_fraction"]) <= 1 for row in rows)
    assert all(0 < float(row["value"]) < np.inf and int(row["s"]) > 0 for row in rows)


def test_fonts_are_embedded_and_no_date_is_written(made):
    content = (made / "initialization_error.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert b"/FontFile2" in content
    assert b"/Type3" not in content
    assert b"CreationDate" not in content


@pytest.mark.large
def test_same_seed_same_files(made, tmp_path):
    run(tmp_path)
    for path in made.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


@pytest.mark.large
def test_another_seed_other_numbers(made):
    first = manifest(made)
    for script, item in zip(gallery.SCRIPTS, first, strict=True):
        rng = gallery.generator(1, script.NAME, "digits")
        table = script.compute(datasets.load("digits"), script.SIZES["smoke"], rng)
        assert tables.digest(tables.to_csv(table)) != item["digest"]


def test_randomness_of_one_part_does_not_depend_on_the_others():
    draws = {
        part: gallery.generator(*part).random()
        for part in [(0, "a", "b"), (1, "a", "b"), (0, "c", "b"), (0, "a", "d")]
    }
    assert len(set(draws.values())) == 4
    assert gallery.generator(0, "a", "b").random() == draws[0, "a", "b"]


def test_only_and_several_figures(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "SCRIPTS", (stub("one"), stub("two")))
    both = run(tmp_path / "both")
    assert [item["name"] for item in both] == ["one", "two"]
    page = (tmp_path / "both" / "index.html").read_text(encoding="utf-8")
    assert "x &lt; y &amp; z</p>" in page
    assert all(f'<section id="{name}">' in page for name in ("one", "two"))
    only = run(tmp_path / "only", "--only", "two")
    assert only == both[1:]
    assert not (tmp_path / "only" / "one.csv").exists()
    output = capsys.readouterr()
    assert output.out.startswith("2 figures: ")
    # Without a terminal there is no progress bar.
    assert output.err == ""


def test_failing_figure_leaves_no_files(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "SCRIPTS", (stub("one"), stub("two", fail=True)))
    with pytest.raises(RuntimeError, match="this stub fails"):
        run(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_failing_figure_leaves_the_last_run_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "SCRIPTS", (stub("one"), stub("two")))
    run(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(command, "SCRIPTS", (stub("one"), stub("two", fail=True)))
    with pytest.raises(RuntimeError, match="this stub fails"):
        run(tmp_path, "--seed", "1")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_interrupted_write_leaves_no_files(tmp_path):
    with pytest.raises(TypeError):
        publish.write(tmp_path / "out", {"whole": b"1", "broken": "no bytes"})
    assert list((tmp_path / "out").iterdir()) == []


def test_pgf_without_tex_is_refused_before_any_work(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit):
        run(tmp_path / "out", "--format", "pgf")
    assert "argument --format: pgf needs xelatex" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_figure_without_numbers_is_an_error():
    with pytest.raises(ValueError, match="one has computed no numbers"):
        publish.render(stub("one"), [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "huge"], "argument --size: invalid choice: 'huge'"),
        (["--data", "cats"], "argument --data: cats: name must be one of cifar10, digits"),
        (["--data"], "argument --data: expected at least one argument"),
        (["--only", "nothing"], "argument --only: invalid choice: 'nothing'"),
        (["--seed", "-1"], "argument --seed: must be >= 0; got -1"),
        (["--seed", "x"], "argument --seed: invalid int value: 'x'"),
        (["--out", __file__], "argument --out: "),
    ],
)
def test_bad_arguments_exit_before_any_work(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.setattr(command, "SCRIPTS", (stub("one", fail=True),))
    with pytest.raises(SystemExit) as caught:
        command.main(["--out", str(tmp_path), *arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_captions_hold_in_the_table(table):
    for kind in initialization_error.KINDS:
        part = [row for row in table if row["product"] == kind]
        exact = {
            name: tables.select(part, draw=name, quantity="S2")["value"]
            for name in ("optimal", "data-free", "squared", "uniform")
        }
        best = exact.pop("optimal")
        assert all((best <= value * (1 + 1e-9)).all() for value in exact.values())
        optimal = {
            name: tables.select(part, draw="optimal", quantity=name)["value"]
            for name in ("B1", "B2", "B6", "B9", "q05", "median", "q95")
        }
        np.testing.assert_allclose(optimal["B1"], best, rtol=tolerances.PUBLISHED)
        assert (optimal["q05"] < optimal["median"]).all()
        assert (optimal["median"] < optimal["q95"]).all()
        for name in ("B2", "B6"):
            assert (optimal[name] > optimal["B9"]).all()
        # The 95% quantile of 40 trials is far from the true one; a bound must clear the median.
        assert (optimal["B9"] > optimal["median"]).all()


def test_top_k_is_the_error_of_the_k_largest_terms(table):
    data = datasets.load("digits", subset=200)
    w = np.random.default_rng(0).standard_normal(64)
    part = [row for row in table if row["product"] == "gaussian"]
    curve = tables.select(part, draw="top-k", quantity="S6")
    order = np.argsort(-np.linalg.norm(data.X, axis=0) * abs(w), kind="stable")
    for k, kept, value in zip(curve["s"], curve["kept_fraction"], curve["value"], strict=True):
        lost = data.X[:, order[k:]] @ w[order[k:]]
        assert value == pytest.approx(np.linalg.norm(lost) / np.linalg.norm(data.X @ w))
        assert kept == k / 64


def test_panels_shade_what_is_vacuous(table):
    rows, columns = initialization_error.shape(1)
    axes = Figure().subplots(rows, columns, squeeze=False)
    initialization_error.draw(table, axes)
    for panel in axes.flat:
        assert panel.get_yscale() == "log"
        shaded = [patch.get_bbox() for patch in panel.patches]
        assert [(box.y0, box.y1) for box in shaded] == [(1.0, panel.get_ylim()[1])]
        assert panel.get_ylim()[1] >= 2.0


def test_wide_data_take_fewer_trials(table):
    data = datasets.load("digits", subset=50)
    few = TINY["initialization_error"] | {"trials": 400, "work": 1}
    rows = initialization_error.compute(data, few, np.random.default_rng(0))
    assert {row["trials"] for row in rows} == {0, 100}
    assert {row["trials"] for row in table} == {0, 40}


def test_limits_widen_to_round_numbers():
    assert panels.limits([[0.03, 7.0], 0.0]) == pytest.approx((0.02, 10.0))
    assert panels.limits([1.0, 2.0]) == pytest.approx((1.0, 2.0))


def test_missing_rows_are_an_error(table):
    with pytest.raises(LookupError, match=r"no row has .*none"):
        tables.select(table, draw="none")


def test_examples_of_tables():
    assert doctest.testmod(tables).failed == 0


@pytest.mark.large
def test_command_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "figures", "--size=smoke", f"--out={tmp_path}", "--only", "designs"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "index.html").exists()
