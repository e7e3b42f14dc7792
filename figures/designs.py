"""Second moments of every design and every sketch, at equal expected kept fraction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lth_sketch import Product, moments, probabilities, sketches
from lth_sketch.datasets import Dataset
from lth_sketch.plots import panels
from lth_sketch.plots.masks import MASKS, SHOWN, draw_designs, mask_rows, mask_table
from lth_sketch.plots.panels import (
    BLACK,
    DASHDOT,
    DASHED,
    DOTTED,
    GREEN,
    GREY,
    RED,
    YELLOW,
    Look,
)
from lth_sketch.plots.tables import Table, distinct, select
from lth_sketch.reduction import reduce
from lth_sketch.validation import Floats, Integers

NAME = "designs"
TITLE = "What each design and each sketch costs"
SHOWS = ("S2", "S4", "S5", "S6", "S7", "S8", "S9")
CAPTION = (
    "Relative squared error E||A m B - AB||^2 / ||AB||^2 against the expected kept fraction, for "
    "the optimal probabilities on raw pixels. Upper rows: Gaussian w0. Lower rows: |w0|, a "
    "coherent product. Lines are exact, markers are measured means.\n"
    "Left: masks. See that at equal kept fraction a draw without replacement is better than one "
    "with replacement once much is kept, and that a hybrid draw, which keeps the largest surely, "
    "lies between; that the pattern 2 of 4, one point, costs more than a free mask of its size; "
    "that systematic draws, which follow the order of the pixels, "
    "gain where terms add up; and that top-k, which is no draw, is best where signs are "
    "random, and the worst of all where terms add up and little is kept. The bar joins the points "
    "of equal s = ||AB||^2 / sum u_i^2, from which on Poisson beats draws with replacement at "
    "equal s too (S4); it is left out where s is below 2 or a cap is active there.\n"
    "Right: dense sketches of size s, at s/d. They are no masks. See that they do not know which "
    "terms are large: at random signs they lose to a good mask."
)
ALT = (
    "Four panels. On the left falling curves of masks, nearly parallel, top-k far below the others "
    "for random signs and above them for a coherent product when little is kept; one point for "
    "the pattern 2 of 4. On the right four nearly equal straight lines of dense sketches."
)
SIZES = {
    "tiny": {"trials": 20, "sketches": 2, "points": 4, "measured": 2},
    "smoke": {"trials": 400, "sketches": 40, "points": 9, "measured": 3},
    "paper": {"trials": 20_000, "sketches": 400, "points": 25, "measured": 5},
}

SKETCHES: dict[str, tuple[Look, Callable[[Product, Integers], Floats]]] = {
    "gaussian": (Look("Gaussian", GREY, "-", "o"), moments.gaussian),
    "rademacher": (Look("Rademacher", GREEN, DASHDOT, "^"), moments.rademacher),
    "countsketch": (Look("CountSketch", YELLOW, DOTTED, "v"), moments.countsketch),
    "srht": (Look("SRHT", RED, DASHED, "s"), moments.srht),
}
PATTERN, PATTERN_LOOK = (2, 4), Look("2 of 4", BLACK, "", "P")
KINDS = {"gaussian": "Gaussian $w_0$", "coherent": "coherent $|w_0|$"}


def compute(data: Dataset, sizes: Mapping[str, int], rng: np.random.Generator) -> Table:
    """Return every number of the figure for one data set."""
    w = np.asarray(rng.standard_normal(data.X.shape[1]))
    # The same Frobenius errors in as few rows as there are features.
    R = reduce(data.X, np.zeros((len(data.X), 1))).R
    table: Table = []
    cases: dict[str, Floats] = {"gaussian": w, "coherent": np.asarray(np.abs(w))}
    for kind, weights in cases.items():
        product = Product(R, weights)
        rows = _masks(product, sizes, rng) + _sketches(product, sizes, rng)
        table += [{"data": data.name, "product": kind, **row} for row in rows]
    return table


def _masks(product: Product, sizes: Mapping[str, int], rng: np.random.Generator) -> Table:
    p = probabilities.optimal(product)
    live = int(np.count_nonzero(p))
    fractions = np.geomspace(SHOWN[0], SHOWN[1], sizes["points"])
    whole = np.unique(np.clip(np.round(fractions * live), 2, live - 1).astype(np.int64))
    # Draws with replacement keep fewer than s: go on until they have kept as much.
    repeated = np.unique(np.round(whole * np.geomspace(1, 8, len(whole))).astype(np.int64))
    rows = mask_table(product, p, whole, repeated, sizes["measured"], sizes["trials"], rng)
    return rows + _crossing(product, p, live) + _pattern(product, p, live)


def _pattern(product: Product, p: Floats, live: int) -> Table:
    """Return the one size of a pattern, 2 of 4, where it divides the features (S9)."""
    if product.d % PATTERN[1]:
        return []
    kept = product.d * PATTERN[0] // PATTERN[1]
    value = moments.grouped(product, p, PATTERN) / product.norm2
    return mask_rows("mask", "grouped", "exact", kept / live, kept, 0, value)


def _crossing(product: Product, p: Floats, live: int) -> Table:
    """Return the two points of equal s where Poisson overtakes draws with replacement (S4)."""
    s = int(np.ceil(product.coherence))
    if s < 2 or s * p.max() > 1:
        return []
    kept = {"multinomial": float(moments.distinct(p, s)), "poisson": float(s)}
    return [
        row
        for design, number in kept.items()
        for row in mask_rows(
            "mask",
            design,
            "crossing",
            number / live,
            s,
            0,
            float(MASKS[design][1](product, p, np.array([s]))[0]) / product.norm2,
        )
    ]


def _sketches(product: Product, sizes: Mapping[str, int], rng: np.random.Generator) -> Table:
    d, exact = product.d, product.value
    steps = np.round(d * np.geomspace(*SHOWN, sizes["points"]))
    s = np.unique(np.maximum(steps, 1).astype(np.int64))
    at = s[np.unique(np.linspace(0, len(s) - 1, sizes["measured"]).astype(int))]
    rows: Table = []
    for method, (_, moment) in SKETCHES.items():
        curve = moment(product, s) / product.norm2
        rows += mask_rows("sketch", method, "exact", s / d, s, 0, curve)
        squares = [
            np.mean(
                [
                    np.sum((_multiply(product, int(size), method, rng) - exact) ** 2)
                    for _ in range(sizes["sketches"])
                ]
            )
            for size in at
        ]
        rows += mask_rows(
            "sketch",
            method,
            "measured",
            at / d,
            at,
            sizes["sketches"],
            np.array(squares) / product.norm2,
        )
    return rows


def _multiply(product: Product, s: int, method: str, rng: np.random.Generator) -> Any:
    return sketches.multiply(product.A, product.B, s, method=method, rng=rng)


def shape(count: int) -> tuple[int, int]:
    """Return rows and columns of panels for `count` data sets."""
    return len(KINDS) * count, 2


def draw(table: Table, axes: npt.NDArray[Any]) -> None:
    """Draw the table into panels of `shape`: a row for each data set and product."""
    cases = [(data, kind) for data in distinct(table, "data") for kind in KINDS]
    for (data, kind), (left, right) in zip(cases, axes, strict=True):
        part = [row for row in table if (row["data"], row["product"]) == (data, kind)]
        case = f"{panels.title_of(data)}, {KINDS[kind]}"
        draw_designs(left, part, {name: look for name, (look, _) in MASKS.items()})
        draw_designs(right, part, {name: look for name, (look, _) in SKETCHES.items()})
        if any(row["name"] == "grouped" for row in part):
            point = select(part, name="grouped", quantity="exact")
            panels.markers(left, point["kept_fraction"], point["value"], PATTERN_LOOK)
        if any(row["quantity"] == "crossing" for row in part):
            ends = select(part, quantity="crossing")
            left.plot(ends["kept_fraction"], ends["value"], "|-", color=BLACK, linewidth=1.0)
        left.set_title(f"{case}: masks")
        right.set_title(f"{case}: dense sketches")
        left.set_ylabel("squared error / empty mask")
    for bottom, text in zip(axes[-1], ("expected kept fraction", "size s / d"), strict=True):
        bottom.set_xlabel(text)
    looks = [*(look for look, _ in MASKS.values()), PATTERN_LOOK]
    panels.legend_below(axes[-1, 0], [panels.key(look) for look in looks])
    panels.legend_below(axes[-1, 1], [panels.key(look) for look, _ in SKETCHES.values()])
