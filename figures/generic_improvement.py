"""Whether a draw in proportion to a score improves on its top-k, after training under the mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.stats
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from figures.algorithms import SCORES, leverage, score
from figures.reduced import Split, initial, split
from lth_sketch import pruning
from lth_sketch.datasets import Dataset
from lth_sketch.plots import panels
from lth_sketch.plots.panels import Look
from lth_sketch.plots.tables import Table, distinct, rows
from lth_sketch.reduction import Reduced, reduce
from lth_sketch.regression import Problem
from lth_sketch.validation import Floats, Integers

NAME = "generic_improvement"
TITLE = "Does drawing improve existing scores?"
SHOWS = ("R1",)
CAPTION = (
    "What it changes to draw a mask in proportion to a score (a priority sample) in place of "
    "keeping the k largest: binary masks of equal size, the linear model with one output a class "
    "trained to the end on two thirds of the samples, loss and classification error on the rest, "
    "as a share of those of top-k. Markers are means over Gaussian initializations, bars 95% "
    "intervals of the paired difference; of so many intervals two or three miss by chance, and the "
    "last row, where both are the same random choice, shows how large such misses are. Scores "
    "look at the real data, at Gaussian data with the real labels, at one input of ones without a "
    "label, or at nothing but the weights.\n"
    "Found on digits: no generic improvement. With real data it depends on how much is kept: at "
    "10% the draw is a little better by the sketch score (classification) and by leverage (loss), "
    "at 30% it is worse for both, and for SNIP. GraSP loses most, up to half again the "
    "classification errors: its signed scores are shifted to draw from them, which makes them "
    "nearly uniform. Found on Fashion-MNIST: the draw improves every score that sees the data, by "
    "1% to 15% of the loss, for the largest scores there belong to neighbours that repeat each "
    "other, and chance breaks them up; yet uniformly random pixels do so too, and nearly as well. "
    "On both: without data a draw changes nothing that can be told from chance, for better or for "
    "worse, because scores of random weights alone are a random order of the features. So the "
    "gain, where there is one, is with data and not, as one might hope, above all without."
)
ALT = (
    "Rows of intervals, one a score, of the loss and error of a draw minus those of top-k. Most"
    " of them cross or lie near zero, some on either side of it."
)
SIZES = {
    "tiny": {"trials": 3, "held_out": 20, "work": 10**6},
    "smoke": {"trials": 8, "held_out": 1000, "work": 10**9},
    "paper": {"trials": 60, "held_out": 5000, "work": 10**9},
}

# Which data each score looks at: real ones, Gaussian ones with real labels, a row of ones without
# a label, or none.
CASES = (
    ("sketch", "real"),
    ("snip", "real"),
    ("grasp", "real"),
    ("leverage", "real"),
    ("sketch", "gaussian"),
    ("snip", "gaussian"),
    ("grasp", "gaussian"),
    ("leverage", "gaussian"),
    ("snip", "ones"),
    ("grasp", "ones"),
    ("magnitude", "none"),
    ("synflow", "none"),
    ("random", "none"),
)
SOURCES = {
    "real": "real data",
    "gaussian": "random data",
    "ones": "input of ones",
    "none": "no data",
}
DENSITIES = {
    0.1: Look("10% of the features kept", panels.BLUE, "-", "o"),
    0.3: Look("30% of the features kept", panels.RED, "-", "s"),
}
MEASURES = {"loss": "held-out loss", "error": "held-out classification error"}
CONFIDENCE = 0.95


def compute(data: Dataset, sizes: Mapping[str, int], rng: np.random.Generator) -> Table:
    """Return every number of the figure for one data set.

    ``sizes["work"]`` caps initializations x features^3, but leaves 20 initializations;
    ``sizes["held_out"]`` caps the samples on which errors are counted.
    """
    parts = split(data, rng)
    train = reduce(parts.X, parts.Y.astype(np.float64))
    test = reduce(parts.X_test, parts.Y_test.astype(np.float64))
    problem = Problem(train.R, train.targets)
    d = train.R.shape[1]
    trials = min(sizes["trials"], max(20, sizes["work"] // d**3))
    known = {"leverage": leverage(train.R)}
    masks = [
        mask
        for _ in range(trials)
        for mask in _masks(parts, train, known, initial(rng, d, train.targets.shape[1]), rng)
    ]
    _, losses, w = problem.fit_masks(
        scipy.sparse.csr_array(masks), X_test=test.R, y_test=test.targets, weights=True
    )
    seen, labels = parts.X_test[: sizes["held_out"]], parts.labels_test[: sizes["held_out"]]
    empty = np.square(parts.Y_test).sum()
    shape = (trials, len(CASES), len(DENSITIES), 2)
    measured = {
        "loss": np.reshape((losses.sum(axis=1) + test.rest.sum()) / empty, shape),
        "error": np.reshape([_wrong(seen @ weights, labels) for weights in w], shape),
    }
    table: Table = []
    for measure, pairs in measured.items():
        for i, (name, source) in enumerate(CASES):
            for j, density in enumerate(DENSITIES):
                key = {"data": data.name, "measure": measure, "score": name, "source": source}
                values = _summary(pairs[:, i, j, 0], pairs[:, i, j, 1])
                table += rows(
                    **key,
                    density=density,
                    trials=trials,
                    quantity=list(values),
                    value=list(values.values()),
                )
    return table


def _masks(
    parts: Split,
    train: Reduced,
    known: Mapping[str, Floats],
    w0: Floats,
    rng: np.random.Generator,
) -> list[Floats]:
    """Return for each case and density the mask of top-k and a drawn one."""
    few = slice(2 * len(w0))
    views = {
        "gaussian": (pruning.source(parts.X[few], "gaussian", rng=rng), parts.Y[few]),
        "ones": (pruning.source(parts.X[:1], "ones"), np.zeros((1, w0.shape[1]))),
    }
    masks = []
    for name, source in CASES:
        if source in views:
            scores = score(name, *views[source], w0, rng)
        else:
            scores = score(name, train.R, train.targets, w0, rng, known=known)
        chances = pruning.nonnegative(scores, "shift") if scores.min() < 0 else scores
        for density in DENSITIES:
            masks.append(pruning.select(scores, density))
            masks.append(pruning.select(chances, density, design="priority", rng=rng))
    return masks


def _wrong(outputs: Floats, labels: Integers) -> float:
    return float((np.argmax(outputs, axis=1) != labels).mean())


def _summary(top: Floats, drawn: Floats) -> dict[str, float]:
    """Return both means, and the mean difference over that of top-k with its interval."""
    gap = drawn - top
    mean, scale = float(gap.mean()), float(top.mean())
    reach = float(scipy.stats.t.ppf(0.5 + CONFIDENCE / 2, len(gap) - 1))
    reach *= float(gap.std(ddof=1)) / np.sqrt(len(gap))
    return {
        "top-k": scale,
        "draw": float(drawn.mean()),
        "change": mean / scale,
        "low": (mean - reach) / scale,
        "high": (mean + reach) / scale,
    }


def shape(count: int) -> tuple[int, int]:
    """Return rows and columns of panels for `count` data sets."""
    return count, len(MEASURES)


def draw(table: Table, axes: npt.NDArray[Any]) -> None:
    """Draw the table into panels of `shape`: a row for each data set."""
    for data, row in zip(distinct(table, "data"), axes, strict=True):
        for (measure, title), panel in zip(MEASURES.items(), row, strict=True):
            part = [r for r in table if (r["data"], r["measure"]) == (data, measure)]
            _draw_one(panel, part, named=measure == "loss")
            panel.set_title(f"{panels.title_of(data)}: {title}")
    for bottom in axes[-1]:
        bottom.set_xlabel("what a draw adds to that of top-k")
    panels.legend_below(axes[-1, 0], [*map(panels.key, DENSITIES.values())], columns=1)


def _draw_one(axes: Axes, part: Table, *, named: bool) -> None:
    for j, (density, look) in enumerate(DENSITIES.items()):
        for i, (name, source) in enumerate(CASES):
            value = {
                row["quantity"]: 100 * row["value"]
                for row in part
                if (row["score"], row["source"], row["density"]) == (name, source, density)
            }
            place = i + 0.18 * (2 * j - 1)
            axes.plot([value["low"], value["high"]], [place] * 2, color=look.color, linewidth=0.9)
            panels.markers(axes, [value["change"]], [place], look)
    panels.note(axes, "draw better", left=True, bottom=True)
    panels.note(axes, "top-k better", bottom=True)
    axes.axvline(0.0, color="0.4", linewidth=0.7, zorder=0.5)
    labels = [f"{SCORES[name].label}, {SOURCES[source]}" for name, source in CASES]
    axes.set_yticks(range(len(CASES)), labels if named else [""] * len(CASES))
    # Room for the notes below the last row, and lines between kinds of data.
    axes.set_ylim(len(CASES) + 0.4, -0.5)
    sources = [source for _, source in CASES]
    for i in range(1, len(CASES)):
        if sources[i] != sources[i - 1]:
            axes.axhline(i - 0.5, color="0.85", linewidth=0.5, zorder=0.5)
    axes.tick_params(axis="y", labelsize=6)
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:+g}%" if x else "0")
