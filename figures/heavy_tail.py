"""The error at the end of training over many initializations: no mean for the plain draw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from figures.reduced import initial, reduced
from lth_sketch import Product, moments, probabilities
from lth_sketch.datasets import Dataset
from lth_sketch.plots import panels
from lth_sketch.plots.panels import DRAWS, Look
from lth_sketch.plots.tables import Table, distinct, rows, select
from lth_sketch.regression import Problem
from lth_sketch.validation import Floats

NAME = "heavy_tail"
TITLE = "Why the plain draw has no guarantee at the end of training"
SHOWS = ("E2", "E3")
CAPTION = (
    "The exact second moment V of the error at the end of training (E1, least squares nearest to "
    "w0) over many Gaussian initializations w0, for masks drawn at initialization. The horizontal "
    "axis is s V / (d ||X w||^2), how many draws a feature takes on average until the root mean "
    "square error is that of the empty mask.\n"
    "Left: how often V exceeds a number. See that with one output the plain draw, optimal at w0, "
    "has a tail of slope -1, too heavy for a mean to exist, and the draw in proportion to w0^2 one "
    "of slope -1/2; the defensive draw (alpha = 1/2) ends soon, and so does the plain draw with "
    "ten outputs, where a row of weights is hardly ever near zero.\n"
    "Right: the share of the single largest V in the sum over N initializations, on average. For "
    "a law with a mean it falls as 1/N; see that for the plain draw with one output it falls no "
    "faster than 1 / ln N, and for w0^2 not at all: a mean over initializations then reports "
    "little more than its worst case. What speaks for the plain draw: each V by itself is finite, "
    "its median on digits is twice that of the defensive draw and no more, and with ten outputs "
    "all this is no concern."
)
ALT = (
    "Two panels. On the left survival curves: that of the plain draw is a straight line of "
    "slope minus one, that of the squared draw is flatter, those of the defensive draw and of "
    "ten outputs fall steeply. On the right the share of the largest value falls for the last "
    "two and stays high for the others."
)
SIZES = {
    "tiny": {"trials": 100, "points": 10, "work": 10**6},
    "smoke": {"trials": 1000, "points": 40, "work": 10**8},
    "paper": {"trials": 8000, "points": 120, "work": 6 * 10**8},
}

ALPHA = 0.5
CASES = {
    "plain": Look("plain draw, one output", DRAWS["optimal"].color),
    "squared": Look("drawn by $w_0^2$, one output", panels.GREEN, panels.DASHDOT),
    "defensive": Look("defensive, one output", panels.PURPLE, panels.DASHED),
    "plain, ten outputs": Look("plain draw, ten outputs", panels.BLACK, panels.LONG),
}
# The chances from which lines of a given slope are drawn.
TOUCH = {"plain": 0.05, "squared": 0.2}
# How far the axis goes on beyond the place where the line of slope -1 starts.
BEYOND = 3e3
# The share of the largest is a mean over so many groups at least.
GROUPS = 10


def compute(data: Dataset, sizes: Mapping[str, int], rng: np.random.Generator) -> Table:
    """Return every number of the figure for one data set.

    ``sizes["work"]`` caps initializations x features^2.
    """
    rotated = reduced(data)
    R, C = rotated.R, rotated.targets
    d = R.shape[1]
    trials = min(sizes["trials"], max(50, sizes["work"] // d**2))
    samples: dict[str, Floats] = {name: np.empty(trials) for name in CASES}
    for i, (product0, product, w0) in enumerate(_pairs(R, C[:, :1], trials, rng)):
        draws = {
            "plain": probabilities.optimal(product0),
            "squared": probabilities.squared(w0),
            "defensive": probabilities.defensive(product0, ALPHA),
        }
        for name, p in draws.items():
            samples[name][i] = moments.multinomial(product, p, d) / product.norm2
    for i, (product0, product, _) in enumerate(_pairs(R, C, trials, rng)):
        p = probabilities.optimal(product0)
        samples["plain, ten outputs"][i] = moments.multinomial(product, p, d) / product.norm2
    table: Table = []
    for case, values in samples.items():
        key = {"data": data.name, "case": case, "trials": trials}
        chance, x = _survival(values, sizes["points"])
        table += rows(**key, quantity="survival", x=x, value=chance)
        count, share = _largest_share(values)
        table += rows(**key, quantity="share of the largest", x=count, value=share)
    return table


def _pairs(R: Floats, C: Floats, trials: int, rng: np.random.Generator) -> Any:
    """Yield the products before and after training, and w0, of many initializations."""
    d, r = R.shape[1], C.shape[1]
    starts = initial(rng, d, trials * r)
    # Every initialization is so many more outputs of one problem.
    trained = Problem(R, np.tile(C, trials), starts).gradient_flow()
    for w0, w in zip(_each(starts, r), _each(trained, r), strict=True):
        yield Product(R, w0), Product(R, w), w0


def _each(w: Floats, r: int) -> Any:
    """Return the weights of each initialization, (d, r) or (d,) for one output."""
    parts = np.split(w, w.shape[1] // r, axis=1)
    return parts if r > 1 else [part[:, 0] for part in parts]


def _survival(values: Floats, points: int) -> tuple[Floats, Floats]:
    """Return chances to exceed, from one in the number of values up, and what is exceeded."""
    ordered = np.sort(values)[::-1]
    ranks = np.unique(np.geomspace(1, len(values), points).astype(np.int64))
    return ranks / len(values), ordered[ranks - 1]


def _largest_share(values: Floats) -> tuple[Floats, Floats]:
    """Return numbers N and the largest of N values over their sum, the mean over groups of N."""
    top = np.log10(len(values) / GROUPS)
    counts = np.unique(np.round(10 ** np.arange(0.5, top + 1e-9, 0.25)).astype(np.int64))
    shares = []
    for count in counts:
        groups = values[: len(values) // count * count].reshape(-1, count)
        shares.append(float((groups.max(axis=1) / groups.sum(axis=1)).mean()))
    return counts.astype(np.float64), np.array(shares)


def shape(count: int) -> tuple[int, int]:
    """Return rows and columns of panels for `count` data sets."""
    return count, 2


def draw(table: Table, axes: npt.NDArray[Any]) -> None:
    """Draw the table into panels of `shape`: a row for each data set."""
    for data, (left, right) in zip(distinct(table, "data"), axes, strict=True):
        part = [row for row in table if row["data"] == data]
        _draw_survival(left, part)
        _draw_share(right, part)
        left.set_title(f"{panels.title_of(data)}: the tail")
        right.set_title(f"{panels.title_of(data)}: the largest of N")
        left.set_ylabel("chance that V is larger")
        right.set_ylabel("share of the largest in the sum")
    axes[-1, 0].set_xlabel(r"$s\,V\,/\,(d\,\Vert Xw\Vert^2)$, draws needed for each feature")
    axes[-1, 1].set_xlabel("initializations N")
    panels.legend_below(axes[-1, 0], [*map(panels.key, CASES.values())], columns=1)


def _draw_survival(axes: Axes, part: Table) -> None:
    curves = {name: select(part, case=name, quantity="survival") for name in CASES}
    least = float(curves["plain"]["value"][0])
    for name, look in CASES.items():
        panels.line(axes, curves[name]["x"], curves[name]["value"], look)
    for name, slope, text in (("plain", -1.0, "slope −1"), ("squared", -0.5, "slope −1/2")):
        chances, x = curves[name]["value"], curves[name]["x"]
        start = 2 * float(x[np.argmax(chances > TOUCH[name])])
        y = np.array([TOUCH[name], least])
        _guide(axes, start * (y / TOUCH[name]) ** (1 / slope), y, text, 0.3, above=True)
    axes.set_xscale("log")
    # The draw by w0^2 goes on for ever; the others are to be seen.
    plain = curves["plain"]
    reach = plain["x"][np.argmax(plain["value"] > TOUCH["plain"])]
    axes.set_xlim(curves["defensive"]["x"][-1], BEYOND * reach)
    panels.log_axis(axes, least, 1.0)


def _draw_share(axes: Axes, part: Table) -> None:
    for name, look in CASES.items():
        curve = select(part, case=name, quantity="share of the largest")
        panels.line(axes, curve["x"], curve["value"], look)
    count = select(part, case="plain", quantity="share of the largest")["x"]
    _guide(axes, count, 1 / np.log(count), "1/ln N", 0.3)
    _guide(axes, count, 1 / count, "1/N", 0.3)
    axes.set_xscale("log")
    axes.set_xlim(count[0], count[-1])
    panels.log_axis(axes, *panels.limits([1 / count, 1.0]))


def _guide(
    axes: Axes, x: Floats, y: Floats, text: str, place: float, *, above: bool = False
) -> None:
    """Draw a line to compare with, and its name beside it, part of the way along."""
    axes.plot(x, y, color=panels.GREY, linestyle=panels.DOTTED, zorder=1)
    middle = [float(np.exp(np.quantile(np.log(end), q))) for end, q in ((x, place), (y, 1 - place))]
    panels.mark_draws(axes, {text: (middle[0], middle[1])}, above=above)
