"""Keep the largest or draw at random: who wins, over coherence and kept fraction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.special
import scipy.stats
from matplotlib.axes import Axes

from figures.reduced import initial, reduced
from lth_sketch import Product, moments, probabilities
from lth_sketch.datasets import Dataset
from lth_sketch.plots import panels
from lth_sketch.plots.panels import Look
from lth_sketch.plots.tables import Table, distinct, rows, select
from lth_sketch.regression import Problem
from lth_sketch.validation import Floats, Integers

NAME = "top_or_random"
TITLE = "Keep the largest terms, or draw?"
SHOWS = ("S2", "S4", "S5", "S6", "R1")
CAPTION = (
    "Root mean square error of keeping the k largest terms over that of a draw in proportion to "
    "the same term norms, at equal expected kept fraction; all exact. Above 1 the draw wins.\n"
    "Left: a family of 256 terms with one cosine between any two, so that the coherence "
    "||AB||^2 / sum u_i^2 goes from cancelling terms (below 1) through random signs (1) to "
    "parallel terms. Above each line that design beats top-k; shaded where the best draw is "
    "better, darker by each factor of two. Priority and systematic draws are of fixed size. "
    "Symbols place real products on it, full where the best draw wins on the real data, open where "
    "top-k does: as the family foretells where term norms are alike, while very unequal ones, of "
    "images that are mostly dark, let top-k win sooner. See that a draw needs coherence, far more "
    "than random signs have, and most where nearly all or nearly nothing is kept; draws with "
    "replacement give up first, because they spend draws on repeats.\n"
    "Right: the same ratio for the real products, one output: Gaussian w0, the weights at the end "
    "of training, and |w0|. See that top-k wins, by a factor of two and more, wherever weights "
    "have random signs, as R1 proves on average, and no less after training, for the terms of a "
    "trained model cancel: this speaks against a general gain from randomness in this error. Draws "
    "win for |w0| only, on digits by up to about two while less than two thirds are kept."
)
ALT = (
    "Panels of the region, by coherence and kept fraction, in which a draw beats top-k: the "
    "corner where terms add up and little is kept."
)
SIZES = {
    "tiny": {"coherences": 3, "points": 4, "work": 10**6},
    "smoke": {"coherences": 9, "points": 9, "work": 10**8},
    "paper": {"coherences": 25, "points": 19, "work": 10**10},
}

Moment = Callable[[Product, Floats, Integers], Floats]
# Expected kept fractions and second moments by design.
Moments = dict[str, tuple[Floats, Floats]]
DESIGNS: dict[str, tuple[Look, Moment]] = {
    "multinomial": (Look("with replacement", panels.BLUE), moments.multinomial),
    "poisson": (Look("Poisson", panels.RED, panels.DASHED), moments.poisson),
    "priority": (Look("priority", panels.YELLOW, panels.DOTTED), moments.priority),
    "systematic": (
        Look("systematic", panels.GREEN, panels.DASHDOT),
        moments.systematic,
    ),
}
PRODUCTS = {
    "gaussian": Look("Gaussian $w_0$", panels.BLUE, "-", "o"),
    "trained": Look("trained weights", panels.RED, "-", "s"),
    "absolute": Look("$|w_0|$", panels.BLACK, "-", "^"),
}
# Fractions that are shown, and on how fine a grid for the family.
EDGES = (0.03, 0.97)
POINTS = 19
# The least coherence of the family, and that on the axis.
LEAST, LOWEST = 0.5, 0.2
# Designs whose weights are uncorrelated.
UNCORRELATED = ("poisson", "priority")
# Designs of the right panel, by their lines.
SHOWN = {"multinomial": panels.DOTTED, "systematic": "-"}
TERMS = 256
SHADES = (1.0, 2.0, 4.0, 8.0, np.inf)
GREYS = ("0.93", "0.86", "0.79", "0.72")
# Draws with replacement go up to so many for each term.
DRAWN = 64


def compute(data: Dataset, sizes: Mapping[str, int], rng: np.random.Generator) -> Table:
    """Return every number of the figure for one data set.

    ``sizes["work"]`` caps kept fractions x features^3.
    """
    rotated = reduced(data)
    R, y = rotated.R, rotated.targets[:, 0]
    d = R.shape[1]
    w0 = initial(rng, d)
    trained = Problem(R, y, w0).gradient_flow()
    points = min(sizes["points"], max(7, sizes["work"] // d**3))
    table: Table = [{"data": data.name, **row} for row in _family(sizes["coherences"])]
    for name, w in {"gaussian": w0, "trained": trained, "absolute": np.abs(w0)}.items():
        product = Product(R, w)
        for design, (kept, moment) in _moments(product, points, DESIGNS).items():
            key = {"data": data.name, "product": name, "design": design}
            ratio = _ratio(product, kept, moment)
            table += rows(**key, coherence=product.coherence, kept=kept, value=ratio)
    return table


@lru_cache(maxsize=1)
def _family(coherences: int) -> Table:
    """Return the ratios of the family of equal cosines, from cancelling to parallel terms."""
    u = scipy.stats.halfnorm.ppf((np.arange(TERMS) + 0.5) / TERMS)
    # An order that knows nothing of the sizes, for systematic draws follow it.
    u = u[np.argsort(np.arange(TERMS) * np.sqrt(5.0) % 1.0)]
    most = u.sum() ** 2 / (u @ u)
    table: Table = []
    known: Moments = {}
    for target in np.geomspace(LEAST, 0.999 * most, coherences):
        cosine = (target - 1.0) / (most - 1.0)
        # The symmetric root of the matrix of cosines.
        rest = np.sqrt(1.0 - cosine)
        shift = (np.sqrt(1.0 + (TERMS - 1.0) * cosine) - rest) / TERMS
        product = Product(rest * np.eye(TERMS) + shift, u)
        # These weights are uncorrelated: the cosines do not change their error.
        known |= _moments(
            product, POINTS, [n for n in DESIGNS if n not in known or n not in UNCORRELATED]
        )
        for design, (kept, moment) in known.items():
            ratio = _ratio(product, kept, moment)
            key = {"product": "family", "design": design}
            table += rows(**key, coherence=target, kept=kept, value=ratio)
    return table


def _moments(product: Product, points: int, designs: Iterable[str]) -> Moments:
    """Return expected kept fractions and second moments of draws by the term norms."""
    p = probabilities.optimal(product)
    live = np.count_nonzero(p)
    low, high = scipy.special.logit(EDGES)
    fractions = scipy.special.expit(np.linspace(float(low), float(high), points))
    k = np.unique(np.clip(np.round(fractions * live), 2, live - 1).astype(np.int64))
    by_design: Moments = {}
    for design in designs:
        if design == "multinomial":
            s = np.unique(np.geomspace(1, DRAWN * live, 4 * points).astype(np.int64))
            kept = moments.distinct(p, s)
            inside = (kept >= k[0]) & (kept <= k[-1])
            s, kept = s[inside], kept[inside]
        else:
            s, kept = k, k.astype(np.float64)
        by_design[design] = kept / product.d, DESIGNS[design][1](product, p, s)
    return by_design


def _ratio(product: Product, kept: Floats, moment: Floats) -> Floats:
    """Return the error of top-k over that of a draw that keeps as many on average."""
    k = np.arange(1, product.d + 1)
    top = moments.top(product, probabilities.optimal(product), k)
    return np.asarray(np.sqrt(np.interp(kept * product.d, k, top) / moment))


def shape(count: int) -> tuple[int, int]:
    """Return rows and columns of panels for `count` data sets."""
    return count, 2


def draw(table: Table, axes: npt.NDArray[Any]) -> None:
    """Draw the table into panels of `shape`: a row for each data set."""
    for data, (left, right) in zip(distinct(table, "data"), axes, strict=True):
        part = [row for row in table if row["data"] == data]
        _draw_family(left, [row for row in part if row["product"] == "family"])
        real = [row for row in part if row["product"] != "family"]
        _place(left, real)
        _draw_real(right, real)
        left.set_title(f"who wins, and {panels.title_of(data)}")
        right.set_title(f"{panels.title_of(data)}: by how much")
        left.set_ylabel("coherence of the terms")
        right.set_ylabel("error of top-k / error of the draw")
    for bottom in axes[-1]:
        bottom.set_xlabel("expected kept fraction of the features")
    products = [panels.key(look._replace(linestyle="")) for look in PRODUCTS.values()]
    wins = panels.key(Look("full: a draw wins", panels.GREY, "", "o"), full=True)
    designs = [panels.key(look) for look, _ in DESIGNS.values()]
    panels.legend_below(axes[-1, 0], [*designs, *products, wins])
    lines = [Look(DESIGNS[d][0].label, panels.GREY, style) for d, style in SHOWN.items()]
    panels.legend_below(axes[-1, 1], [*map(panels.key, (*PRODUCTS.values(), *lines))])


def _draw_family(axes: Axes, part: Table) -> None:
    maps = {}
    for design, (look, _) in DESIGNS.items():
        family = select(part, design=design)
        coherence = np.unique(family["coherence"])
        kept, value = (family[name].reshape(len(coherence), -1) for name in ("kept", "value"))
        maps[design] = kept[0], value
        axes.contour(
            kept[0], coherence, value, [1.0], colors=look.color, linestyles=[look.linestyle]
        )
    kept = maps["systematic"][0]
    best = np.max(
        [[np.interp(kept, x, row) for row in value] for x, value in maps.values()], axis=0
    )
    axes.contourf(kept, coherence, best, SHADES, colors=GREYS, zorder=0)
    panels.fraction_axis(axes, *EDGES)
    panels.log_axis(axes, LOWEST, coherence[-1])
    for text, height in (("top-k wins", 2.5), ("a draw wins", 45.0)):
        axes.text(0.3, height, text, ha="center", fontsize=6.5, color="0.3")


def _place(axes: Axes, part: Table) -> None:
    """Mark each real product at its coherence, full where the best draw wins on the real data."""
    low, high = axes.get_ylim()
    for name, look in PRODUCTS.items():
        designs = [select(part, product=name, design=design) for design in DESIGNS]
        kept = designs[-1]["kept"][::2]
        best = np.max([np.interp(kept, d["kept"], d["value"]) for d in designs], axis=0)
        height = np.full(len(kept), np.clip(designs[-1]["coherence"][0], low, high))
        faces = [look.color if wins else "white" for wins in best > 1]
        axes.scatter(
            kept,
            height,
            s=11,
            c=faces,
            marker=look.marker,
            edgecolors=look.color,
            linewidths=0.6,
            clip_on=False,
            zorder=3,
        )


def _draw_real(axes: Axes, part: Table) -> None:
    seen = []
    for name, look in PRODUCTS.items():
        for design, style in SHOWN.items():
            curve = select(part, product=name, design=design)
            panels.line(axes, curve["kept"], curve["value"], look._replace(linestyle=style))
            seen.append(curve["value"])
            if style == "-":
                panels.markers(axes, curve["kept"][1::3], curve["value"][1::3], look)
    panels.fraction_axis(axes, *EDGES)
    panels.log_axis(axes, *panels.limits([*seen, 2.0]))
    axes.axhline(1.0, color="0.4", linewidth=0.7, zorder=0.5)
    panels.note(axes, "a draw wins")
    panels.note(axes, "top-k wins", left=True, bottom=True)
