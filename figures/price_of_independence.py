"""What it costs never to look at the data, and what it buys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from lth_sketch import Product, bounds, datasets, probabilities
from lth_sketch.datasets import Dataset
from lth_sketch.plots import panels
from lth_sketch.plots.panels import Look
from lth_sketch.plots.tables import Row, Table, distinct, select
from lth_sketch.validation import Floats

NAME = "price_of_independence"
TITLE = "The price of never looking at the data"
SHOWS = ("D1", "D2", "D3", "D4")
CAPTION = (
    "Left: the price of the data-free draw, in proportion to |w|, over the draw that is optimal "
    "for the data: by how much it raises the (uncentred) second moment of the error, exactly (D2). "
    "Gaussian weights; boxes hold half of the initializations, whiskers nine tenths, from raw to "
    "standardised; the number is the median price, the bar the limit of D3 for any weights (which "
    "counts constant pixels, on which draws are always wasted, at their share). See that who "
    "prunes without data pays half again as much on digits with raw pixels, less when they are "
    "centred, and next to nothing when they are standardised: there all features have one norm "
    "(D1), and what is left are the draws that constant pixels get. On natural images, whose "
    "pixels are all alike, the price is nothing even raw; on MNIST, most of whose pixels are dark, "
    "it is double. The limit for the worst weights says little about any of these: they would sit "
    "on the darkest and the brightest pixel alone.\n"
    "Right: the other side of the ledger (D4), the worst case over all data of one size over that "
    "of the best draw without data, for the same weights; 1 is minimax. Data sets stand side by "
    "side in the order of the left panel. If ||X|| is given, the draw by w^2 is minimax; if every "
    "feature norm is, that by |w|, the data-free draw; each costs up "
    "to two or three times the least where the other is best. The draw that is optimal for the raw "
    "pixels at hand protects against no other data: where a pixel is constant here and not there, "
    "its worst case is infinite."
)
ALT = (
    "Two panels. On the left short intervals of the price of not looking at the data, above one"
    " for raw and centred features and exactly one for standardised ones. On the right the "
    "worst case of four draws over the least possible one."
)
SIZES = {
    "tiny": {"trials": 10, "cases": 1, "work": 10**7},
    "smoke": {"trials": 200, "cases": 5, "work": 10**9},
    "paper": {"trials": 4000, "cases": 20, "work": 5 * 10**9},
}

PREPARED: dict[str, tuple[str | None, Look]] = {
    "raw": (None, Look("raw pixels", panels.BLUE)),
    "centred": ("centre", Look("centred", panels.RED)),
    "standardised": ("standardise", Look("standardised", panels.GREEN)),
}
# Told apart in grey too.
HATCHES = {"raw": "", "centred": "//////", "standardised": "......"}
LIMIT = Look("limit for any weights (D3)", panels.BLACK, "", "_")
QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
# Below this the price is drawn on a linear scale, down to zero.
LINEAR = 0.01
WORST = {
    "optimal": "optimal for\nthese data",
    "data-free": "data-free\n$|w|$",
    "squared": "squared\n$w^2$",
    "uniform": "uniform",
}
NORMS = {
    "frobenius": Look("given $\\Vert X\\Vert$", panels.BLUE, "", "o"),
    "columns": Look("given all feature norms", panels.RED, "", "s"),
}


def compute(data: Dataset, sizes: Mapping[str, int], rng: np.random.Generator) -> Table:
    """Return every number of the figure for one data set of raw pixels.

    ``sizes["work"]`` caps initializations x features^3 of the worst cases.
    """
    d = int(data.X.shape[1])
    w = rng.standard_normal((sizes["trials"], d))
    table: Table = []
    for name, (preprocess, _) in PREPARED.items():
        a = _norms(data, preprocess)
        live = a > 0
        limit = bounds.price_limit(float(a[live].max() / a[live].min()))
        shares = [probabilities.data_free(weights)[live].sum() for weights in w]
        prices = [bounds.price(a, weights) for weights in w]
        values = {key: float(np.quantile(prices, q)) for key, q in QUANTILES.items()}
        values["limit"] = limit / float(np.median(shares))
        key: Row = {"data": data.name, "panel": "price", "case": name, "trials": len(w)}
        table += [{**key, "quantity": q, "value": value} for q, value in values.items()]
        if preprocess is None:
            cases = min(sizes["cases"], max(1, sizes["work"] // d**3))
            table += _worst(data.name, a, w[:cases])
    return table


def _norms(data: Dataset, preprocess: str | None) -> Floats:
    """Return the feature norms of the same samples, prepared in another way."""
    X = datasets.prepare(data, preprocess).X
    return Product(X, np.ones(X.shape[1])).column_norms


def _worst(data: str, a: Floats, w: Floats) -> Table:
    """Return worst cases over the least of any draw, the median over some initializations."""
    table: Table = []
    for norm in NORMS:
        ratios: dict[str, list[float]] = {name: [] for name in WORST}
        for weights in w:
            best = bounds.minimax(weights, norm=norm)
            draws = {
                "optimal": a * abs(weights),
                "data-free": probabilities.data_free(weights),
                "squared": probabilities.squared(weights),
                "uniform": probabilities.uniform(len(weights)),
            }
            for name, p in draws.items():
                ratios[name].append(_ratio(p, weights, norm, best))
        key: Row = {"data": data, "panel": "worst", "trials": len(w), "quantity": norm}
        table += [{**key, "case": name, "value": float(np.median(ratios[name]))} for name in WORST]
    return table


def _ratio(p: Floats, w: Floats, norm: str, best: Any) -> float:
    if np.allclose(p, best.p):
        return 1.0
    # A feature that is never drawn biases the estimate: no size of the data bounds the error.
    if (p == 0).any():
        return np.inf
    return float(bounds.worst_case(p, w, norm=norm).worst / best.worst)


def shape(count: int) -> tuple[int, int]:
    """Return rows and columns of panels: all data sets share them."""
    return 1, 2


def draw(table: Table, axes: npt.NDArray[Any]) -> None:
    """Draw the tables of all data sets into two panels."""
    left, right = axes[0]
    _draw_price(left, [row for row in table if row["panel"] == "price"])
    _draw_worst(right, [row for row in table if row["panel"] == "worst"])
    left.set_title("the price of not looking")
    right.set_title("the worst data for a draw")
    left.set_ylabel("price − 1, what it costs more")
    right.set_ylabel("worst case / minimax")
    keys = [
        panels.key(look, filled=True, hatch=HATCHES[case]) for case, (_, look) in PREPARED.items()
    ]
    panels.legend_below(left, [*keys, panels.key(LIMIT)])
    panels.legend_below(right, [*map(panels.key, NORMS.values())], columns=1)


def _draw_price(axes: Axes, part: Table) -> None:
    data = distinct(part, "data")
    highest = LINEAR
    for i, name in enumerate(data):
        for j, (case, (_, look)) in enumerate(PREPARED.items()):
            prices = select(part, data=name, case=case)
            value = dict(zip(prices["quantity"], prices["value"] - 1.0, strict=True))
            box = {
                "med": value["median"],
                "q1": value["q25"],
                "q3": value["q75"],
                "whislo": value["q05"],
                "whishi": value["q95"],
            }
            place = i + 0.26 * (j - 1)
            pen = {"color": look.color, "linewidth": 0.9}
            axes.bxp(
                [box],
                positions=[place],
                widths=0.17,
                showfliers=False,
                patch_artist=True,
                boxprops={
                    "facecolor": f"{look.color}40",
                    "edgecolor": look.color,
                    "hatch": HATCHES[case],
                },
                medianprops=pen,
                whiskerprops=pen,
                capprops=pen,
            )
            axes.plot(place, value["limit"], "_", color=LIMIT.color, markersize=10)
            text = f"{1 + value['median']:.3g}"
            axes.annotate(
                text,
                (place, value["q95"]),
                (0, 2),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=6,
                color="0.2",
            )
            highest = max(highest, value["limit"])
    axes.set_xticks(range(len(data)), map(panels.title_of, data))
    axes.set_xlim(-0.6, len(data) - 0.4)
    axes.grid(axis="x", visible=False)
    axes.set_yscale("symlog", linthresh=LINEAR)
    marks = [0.0, *(10.0 ** np.arange(np.log10(LINEAR), np.ceil(np.log10(highest)) + 1))]
    axes.set_yticks(marks, [f"{mark:g}" for mark in marks])
    axes.set_ylim(-0.1 * LINEAR, marks[-1])


def _draw_worst(axes: Axes, part: Table) -> None:
    data = distinct(part, "data")
    finite = [row["value"] for row in part if np.isfinite(row["value"])]
    low, top = panels.limits([finite, 2.0])
    high = 10 * top
    for i, name in enumerate(data):
        for j, (norm, look) in enumerate(NORMS.items()):
            value = select(part, data=name, quantity=norm)["value"]
            place = np.arange(len(WORST)) + 0.12 * (2 * j - 1) + 0.04 * (i - (len(data) - 1) / 2)
            known = np.isfinite(value)
            panels.markers(axes, place[known], value[known], look)
            panels.markers(axes, place[~known], np.full((~known).sum(), top), look)
            for x in place[~known]:
                arrow = {"arrowstyle": "->", "color": look.color, "linewidth": 0.9}
                axes.annotate("", (x, high), (x, top), arrowprops=arrow)
    axes.set_xticks(range(len(WORST)), WORST.values())
    axes.set_xlim(-0.5, len(WORST) - 0.5)
    axes.grid(axis="x", visible=False)
    panels.log_axis(axes, 0.8 * low, high)
    if any(np.isinf(row["value"]) for row in part):
        panels.note(axes, "↑ infinite: some features are never drawn")
    axes.axhline(1.0, color="0.4", linewidth=0.7, zorder=0.5)
