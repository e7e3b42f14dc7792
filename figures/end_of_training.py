"""Error of the mask found at initialization along the time of training."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from figures.reduced import initial, reduced
from lth_sketch import Product, bounds, moments, montecarlo, probabilities, sampling
from lth_sketch.datasets import Dataset
from lth_sketch.plots import panels
from lth_sketch.plots.panels import DRAWS, Look
from lth_sketch.plots.tables import Table, distinct, rows, select
from lth_sketch.regression import Problem
from lth_sketch.validation import Floats

NAME = "end_of_training"
TITLE = "What the mask found at initialization costs along the training"
SHOWS = ("E1", "E3", "E6", "E7", "D5", "P1")
CAPTION = (
    "Error ||X (m w(t)) - X w(t)|| of the masked model over ||X w(t)||. The mask m has 4d draws "
    "with replacement whose probabilities look at w0 only (Gaussian, variance 1/d); the dense "
    "model follows the gradient flow to time t, from w0 on the left to least squares on the right. "
    "Left: one output, the first class or not. Right: one output a class. Lines are exact (E1), "
    "markers measured root mean squares. All of it scales as one over the root of s: with "
    "d draws, which prune about half of the features, every curve is twice as high.\n"
    "See that the error of the mask at the end of training is up to two or three times that at the "
    "start. With one output the draw that was optimal at w0 can lose to the defensive one "
    "(alpha = 1/2), even to the uniform one, because of the few weights that start near zero and "
    "are trained (E2); with ten outputs no row starts near zero, and the defensive floor gains "
    "nothing. The bound E3 for the defensive draw is close at first and vacuous at the end: it "
    "allows for a move of the weights in the worst direction, while on images the last and longest "
    "part of the way is along pixels that hardly contribute. With ||Delta|| from its table, "
    "without training, it is looser still. The anticipated draw (E6) knows the features and the "
    "length of the training, and no label: at the end it is the lowest of those that can be drawn "
    "beforehand (D5: the uniform draw is next), near the one that has seen w(t), which nobody has "
    "at initialization (E7). The dotted line of its colour is its exact mean over independent "
    "labels, which fit the features less than real ones and move the weights less. Early in "
    "training the defensive draw is as good. Crosses: one anticipated mask each, its error limited "
    "with probability 95% by 32 random probes (P1). In the shaded region a bound says nothing. The "
    "note in the panel compares E3 with the exact error at the end, at the alpha for which it is "
    "best."
)
ALT = (
    "Two panels of relative error against training time. The lines of the draws are flat, then "
    "rise as the weights move; the line of the draw that was optimal at initialization rises "
    "most, the anticipated one least."
)
SIZES = {
    "tiny": {"trials": 10, "points": 7, "work": 10**6},
    "smoke": {"trials": 200, "points": 25, "work": 10**8},
    "paper": {"trials": 4000, "points": 61, "work": 4 * 10**8},
}

OUTPUTS = {"one": "one output", "ten": "ten outputs"}
# Draws for each feature.
DRAWN = 4
# The floor's share in the mask that is followed: fixed, because it may not know the training.
ALPHA = 0.5
# Where training starts to be seen, in units of the fastest mode.
FIRST = 1e-2
# Times and values by quantity, draw and number of trials.
Found = dict[tuple[str, str, int], tuple[Floats, list[float]]]

DEFENSIVE = Look("defensive", panels.PURPLE, panels.DASHDOT, "D")
FOLLOWED = {name: DRAWS[name] for name in ("optimal", "data-free", "uniform")} | {
    "defensive": DEFENSIVE,
    "anticipated": Look("anticipated (E6)", panels.GREEN, "-", "P"),
}
# Not followed by masks: a mean over labels, and a draw that cannot be made at initialization.
OVER_LABELS = Look("anticipated, mean over labels (E6)", panels.GREEN, panels.DOTTED)
SEEN = Look("the draw that has seen w(t)", panels.GREY, panels.DASHDOTDOT)
PROBED = Look("limit on one anticipated mask, by probes (P1)", panels.BLACK, "", "x")
PROBES, DELTA = 32, 0.05
BOUNDS = {
    "E3": Look("E3 for the defensive draw", panels.BLACK),
    "E3 best": Look("E3, the best alpha at each time", panels.GREY, panels.LONG),
    "E3 table": Look("E3 from the table of ||Δ||", panels.BLACK, panels.DOTTED),
}


def compute(data: Dataset, sizes: Mapping[str, int], rng: np.random.Generator) -> Table:
    """Return every number of the figure for one data set.

    ``sizes["work"]`` caps trials x draws x features, so that wide data take fewer trials.
    """
    rotated = reduced(data)
    d = rotated.R.shape[1]
    w0 = initial(rng, d, rotated.targets.shape[1])
    s = DRAWN * d
    trials = min(sizes["trials"], max(50, sizes["work"] // (s * d)))
    table: Table = []
    for outputs, y, start in (
        ("one", rotated.targets[:, 0], w0[:, 0]),
        ("ten", rotated.targets, w0),
    ):
        problem = Problem(rotated.R, y, start)
        # Times are in units of the fastest mode.
        unit = problem.singular_values[0] ** -2
        times = _times(problem, sizes["points"])
        trained = problem.gradient_flow(times * unit)
        products = [Product(rotated.R, w) for w in trained]
        known = bounds.displacement(rotated.R, y - rotated.R @ start, time=times * unit)
        curves = _bounds(products, trained, known, times, s)
        seen = _measured(len(times))
        # What is known of the labels beforehand: how often one of them is one.
        labels = {"labels": 1.0 / rotated.targets.shape[1], "time": times * unit}
        ahead = probabilities.anticipated(rotated.R, start, **labels)
        mean = moments.anticipated(rotated.R, ahead, s, start, **labels)
        curves["E6", "anticipated", 0] = (times, list(map(_relative, mean, products)))
        curves["E1", "seen", 0] = (
            times,
            [_relative(moments.optimal(product, s), product) for product in products],
        )
        probed = [_probed(products[i], ahead[i], s, rng) for i in seen]
        curves["P1", "anticipated", PROBES] = (times[seen], probed)
        for draw, p in _draws(products[0], start, ahead).items():
            exact = [
                _relative(moments.multinomial(product, row, s), product)
                for product, row in zip(products, p, strict=True)
            ]
            curves["E1", draw, 0] = (times, exact)
            errors = [
                montecarlo.squared_errors(products[i], p[i], s, trials=trials, rng=rng).mean()
                for i in seen
            ]
            value = [_relative(error, products[i]) for error, i in zip(errors, seen, strict=True)]
            curves["measured", draw, trials] = (times[seen], value)
        for (quantity, draw, count), (time, value) in curves.items():
            key = {"data": data.name, "outputs": outputs, "draw": draw, "quantity": quantity}
            table += rows(**key, time=time, s=s, trials=count, value=value)
    return table


def _times(problem: Problem, points: int) -> Floats:
    """Return 0, times from before the fastest mode to after the slowest, and infinity."""
    sigma = problem.singular_values
    last = np.ceil(np.log10((sigma[0] / sigma[-1]) ** 2)) + 1
    return np.concatenate([[0.0], np.logspace(np.log10(FIRST), last, points), [np.inf]])


def _measured(count: int) -> list[int]:
    """Return the places of the times at which masks are drawn: both ends and some between."""
    return sorted({0, *np.linspace(1, count - 2, 6).astype(int)[1:-1].tolist(), count - 1})


def _probed(product: Product, p: Floats, s: int, rng: np.random.Generator) -> float:
    """Return the limit on the error of one mask that random probes give."""
    mask = sampling.mask(p, s, rng=rng)
    certificate = montecarlo.probe(
        product.A, product.B, mask=mask, probes=PROBES, delta=DELTA, rng=rng
    )
    return _relative(certificate.limit**2, product)


def _draws(product0: Product, w0: Floats, ahead: Floats) -> dict[str, Floats]:
    """Return probabilities (times, d) of the draws that can be made at initialization."""
    fixed = {
        "optimal": probabilities.optimal(product0),
        "data-free": probabilities.data_free(w0),
        "defensive": probabilities.defensive(product0, ALPHA),
        "uniform": probabilities.uniform(product0.d),
    }
    return {name: np.broadcast_to(p, ahead.shape) for name, p in fixed.items()} | {
        "anticipated": ahead
    }


def _bounds(
    products: list[Product], trained: Floats, known: Floats, times: Floats, s: int
) -> Found:
    """Return E3 for the defensive draw, and for the best alpha, which is another draw each time.

    `known` bounds how far the weights have moved without training them.
    """
    product0, w0 = products[0], trained[0]
    values: dict[str, list[float]] = {name: [] for name in (*BOUNDS, "E1 best", "alpha")}
    for product, w, limit in zip(products, trained, known, strict=True):
        bound = partial(bounds.end_of_training, product0, s=s, trained_norm2=product.norm2)
        moved = float(np.linalg.norm(w - w0))
        alpha = bounds.best_alpha(product0, moved)
        best = probabilities.defensive(product0, alpha)
        values["E3"].append(_relative(bound(moved, alpha=ALPHA), product))
        values["E3 best"].append(_relative(bound(moved), product))
        values["E3 table"].append(_relative(bound(float(limit), alpha=ALPHA), product))
        values["E1 best"].append(_relative(moments.multinomial(product, best, s), product))
        values["alpha"].append(alpha)
    draws = {"E3": "defensive", "E3 table": "defensive"}
    return {(name, draws.get(name, "best"), 0): (times, v) for name, v in values.items()}


def _relative(square: Any, product: Product) -> float:
    return float(np.sqrt(square / product.norm2))


def shape(count: int) -> tuple[int, int]:
    """Return rows and columns of panels for `count` data sets."""
    return count, len(OUTPUTS)


def draw(table: Table, axes: npt.NDArray[Any]) -> None:
    """Draw the table into panels of `shape`: a row for each data set."""
    for data, row in zip(distinct(table, "data"), axes, strict=True):
        for (outputs, title), panel in zip(OUTPUTS.items(), row, strict=True):
            part = [r for r in table if (r["data"], r["outputs"]) == (data, outputs)]
            _draw_one(panel, part)
            panel.set_title(f"{panels.title_of(data)}, {title}")
        row[0].set_ylabel("error / error of the empty mask")
    for bottom in axes[-1]:
        bottom.set_xlabel(r"time of training, $t\,\sigma_{\max}^2$")
    grey = [
        panels.key(Look("exact root mean square (E1)", panels.GREY)),
        panels.key(Look("measured", panels.GREY, "", "o")),
    ]
    panels.legend_below(axes[-1, 0], [*map(panels.key, FOLLOWED.values()), *grey])
    panels.legend_below(
        axes[-1, 1], [*map(panels.key, (OVER_LABELS, SEEN, PROBED, *BOUNDS.values()))], columns=1
    )


def _draw_one(axes: Axes, part: Table) -> None:
    last = float(select(part, quantity="alpha")["time"][-2])
    ends = {0.0: FIRST / 10, np.inf: last * 10}

    def place(times: Floats) -> list[float]:
        return [ends.get(time, time) for time in times]

    seen = []
    for name, look in FOLLOWED.items():
        exact = select(part, draw=name, quantity="E1")
        measured = select(part, draw=name, quantity="measured")
        panels.line(axes, place(exact["time"]), exact["value"], look)
        panels.markers(axes, place(measured["time"]), measured["value"], look)
        seen.append(exact["value"])
    for quantity, name, look in (("E6", "anticipated", OVER_LABELS), ("E1", "seen", SEEN)):
        extra = select(part, draw=name, quantity=quantity)
        panels.line(axes, place(extra["time"]), extra["value"], look)
        # Room for the note below the lowest line.
        seen.append(extra["value"] / 1.6)
    probed = select(part, quantity="P1")
    panels.markers(axes, place(probed["time"]), probed["value"], PROBED)
    for name, look in BOUNDS.items():
        bound = select(part, quantity=name)
        panels.line(axes, place(bound["time"]), bound["value"], look)
        if name != "E3 table":
            seen.append(bound["value"])
    axes.set_xscale("log")
    axes.set_xlim(ends[0.0] / 2, ends[np.inf] * 2)
    _mark_ends(axes, ends[0.0], ends[np.inf])
    panels.log_axis(axes, *panels.limits([*seen, 2.0]))
    panels.vacuous(axes, left=True)
    bound, exact = (select(part, quantity=name)["value"][-1] for name in ("E3 best", "E1 best"))
    alpha = select(part, quantity="alpha")["value"][-1]
    text = f"at the end: {bound / exact:.2g} times the exact error, $\\alpha$ = {alpha:.2f}"
    panels.note(axes, text, bottom=True)


def _mark_ends(axes: Axes, low: float, high: float) -> None:
    """Label the ends of a logarithmic axis of times 0 and infinity."""
    decades = np.arange(np.log10(low) + 1, np.log10(high))
    shown = decades[:: max(1, len(decades) // 5)]
    labels = [f"$10^{{{round(k)}}}$" for k in shown]
    axes.xaxis.set_major_locator(FixedLocator([low, *(10.0**shown), high]))
    axes.xaxis.set_major_formatter(FixedFormatter(["0", *labels, "∞"]))
    axes.xaxis.set_minor_locator(NullLocator())
