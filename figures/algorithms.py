"""The scores of the algorithms that figures compare, and how each one looks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lth_sketch import pruning
from lth_sketch.plots import panels
from lth_sketch.plots.panels import Look
from lth_sketch.validation import Array, Floats

SCORES = {
    "sketch": Look("sketch", panels.BLUE, "-", "o"),
    "magnitude": Look("magnitude", panels.RED, panels.DASHED, "s"),
    "synflow": Look("SynFlow", panels.GREY, panels.DASHDOTDOT, "^"),
    "snip": Look("SNIP", panels.GREEN, panels.DASHDOT, "v"),
    "grasp": Look("GraSP", panels.YELLOW, "-", "P"),
    "leverage": Look("leverage", panels.PURPLE, panels.LONG, "D"),
    "random": Look("random", panels.BLACK, panels.DOTTED, "X"),
}
# Ridge of the leverage scores over ||X||^2.
RIDGE = 1e-3


def score(
    name: str,
    X: Array,
    Y: Array,
    w0: Floats,
    rng: np.random.Generator,
    *,
    known: Mapping[str, Floats] | None = None,
) -> Floats:
    """Return the scores of one algorithm, of either sign for GraSP, unless they are known."""
    if known and name in known:
        return known[name]
    match name:
        case "sketch":
            return pruning.sketch(X, w0)
        case "magnitude":
            return pruning.magnitude(w0)
        case "synflow":
            return pruning.synflow(w0)
        case "snip":
            return pruning.snip(X, Y, w0)
        case "grasp":
            return pruning.grasp(X, Y, w0)
        case "leverage":
            return leverage(X)
    return pruning.random(len(w0), rng)


def leverage(X: Array) -> Floats:
    """Return the ridge leverage scores; without a ridge all independent features have the same."""
    return pruning.leverage(X, RIDGE * float(np.square(X).sum()))
