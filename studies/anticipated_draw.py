"""The anticipated draw against draws that look at the initial weights, with real labels."""

from __future__ import annotations

import numpy as np

from lth_sketch import Product, bounds, datasets, moments, probabilities
from lth_sketch.reduction import reduce
from lth_sketch.regression import Problem
from lth_sketch.validation import Floats

STARTS, TARGETS = 20, 6
# Times in units of the fastest mode.
TIMES = np.array([1.0, 1e2, 1e4, np.inf])
# A few thousand images of MNIST and its like are as hard at the end as all; wide ones need fewer.
SUBSET = {"mnist": 4000, "fashion_mnist": 4000, "cifar10": 1000}
ALPHAS = np.linspace(0.02, 0.98, 25)
DRAWS = ("plain", "defensive", "its best alpha", "uniform", "anticipated", "that has seen w")


def errors(name: str) -> Floats:
    """Return the exact error over ||X w||, (starts, times, draws), of s = d draws."""
    data = datasets.load(name, subset=SUBSET.get(name))
    reduced = reduce(data.X, data.one_hot().astype(np.float64))
    R, d = reduced.R, reduced.R.shape[1]
    rng = np.random.default_rng(0)
    w0 = rng.normal(0.0, d**-0.5, (d, STARTS))
    classes = np.arange(STARTS) % TARGETS
    y = 2.0 * reduced.targets[:, classes] - reduced.targets.sum(axis=1, keepdims=True)
    problem = Problem(R, y, w0)
    times = TIMES / problem.singular_values[0] ** 2
    trained = problem.gradient_flow(times)
    relatives = np.empty((STARTS, len(times), len(DRAWS)))
    for i in range(STARTS):
        before = Product(R, w0[:, i])
        ahead = probabilities.anticipated(R, w0[:, i], time=times)
        for k in range(len(times)):
            w = trained[k, :, i]
            product = Product(R, w)
            alpha = bounds.best_alpha(before, float(np.linalg.norm(w - w0[:, i])))
            draws = [probabilities.defensive(before, share) for share in (0.0, alpha, *ALPHAS)]
            draws += [probabilities.uniform(d), ahead[k], probabilities.optimal(product)]
            squares = [float(moments.multinomial(product, p, d)) for p in draws]
            best = min(squares[1:-3])
            relative = np.array([*squares[:2], best, *squares[-3:]]) / product.norm2
            relatives[i, k] = np.sqrt(relative)
    return relatives


def table(names: list[str]) -> str:
    """Return the medians over initial weights as Markdown."""
    lines = [
        "| data | time | " + " | ".join(DRAWS) + " |",
        "| --- " * (len(DRAWS) + 2) + "|",
    ]
    for name in names:
        for time, row in zip(TIMES, np.median(errors(name), axis=0), strict=True):
            label = "to the end" if np.isinf(time) else f"{time:.0e}"
            lines.append(f"| {name} | {label} | " + " | ".join(f"{x:.2f}" for x in row) + " |")
    return "\n".join(lines)
