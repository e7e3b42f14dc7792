"""Every command line of the project prints its help, and that of each of its commands."""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMES = (
    "lth_sketch",
    "figures",
    "studies",
    "mutants",
    "benchmarks",
    "benchmarks.checkpoints",
    "benchmarks.cluster",
    "benchmarks.digests",
    "benchmarks.multiply",
    "benchmarks.scale",
    "benchmarks.sharpness",
)
# Those that need PyTorch, and are tried in tests/networks.
OTHERS = ("experiments",)


class Parsed(Exception):
    """Raised in the place of parsing, with the parser."""


def helps(parser):
    """The help of a parser and of the parsers of its commands, by name."""
    texts = {parser.prog: parser.format_help()}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for other in action.choices.values():
                texts |= helps(other)
    return texts


def file_of(name):
    place = ROOT.joinpath(*name.split("."))
    return place / "__main__.py" if place.is_dir() else place.with_suffix(".py")


@pytest.fixture
def parser(monkeypatch):
    """The parser that a file makes when it is run."""

    def stopped(self, *_):
        raise Parsed(self)

    def made(path):
        monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stopped)
        monkeypatch.setattr(sys, "argv", [str(path)])
        monkeypatch.setattr(sys, "path", [*sys.path])
        # Some set variables, which numba would see in all tests after this one.
        monkeypatch.setattr(os, "environ", os.environ.copy())
        with pytest.raises(Parsed) as told:
            runpy.run_path(str(path), run_name="__main__")
        return told.value.args[0]

    return made


@pytest.mark.parametrize("name", NAMES)
def test_each_command_line_prints_its_help(name, parser):
    texts = helps(parser(file_of(name)))
    for prog, text in texts.items():
        assert text.startswith(f"usage: {prog}")
        assert "--help" in text
    if name == "lth_sketch":
        assert {prog.split()[-1] for prog in texts} >= {"verify", "bounds", "mask", "advise"}


def test_no_command_line_is_forgotten():
    rooms = ("lth_sketch", "figures", "studies", "mutants", "benchmarks", "experiments")
    for room in rooms:
        for path in (ROOT / room).rglob("*.py"):
            if ".parse_args(" in path.read_text():
                parts = path.relative_to(ROOT).with_suffix("").parts
                name = ".".join(part for part in parts if part not in ("__main__", "cli"))
                assert name in (*NAMES, *OTHERS)
