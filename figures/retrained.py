"""Loss after training under the mask against the fraction of features it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.special
from matplotlib.axes import Axes

from figures.algorithms import RIDGE, SCORES, leverage, score
from figures.reduced import initial, split
from lth_sketch import bounds, probabilities, sampling
from lth_sketch.datasets import Dataset
from lth_sketch.plots import panels
from lth_sketch.plots.panels import Look
from lth_sketch.plots.tables import Table, distinct, rows, select
from lth_sketch.reduction import Reduced, reduce
from lth_sketch.regression import Problem
from lth_sketch.validation import Floats, Integers

NAME = "retrained"
TITLE = "What is lost after training under the mask"
SHOWS = ("B5", "E4", "E5")
CAPTION = (
    "Squared loss of the linear model, one output a class, trained to the end under a mask and "
    "divided by the loss of the empty mask. Two thirds of the samples are trained on, one third "
    "is held out. Lines, some with open markers to tell them apart: the k largest of each score, "
    "the median over Gaussian initializations; on the left every prefix of the order comes from "
    "one factorisation (E5). Markers with 5-95%: random masks of k features in proportion to the "
    "sketch score or to the ridge leverage scores (priority samples, at every other size each); "
    "to draw uniformly is to keep the largest of a random score. Only which features are kept "
    "matters here, not their weights. The horizontal line is the dense model, the floor of the "
    "training loss.\n"
    "See that what the score sees matters more than whether the mask is drawn. On digits the "
    "scores that see the data keep pixels that are in use and reach the dense model with two "
    "thirds of the features, while magnitude and SynFlow, which see random weights only, do no "
    "better than random features; GraSP orders its lower half worse than that; and to draw by a "
    "score costs nothing against its top-k, and gains nothing. On Fashion-MNIST, where pixels in "
    "use repeat their neighbours, it is the other way round: top-k of a score that sees the data "
    "is worse than random features, and to draw by the same score mends it. The guarantee E4, for "
    "ridge with the penalty ||X||^2 / 1000 and leverage draws, has no say here: by B5 it takes as "
    "many draws as the note in the panel tells before its bound is below the norm of the labels."
)
ALT = (
    "Two panels of loss against kept fraction, on training and on held-out samples. All lines "
    "fall to the level of the dense model; scores that see the data reach it first, magnitude "
    "and SynFlow run with the random score."
)
SIZES = {
    "tiny": {"trials": 3, "points": 4, "work": 10**6},
    "smoke": {"trials": 8, "points": 9, "work": 10**8},
    "paper": {"trials": 40, "points": 15, "work": 4 * 10**9},
}

# The part of the axis of kept fractions that is shown.
SHOWN = (0.03, 0.97)
DRAWN = ("sketch", "leverage")
# Risk of E4.
DELTA = 0.05
QUANTILES = {"q05": 0.05, "median": 0.5, "q95": 0.95}
# The markers of scores that are drawn too stand for the drawn masks.
LINES = {
    name: look._replace(label=f"top-k, {look.label}", marker="" if name in DRAWN else look.marker)
    for name, look in SCORES.items()
}
DRAWS = {name: SCORES[name]._replace(label=f"drawn, {name}", linestyle="") for name in DRAWN}
DENSE = Look("dense model", "0.6")
# Log-odds of the fractions at which lines have markers, for the first of them.
MARKED = np.linspace(-2.7, 1.7, 4)
SIDES = {"train": "trained on", "held out": "held out"}


def compute(data: Dataset, sizes: Mapping[str, int], rng: np.random.Generator) -> Table:
    """Return every number of the figure for one data set.

    ``sizes["work"]`` caps initializations x features^3.
    """
    parts = split(data, rng)
    train = reduce(parts.X, parts.Y.astype(np.float64))
    test = reduce(parts.X_test, parts.Y_test.astype(np.float64))
    problem = Problem(train.R, train.targets)
    d = train.R.shape[1]
    trials = min(sizes["trials"], max(3, sizes["work"] // d**3))
    low, high = scipy.special.logit(SHOWN)
    fractions = scipy.special.expit(np.linspace(float(low), float(high), sizes["points"]))
    # Pixels that are never set have no chance to be drawn.
    live = np.count_nonzero(train.R.any(axis=0))
    k = np.unique(np.ceil(fractions * live).astype(np.int64))
    paths: dict[str, list[Floats]] = {name: [] for name in SCORES}
    masks: dict[tuple[str, str], list[Any]] = {("top-k", name): [] for name in SCORES}
    masks |= {("draw", name): [] for name in DRAWN}
    known = {"leverage": leverage(train.R)}
    for _ in range(trials):
        w0 = initial(rng, d, train.targets.shape[1])
        for name in SCORES:
            scores = score(name, train.R, train.targets, w0, rng, known=known)
            order = np.argsort(-scores, kind="stable")
            paths[name].append(problem.path(order).sum(axis=1) + train.rest.sum())
            masks["top-k", name].append(_prefixes(order, k))
            if name in DRAWN:
                masks["draw", name] += [_drawn(scores, int(n), rng) for n in k]

    sides = {"train": train, "held out": test}
    empty = {side: _loss(part, np.zeros((d, len(part.rest)))) for side, part in sides.items()}
    entries: list[tuple[Any, ...]] = [
        ("train", "E4", "leverage", "draws needed", 1.0, _needed(train))
    ]
    for side, part in sides.items():
        value = _loss(part, problem.gradient_flow()) / empty[side]
        entries.append((side, "dense", "", "loss", 1.0, value))
    every = np.arange(1, d + 1) / d
    for name, losses in paths.items():
        median = np.median(losses, axis=0) / empty["train"]
        entries.append(("train", "path", name, "median", every, median))
    for (how, name), listed in masks.items():
        stacked = scipy.sparse.vstack(listed, format="csr")
        pair = problem.fit_masks(stacked, X_test=test.R, y_test=test.targets)
        for (side, part), losses in zip(sides.items(), pair, strict=True):
            total = (losses.sum(axis=1) + part.rest.sum()).reshape(trials, len(k)) / empty[side]
            for quantity, q in QUANTILES.items():
                entries.append((side, how, name, quantity, k / d, np.quantile(total, q, axis=0)))
    names = ("side", "how", "score", "quantity", "kept", "value")
    table: Table = []
    for columns in entries:
        table += rows(data=data.name, trials=trials, **dict(zip(names, columns, strict=True)))
    return table


def _needed(train: Reduced) -> float:
    """Return the draws for each feature from which E4 is below the norm of the labels."""
    X, Y = train.R, train.targets
    penalty = RIDGE * float(np.square(X).sum())
    rest = train.rest.sum()
    # What no weights reach is the same with and without a mask, and counts in the bound.
    unit = np.sqrt(bounds.retrained(0.5, X, Y, penalty=penalty) ** 2 + rest)
    labels = np.sqrt(np.square(Y).sum() + rest)
    eps = float(labels / (labels + unit))
    p = probabilities.leverage(X, penalty)
    draws = bounds.draws_needed(bounds.spectral, eps, X, p, delta=DELTA, ridge=penalty)
    return draws / len(p)


def _drawn(scores: Floats, k: int, rng: np.random.Generator) -> Any:
    return sampling.masks(scores, k, 1, design="priority", binary=True, rng=rng)


def _loss(data: Reduced, w: Floats) -> float:
    return float(data.loss(w.T).sum())


def _prefixes(order: Integers, k: Integers) -> Any:
    """Return the masks that keep the first k of an order."""
    indices = np.concatenate([order[:n] for n in k])
    starts = np.concatenate([[0], np.cumsum(k)])
    return scipy.sparse.csr_array((np.ones(len(indices)), indices, starts), (len(k), len(order)))


def shape(count: int) -> tuple[int, int]:
    """Return rows and columns of panels for `count` data sets."""
    return count, len(SIDES)


def draw(table: Table, axes: npt.NDArray[Any]) -> None:
    """Draw the table into panels of `shape`: a row for each data set."""
    for data, row in zip(distinct(table, "data"), axes, strict=True):
        part = [r for r in table if r["data"] == data]
        for (side, title), panel in zip(SIDES.items(), row, strict=True):
            _draw_side(panel, [r for r in part if r["side"] == side], side)
            panel.set_title(f"{panels.title_of(data)}: {title}")
        needed = select(part, how="E4")["value"][0]
        panels.note(row[0], f"E4 is vacuous below s = {needed:.2g} d draws")
        row[0].set_ylabel("loss / loss of the empty mask")
    for bottom in axes[-1]:
        bottom.set_xlabel("kept fraction of the features")
    panels.legend_below(axes[-1, 0], [*map(panels.key, LINES.values())])
    panels.legend_below(axes[-1, 1], [*map(panels.key, (*DRAWS.values(), DENSE))], columns=1)


def _near(kept: Floats, wanted: Floats) -> Integers:
    """Return the places of the fractions that are next to the wanted ones."""
    return np.unique(abs(np.subtract.outer(wanted, kept)).argmin(axis=1))


def _draw_side(axes: Axes, part: Table, side: str) -> None:
    seen = []
    for place, (name, look) in enumerate(LINES.items()):
        curve = select(
            part, how="path" if side == "train" else "top-k", score=name, quantity="median"
        )
        panels.line(axes, curve["kept"], curve["value"], look)
        if look.marker:
            # A few markers tell lines in grey; those of each stand at fractions of their own.
            few = _near(curve["kept"], scipy.special.expit(MARKED + place / 5))
            panels.markers(axes, curve["kept"][few], curve["value"][few], look)
        seen.append(curve["value"])
    for first, (name, look) in enumerate(DRAWS.items()):
        low, median, high = (
            select(part, how="draw", score=name, quantity=quantity) for quantity in QUANTILES
        )
        # At every other size, so that neither draw hides the other.
        at = slice(first, None, len(DRAWS))
        x, y = median["kept"][at], median["value"][at]
        reach = [y - low["value"][at], high["value"][at] - y]
        axes.errorbar(x, y, reach, fmt="none", ecolor=look.color, elinewidth=0.8)
        panels.markers(axes, x, y, look)
        seen.append(low["value"])
    floor = select(part, how="dense")["value"]
    axes.axhline(floor[0], color=DENSE.color, linestyle=DENSE.linestyle, zorder=1)
    panels.fraction_axis(axes, 0.9 * SHOWN[0], SHOWN[1])
    panels.log_axis(axes, *panels.limits([*seen, floor, 1.0]))
