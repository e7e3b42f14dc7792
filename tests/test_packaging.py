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


def requirements(section: str, name: str) -> dict[str, str]:
    """The packages of a list of setup.cfg, and the oldest version of each."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lowest = re.findall(r"^([\w-]+)(?:\[\S+\])? >=(\S+)$", config.get(section, name), re.M)
    return dict(lowest)


def test_the_oldest_versions_are_those_of_the_metadata():
    listed = dict(
        line.split("==")
        for line in (ROOT / "tests" / "oldest.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    )
    allowed = requirements("options", "install_requires")
    for extra in ("figures", "testing"):
        allowed |= requirements("options.extras_require", extra)
    tools = requirements("options.extras_require", "test")
    allowed |= {tool: tools[tool] for tool in ("pytest", "pytest-xdist")}
    assert listed.keys() == allowed.keys()
    for package, least in allowed.items():
        assert f"{listed[package]}.0".startswith(f"{least}."), package


def test_the_citation_names_this_version_and_the_paper():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {lth_sketch.__version__}\n" in text
    assert "\n    doi: 10.1109/TPAMI.2025.3598343\n" in text
    assert "arXiv:2305.17559" in text
    assert "10.1109/TPAMI.2025.3598343" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", ["lint", "types", "test-networks", "docs", "dist"])
def test_what_the_public_machines_run_is_what_make_runs(target):
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert re.search(rf"run: make (.* )?{target}( |$)", text, re.M)
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)


def test_every_interpreter_that_the_metadata_names_is_tried():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    named = re.findall(r"Python :: (3\.\d+)", config["metadata"]["classifiers"])
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    tried = re.search(r"python: \[(.+)\]", text)
    assert tried is not None
    assert re.findall(r'"(3\.\d+)"', tried[1]) == named


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
    assert (
        "Paper = https://doi.org/10.1109/TPAMI.2025.3598343" in config["metadata"]["project_urls"]
    )
    for extra in extras.EXTRAS:
        assert extra in config["options.extras_require"]


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [
        ("lth_sketch.testing", "hypothesis", "testing"),
        ("lth_sketch.networks", "torch", "networks"),
        ("lth_sketch.plots", "matplotlib", "figures"),
    ],
)
def test_a_missing_extra_is_named(monkeypatch, module, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    for name in [name for name in sys.modules if name.startswith(module)]:
        monkeypatch.delitem(sys.modules, name)
    told = rf"{module} needs .*pip install -e '\.\[{extra}\]' in a checkout"
    with pytest.raises(ModuleNotFoundError, match=told):
        importlib.import_module(module)
