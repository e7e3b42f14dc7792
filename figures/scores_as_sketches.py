"""The scores of existing algorithms as sketches: how far each is from the optimal draw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from figures.algorithms import SCORES, leverage, score
from figures.reduced import initial, reduced
from lth_sketch import Product, moments, pruning
from lth_sketch.datasets import Dataset
from lth_sketch.plots import panels
from lth_sketch.plots.panels import Look
from lth_sketch.plots.tables import Table, distinct, rows, select
from lth_sketch.regression import Problem
from lth_sketch.validation import Floats

NAME = "scores_as_sketches"
TITLE = "Existing scores as sketches"
SHOWS = ("S3", "SNIP limit")
CAPTION = (
    "The excess U^2 chi2 / s of the second moment of a draw in proportion to a score, over the "
    "second moment of the optimal draw (S3): 1 means twice the squared error, whatever s. Linear "
    "model with one output a class on raw pixels.\n"
    "Left: each score is computed at initialization (GraSP by absolute value) and judged at "
    "initialization, then at the end of training, against the draw that would be optimal for the "
    "trained weights. Markers are medians over Gaussian initializations, bars hold nine tenths. "
    "See that at initialization the sketch score is the optimal draw. On digits magnitude and "
    "SynFlow cost half as much again, hardly less than uniform probabilities, because with ten "
    "outputs all rows of weights are of similar size. SNIP and GraSP multiply in the gradient, "
    "whose accidental zeros starve features that count: as draws they are several times worse "
    "than uniform. At the end of training no score of the initialization is near the optimum, "
    "that of SNIP and GraSP least of all, and the sketch score is no better than leverage or "
    "uniform probabilities. (Computed at the end, SNIP and GraSP are no scores at all: the "
    "gradient is zero there.)\n"
    "Right: SNIP when labels are noise, at initialization. The root mean square over all label "
    "sets becomes the optimal draw as the noise grows, exactly (SNIP limit). That of 16 label sets "
    "comes near, but a single one keeps its accidental zeros, however large the noise: SNIP run "
    "once on random labels is not the optimal draw."
)
ALT = (
    "Two panels. On the left a dot for each score: its distance from the optimal draw before "
    "and after training, the sketch score at zero. On the right two falling curves: SNIP on "
    "noisy labels comes to the optimal draw as the noise grows."
)
SIZES = {
    "tiny": {"trials": 3, "points": 3, "work": 10**6},
    "smoke": {"trials": 20, "points": 7, "work": 10**9},
    "paper": {"trials": 120, "points": 15, "work": 2 * 10**10},
}

QUANTILES = {"q05": 0.05, "median": 0.5, "q95": 0.95}
WHEN = {
    "start": Look("at initialization", panels.BLUE, "-", "o"),
    "end": Look("at the end of training", panels.RED, "-", "s"),
}
LABELS = {
    "rms": Look("root mean square, exact", panels.BLUE),
    "16": Look("of 16 label sets", panels.GREEN, panels.DASHDOT, "^"),
    "1": Look("one label set", panels.RED, panels.DASHED, "s"),
}
# Noise over the root mean square of an output of the model.
NOISE = (0.1, 1000.0)
# Excesses are shown from here on.
LEAST = 1e-3
# Where an excess of zero stands on a logarithmic axis.
ZERO = 0.03


def compute(data: Dataset, sizes: Mapping[str, int], rng: np.random.Generator) -> Table:
    """Return every number of the figure for one data set.

    ``sizes["work"]`` caps initializations x noise levels x label sets x outputs x features^2.
    """
    rotated = reduced(data)
    X, Y = rotated.R, rotated.targets
    d, r = X.shape[1], Y.shape[1]
    effort = sizes["points"] * sum(int(name) for name in LABELS if name != "rms") * r * d**2
    trials = min(sizes["trials"], max(3, sizes["work"] // effort))
    starts = initial(rng, d, trials, r)
    # Every initialization is so many more outputs of one problem.
    problem = Problem(X, np.tile(Y, trials), starts.reshape(d, -1))
    ends = problem.gradient_flow().reshape(starts.shape)
    levels = np.geomspace(*NOISE, sizes["points"])
    excess: dict[tuple[str, str], list[float]] = {(n, when): [] for n in SCORES for when in WHEN}
    noisy: dict[str, list[list[float]]] = {name: [] for name in LABELS}
    # Leverage scores are those of the data alone.
    known = {"leverage": leverage(X)}
    for t in range(trials):
        w0 = starts[:, t]
        products = {"start": Product(X, w0), "end": Product(X, ends[:, t])}
        for name in SCORES:
            scores = score(name, X, Y, w0, rng, known=known)
            for when, product in products.items():
                excess[name, when].append(_excess(product, abs(scores)))
        output = np.sqrt(products["start"].norm2 / (rotated.n_samples * r))
        for name, curves in noisy.items():
            curves.append(
                [
                    _excess(products["start"], _snip(name, X, w0, tau, rng))
                    for tau in levels * output
                ]
            )
    table: Table = []
    for quantity, q in QUANTILES.items():
        key: dict[str, Any] = {"data": data.name, "trials": trials, "quantity": quantity}
        for (name, when), values in excess.items():
            key |= {"panel": "scores", "case": name, "when": when}
            table += rows(**key, noise=0.0, value=np.quantile(values, q))
        for name, curves in noisy.items():
            key |= {"panel": "noise", "case": name, "when": "start"}
            table += rows(**key, noise=levels, value=np.quantile(curves, q, axis=0))
    return table


def _excess(product: Product, scores: Floats) -> float:
    """Return the excess of a draw over the optimal one, relative to the latter's moment."""
    return float(pruning.excess(product, scores, 1) / moments.optimal(product, 1))


def _snip(name: str, X: Floats, w: Floats, noise: float, rng: np.random.Generator) -> Floats:
    """Return the root mean square of SNIP over noisy labels: over all, or over a few sets."""
    if name == "rms":
        return pruning.snip_rms(X, w, noise)
    # Gaussian labels stay what they are when samples are rotated.
    shape = (len(X), w.shape[1])
    squares = [pruning.snip(X, rng.normal(0.0, noise, shape), w) ** 2 for _ in range(int(name))]
    return np.asarray(np.sqrt(np.mean(squares, axis=0)))


def shape(count: int) -> tuple[int, int]:
    """Return rows and columns of panels for `count` data sets."""
    return count, 2


def draw(table: Table, axes: npt.NDArray[Any]) -> None:
    """Draw the table into panels of `shape`: a row for each data set."""
    for data, (left, right) in zip(distinct(table, "data"), axes, strict=True):
        part = [row for row in table if row["data"] == data]
        _draw_scores(left, [row for row in part if row["panel"] == "scores"])
        _draw_noise(right, [row for row in part if row["panel"] == "noise"])
        left.set_title(f"{panels.title_of(data)}: scores at initialization")
        right.set_title(f"{panels.title_of(data)}: SNIP on noise")
        right.set_ylabel("excess over the optimal draw")
    axes[-1, 0].set_xlabel("excess over the optimal draw")
    axes[-1, 1].set_xlabel("noise of the labels / output of the model")
    panels.legend_below(axes[-1, 0], [*map(panels.key, WHEN.values())], columns=1)
    panels.legend_below(axes[-1, 1], [*map(panels.key, LABELS.values())], columns=1)


def _draw_scores(axes: Axes, part: Table) -> None:
    names = list(SCORES)
    seen = []
    for j, (when, look) in enumerate(WHEN.items()):
        for i, name in enumerate(names):
            values = select(part, case=name, when=when)
            value = dict(zip(values["quantity"], np.maximum(values["value"], ZERO), strict=True))
            place = i + 0.2 * (2 * j - 1)
            axes.plot(
                [value["q05"], value["q95"]],
                [place, place],
                color=look.color,
                linewidth=0.9,
            )
            panels.markers(axes, [value["median"]], [place], look)
            seen += [value["q05"], value["q95"]]
    high = panels.limits([seen])[1]
    axes.set_xscale("log")
    axes.set_xlim(ZERO / 1.5, high)
    marks = [mark for mark in 10.0 ** np.arange(-1, 9) if mark <= high]
    axes.set_xticks([ZERO, *marks], ["0", *(f"{mark:g}" for mark in marks)])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yticks(range(len(names)), [SCORES[name].label for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)


def _draw_noise(axes: Axes, part: Table) -> None:
    seen = []
    for name, look in LABELS.items():
        low, median, high = (select(part, case=name, quantity=q) for q in QUANTILES)
        x = median["noise"]
        panels.band(axes, x, low["value"], high["value"], look)
        panels.line(axes, x, median["value"], look)
        if look.marker:
            panels.markers(axes, x[::2], median["value"][::2], look)
        seen += [median["value"], high["value"]]
    axes.set_xscale("log")
    axes.set_xlim(*NOISE)
    panels.log_axis(axes, LEAST, panels.limits(seen)[1])
