"""Every method of approximate multiplication, against its size and against its work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from lth_sketch import Product, methods, moments, sketches
from lth_sketch.datasets import Dataset
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
from lth_sketch.plots.tables import Table, distinct, rows, select
from lth_sketch.validation import Floats, Integers

NAME = "sketches"
TITLE = "Which sketch, of what size, with what error"
SHOWS = ("S2", "S7", "S10", "S11")
CAPTION = (
    "Relative squared error E||C - AB||^2 / ||AB||^2 of approximate products C of inner dimension "
    "s. Upper rows: X^T X, the second moments of features, over 512 samples of raw pixels. Lower "
    "rows: a product of rank 8 and noise, of the same shape. Lines are exact (S2, S7, S10, S11), "
    "markers are measured means.\n"
    "Left: against s/d. See that sparse signs cost what CountSketch costs whatever their number; "
    "that true norms on a Gaussian sketch help where rows are nearly parallel; that co-occurring "
    "directions, which have no chance in them, come near the best product of rank s, the floor.\n"
    "Right: against the multiplications that each takes to leading order, over those of AB itself. "
    "See that Gaussian sketches cost as much as AB, and directions and the floor more; that "
    "sampling, CountSketch and sampled entries are what is worth its work, entries where much is "
    "kept or, as here, many are zero."
)
ALT = (
    "Four panels of falling error curves of methods of multiplication, on the left against their "
    "size, on the right against their work. Co-occurring directions and the best product of a rank "
    "are lowest against size; sampling and sampled entries are furthest left against work."
)
SIZES = {
    "tiny": {"trials": 1, "points": 3, "measured": 2},
    "smoke": {"trials": 4, "points": 7, "measured": 3},
    "paper": {"trials": 100, "points": 13, "measured": 4},
}
SAMPLES, RANK, NOISE = 512, 8, 0.5

Moment = Callable[[Product, Integers], Floats]


def _entries(product: Product, s: Integers) -> Floats:
    return np.asarray(moments.elementwise(product, s))


def _corrected(product: Product, s: Integers) -> Floats:
    return np.asarray(moments.norm_corrected(product, s).total)


METHODS: dict[str, tuple[Look, Moment | None]] = {
    "sampling": (Look("sampling", BLUE, "-", "o"), moments.optimal),
    "gaussian": (Look("Gaussian", GREY, "-", "D"), moments.gaussian),
    "norm_corrected": (Look("true norms", RED, DASHED, "s"), _corrected),
    "countsketch": (Look("CountSketch", YELLOW, DOTTED, "v"), moments.countsketch),
    "sparse_signs": (Look("sparse signs", BLACK, DOTTED, "+"), moments.sparse_signs),
    "elementwise": (Look("entries", GREEN, DASHDOT, "^"), _entries),
    "co_occurring": (Look("directions", BLUE, LONG, "x"), None),
    "truncated": (Look("best of rank s", BLACK, LONG, "*"), moments.truncated),
}
KINDS = {"moments": "$X^T X$", "low rank": "rank 8 and noise"}
SHOWN = (0.02, 0.5)
RANGES = {"size": (0.018, 0.56), "work": (0.02, 20.0)}


def compute(data: Dataset, sizes: Mapping[str, int], rng: np.random.Generator) -> Table:
    """Return every number of the figure for one data set."""
    X = np.asarray(data.X[:SAMPLES], dtype=np.float64)
    X = X[:, (X != 0).any(axis=0)]
    d, q = X.shape
    shared = rng.standard_normal((RANK, d))
    A = rng.standard_normal((q, RANK)) @ shared + NOISE * rng.standard_normal((q, d))
    B = shared.T @ rng.standard_normal((RANK, q)) + NOISE * rng.standard_normal((d, q))
    table: Table = []
    for kind, product in {"moments": Product(X.T, X), "low rank": Product(A, B)}.items():
        rows = _curves(product, sizes, rng)
        table += [{"data": data.name, "product": kind, **row} for row in rows]
    return table


def _curves(product: Product, sizes: Mapping[str, int], rng: np.random.Generator) -> Table:
    s = np.unique(np.round(product.d * np.geomspace(*SHOWN, sizes["points"])).astype(np.int64))
    at = s[np.unique(np.linspace(0, len(s) - 1, sizes["measured"]).astype(int))]
    exact = product.value
    rows: Table = []
    for name, (_, moment) in METHODS.items():
        if moment is not None:
            curve = moment(product, s) / product.norm2
            rows += _rows(name, "exact", s, product, 0, curve)
        trials = sizes["trials"] if methods.METHODS[name].random else 1
        measured = [
            np.mean([_error(product, int(size), name, rng, exact) for _ in range(trials)])
            for size in at
        ]
        rows += _rows(name, "measured", at, product, trials, np.array(measured) / product.norm2)
    return rows


def _error(product: Product, s: int, method: str, rng: np.random.Generator, exact: Floats) -> float:
    gap = sketches.multiply(product.A, product.B, s, method=method, rng=rng) - exact
    return float(np.sum(gap**2))


def _rows(
    name: str, quantity: str, s: Integers, product: Product, trials: int, value: Floats
) -> Table:
    work = methods.work(name, s, product.q, product.d, product.r)
    return rows(
        name=name,
        quantity=quantity,
        s=s,
        size=s / product.d,
        work=work / (product.q * product.d * product.r),
        trials=trials,
        value=value,
    )


def _log_axis(axes: Any, low: float, high: float) -> None:
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 400 else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def shape(count: int) -> tuple[int, int]:
    """Return rows and columns of panels for `count` data sets."""
    return len(KINDS) * count, 2


def draw(table: Table, axes: npt.NDArray[Any]) -> None:
    """Draw the table into panels of `shape`: a row for each data set and product."""
    cases = [(data, kind) for data in distinct(table, "data") for kind in KINDS]
    for (data, kind), (left, right) in zip(cases, axes, strict=True):
        part = [row for row in table if (row["data"], row["product"]) == (data, kind)]
        values = select(part, quantity="measured")["value"]
        low, high = panels.limits([values[values > 0], 2.0])
        for panel, against in ((left, "size"), (right, "work")):
            for name, (look, moment) in METHODS.items():
                if moment is not None:
                    exact = select(part, name=name, quantity="exact")
                    panels.line(panel, exact[against], exact["value"], look)
                measured = select(part, name=name, quantity="measured")
                if moment is None:
                    panels.line(panel, measured[against], measured["value"], look)
                panels.markers(panel, measured[against], measured["value"], look)
            _log_axis(panel, *RANGES[against])
            panels.log_axis(panel, max(low, high / 1e6), high)
            panels.vacuous(panel)
            panel.set_title(f"{panels.title_of(data)}, {KINDS[kind]}")
        left.set_ylabel("squared error / empty product")
    for bottom, text in zip(axes[-1], ("size s / d", "multiplications / those of AB"), strict=True):
        bottom.set_xlabel(text)
    panels.legend_below(axes[-1, 0], [panels.key(look) for look, _ in METHODS.values()])
