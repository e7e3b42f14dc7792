"""Accuracy after training: the mask of the largest scores against a draw of the same scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
from matplotlib.lines import Line2D

from experiments.summary import mean
from lth_sketch.plots import panels
from lth_sketch.plots.tables import Table, distinct

NAME = "networks"
TITLE = "Trained networks: top-k against a draw of the same scores"
SHOWS = ("R1",)
CAPTION = (
    "Test accuracy after training under a mask found at initialization, top-k horizontally and a "
    "priority draw of the same scores vertically, both with exactly as many weights; means over "
    "seeds, with 95% intervals of Student where there are more than two. A point for each score, "
    "source of its data and density. Networks of one seed share initial weights, order of the "
    "batches and schedule. Sizes (images, epochs, width, seeds) are in the table; they are small. "
    "Shapes tell the score, colours the density (darker: fewer weights), and the filling what the "
    "score looked at.\n"
    "In the results that are stored in docs/results the draw wins, above the diagonal, where top-k "
    "falls to the 10% of guessing, on the left edge: SynFlow in one shot, and scores on random "
    "data, at 1% and less. It loses, below the diagonal, for magnitude in the fully connected and "
    "the residual network, and for GraSP at small densities: its scores have both signs, and after "
    "a shift their draw is nearly uniform. For sound scores at 5% and more both do about as well. "
    "A run at smoke size trains too little to show this."
)
ALT = (
    "Points with intervals of test accuracy against the kept share, top-k beside the draw, one "
    "panel a network and score."
)
SIZES: Mapping[str, Mapping[str, int]] = {"smoke": {"seeds": 2}, "paper": {"seeds": 5}}

# By score and rounds. Shapes and lightness tell all points apart in grey, too.
MARKERS = {
    ("magnitude", 1): "^",
    ("synflow", 1): "s",
    ("synflow", 100): "P",
    ("snip", 1): "o",
    ("grasp", 1): "v",
    ("sketch", 1): "D",
    ("layer", 1): "X",
}
LABELS = {
    "magnitude": "magnitude",
    "synflow": "SynFlow",
    "snip": "SNIP",
    "grasp": "GraSP",
    "sketch": "sketch",
    "layer": "layer (N3)",
}
# From many weights to few.
COLORS = {
    0.2: panels.YELLOW,
    0.1: panels.GREEN,
    0.05: panels.RED,
    0.03: panels.PURPLE,
    0.01: panels.BLUE,
    0.003: panels.BLACK,
}
FILLS: dict[str, Any] = {"real": "full", "random": "none", "none": "left"}
SOURCES = {"real": "real data", "random": "random data", "none": "no data"}


def tabulate(rows: list[dict[str, Any]]) -> Table:
    """Return means and intervals of all pairs of top-k and draw without a control."""
    settings: dict[tuple[Any, ...], dict[str, dict[str, float]]] = {}
    for row in rows:
        known = row.get("init", "he") == "he"
        if known and row["control"] == "none" and row["score"] != "unpruned":
            setting = (
                f"{row['architecture']} {row['dataset']}",
                row["score"],
                row["data"],
                int(row["rounds"]),
                float(row["density"]),
                *(int(row[name]) for name in ("width", "n_train", "epochs")),
            )
            designs = settings.setdefault(setting, {"top": {}, "priority": {}})
            designs[row["design"]][str(row["seed"])] = float(row["accuracy"])
    table: Table = []
    for setting, designs in settings.items():
        shared = sorted(designs["top"].keys() & designs["priority"].keys())
        if not shared:
            continue
        top, drawn = (mean([designs[d][seed] for seed in shared]) for d in ("top", "priority"))
        names = ("data", "score", "source", "rounds", "density", "width", "n_train", "epochs")
        table.append(
            {
                **dict(zip(names, setting, strict=True)),
                "seeds": len(shared),
                "top": top.value,
                "top_half": top.half,
                "draw": drawn.value,
                "draw_half": drawn.half,
            }
        )
    return table


def shape(count: int) -> tuple[int, int]:
    """Return rows and columns of panels for `count` settings."""
    return (count + 1) // 2, min(count, 2)


def draw(table: Table, axes: npt.NDArray[Any]) -> None:
    """Draw the table into panels of `shape`."""
    cases = distinct(table, "data")
    for case, panel in zip(cases, axes.ravel(), strict=False):
        part: list[dict[str, Any]] = [row for row in table if row["data"] == case]
        panel.plot([0, 1], [0, 1], color="0.6", linewidth=0.6)
        for row in part:
            panel.errorbar(
                row["top"],
                row["draw"],
                xerr=row["top_half"] if row["seeds"] > 2 else None,
                yerr=row["draw_half"] if row["seeds"] > 2 else None,
                color=COLORS.get(row["density"], panels.GREY),
                marker=MARKERS[row["score"], row["rounds"]],
                fillstyle=FILLS[row["source"]],
                elinewidth=0.4,
                markersize=4.5,
            )
        architecture, data = str(case).split()
        panel.set_title(f"{architecture}, {panels.title_of(data)}")
        high = max(max(row["top"], row["draw"]) for row in part) + 0.05
        panel.set_xlim(0.05, high)
        panel.set_ylim(0.05, high)
        panel.set_ylabel("accuracy of the draw")
        panel.set_xlabel("accuracy of top-k")
    for panel in axes.ravel()[len(cases) :]:
        panel.set_axis_off()
    _legends(table, axes)


def _legends(table: Table, axes: npt.NDArray[Any]) -> None:
    """Tell shapes under the first panel of the last row, colours and fillings under the last."""
    shapes = []
    for (score, rounds), marker in MARKERS.items():
        if any((row["score"], row["rounds"]) == (score, rounds) for row in table):
            label = f"{LABELS[score]}, {rounds} rounds" if rounds > 1 else LABELS[score]
            shapes.append(panels.key(panels.Look(label, panels.GREY, "", marker)))
    others = [
        panels.key(panels.Look(f"{100 * density:g}% kept", color, "", "o"))
        for density, color in COLORS.items()
        if any(row["density"] == density for row in table)
    ]
    others += [
        Line2D([], [], color=panels.GREY, marker="o", linestyle="", fillstyle=fill, label=label)
        for fill, label in ((FILLS[source], label) for source, label in SOURCES.items())
    ]
    if axes.shape[1] == 1:
        panels.legend_below(axes[-1, 0], [*shapes, *others], columns=3)
    else:
        panels.legend_below(axes[-1, 0], shapes, columns=2)
        panels.legend_below(axes[-1, -1], others, columns=2)
