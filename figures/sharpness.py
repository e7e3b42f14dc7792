"""Bounds over the measured quantile, against the risk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lth_sketch import Product, bounds, montecarlo, probabilities
from lth_sketch.datasets import Dataset
from lth_sketch.plots import panels
from lth_sketch.plots.panels import SHARP
from lth_sketch.plots.tables import Table, distinct, rows, select
from lth_sketch.validation import Floats

NAME = "sharpness"
TITLE = "How far each bound is from the truth, at every risk"
SHOWS = ("B2", "B3", "B4", "B6", "B7", "B8", "B9", "B10", "A1")
CAPTION = (
    "Bounds on ||X (m w0) - X w0|| that hold with probability 1 - delta, over the quantile that "
    "they bound, against the risk delta, for s = d draws and one Gaussian initialization on raw "
    "pixels. The quantile is measured as long as fifty simulated masks exceed it; further to the "
    "right, in the shade, it is that of the limit law A1, which is no bound and says little about "
    "s = d there: read the lines against one another. The dotted line at 1 is the truth.\n"
    "Three panels, three draws with replacement: see that B9 with six moments is the least down to "
    "about 1e-5, a quarter above the truth at most; that B10 takes over for smaller risks; that "
    "what was sharpest before, B7 and B6, is left far behind on either side, and that the "
    "classical B2 is an order of magnitude above. Where p is far from the optimum the tails are "
    "heavier, and every bound is further off.\n"
    "Last panel, Poisson draws of expected size s = d/2, as far as masks were simulated: B9 from "
    "the exact cumulants (B7 is its second order), and the certificate B8, which costs a "
    "simulation of its own for each risk."
)
ALT = (
    "Four panels of bound over truth against the risk, which falls to the right. In three of them "
    "the solid line of B9 stays near one until about 1e-5, where B10 crosses it; B7 rises steeply, "
    "B6 falls slowly from about two, and the classical B2 lies an order of magnitude above. The "
    "last panel, for Poisson draws, has B9 and the simulated B8 close to one."
)
SIZES = {
    "tiny": {"trials": 200, "points": 3, "work": 10**6},
    "smoke": {"trials": 2000, "points": 7, "work": 2 * 10**9},
    "paper": {"trials": 200_000, "points": 25, "work": 60 * 10**9},
}

# Masks that exceed a quantile before it is called measured.
ENOUGH = 50
LARGEST, SMALLEST = 0.5, 1e-12
SHOWN = (0.8, 30.0)
# The axis reaches at least so far.
FEWEST = 0.01
POISSON = "Poisson, optimal"


def compute(data: Dataset, sizes: Mapping[str, int], rng: np.random.Generator) -> Table:
    """Return every number of the figure for one data set."""
    d = int(data.X.shape[1])
    w = rng.standard_normal(d)
    product = Product(data.X, w)
    trials = min(sizes["trials"], max(1000, sizes["work"] // (d * d)))
    risks = np.geomspace(LARGEST, SMALLEST, sizes["points"])
    table: Table = []
    for draw, p in {
        "optimal": probabilities.optimal(product),
        "data-free": probabilities.data_free(w),
        "uniform": probabilities.uniform(d),
    }.items():
        rows = _with_replacement(product, p, d, trials, risks, rng)
        table += [{"data": data.name, "draw": draw, **row} for row in rows]
    rows = _poisson(product, probabilities.optimal(product), trials, risks, rng)
    return table + [{"data": data.name, "draw": POISSON, **row} for row in rows]


def _with_replacement(
    product: Product, p: Floats, s: int, trials: int, risks: Floats, rng: np.random.Generator
) -> Table:
    errors = np.sqrt(montecarlo.squared_errors(product, p, s, trials=trials, rng=rng))
    limits = np.array([bounds.asymptotic_quantile(product, p, s, delta) for delta in risks])
    measured = risks * trials >= ENOUGH
    quantiles = np.where(measured, np.quantile(errors, 1.0 - risks), limits)
    beta = bounds.nearness(product, p)
    each = {
        "B2": lambda delta: bounds.dkm(product, s, delta, beta),
        "B3": lambda delta: bounds.mcdiarmid(product, p, s, delta, sharp=True),
        "B4": lambda delta: bounds.bousquet(product, p, s, delta),
        "B6": lambda delta: bounds.radial(product, p, s, delta),
        "B7": lambda delta: bounds.cantelli(product, p, s, delta),
        "B9-4": lambda delta: bounds.moment(product, p, s, delta, order=4),
        "B9": lambda delta: bounds.moment(product, p, s, delta),
        "B10": lambda delta: bounds.centred(product, p, s, delta),
        "A1": lambda delta: bounds.asymptotic_quantile(product, p, s, delta),
    }
    return _ratios(each, risks, quantiles, measured, trials)


def _poisson(
    product: Product, p: Floats, trials: int, risks: Floats, rng: np.random.Generator
) -> Table:
    s = max(1, int(np.count_nonzero(p)) // 2)
    first, second = (
        np.sqrt(montecarlo.squared_errors(product, p, s, trials=trials, design="poisson", rng=rng))
        for _ in range(2)
    )
    risks = risks[risks * trials >= ENOUGH]

    def rank(delta: float) -> int:
        return int(np.floor(delta * (trials + 1)))

    each = {
        "B7": lambda delta: bounds.moment(product, p, s, delta, design="poisson", order=2),
        "B9-4": lambda delta: bounds.moment(product, p, s, delta, design="poisson", order=4),
        "B9": lambda delta: bounds.moment(product, p, s, delta, design="poisson"),
        "B8": lambda delta: np.partition(second, -rank(delta))[-rank(delta)],
    }

    quantiles = np.quantile(first, 1.0 - risks)
    return _ratios(each, risks, quantiles, np.ones(len(risks), bool), trials)


def _ratios(
    each: Mapping[str, Any], risks: Floats, quantiles: Floats, measured: Any, trials: int
) -> Table:
    table: Table = []
    for quantity, bound in each.items():
        value = np.array([float(bound(float(delta))) for delta in risks]) / quantiles
        table += rows(
            quantity=quantity, risk=risks, measured=measured.astype(int), trials=trials, value=value
        )
    return table


def shape(count: int) -> tuple[int, int]:
    """Return rows and columns of panels for `count` data sets."""
    return 2 * count, 2


def draw(table: Table, axes: npt.NDArray[Any]) -> None:
    """Draw the table into panels of `shape`: two rows for each data set, one panel a draw."""
    flat = axes.reshape(-1, 4)
    for data, panel_row in zip(distinct(table, "data"), flat, strict=True):
        for name, panel in zip(distinct(table, "draw"), panel_row, strict=True):
            part = [row for row in table if (row["data"], row["draw"]) == (data, name)]
            _panel(panel, part)
            panel.set_title(f"{panels.title_of(data)}: {name} draw")
    for panel in axes[:, 0]:
        panel.set_ylabel("bound / quantile")
    for panel in axes[-1]:
        panel.set_xlabel("risk $\\delta$")
    keys = [panels.key(look) for look in SHARP.values()]
    panels.legend_below(axes[-1, 0], keys[: len(keys) // 2])
    panels.legend_below(axes[-1, 1], keys[len(keys) // 2 :])


def _panel(axes: Any, part: Table) -> None:
    axes.set_xscale("log")
    risks = select(part, quantity="B9")["risk"]
    axes.set_xlim(LARGEST, min(float(risks.min()), FEWEST))
    panels.log_axis(axes, *SHOWN)
    axes.axhline(1.0, color="0.4", linewidth=0.7, zorder=0.5)
    for name in distinct(part, "quantity"):
        series = select(part, quantity=name)
        if SHARP[name].marker:
            panels.markers(axes, series["risk"], series["value"], SHARP[name])
        else:
            panels.line(axes, series["risk"], series["value"], SHARP[name])
    beyond = risks[select(part, quantity="B9")["measured"] == 0]
    if len(beyond):
        axes.axvspan(float(beyond.max()), float(beyond.min()), facecolor="0.93", zorder=0)
        panels.note(axes, "over the limit law")
