"""The tangent kernel of pruned networks, and the linearised network beside the true one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lth_sketch import Product, bounds, moments, montecarlo, networks, probabilities, sampling
from lth_sketch.datasets import Dataset
from lth_sketch.networks.statements import relu_network
from lth_sketch.plots import panels
from lth_sketch.plots.panels import DRAWS, Look
from lth_sketch.plots.tables import Table, distinct, rows, select
from lth_sketch.validation import Floats

NAME = "tangent_kernel"
TITLE = "The tangent kernel of a pruned network"
SHOWS = ("N1", "N2", "S2", "B5", "B7")
CAPTION = (
    "ReLU networks of three layers without biases, with He's initial weights, seen through their "
    "Jacobian J on a few samples.\n"
    "Left: error of the kernel, ||J diag(m) J^T - J J^T|| over ||J J^T|| in Frobenius norms, "
    "against the expected kept fraction of the weights, for the best draw of N2 and the uniform "
    "one: lines are the exact root mean square (S2), markers the measured median, bands the "
    "measured 5-95%. B7 holds with probability 95% for the best draw. In the shaded region a "
    "statement says nothing. The line of the best draw ends where it has found all weights with a "
    "derivative: on few samples many have none.\n"
    "Right: error of the network's output under one best draw for (J, w0), with as many draws as "
    "weights, over the norm of the output, for growing width. The line is the exact root mean "
    "square of the linearised network: the factor L = 3 of N1 times that of the product. Markers "
    "are medians over masks of the measured errors of the linearised and of the true network, both "
    "under the same masks. On the digits the true error was the larger one at every width tried, "
    "and followed the linearised one. Nothing bounds the gap: removing weights is no small step, "
    "as docs/theory.md says under N1."
)
ALT = (
    "Falling curves of the relative error of a sketched tangent kernel against the kept "
    "fraction of the weights, with the bound above them."
)
SIZES = {
    "smoke": {"samples": 4, "trials": 200, "widest": 256, "masks": 10},
    "paper": {"samples": 6, "trials": 5000, "widest": 1024, "masks": 50},
}

DEPTH, DELTA = 3, 0.05
QUANTILES = {"q05": 0.05, "median": 0.5, "q95": 0.95}
PREDICTED = Look("linearised, exact root mean square", panels.BLUE, "-")
LINEAR = Look("linearised, measured median", panels.BLUE, "", "o")
TRUE = Look("true network, measured median", panels.RED, panels.DASHED, "s")


def network(inputs: int, width: int, rng: np.random.Generator) -> nn.Module:
    """Return a ReLU network of three layers without biases, in float32."""
    return relu_network((inputs, width, width, 10), rng).float()


def compute(data: Dataset, sizes: Mapping[str, int], rng: np.random.Generator) -> Table:
    """Return every plotted number for one data set."""
    samples = data.X[rng.permutation(len(data.X))[: sizes["samples"]]]
    table = _kernel(network(data.X.shape[1], 32, rng), samples, sizes["trials"], rng)
    widths = 2 ** np.arange(6, int(np.log2(sizes["widest"])) + 1)
    for width in widths.tolist():
        net = network(data.X.shape[1], width, rng)
        table += _width(net, width, samples, sizes["masks"], rng)
    return [{"data": data.name, **row} for row in table]


def _kernel(net: nn.Module, X: Floats, trials: int, rng: np.random.Generator) -> Table:
    J = networks.jacobian(net, X, progress=False).astype(np.float64)
    product = Product(J, J.T)
    s = np.unique((product.d / 16 * 2.0 ** (np.arange(15) / 2)).astype(np.int64))
    table: Table = []
    for draw, p in {
        "optimal": probabilities.optimal(product),
        "uniform": probabilities.uniform(product.d),
    }.items():
        kept = moments.distinct(p, s) / product.d
        errors = montecarlo.squared_errors(product, p, s, trials=trials, rng=rng)
        values = {name: np.sqrt(np.quantile(errors, q, axis=1)) for name, q in QUANTILES.items()}
        values["S2"] = np.sqrt(moments.multinomial(product, p, s))
        if draw == "optimal":
            values["B7"] = bounds.cantelli(product, p, s, DELTA)
        for quantity, value in values.items():
            relative = value / np.sqrt(product.norm2)
            table += rows(panel="kernel", draw=draw, quantity=quantity, x=kept, value=relative)
    return table


def _width(net: nn.Module, width: int, X: Floats, masks: int, rng: np.random.Generator) -> Table:
    product = networks.tangent_product(net, X, progress=False)
    p, s = probabilities.optimal(product), product.d
    exact = DEPTH * np.sqrt(moments.multinomial(product, p, s) / product.norm2)
    weights = networks.prunable(net)
    ends = np.cumsum([weight.numel() for weight in weights.values()])
    samples = torch.as_tensor(X, dtype=torch.float32)
    with torch.no_grad():
        output = net(samples).numpy()
    errors = []
    for _ in range(masks):
        mask = sampling.mask(p, s, rng=rng)
        linear = product.A @ ((mask - 1) * product.B)
        parts = zip(weights.items(), np.split(mask, ends[:-1]), strict=True)
        masked = {
            name: weight * torch.as_tensor(part, dtype=weight.dtype).reshape(weight.shape)
            for (name, weight), part in parts
        }
        with torch.no_grad():
            true = torch.func.functional_call(net, masked, (samples,)).numpy() - output
        errors.append([np.linalg.norm(linear), np.linalg.norm(true)])
    linear_error, true_error = np.median(errors, axis=0) / np.linalg.norm(output)
    kept = moments.distinct(p, s) / s
    values = {"N1": exact, "linearised": linear_error, "true": true_error, "kept": kept}
    return rows(
        panel="width",
        draw="optimal",
        quantity=list(values),
        x=width,
        value=np.array([float(value) for value in values.values()]),
    )


def shape(count: int) -> tuple[int, int]:
    """Return rows and columns of panels for `count` data sets."""
    return count, 2


def draw(table: Table, axes: npt.NDArray[Any]) -> None:
    """Draw the table into panels of `shape`."""
    for data, (left, right) in zip(distinct(table, "data"), axes, strict=True):
        part = [row for row in table if row["data"] == data]
        _draw_kernel(left, part)
        _draw_width(right, part)
        left.set_title(f"{panels.title_of(str(data))}: kernel")
        right.set_title(f"{panels.title_of(str(data))}: output")
        left.set_ylabel("error / norm of the kernel")
        right.set_ylabel("error / norm of the output")
    axes[-1, 0].set_xlabel("expected kept fraction of the weights")
    axes[-1, 1].set_xlabel("width of the hidden layers")
    b7 = Look("B7 (best draw)", panels.BLACK)
    median = Look("measured median", panels.GREY, "", "o")
    looks = [DRAWS["optimal"], DRAWS["uniform"], b7, median]
    panels.legend_below(axes[-1, 0], [panels.key(look) for look in looks])
    right_looks = (PREDICTED, LINEAR, TRUE)
    panels.legend_below(axes[-1, 1], [panels.key(look) for look in right_looks], columns=1)


def _draw_kernel(axes: Any, part: Table) -> None:
    seen = []
    for name in ("uniform", "optimal"):
        low, median, high, exact = (
            select(part, panel="kernel", draw=name, quantity=quantity)
            for quantity in (*QUANTILES, "S2")
        )
        panels.band(axes, exact["x"], low["value"], high["value"], DRAWS[name])
        panels.line(axes, exact["x"], exact["value"], DRAWS[name])
        panels.markers(axes, exact["x"][::2], median["value"][::2], DRAWS[name])
        seen += [low["value"], high["value"]]
    bound = select(part, panel="kernel", draw="optimal", quantity="B7")
    panels.line(axes, bound["x"], bound["value"], Look("B7", panels.BLACK))
    panels.fraction_axis(axes, 0.04, 0.99)
    panels.log_axis(axes, *panels.limits([*seen, bound["value"], 2.0]))
    panels.vacuous(axes)


def _draw_width(axes: Any, part: Table) -> None:
    exact, linear, true = (
        select(part, panel="width", quantity=quantity) for quantity in ("N1", "linearised", "true")
    )
    panels.line(axes, exact["x"], exact["value"], PREDICTED)
    panels.markers(axes, linear["x"], linear["value"], LINEAR)
    panels.line(axes, true["x"], true["value"], TRUE)
    panels.markers(axes, true["x"], true["value"], TRUE)
    axes.set_xscale("log", base=2)
    axes.set_xticks(exact["x"], [str(int(x)) for x in exact["x"]])
    panels.log_axis(axes, *panels.limits([exact["value"], linear["value"], true["value"]]))
