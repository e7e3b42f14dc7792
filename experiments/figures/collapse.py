"""Where top-k empties a layer and a draw does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import FuncFormatter

from experiments.architectures import build
from experiments.runs import SCORED
from lth_sketch import networks, pruning
from lth_sketch.datasets import Dataset
from lth_sketch.plots import panels
from lth_sketch.plots.panels import Look
from lth_sketch.plots.tables import Table, distinct, rows, select
from lth_sketch.validation import Array

NAME = "collapse"
TITLE = "Layers that top-k empties"
SHOWS = ("R1",)
CAPTION = (
    "A fully connected network d-300-100-10 at initialization, on standardised pixels; the scores "
    "of all layers compete.\n"
    "Left: the share of each layer's weights that is kept when 1% of all is, by top-k and by a "
    "draw of the same scores (priority, mean over masks). A layer that keeps nothing is drawn at "
    "the bottom. See that top-k takes nothing from a whole layer where the scores of layers differ "
    "in scale, for it has one threshold for all; SynFlow in one shot is the plainest case, and "
    "which scores do so depends on the widths. The draw keeps some of every layer.\n"
    "Right: the probability that some layer is emptied, against the kept fraction. Lines are "
    "computed: 0 or 1 for top-k, and for independent inclusions (Poisson) one minus the product "
    "over layers of the probability to keep something. Open markers are measured with Poisson "
    "draws, crosses with priority draws, which keep an exact number. See that a draw runs the risk "
    "too, where a layer expects a handful of weights. That no layer is empty does not make a mask "
    "good: for that see the figure on trained networks."
)
ALT = (
    "Bars of what each layer keeps, for top-k and for a draw: top-k leaves layers empty where "
    "the draw keeps a share of each."
)
SIZES = {"smoke": {"masks": 40, "points": 7}, "paper": {"masks": 1000, "points": 11}}

DENSITY = 0.01
LOOKS = {
    "synflow": Look("SynFlow, one shot", panels.RED, "-", "s"),
    "snip": Look("SNIP, random data", panels.BLUE, "-", "o"),
    "magnitude": Look("magnitude", panels.BLACK, "-", "^"),
}
# Dashes of top-k that let three curves on one line be seen.
DASHES = {name: (2.5 * place, (2.5, 5.0)) for place, name in enumerate(LOOKS)}
# A layer that keeps nothing is drawn here.
LOWEST = 1e-5


def compute(data: Dataset, sizes: Mapping[str, int], rng: np.random.Generator) -> Table:
    """Return every plotted number for one data set."""
    X = data.X.astype(np.float32)
    X = (X - X.mean()) / X.std()
    d = X.shape[1]
    net = build("fc", (1, 1, d), 300, int(rng.integers(2**31)))
    samples, labels = networks.source(
        X[:SCORED].reshape(-1, 1, 1, d), data.y[:SCORED], "random", rng=rng
    )
    table: Table = []
    for name in LOOKS:
        scores = networks.scores(net, name, samples, labels)
        table += _layers(name, scores, sizes["masks"], rng)
        table += _risk(name, scores, sizes, rng)
    return [{"data": data.name, **row} for row in table]


def _layers(name: str, scores: dict[str, Array], masks: int, rng: np.random.Generator) -> Table:
    table: Table = []
    for design, count in (("top", 1), ("priority", min(masks, 20))):
        shares = np.zeros(len(scores))
        for _ in range(count):
            counts = networks.kept(networks.select(scores, DENSITY, design=design, rng=rng))
            shares += [layer.kept / layer.size for layer in counts.values()]
        table += rows(
            panel="layers",
            score=name,
            design=design,
            x=np.arange(1, len(scores) + 1),
            value=shares / count,
        )
    return table


def _risk(
    name: str, scores: dict[str, Array], sizes: Mapping[str, int], rng: np.random.Generator
) -> Table:
    layers = list(scores.values())
    total = sum(layer.size for layer in layers)
    least = np.log10(max(1e-4, 10 / total))
    densities = np.logspace(least, -1, sizes["points"])
    table: Table = []
    for design in ("top", "poisson"):
        chances = [pruning.emptied(layers, density, design=design) for density in densities]
        # Layers are independent under Poisson; under top-k the chances are 0 or 1.
        some = 1 - np.prod(1 - np.array(chances), axis=1)
        table += rows(panel="computed", score=name, design=design, x=densities, value=some)
    for design in ("poisson", "priority"):
        hits = [
            np.mean(
                [
                    any(
                        layer.kept == 0
                        for layer in networks.kept(
                            networks.select(scores, density, design=design, rng=rng)
                        ).values()
                    )
                    for _ in range(sizes["masks"])
                ]
            )
            for density in densities
        ]
        table += rows(
            panel="measured", score=name, design=design, x=densities, value=np.array(hits)
        )
    return table


def shape(count: int) -> tuple[int, int]:
    """Return rows and columns of panels for `count` data sets."""
    return count, 2


def draw(table: Table, axes: npt.NDArray[Any]) -> None:
    """Draw the table into panels of `shape`."""
    for data, (left, right) in zip(distinct(table, "data"), axes, strict=True):
        part = [row for row in table if row["data"] == data]
        for name, look in LOOKS.items():
            top = select(part, panel="layers", score=name, design="top")
            drawn = select(part, panel="layers", score=name, design="priority")
            dashed = look._replace(linestyle=DASHES[name])
            for series, style in ((top, dashed), (drawn, look)):
                panels.line(left, series["x"], np.maximum(series["value"], LOWEST), style)
                panels.markers(left, series["x"], np.maximum(series["value"], LOWEST), style)
            for design, style in (("top", dashed), ("poisson", look)):
                curve = select(part, panel="computed", score=name, design=design)
                panels.line(right, curve["x"], curve["value"], style)
            curve = select(part, panel="measured", score=name, design="poisson")
            panels.markers(right, curve["x"], curve["value"], look)
            curve = select(part, panel="measured", score=name, design="priority")
            panels.markers(right, curve["x"], curve["value"], look._replace(marker="x"))
        panels.log_axis(left, LOWEST / 2, 1.0)
        left.yaxis.set_major_formatter(
            FuncFormatter(lambda y, _: "none" if y < 2 * LOWEST else f"{100 * y:g}%")
        )
        left.set_xticks([1, 2, 3])
        left.set_title(f"{panels.title_of(str(data))}: 1% of all weights kept")
        left.set_ylabel("kept share of the layer")
        right.set_xscale("log")
        right.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:g}%"))
        right.set_ylim(-0.04, 1.04)
        right.set_title(f"{panels.title_of(str(data))}: risk")
        right.set_ylabel("probability of an emptied layer")
    axes[-1, 0].set_xlabel("layer, from the input")
    axes[-1, 1].set_xlabel("kept fraction of all weights")
    designs = [
        panels.key(Look("top-k", panels.GREY, DASHES["synflow"])),
        panels.key(Look("draw", panels.GREY)),
    ]
    panels.legend_below(axes[-1, 0], [*map(panels.key, LOOKS.values()), *designs])
    measured = [
        panels.key(Look("measured, Poisson", panels.GREY, "", "o")),
        panels.key(Look("measured, priority", panels.GREY, "", "x")),
    ]
    panels.legend_below(axes[-1, 1], [*designs, *measured])
