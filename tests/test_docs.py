"""The site without building it: its configuration, its pages, and what the reference will say."""

from __future__ import annotations

import importlib
import inspect
import re
import runpy
import sys
from pathlib import Path

import pytest
from documented import differing, documented

ROOT = Path(__file__).parents[1]
SITE = ROOT / "docs" / "site"
sys.path.insert(0, str(SITE))

import links  # noqa: E402
from making import adopted, notebooks, reference, theory  # noqa: E402

# Made when the site is built.
MADE = {
    "theory/index",
    "reference/index",
    "notebooks/index",
    "gallery/index",
    "certificate",
    *(target.removesuffix(".md") for target in adopted.PAGES.values()),
}
# PyTorch has a suite of its own, which asks the same of it.
MODULES = [name for name in reference.MODULES if name != "networks"]


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_name_the_parameters_that_there_are(name):
    module = importlib.import_module(f"lth_sketch.{name}")
    assert differing(module, reference.public(module)) == {}


def test_the_noun_is_documented():
    product = importlib.import_module("lth_sketch").Product
    assert documented(product) == {"A", "B"}


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_has_a_docstring(name):
    module = importlib.import_module(f"lth_sketch.{name}")
    assert module.__doc__
    for public in reference.public(module):
        value = getattr(module, public)
        if callable(value):
            assert inspect.getdoc(value), public


def test_every_public_module_is_in_the_reference():
    import lth_sketch

    doors = {name for name in lth_sketch.__all__ if inspect.ismodule(getattr(lth_sketch, name))}
    assert doors <= set(MODULES)


def test_the_configuration_parses_and_reads_nothing_from_elsewhere():
    settings = runpy.run_path(str(SITE / "conf.py"))
    assert settings["html_theme"] == "furo"
    assert settings["html_math_renderer"] == "katex"
    text = (SITE / "conf.py").read_text(encoding="utf-8")
    assert "http" not in text.replace("html_", "")


@pytest.mark.parametrize(
    "page", sorted((SITE / "source").rglob("*.md")), ids=lambda page: page.stem
)
def test_pages_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    here = page.parent.relative_to(SITE / "source").as_posix()
    for block in re.findall(r"```\{toctree\}\n(.*?)```", text, re.S):
        for name in block.split("\n"):
            if not name or name.startswith(":"):
                continue
            whole = name if here == "." else f"{here}/{name}"
            assert whole in MADE or (SITE / "source" / f"{whole}.md").exists(), name
    for target in re.findall(r"\]\(((?!http)[^)#\s]+\.(?:md|rst|ipynb))\)", text):
        goal = (page.parent / target).resolve()
        relative = goal.relative_to(SITE / "source").with_suffix("").as_posix()
        source = ROOT / "docs" / "notebooks" / f"{goal.stem}.py"
        assert goal.exists() or relative in MADE or source.exists(), target


def test_every_code_block_of_the_site_runs(request):
    """Python is written as doctests, in pages that a plain run of pytest or test-networks takes."""
    paths = [ROOT / path for path in request.config.getini("testpaths")]
    pages = [*(SITE / "source").rglob("*.md"), *(ROOT / source for source in adopted.PAGES)]
    pages += [ROOT / "docs" / "theory.md", *(ROOT / "docs" / "results").glob("*.md")]
    run = 0
    for page in pages:
        blocks = re.findall(r"^```(?:python|pycon|py)\n(.*?)^```", page.read_text(), re.M | re.S)
        for block in blocks:
            assert block.startswith(">>> "), (page.name, block)
            assert block.endswith("\n\n"), (page.name, "no empty line before the fence", block)
            assert any(page.is_relative_to(path) for path in paths), page.name
            run += 1
    assert run > 20


def test_notebooks_are_those_in_the_order_and_assert_something():
    texts = {path.stem: path.read_text() for path in (ROOT / "docs" / "notebooks").glob("*.py")}
    assert texts.keys() == set(notebooks.ORDER)
    for name, text in texts.items():
        assert "\nassert " in text or "assert_bound" in text, name
        # Nothing private, and nothing of the checkout that a reader would lack.
        assert not re.search(r"lth_sketch[\w.]*\._|import _|from (figures|tests|experiments)", text)


def test_statements_have_one_place_each(tmp_path):
    theory.write(ROOT / "docs" / "theory.md", tmp_path / "theory")
    text = "".join(path.read_text() for path in (tmp_path / "theory").glob("*.md"))
    places = re.findall(r"^\((statement-[\w-]+)\)=$", text, re.M)
    assert len(places) == len(set(places)) > 30
    for place in places:
        assert f"(#{place})" in text
    # No statement is lost in the cut.
    page = (ROOT / "docs" / "theory.md").read_text()
    assert len(places) == len(theory.LABEL.findall(page))


def test_links_of_adopted_pages_hold_or_are_words(tmp_path):
    (tmp_path / "guide").mkdir()
    (tmp_path / "guide" / "index.md").write_text(
        (SITE / "source" / "guide" / "index.md").read_text()
    )
    adopted.write(ROOT, tmp_path)
    for page in tmp_path.rglob("*.md"):
        for target in re.findall(r"\]\(((?!http)[^)#\s]+)", page.read_text()):
            goal = (page.parent / target).resolve()
            inside = goal.relative_to(tmp_path.resolve()).as_posix()
            known = goal.exists() or inside.startswith("theory/") or page.name == "index.md"
            assert known, (page.name, target)


def test_what_readers_would_miss_is_found(tmp_path):
    (tmp_path / "whole.html").write_text(
        '<html lang="en"><a href="#here">x</a><p id="here"><img src="a.png" alt="a line" '
        'srcset="a.png"><a href="https://example.org">y</a><svg role="img" aria-label="z"></svg>'
    )
    (tmp_path / "a.png").touch()
    assert links.check(tmp_path) == []
    (tmp_path / "broken.html").write_text(
        '<html><a href="gone.html">x</a><a href="whole.html#gone">x</a><img src="b.png">'
        '<source srcset="c.png"><script src="https://example.org/x.js"></script>'
        '<p tabindex="3"><svg role="img"></svg>'
    )
    assert sorted(line.removeprefix("broken.html: ") for line in links.check(tmp_path)) == [
        "no language",
        "no such file: b.png",
        "no such file: c.png",
        "no such file: gone.html",
        "no such place: whole.html#gone",
        "picture without words: b.png",
        "picture without words: svg",
        "reads from the network: https://example.org/x.js",
        "the keyboard leaps to: p",
    ]


def test_results_say_how_their_tables_are_sorted(tmp_path):
    (tmp_path / "guide").mkdir()
    (tmp_path / "guide" / "index.md").write_text(
        (SITE / "source" / "guide" / "index.md").read_text()
    )
    adopted.write(ROOT, tmp_path)
    for page in (tmp_path / "results").glob("*.md"):
        assert page.read_text().splitlines()[2] == adopted.ORDER


PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "notebooks").glob("*.py")),
    *sorted((SITE / "source").rglob("*.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_import_public_names_only(page):
    """What comes from a public module and is one of its public names, or such a module itself."""
    doors = {*reference.MODULES, ""}
    # Prompts of a session away, so that imports over several lines are read as one.
    text = re.sub(r"^(>>>|\.\.\.) ?", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for module, names in re.findall(
        r"^ *from lth_sketch\.?([\w.]*) import (\([^)]*\)|[^\n]*)", text, re.MULTILINE
    ):
        assert module in doors, module
        listed = reference.public(importlib.import_module(f"lth_sketch.{module}".rstrip(".")))
        for name in re.findall(r"\w+", names.split("#")[0]):
            assert name in listed or f"{module}.{name}".lstrip(".") in doors, f"{module}: {name}"
