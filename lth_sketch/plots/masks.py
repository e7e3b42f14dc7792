"""Second moments of every design at equal expected kept fraction: numbers, and a panel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lth_sketch import moments, montecarlo, probabilities
from lth_sketch.plots import panels
from lth_sketch.plots.panels import (
    BLACK,
    BLUE,
    DASHDOT,
    DASHED,
    DOTTED,
    GREEN,
    GREY,
    LONG,
    RED,
    YELLOW,
    Look,
)
from lth_sketch.plots.tables import Table, rows, select
from lth_sketch.product import Product
from lth_sketch.validation import Floats, Integers

Moment = Callable[[Product, npt.ArrayLike, Integers], Floats]
MASKS: dict[str, tuple[Look, Moment]] = {
    "multinomial": (Look("with replacement", BLUE, "-", "o"), moments.multinomial),
    "poisson": (Look("Poisson", RED, DASHED, "s"), moments.poisson),
    "systematic": (Look("systematic", GREEN, DASHDOT, "^"), moments.systematic),
    "priority": (Look("priority", YELLOW, DOTTED, "v"), moments.priority),
    "hybrid": (Look("hybrid", GREY, "-", "D"), moments.hybrid),
    "pivotal": (Look("pivotal", GREEN, DOTTED, "*"), moments.pivotal),
    "conditional": (Look("conditional", RED, "-", "+"), moments.conditional),
    "top": (Look("top-k, not drawn", BLACK, LONG, "x"), moments.top),
}
SHOWN = (0.04, 0.97)
# Their masks keep fewer than s.
REPEATING = ("multinomial", "hybrid")


def mask_table(
    product: Product,
    p: npt.ArrayLike,
    whole: Integers,
    repeated: Integers,
    measured: int,
    trials: int,
    rng: np.random.Generator,
) -> Table:
    """Return exact second moments of every design, and measured ones at a few sizes.

    `repeated` are the sizes of draws with replacement, `whole` those of all other designs.
    """
    live = int(np.count_nonzero(p))
    table: Table = []
    for design, (_, moment) in MASKS.items():
        s = repeated if design in REPEATING else whole
        kept = np.array([_kept(p, int(size), design) for size in s])
        exact = moment(product, p, s)
        table += mask_rows("mask", design, "exact", kept / live, s, 0, exact / product.norm2)
        at = np.unique(np.linspace(0, len(s) - 1, measured).astype(int))
        count = 1 if design == "top" else trials
        mean = montecarlo.squared_errors(
            product, p, s[at], trials=count, design=design, rng=rng
        ).mean(axis=1)
        table += mask_rows(
            "mask", design, "measured", kept[at] / live, s[at], count, mean / product.norm2
        )
    return table


def _kept(p: npt.ArrayLike, s: int, design: str) -> float:
    """Return how many entries a mask keeps on average."""
    if design in REPEATING:
        return float(probabilities.inclusion(p, s, design=design).sum())
    return float(s)


def mask_rows(
    kind: str, name: str, quantity: str, kept: Any, s: Any, trials: int, value: Any
) -> Table:
    """Return rows of the table of designs and sketches."""
    return rows(
        kind=kind, name=name, quantity=quantity, kept_fraction=kept, s=s, trials=trials, value=value
    )


def draw_designs(axes: Any, part: Table, looks: Mapping[str, Look]) -> None:
    """Draw exact lines and measured markers of designs or sketches."""
    seen = []
    for name, look in looks.items():
        exact = select(part, name=name, quantity="exact")
        measured = select(part, name=name, quantity="measured")
        panels.line(axes, exact["kept_fraction"], exact["value"], look)
        panels.markers(axes, measured["kept_fraction"], measured["value"], look)
        seen.append(exact["value"])
    panels.fraction_axis(axes, SHOWN[0], SHOWN[1])
    low, high = panels.limits([*seen, 2.0])
    panels.log_axis(axes, max(low, high / 1e5), high)
    panels.vacuous(axes)
