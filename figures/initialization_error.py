"""Error of the masked model at initialization, measured, exact and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.special

from figures import panels
from figures.panels import DRAWS, STATEMENTS, Look
from figures.tables import Table, distinct, rows, select
from lth_sketch import Product, bounds, moments, montecarlo, probabilities
from lth_sketch.datasets import Dataset
from lth_sketch.validation import Floats, Integers

NAME = "initialization_error"
TITLE = "What a mask costs at initialization"
SHOWS = ("S0", "S1", "S2", "S3", "S6", "B1", "B2", "B6", "B9")
CAPTION = (
    "Error ||X (m w0) - X w0|| of the masked linear model at initialization over ||X w0||, the "
    "error of the empty mask, against the expected kept fraction, for one initialization on raw "
    "pixels. Upper rows: Gaussian w0, whose terms mostly cancel. Lower rows: |w0|, a coherent "
    "product, whose terms add up. The horizontal axis is logarithmic in what is kept on its left "
    "and in what is pruned on its right. Draws are with replacement, so s may exceed d; it doubles "
    "from marker to marker. All that is measured is one vector product (S0).\n"
    "Left: four draws; lines are the exact root mean square (S2), markers the measured median, "
    "bands the measured 5-95%. See that at equal s no line is below that of the optimal draw (S3); "
    "equal kept fraction is another matter, for a draw that repeats itself keeps fewer features: "
    "data-free, squared and uniform draws spend some on pixels that are always zero. See also "
    "that top-k, which keeps the k largest terms as they are (S6), is far better than any draw "
    "where the signs are random (R1), and worse than a draw of few features where the terms add "
    "up.\n"
    "Right: the optimal draw, whose exact second moment is B1, under three bounds that hold with "
    "probability 95%; they bound the upper edge of the band. See that B9, the least that six exact "
    "moments allow, runs a quarter above it, that B6 needs no moments and is twice too large, and "
    "the classical B2 several times. The figure `sharpness` has all bounds, at every risk. In the "
    "shaded region a bound says nothing, for the empty mask does as well: with Gaussian w0 that is "
    "all of them until most features are kept."
)
SIZES = {
    "smoke": {"trials": 300, "points": 15, "work": 2 * 10**9},
    "paper": {"trials": 5000, "points": 17, "work": 25 * 10**9},
}

DELTA = 0.05
QUANTILES = {"q05": 0.05, "median": 0.5, "q95": 0.95}
KINDS = {"gaussian": "Gaussian $w_0$", "coherent": "coherent $|w_0|$"}
# The fewest draws are d/32, and each second size doubles them.
FEWEST = 32
# The part of the axis of kept fractions that is shown.
SHOWN = (0.02, 0.99)


def compute(data: Dataset, sizes: Mapping[str, int], rng: np.random.Generator) -> Table:
    """Return every number of the figure for one data set.

    ``sizes["work"]`` caps trials x draws x features, so that wide data take fewer trials.
    """
    d = int(data.X.shape[1])
    w = rng.standard_normal(d)
    s = np.unique(np.ceil(d / FEWEST * 2.0 ** (np.arange(sizes["points"]) / 2)).astype(np.int64))
    trials = min(sizes["trials"], max(100, sizes["work"] // (int(s[-1]) * d)))
    table: Table = []
    cases: dict[str, Floats] = {"gaussian": w, "coherent": np.abs(w)}
    for kind, weights in cases.items():
        product = Product(data.X, weights)
        found = _draws(product, weights, s, trials, rng) + _top(product)
        found += _bounds(product, s)
        table += [{"data": data.name, "product": kind, **row} for row in found]
    return table


def _draws(
    product: Product, w: Floats, s: Integers, trials: int, rng: np.random.Generator
) -> Table:
    """Return S2 and the measured quantiles of each draw."""
    found: Table = []
    for draw, p in {
        "optimal": probabilities.optimal(product),
        "data-free": probabilities.data_free(w),
        "squared": probabilities.squared(w),
        "uniform": probabilities.uniform(product.d),
    }.items():
        errors = montecarlo.squared_errors(product, p, s, trials=trials, rng=rng)
        values = {name: np.quantile(errors, q, axis=1) for name, q in QUANTILES.items()}
        values["S2"] = moments.multinomial(product, p, s)
        kept = moments.distinct(p, s) / product.d
        for quantity, squares in values.items():
            value = np.sqrt(squares / product.norm2)
            measured = trials if quantity in QUANTILES else 0
            found += _rows(draw, quantity, kept, s, measured, value)
    return found


def _top(product: Product) -> Table:
    """Return the error of keeping the k largest terms, up to where nothing is lost."""
    low, high = scipy.special.logit(SHOWN)
    fractions = scipy.special.expit(np.linspace(float(low), float(high), 80))
    k = np.unique(np.ceil(product.d * fractions).astype(np.int64))
    squares = moments.top(product, probabilities.optimal(product), k)
    lost = squares > 0
    value = np.sqrt(squares[lost] / product.norm2)
    return _rows("top-k", "S6", k[lost] / product.d, k[lost], 0, value)


def _bounds(product: Product, s: Integers) -> Table:
    """Return bounds on the optimal draw."""
    p = probabilities.optimal(product)
    values = {
        "B1": np.sqrt(bounds.frobenius(product, s)),
        "B2": bounds.dkm(product, s, DELTA),
        "B6": bounds.radial(product, p, s, DELTA),
        "B9": bounds.moment(product, p, s, DELTA),
    }
    kept = moments.distinct(p, s) / product.d
    found: Table = []
    for name, value in values.items():
        found += _rows("optimal", name, kept, s, 0, value / np.sqrt(product.norm2))
    return found


def _rows(draw: str, quantity: str, kept: Any, s: Integers, trials: int, value: Any) -> Table:
    return rows(draw=draw, quantity=quantity, kept_fraction=kept, s=s, trials=trials, value=value)


def shape(count: int) -> tuple[int, int]:
    """Return rows and columns of panels for `count` data sets."""
    return len(KINDS) * count, 2


def draw(table: Table, axes: npt.NDArray[Any]) -> None:
    """Draw the table into panels of `shape`: a row for each data set and product."""
    cases = [(data, kind) for data in distinct(table, "data") for kind in KINDS]
    for (data, kind), (left, right) in zip(cases, axes, strict=True):
        part = [row for row in table if (row["data"], row["product"]) == (data, kind)]
        _draw_draws(left, part)
        _draw_bounds(right, part)
        case = f"{panels.title_of(data)}, {KINDS[kind]}"
        left.set_title(f"{case}: draws")
        right.set_title(f"{case}: bounds")
        left.set_ylabel("error / error of the empty mask")
    for bottom in axes[-1]:
        bottom.set_xlabel("expected kept fraction of the features")
    grey = [
        panels.key(Look("exact root mean square", panels.GREY)),
        panels.key(Look("measured median", panels.GREY, "", "o")),
        panels.key(Look("measured 5–95%", panels.GREY), filled=True),
    ]
    blue = [
        panels.key(Look("exact root mean square", panels.BLUE)),
        panels.key(Look("measured 5–95%", panels.BLUE), filled=True),
    ]
    panels.legend_below(axes[-1, 0], [*map(panels.key, DRAWS.values()), *grey])
    panels.legend_below(axes[-1, 1], [*map(panels.key, STATEMENTS.values()), *blue])


def _draw_draws(axes: Any, part: Table) -> None:
    seen = []
    for name in ("uniform", "squared", "data-free", "optimal"):
        look = DRAWS[name]
        low, median, high, exact = (
            select(part, draw=name, quantity=quantity) for quantity in (*QUANTILES, "S2")
        )
        x = exact["kept_fraction"]
        panels.band(axes, x, low["value"], high["value"], look)
        panels.line(axes, x, exact["value"], look)
        panels.markers(axes, x[::2], median["value"][::2], look)
        seen += [column["value"][x < SHOWN[1]] for column in (low, high, exact)]
    top = select(part, draw="top-k", quantity="S6")
    panels.line(axes, top["kept_fraction"], top["value"], DRAWS["top-k"])
    panels.fraction_axis(axes, *SHOWN)
    panels.log_axis(axes, *panels.limits([*seen, 2.0]))
    panels.vacuous(axes)
    _mark(axes, select(part, draw="optimal", quantity="median"))


def _draw_bounds(axes: Any, part: Table) -> None:
    low, high, exact = (
        select(part, draw="optimal", quantity=quantity) for quantity in ("q05", "q95", "S2")
    )
    x = exact["kept_fraction"]
    panels.band(axes, x, low["value"], high["value"], DRAWS["optimal"])
    panels.line(axes, x, exact["value"], DRAWS["optimal"])
    seen = [low["value"]]
    for name, look in STATEMENTS.items():
        value = select(part, draw="optimal", quantity=name)["value"]
        panels.line(axes, x, value, look)
        seen.append(value)
    panels.fraction_axis(axes, SHOWN[0], min(SHOWN[1], 1.05 * x.max()))
    panels.log_axis(axes, *panels.limits([*seen, 2.0]))
    panels.vacuous(axes)


def _mark(axes: Any, median: dict[str, npt.NDArray[Any]]) -> None:
    """Write s at d/8, d and 8d beside the markers."""
    points = {}
    for text, half_steps in (("d/8", 4), ("d", 10), ("8d", 16)):
        if half_steps < len(median["s"]):
            point = median["kept_fraction"][half_steps], median["value"][half_steps]
            points[f"$s={text}$"] = point
    panels.mark_draws(axes, points)
