"""What 2 of 4 costs next to free masks that keep as many weights: exact errors of a layer."""

from __future__ import annotations

import numpy as np

from lth_sketch import Product, moments, probabilities, pruning
from lth_sketch.validation import Floats

# Outputs of the layer are drawn one by one, and alike: a part of them has the errors of all.
WIDTH, SAMPLES, ROWS = 768, 3072, 24
PATTERN = (2, 4)
DESIGNS = ("2:4, drawn", "priority", "Poisson", "with replacement", "2:4, top", "top")


def weights(kind: str, rng: np.random.Generator) -> Floats:
    """Return rows of a layer: Gaussian, or Student-t on inputs of uneven sizes."""
    if kind == "Gaussian":
        return rng.standard_normal((ROWS, WIDTH))
    sizes = np.exp(rng.normal(size=WIDTH))
    return np.asarray(rng.standard_t(3, size=(ROWS, WIDTH)) * sizes)


def inputs(kind: str, rng: np.random.Generator) -> Floats:
    """Return the triangle of inputs: white, or the positive parts of correlated ones."""
    X = rng.standard_normal((SAMPLES, WIDTH))
    if kind == "rectified":
        common = rng.standard_normal((SAMPLES, 8)) @ rng.standard_normal((8, WIDTH))
        X = np.maximum(X + common / 2.0, 0.0)
    return np.asarray(np.linalg.qr(X, mode="r"))


def errors(triangle: Floats, rows: Floats) -> Floats:
    """Return E ||err||^2 of each design, summed over the outputs, over that of the empty mask."""
    total, ratios = 0.0, np.zeros(len(DESIGNS))
    kept = WIDTH * PATTERN[0] // PATTERN[1]
    for row in rows:
        product = Product(triangle, row)
        p = probabilities.optimal(product)
        # As many distinct weights on average.
        low, high = kept, 64 * kept
        while high - low > 1:
            middle = (low + high) // 2
            fewer = moments.distinct(p, middle) <= kept
            low, high = (middle, high) if fewer else (low, middle)
        largest = pruning.select(p, pattern=PATTERN) - 1.0
        ratios += [
            moments.grouped(product, p, PATTERN),
            float(moments.priority(product, p, kept)),
            float(moments.poisson(product, p, kept)),
            float(moments.multinomial(product, p, low)),
            float(np.square(triangle @ (row * largest)).sum()),
            float(moments.top(product, p, kept)),
        ]
        total += product.norm2
    return ratios / total


def table() -> str:
    """Return the root mean square errors over the size of the outputs as Markdown."""
    prices = "price of 2:4, drawn / priority | price of 2:4, top / top"
    lines = [
        "| weights | inputs | " + " | ".join(DESIGNS) + f" | {prices} |",
        "| --- " * (len(DESIGNS) + 4) + "|",
    ]
    rng = np.random.default_rng(0)
    for kind in ("Gaussian", "heavy-tailed"):
        rows = weights(kind, rng)
        for about in ("white", "rectified"):
            roots = np.sqrt(errors(inputs(about, rng), rows))
            cells = [f"{x:.3f}" for x in roots]
            cells += [f"{roots[0] / roots[1]:.3f}", f"{roots[4] / roots[5]:.3f}"]
            lines.append(f"| {kind} | {about} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
