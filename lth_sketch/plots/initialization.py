"""The error of a product under masks, measured, exact and bounded: its numbers, and its panels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import bounds, moments, montecarlo, probabilities
from lth_sketch.plots import panels
from lth_sketch.plots.panels import DRAWS, STATEMENTS, Look
from lth_sketch.plots.tables import Table, distinct, rows, select
from lth_sketch.product import Product
from lth_sketch.validation import Floats, Integers

QUANTILES = {"q05": 0.05, "median": 0.5, "q95": 0.95}
# The part of the axis of kept fractions that is shown.
SHOWN = (0.02, 0.99)
# For draws of other names than those of the house.
OTHERS = (
    Look("", panels.PURPLE, panels.DASHDOTDOT, "D"),
    Look("", panels.GREY, panels.DOTTED, "P"),
    Look("", panels.BLACK, panels.DASHED, "X"),
)


def look_of(name: str, place: int = 0) -> Look:
    """Return how a draw looks: as in the house, or by its place among the others."""
    return DRAWS.get(name) or OTHERS[place % len(OTHERS)]._replace(label=name)


def error_table(
    product: Product,
    draws: Mapping[str, npt.ArrayLike],
    s: Integers,
    trials: int,
    rng: np.random.Generator,
) -> Table:
    """Return S2 and the measured quantiles of each draw."""
    table: Table = []
    for draw, p in draws.items():
        errors = montecarlo.squared_errors(product, p, s, trials=trials, rng=rng)
        values = {name: np.quantile(errors, q, axis=1) for name, q in QUANTILES.items()}
        values["S2"] = moments.multinomial(product, p, s)
        kept = moments.distinct(p, s) / product.d
        for quantity, squares in values.items():
            value = np.sqrt(squares / product.norm2)
            measured = trials if quantity in QUANTILES else 0
            table += _rows(draw, quantity, kept, s, measured, value)
    return table


def top_table(product: Product) -> Table:
    """Return the error of keeping the k largest terms, up to where nothing is lost."""
    low, high = scipy.special.logit(SHOWN)
    fractions = scipy.special.expit(np.linspace(float(low), float(high), 80))
    k = np.unique(np.ceil(product.d * fractions).astype(np.int64))
    squares = moments.top(product, probabilities.optimal(product), k)
    lost = squares > 0
    value = np.sqrt(squares[lost] / product.norm2)
    return _rows("top-k", "S6", k[lost] / product.d, k[lost], 0, value)


def sharpness_table(
    product: Product, p: npt.ArrayLike, s: Integers, delta: float, draw: str = "optimal"
) -> Table:
    """Return bounds on one draw."""
    beta = bounds.nearness(product, p)
    values = {
        "B1": np.sqrt(bounds.frobenius(product, s, beta)),
        "B2": bounds.dkm(product, s, delta, beta),
        "B6": bounds.radial(product, p, s, delta),
        "B9": bounds.moment(product, p, s, delta),
    }
    kept = moments.distinct(p, s) / product.d
    table: Table = []
    for name, value in values.items():
        table += _rows(draw, name, kept, s, 0, value / product.norm2**0.5)
    return table


def _rows(
    draw: str, quantity: str, kept: npt.ArrayLike, s: npt.ArrayLike, trials: int, value: Floats
) -> Table:
    return rows(draw=draw, quantity=quantity, kept_fraction=kept, s=s, trials=trials, value=value)


def draw_errors(axes: Any, part: Table) -> None:
    """Draw measured and exact errors of every draw of a table, the first on top."""
    seen = []
    names = [name for name in distinct(part, "draw") if name != "top-k"]
    others = [name for name in names if name not in DRAWS]
    for name in reversed(names):
        look = look_of(name, others.index(name) if name in others else 0)
        low, median, high, exact = (
            select(part, draw=name, quantity=quantity) for quantity in (*QUANTILES, "S2")
        )
        x = exact["kept_fraction"]
        panels.band(axes, x, low["value"], high["value"], look)
        panels.line(axes, x, exact["value"], look)
        panels.markers(axes, x[::2], median["value"][::2], look)
        shown = x < SHOWN[1]
        seen += [column["value"][shown] for column in (low, high, exact)]
    if "top-k" in distinct(part, "draw"):
        top = select(part, draw="top-k", quantity="S6")
        panels.line(axes, top["kept_fraction"], top["value"], DRAWS["top-k"])
    panels.fraction_axis(axes, *SHOWN)
    panels.log_axis(axes, *panels.limits([*seen, 2.0]))
    panels.vacuous(axes)


def draw_sharpness(axes: Any, part: Table, draw: str = "optimal") -> None:
    """Draw the bounds on one draw over its measured band and its exact root mean square."""
    low, high, exact = (
        select(part, draw=draw, quantity=quantity) for quantity in ("q05", "q95", "S2")
    )
    x = exact["kept_fraction"]
    panels.band(axes, x, low["value"], high["value"], DRAWS["optimal"])
    panels.line(axes, x, exact["value"], DRAWS["optimal"])
    seen = [low["value"]]
    for name, look in STATEMENTS.items():
        value = select(part, draw=draw, quantity=name)["value"]
        panels.line(axes, x, value, look)
        seen.append(value)
    panels.fraction_axis(axes, SHOWN[0], min(SHOWN[1], 1.05 * x.max()))
    panels.log_axis(axes, *panels.limits([*seen, 2.0]))
    panels.vacuous(axes)
