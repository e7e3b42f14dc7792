"""What figures share when they draw: looks, scales, bands, the vacuous region, legends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from matplotlib.transforms import offset_copy

STYLE = Path(__file__).with_name("house.mplstyle")
# Share of a panel's height that a line of words takes.
WORDS = 0.12
# Inches: one column of a paper, the height of a panel in it, and that of the legends below.
WIDTH, HEIGHT, LEGEND = 3.4, 2.15, 0.75

DATA_TITLES = {
    "digits": "digits",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
}


class Look(NamedTuple):
    """How one series looks in every figure: colours differ in lightness too, for print in grey."""

    label: str
    color: str
    linestyle: Any = "-"
    marker: str = ""


DASHED, DASHDOT, DOTTED = (0, (5, 1.5)), (0, (4, 1.2, 1, 1.2)), (0, (1, 1.3))
LONG, DASHDOTDOT = (0, (9, 2)), (0, (6, 1.2, 1, 1.2, 1, 1.2))

# Hues of Okabe and Ito, Color Universal Design (2008), two of them darkened, so that no two that
# meet in a panel are alike in grey and in line at once.
BLUE, RED, GREEN, YELLOW, GREY, BLACK = (
    "#0060A8",
    "#D55E00",
    "#2E9E7C",
    "#E0A320",
    "#8C8C8C",
    "#000000",
)
PURPLE = "#8A3B78"

# Where the probabilities of a draw come from.
DRAWS = {
    "optimal": Look("optimal", BLUE, "-", "o"),
    "data-free": Look("data-free", RED, DASHED, "s"),
    "squared": Look("squared", GREEN, DASHDOT, "^"),
    "uniform": Look("uniform", YELLOW, DOTTED, "v"),
    "top-k": Look("top-k, not drawn", BLACK, LONG),
}
# Bounds on the error of one draw, against one another.
SHARP = {
    "B2": Look("B2, the classical bound", GREY, DOTTED),
    "B3": Look("B3, bounded differences", YELLOW, DASHED),
    "B4": Look("B4, Bousquet", GREEN, DASHDOT),
    "B6": Look("B6, radial martingale", RED, LONG),
    "B7": Look("B7, two moments", GREY, "-"),
    "B9-4": Look("B9, four moments", BLUE, DASHED),
    "B9": Look("B9, six moments", BLUE, "-"),
    "B10": Look("B10, two centres", PURPLE, DASHDOTDOT),
    "A1": Look("A1, limit law: no bound", BLACK, DOTTED),
    "B8": Look("B8, by simulation", BLACK, "", "x"),
}
# Those that tell the story beside a draw: the classical one, and the least for many risks.
STATEMENTS = {"B2": SHARP["B2"], "B6": SHARP["B6"], "B9": Look("B9, six moments", BLACK, "-")}


def figsize(rows: int, columns: int) -> tuple[float, float]:
    """Return inches for a figure of so many panels, with legends below the last row."""
    return WIDTH * columns, HEIGHT * rows + LEGEND


def title_of(data: str) -> str:
    """Return the name of a data set as a reader knows it."""
    return DATA_TITLES.get(data, data)


def line(axes: Axes, x: npt.ArrayLike, y: npt.ArrayLike, look: Look) -> None:
    """Draw one series as a line without markers."""
    axes.plot(x, y, color=look.color, linestyle=look.linestyle)


def markers(axes: Axes, x: npt.ArrayLike, y: npt.ArrayLike, look: Look) -> None:
    """Draw one series as markers without a line: open, so that what lies below is seen."""
    axes.plot(x, y, look.marker, color=look.color, markerfacecolor="white", linestyle="")


def band(axes: Axes, x: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike, look: Look) -> None:
    """Fill between two quantiles; edges in the series' own dashes tell overlapping bands apart."""
    axes.fill_between(x, low, high, color=look.color, alpha=0.1, linewidth=0)
    style = look.linestyle or "-"
    for edge in (low, high):
        axes.plot(x, edge, color=look.color, linestyle=style, linewidth=0.5, alpha=0.8)


def key(look: Look, *, filled: bool = False, full: bool = False, hatch: str = "") -> Artist:
    """Return what stands for a series in a legend.

    Its line and its marker, open or full; or its band, or a box with a hatch.
    """
    if hatch:
        face = f"{look.color}40"
        return Patch(facecolor=face, edgecolor=look.color, hatch=hatch, label=look.label)
    if filled:
        return Patch(facecolor=look.color, alpha=0.25, label=look.label)
    return Line2D(
        [],
        [],
        color=look.color,
        linestyle=look.linestyle or "none",
        marker=look.marker,
        markerfacecolor=look.color if full else "white",
        label=look.label,
    )


def legend_below(axes: Axes, keys: Sequence[Artist], *, columns: int = 2) -> None:
    """Put a legend under a panel, below its axis label."""
    figure: Any = axes.get_figure(root=True)
    axes.legend(
        handles=list(keys),
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        bbox_transform=offset_copy(axes.transAxes, figure, y=-30, units="points"),
        ncols=columns,
        borderaxespad=0.0,
    )


def limits(values: Iterable[npt.ArrayLike]) -> tuple[float, float]:
    """Return the positive values' range, widened to the next of 1, 2, 5, 10, ..."""
    flat = np.concatenate([np.ravel(value) for value in values]).astype(np.float64)
    flat = flat[(flat > 0) & np.isfinite(flat)]
    low, high = np.log10(flat.min()), np.log10(flat.max())
    steps = np.add.outer(np.arange(np.floor(low), np.ceil(high) + 1), np.log10([1, 2, 5])).ravel()
    return 10.0 ** float(steps[steps <= low].max()), 10.0 ** float(steps[steps >= high].min())


def fraction_axis(axes: Axes, low: float, high: float) -> None:
    """Scale x for fractions: logarithmic in what is kept, and near 1 in what is lost."""
    axes.set_xscale("logit")
    axes.set_xlim(low, high)
    marks = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 0.9, 0.95, 0.99]
    axes.set_xticks([mark for mark in marks if low <= mark <= high])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:g}%"))
    axes.xaxis.set_minor_locator(NullLocator())


def log_axis(axes: Axes, low: float, high: float) -> None:
    """Scale y logarithmically with plain numbers: 1, 2, 5, 10, ..., or decades where they crowd."""
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    steps = (1, 2, 5) if high / low < 400 else (1,)
    axes.yaxis.set_major_locator(LogLocator(subs=steps, numticks=20))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.yaxis.set_minor_locator(LogLocator(subs=tuple(range(2, 10)), numticks=20))
    axes.yaxis.set_minor_formatter(NullFormatter())


def vacuous(
    axes: Axes, text: str = "vacuous: the empty mask does as well", *, left: bool = False
) -> None:
    """Shade what lies above the relative error 1 of the empty mask; call it after the limits.

    On a logarithmic axis that ends too near above 1 the words get room: the limit is raised.
    """
    low, high = axes.get_ylim()
    if axes.get_yscale() == "log" and low < 1.0:
        high = max(high, low ** (-WORDS / (1.0 - WORDS)))
        axes.set_ylim(low, high)
    axes.axhspan(1.0, high, facecolor="0.92", edgecolor="none", zorder=0)
    axes.axhline(1.0, color="0.4", linewidth=0.7, zorder=0.5)
    note(axes, text, left=left)


def note(axes: Axes, text: str, *, left: bool = False, bottom: bool = False) -> None:
    """Write a remark into a corner of a panel: the upper right one, if not told otherwise."""
    axes.annotate(
        text,
        (0.0 if left else 1.0, 0.0 if bottom else 1.0),
        xytext=(2 if left else -2, 2 if bottom else -2),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="left" if left else "right",
        va="bottom" if bottom else "top",
        fontsize=6.5,
        color="0.3",
    )


def mark_draws(
    axes: Axes, points: Mapping[str, tuple[float, float]], *, above: bool = False
) -> None:
    """Write s beside some points of a curve, below and to the left of it, or on its other side."""
    for text, point in points.items():
        axes.annotate(
            text,
            point,
            xytext=(3, 3) if above else (-3, -3),
            textcoords="offset points",
            ha="left" if above else "right",
            va="bottom" if above else "top",
            fontsize=6,
            color="0.2",
            path_effects=[withStroke(linewidth=1.5, foreground="white")],
        )
