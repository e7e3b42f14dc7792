"""Layer by layer: what is kept, and the exact error of each layer's output (N3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import MaxNLocator

from experiments.architectures import build
from lth_sketch import networks, probabilities
from lth_sketch.datasets import Dataset
from lth_sketch.plots import panels
from lth_sketch.plots.panels import Look
from lth_sketch.plots.tables import Table, distinct, rows, select
from lth_sketch.validation import Array, Floats

NAME = "layers"
TITLE = "Layer by layer: kept fraction and exact error"
SHOWS = ("N3", "S4")
CAPTION = (
    "A transformer of four layers (rows of an image as a sequence) and a convolutional network at "
    "initialization, half of all weights kept, in the order in which data pass the layers; all "
    "layers compete. Colours tell the score, lines whether its largest entries are kept (solid), "
    "a Poisson draw is taken in proportion (dashed), or two of every four inputs are kept, row by "
    "row (dotted, where the library knows the pattern).\n"
    "First panel of a network: the kept fraction of each layer. See that magnitude, and the score "
    "of N3 still more, spread the density unevenly, because layers differ in the scale of weights "
    "and inputs, and that the pattern cannot.\n"
    "The others, one a score: the error of each layer's output on its unpruned inputs, over the "
    "norm of that output, exactly: of top-k and the pattern from the Gram matrix of the inputs "
    "(N3), of the draw, with weights that make it unbiased, the root of its second moment (S4). "
    "Lines have gaps where a layer is kept whole, and that of the draw where scores are zero, so "
    "that no weights make it unbiased. Markers are measured over drawn masks, by running the "
    "layer's product. In the shaded region the empty mask does as well. With half of the weights "
    "kept, top-k of the score of N3 has the least error in most layers, and an unbiased draw pays "
    "for its unbiasedness, as R1 says for terms of random signs."
)
ALT = (
    "Panels with a line for each layer of a network: the relative error of its product under a "
    "mask of its weights falls as more of them are kept, and differs from layer to layer."
)
SIZES = {
    "smoke": {"samples": 32, "width": 16, "masks": 4},
    "paper": {"samples": 256, "width": 64, "masks": 40},
}
DENSITY = 0.5
COLORS = {"magnitude": panels.BLACK, "layer": panels.BLUE, "snip": panels.YELLOW}
LABELS = {"magnitude": "magnitude", "layer": "|w| times input norm (N3)", "snip": "SNIP"}
TITLES = {"magnitude": "magnitude", "layer": "score of N3", "snip": "SNIP"}
LINES: dict[str, Any] = {"top": "-", "draw": panels.DASHED, "2:4": panels.DOTTED}
CASES = ("transformer", "resnet")


def compute(data: Dataset, sizes: Mapping[str, int], rng: np.random.Generator) -> Table:
    """Return every plotted number for one data set."""
    shape = data.feature_shape
    side = (shape[0], shape[1], shape[2]) if len(shape) == 3 else (1, shape[0], shape[1])
    X = data.X.astype(np.float32).reshape(-1, *side)
    X = (X - X.mean()) / X.std()
    chosen = rng.permutation(len(X))[: sizes["samples"]]
    table: Table = []
    for case in CASES:
        width = sizes["width"] if case == "transformer" else sizes["width"] // 4
        net = build(case, side, width, int(rng.integers(2**31)), "default")
        products = networks.layer_products(net, X[chosen], progress=False)
        for score in COLORS:
            scores = networks.scores(net, score, X[chosen], data.y[chosen])
            table += _score(
                score, scores, net, products, sizes["masks"], rng, f"{case} {data.name}"
            )
    return table


def _score(
    score: str,
    scores: dict[str, Array],
    net: Any,
    products: dict[str, networks.LayerProduct],
    masks: int,
    rng: np.random.Generator,
    case: str,
) -> Table:
    def given(*_: Any) -> dict[str, Array]:
        return scores

    lines = {"top": networks.find(net, DENSITY, score=given)}
    whole = {name: product.weight.shape[1] % 4 == 0 for name, product in products.items()}
    apart = [name for name, fits in whole.items() if not fits]
    part = {name: scores[name] for name, fits in whole.items() if fits}
    lines["2:4"] = networks.find(net, DENSITY, score=lambda *_: part, pattern=(2, 4), exclude=apart)
    table: Table = []
    for line, mask in lines.items():
        names = list(mask)
        kept = [layer.kept / layer.size for layer in networks.kept(mask).values()]
        errors = [_relative(products[name], mask[name]) for name in names]
        table += _rows(case, score, line, _places(products, names), kept, errors)
    table += _drawn(case, score, scores, products, masks, rng)
    return table


def _drawn(
    case: str,
    score: str,
    scores: dict[str, Array],
    products: dict[str, networks.LayerProduct],
    masks: int,
    rng: np.random.Generator,
) -> Table:
    """Return the exact root mean square of an unbiased Poisson draw, and what masks measure."""
    flat = np.concatenate([values.ravel() for values in scores.values()]).astype(np.float64)
    flat /= flat.sum()
    kept = int(DENSITY * len(flat))
    pi = probabilities.inclusion(flat, min(kept, int(np.count_nonzero(flat))), design="poisson")
    ends = np.cumsum([values.size for values in scores.values()])
    shares, errors, measured = [], [], []
    total: dict[str, float] = dict.fromkeys(scores, 0.0)
    for (name, values), part in zip(scores.items(), np.split(pi, ends[:-1]), strict=True):
        shaped, product = part.reshape(values.shape), products[name]
        shares.append(float(part.mean()))
        terms = product.scores() ** 2
        live = terms > 0
        moment = (
            float((terms[live] * (1 / shaped[live] - 1)).sum()) if shaped[live].all() else np.inf
        )
        errors.append(float(np.sqrt(moment / product.values2.sum())))
        for _ in range(masks):
            mask = (rng.random(values.shape) < shaped) / np.where(shaped > 0, shaped, 1.0)
            total[name] += float(product.squared_errors(mask).sum()) / masks
        measured.append(float(np.sqrt(total[name] / product.values2.sum())))
    places = _places(products, list(scores))
    return [
        *_rows(case, score, "draw", places, shares, errors),
        *_rows(case, score, "measured", places, shares, measured),
    ]


def _relative(product: networks.LayerProduct, mask: Array) -> float:
    return float(np.sqrt(product.squared_errors(mask).sum() / product.values2.sum()))


def _places(products: dict[str, networks.LayerProduct], names: list[str]) -> Floats:
    order = list(products)
    return np.array([order.index(name) + 1 for name in names])


def _rows(
    case: str, score: str, line: str, places: Floats, kept: list[float], errors: list[float]
) -> Table:
    return [
        *rows(data=case, panel="kept", score=score, line=line, x=places, value=kept),
        *rows(data=case, panel="error", score=score, line=line, x=places, value=errors),
    ]


def shape(count: int) -> tuple[int, int]:
    """Return rows and columns of panels for `count` networks: four panels each."""
    return 2 * count, 2


def draw(table: Table, axes: npt.NDArray[Any]) -> None:
    """Draw the table into panels of `shape`."""
    for place, case in enumerate(distinct(table, "data")):
        part = [row for row in table if row["data"] == case]
        architecture, data = str(case).split()
        whole = f"{architecture}, {panels.title_of(data)}"
        kept, *errors = axes[2 * place : 2 * place + 2].ravel()
        for score in COLORS:
            _lines(kept, part, "kept", score)
        kept.set_ylim(0.0, 1.04)
        kept.set_title(f"{whole}: kept")
        kept.set_ylabel("kept share of the layer")
        values = [row["value"] for row in part if row["panel"] == "error"]
        for score, panel in zip(COLORS, errors, strict=True):
            _lines(panel, part, "error", score)
            curve = select(part, panel="error", score=score, line="measured")
            look = Look("", COLORS[score], "", "o")
            panels.markers(panel, curve["x"], _above_zero(curve["value"]), look)
            panels.log_axis(panel, *panels.limits([np.array(values), 1.0]))
            panels.vacuous(panel)
            panel.set_title(f"{whole}: {TITLES[score]}")
            panel.set_ylabel("error / norm of the output")
        for panel in (kept, *errors):
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    for panel in axes[-1]:
        panel.set_xlabel("layer, from the input")
    scores = [panels.key(Look(LABELS[name], color)) for name, color in COLORS.items()]
    drawn = [panels.key(Look("measured", panels.GREY, "", "o"))]
    kinds = {"top": "top-k", "draw": "Poisson draw, unbiased", "2:4": "2 of every 4"}
    present = {row["line"] for row in table}
    drawn += [
        panels.key(Look(label, panels.GREY, LINES[name]))
        for name, label in kinds.items()
        if name in present
    ]
    panels.legend_below(axes[-1, 0], scores, columns=1)
    panels.legend_below(axes[-1, 1], drawn, columns=2)


def _lines(panel: Any, part: Table, name: str, score: str) -> None:
    for line, style in LINES.items():
        curve = select(part, panel=name, score=score, line=line)
        panels.line(panel, curve["x"], _above_zero(curve["value"]), Look("", COLORS[score], style))


def _above_zero(values: Floats) -> Floats:
    """Leave a gap where a logarithm would have none: a layer that is kept whole has no error."""
    return np.where(values > 0, values, np.nan)
