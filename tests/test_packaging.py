"""What strangers get: metadata, an sdist that holds its suite, and how to install the rest."""

from __future__ import annotations

import configparser
import importlib
import re
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import lth_sketch
from lth_sketch import extras

ROOT = Path(__file__).parents[1]


def test_the_version_is_one():
    assert version("lth_sketch") == lth_sketch.__version__


def test_the_sdist_holds_what_the_suite_needs():
    text = (ROOT / "MANIFEST.in").read_text(encoding="utf-8")
    grafted = set(re.findall(r"^graft (\S+)$", text, re.M))
    listed = set(re.findall(r"^include (.+)$", text, re.M)[0].split())
    # Folders of code beside the library, which the packages of setup.cfg leave out.
    folders = {path.parent.name for path in ROOT.glob("*/*.py")} - {"lth_sketch", "build"}
    assert grafted >= {name for name in folders if not name.startswith(".")} | {"docs"}
    assert listed >= {"Makefile", "CONTRIBUTING.md", "README.md", "pyproject.toml", "setup.cfg"}
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert "Paper = https://doi.org/" in config["metadata"]["project_urls"]
    for extra in extras.EXTRAS:
        assert extra in config["options.extras_require"]


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [("lth_sketch.testing", "hypothesis", "testing"), ("lth_sketch.networks", "torch", "networks")],
)
def test_a_missing_extra_is_named(monkeypatch, module, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    for name in [name for name in sys.modules if name.startswith(module)]:
        monkeypatch.delitem(sys.modules, name)
    told = rf"{module} needs .*pip install -e '\.\[{extra}\]' in a checkout"
    with pytest.raises(ModuleNotFoundError, match=told):
        importlib.import_module(module)
