"""Error of the masked model at initialization, measured, exact and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lth_sketch import Product, probabilities
from lth_sketch.datasets import Dataset
from lth_sketch.plots import panels
from lth_sketch.plots.initialization import (
    draw_errors,
    draw_sharpness,
    error_table,
    sharpness_table,
    top_table,
)
from lth_sketch.plots.panels import DRAWS, STATEMENTS, Look
from lth_sketch.plots.tables import Table, distinct, select
from lth_sketch.validation import Floats

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
ALT = (
    "Four panels. The relative error falls from far above 1 to about a tenth as more features "
    "are kept. The line of the optimal draw is the lowest of four, within its measured band; in"
    " the right panels the bounds lie above that band, B9 closest to it and B2 several times "
    "higher, and all of them are in the grey vacuous region at the left."
)
SIZES = {
    "tiny": {"trials": 40, "points": 5, "work": 10**7},
    "smoke": {"trials": 300, "points": 15, "work": 2 * 10**9},
    "paper": {"trials": 5000, "points": 17, "work": 25 * 10**9},
}

DELTA = 0.05
KINDS = {"gaussian": "Gaussian $w_0$", "coherent": "coherent $|w_0|$"}
# The fewest draws are d/32, and each second size doubles them.
FEWEST = 32


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
        p = probabilities.optimal(product)
        draws = {
            "optimal": p,
            "data-free": probabilities.data_free(weights),
            "squared": probabilities.squared(weights),
            "uniform": probabilities.uniform(d),
        }
        rows = error_table(product, draws, s, trials, rng) + top_table(product)
        rows += sharpness_table(product, p, s, DELTA)
        table += [{"data": data.name, "product": kind, **row} for row in rows]
    return table


def shape(count: int) -> tuple[int, int]:
    """Return rows and columns of panels for `count` data sets."""
    return len(KINDS) * count, 2


def draw(table: Table, axes: npt.NDArray[Any]) -> None:
    """Draw the table into panels of `shape`: a row for each data set and product."""
    cases = [(data, kind) for data in distinct(table, "data") for kind in KINDS]
    for (data, kind), (left, right) in zip(cases, axes, strict=True):
        part = [row for row in table if (row["data"], row["product"]) == (data, kind)]
        draw_errors(left, part)
        _mark(left, select(part, draw="optimal", quantity="median"))
        draw_sharpness(right, part)
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


def _mark(axes: Any, median: dict[str, npt.NDArray[Any]]) -> None:
    """Write s at d/8, d and 8d beside the markers."""
    points = {}
    for text, half_steps in (("d/8", 4), ("d", 10), ("8d", 16)):
        if half_steps < len(median["s"]):
            point = median["kept_fraction"][half_steps], median["value"][half_steps]
            points[f"$s={text}$"] = point
    panels.mark_draws(axes, points)
