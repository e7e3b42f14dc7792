"""The list of figures, and what a figure is: a module with the names below."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

import figures
from lth_sketch.datasets import Dataset
from lth_sketch.plots.tables import Table
from lth_sketch.statements import REGISTER, Statement

# In which order they are shown.
ORDER = (
    "initialization_error",
    "sharpness",
    "designs",
    "sketches",
    "end_of_training",
    "heavy_tail",
    "retrained",
    "price_of_independence",
    "scores_as_sketches",
    "top_or_random",
    "generic_improvement",
)


class Script(Protocol):
    """One figure: `compute` a table for each data set, `draw` all tables into panels."""

    @property
    def NAME(self) -> str:
        """Name of the module and of the files."""

    @property
    def TITLE(self) -> str:
        """Headline on the page."""

    @property
    def CAPTION(self) -> str:
        """What is drawn and what to see in it, including what speaks against a claim."""

    @property
    def ALT(self) -> str:
        """What is seen, for those who do not see it."""

    @property
    def SHOWS(self) -> Sequence[str]:
        """Headings in docs/theory.md of what it shows; those of statements are their labels."""

    @property
    def SIZES(self) -> Mapping[str, Mapping[str, int]]:
        """Numbers of trials and the like for "tiny" (tests), "smoke" and "paper"."""

    def compute(
        self, data: Dataset, sizes: Mapping[str, int], rng: np.random.Generator, /
    ) -> Table:
        """Return every plotted number of one data set."""

    def shape(self, count: int, /) -> tuple[int, int]:
        """Return rows and columns of panels for `count` data sets."""

    def draw(self, table: Table, axes: npt.NDArray[Any], /) -> None:
        """Draw the tables of all data sets, one after another, into an array of panels."""


def scripts() -> tuple[Script, ...]:
    """Return every module of this package that is a figure: those of `ORDER`, then any other."""
    modules = [
        importlib.import_module(f"{figures.__name__}.{info.name}")
        for info in pkgutil.iter_modules(figures.__path__)
        if not info.name.startswith("_")
    ]
    # Other modules are tools; __main__ imports this one.
    scripts: dict[str, Any] = {
        module.NAME: module for module in modules if hasattr(module, "compute")
    }
    names = [*ORDER, *sorted(scripts.keys() - set(ORDER))]
    return tuple(scripts[name] for name in names)


def shown(script: Script, register: Iterable[Statement] = REGISTER) -> dict[str, list[str]]:
    """Return the claims of a register that a figure shows, once each, under their labels."""
    claims: dict[str, list[str]] = {}
    for statement in register:
        if statement.label in script.SHOWS:
            listed = claims.setdefault(statement.label, [])
            if statement.claim not in listed:
                listed.append(statement.claim)
    return claims


def generator(seed: int, figure: str, data: str) -> np.random.Generator:
    """Return the randomness of one figure and data set: no other figure or data set changes it."""
    return np.random.default_rng([seed, *f"{figure} {data}".encode()])


# At the end, for tools of this package read what is above.
SCRIPTS: tuple[Script, ...] = scripts()
