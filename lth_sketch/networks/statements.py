"""N1, N2 and N3, and the statements on products tried on a network's tangent product."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import nn

from lth_sketch import bounds, intervals, moments, montecarlo, probabilities, sampling
from lth_sketch.datasets import Dataset
from lth_sketch.intervals import Interval
from lth_sketch.networks.products import layer_products
from lth_sketch.networks.saliency import layer
from lth_sketch.networks.tangent import kernel_product, lazy, tangent_product
from lth_sketch.networks.weights import prunable
from lth_sketch.product import Product
from lth_sketch.statements.case import MANY, Case, Setting
from lth_sketch.statements.case import PRODUCTS as LINEAR
from lth_sketch.statements.sketching import SKETCHING
from lth_sketch.statements.statement import Assumption, Statement
from lth_sketch.statements.tails import TAILS
from lth_sketch.tolerances import ROUNDING
from lth_sketch.validation import Floats

CLASSES = 10
DEPTHS = (2, 3, 4, 5)
# Inputs, units of a hidden layer, and samples: 1,000 weights and 60 outputs, whatever the data.
INPUTS, WIDTH, SAMPLES = 64, 12, 6
# Samples of the kernel: a term has as many entries as the square of the number of outputs.
FEW = 2
# Samples whose hidden activations are the inputs of a layer.
LAYER = 40
# Masks under which the linearised network is trained.
RETRAINED = 20


def relu_network(sizes: Sequence[int], rng: np.random.Generator) -> nn.Module:
    """Return a ReLU network without biases, with He's normal initial weights, in float64.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, units of the hidden layers, outputs.
    rng : Generator
        Source of the weights.

    Returns
    -------
    torch.nn.Sequential
        One linear layer fewer than there are sizes, with ReLU between them.

    Examples
    --------
    >>> net = relu_network((4, 8, 2), np.random.default_rng(0))
    >>> list(net.state_dict()), net(torch.ones(3, 4, dtype=torch.float64)).shape
    (['0.weight', '2.weight'], torch.Size([3, 2]))
    """
    layers: list[nn.Module] = []
    for one, other in pairwise(sizes):
        layer = nn.Linear(one, other, bias=False, dtype=torch.float64)
        values = rng.standard_normal((other, one)) * np.sqrt(2.0 / one)
        layer.weight = nn.Parameter(torch.as_tensor(values))
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _network(data: Dataset, depth: int, seed: int) -> tuple[nn.Module, Any]:
    """Return the network of a case, and the samples on which it is seen."""
    live = np.flatnonzero((data.X != 0).any(axis=0))
    chosen = live[np.linspace(0, len(live) - 1, min(INPUTS, len(live))).astype(int)]
    samples = np.random.default_rng([seed, 20]).permutation(len(data.X))[:SAMPLES]
    sizes = (len(chosen), *[WIDTH] * (depth - 1), CLASSES)
    net = relu_network(sizes, np.random.default_rng([seed, 21, depth]))
    return net, torch.as_tensor(data.X[np.ix_(samples, chosen)], dtype=torch.float64)


def _tangent(depth: int) -> Callable[[Dataset, int], Setting]:
    def make(data: Dataset, seed: int) -> Setting:
        net, X = _network(data, depth, seed)
        product = tangent_product(net, X, progress=False)
        return Setting(product, probabilities.optimal(product))

    return make


def _kernel(data: Dataset, seed: int) -> Setting:
    net, X = _network(data, 3, seed)
    product = kernel_product(net, X[:FEW], progress=False)
    mixed = probabilities.mixture(
        probabilities.optimal(product), probabilities.uniform(product.d), 0.5
    )
    return Setting(product, mixed)


def _hidden(data: Dataset, seed: int) -> Product:
    """Return the inputs of a hidden layer, seen by hand, and its weight: (H, W^T)."""
    net, _ = _network(data, 3, seed)
    live = np.flatnonzero((data.X != 0).any(axis=0))
    chosen = live[np.linspace(0, len(live) - 1, min(INPUTS, len(live))).astype(int)]
    rows = np.random.default_rng([seed, 25]).permutation(len(data.X))[:LAYER]
    first, second = (weight.numpy() for weight in list(prunable(net).values())[:2])
    H = np.maximum(data.X[np.ix_(rows, chosen)].astype(np.float64) @ first.T, 0.0)
    return Product(H, second.T)


def _layer(data: Dataset, seed: int) -> Setting:
    product = _hidden(data, seed)
    return Setting(product, probabilities.optimal(product))


TANGENT = tuple(f"tangent_{depth}" for depth in DEPTHS)
OWN: dict[str, Callable[[Dataset, int], Setting]] = {
    **{name: _tangent(depth) for name, depth in zip(TANGENT, DEPTHS, strict=True)},
    "tangent_kernel": _kernel,
    "layer": _layer,
}
# What `verify.run` looks names up in.
PRODUCTS: Mapping[str, Callable[[Dataset, int], Setting]] = MappingProxyType({**LINEAR, **OWN})


def _depth(case: Case) -> int:
    return int(case.name.removeprefix("tangent_"))


def _output(case: Case) -> Floats:
    net, X = _network(case.data, _depth(case), case.seed)
    with torch.no_grad():
        return np.asarray(net(X).numpy()).ravel()


def _signed(case: Case, output: Floats) -> Floats:
    """Random weights with the signs of the output: no sum with them cancels."""
    return np.asarray(np.sign(output) * abs(case.rng(22).normal(size=output.shape)))


def _scaled_output(case: Case) -> float:
    """``L <z, F(w0)>``, for z as above: two vectors that differ have two values, surely."""
    output = _output(case)
    return _depth(case) * float(_signed(case, output) @ output)


def _tangent_value(case: Case, risk: float) -> Interval:
    z = _signed(case, _output(case))
    size = float(np.linalg.norm(z)) * case.product.total
    return intervals.exact(float(z @ case.product.value), ROUNDING * size)


def _mask(case: Case) -> Floats:
    return sampling.mask(case.p, case.s, rng=case.rng(2)).astype(np.float64)


def _relative_error(case: Case) -> float:
    """``L ||J diag(m) w0 - J w0|| / ||J w0||``."""
    product = case.product
    gap = product.A @ ((_mask(case) - 1.0) * product.B)
    return _depth(case) * float(np.linalg.norm(gap) / np.sqrt(product.norm2))


def _linearised_error(case: Case, risk: float) -> Interval:
    """``||F_lin(m o w0) - F(w0)|| / ||F(w0)||``, forward layer by layer, without J."""
    net, X = _network(case.data, _depth(case), case.seed)
    output, change = X.numpy(), np.zeros_like(X.numpy())
    weights = [weight.numpy() for weight in prunable(net).values()]
    ends = np.cumsum([W.size for W in weights])
    for W, part in zip(weights, np.split(_mask(case) - 1.0, ends[:-1]), strict=True):
        change = change @ W.T + output @ (part.reshape(W.shape) * W).T
        output = output @ W.T
        if W is not weights[-1]:
            live = output > 0
            output, change = output * live, change * live
    norm = float(np.linalg.norm(output))
    return intervals.exact(
        float(np.linalg.norm(change)) / norm, ROUNDING * case.product.total / norm
    )


def _moment_by_columns(case: Case) -> float:
    """``(sum ||J_i||^4 / p_i - ||K||^2) / s``, written out."""
    a, K = np.linalg.norm(case.product.A, axis=0), case.product.A @ case.product.A.T
    live = a > 0
    return float(((a[live] ** 4 / case.p[live]).sum() - (K**2).sum()) / case.s)


def _best_moment(case: Case) -> float:
    """``(||J||^4 - ||K||^2) / s``."""
    J = case.product.A
    return float((np.sum(J**2) ** 2 - np.sum((J @ J.T) ** 2)) / case.s)


def _mean(case: Case, risk: float) -> Interval:
    return case.mean(risk)


def _best_mean(case: Case, risk: float) -> Interval:
    squares = np.sum(case.product.A**2, axis=0)
    return case.mean(risk, squares / squares.sum())


def _targets(case: Case) -> Floats:
    """Random classes, one-hot: the data's own labels need not be ten."""
    count = len(case.product.A) // CLASSES
    return np.eye(CLASSES)[case.rng(23).integers(CLASSES, size=count)]


def _lazy_training(case: Case) -> tuple[float, float]:
    """Bound on and change of the trained outputs, for the mask of several that is closest to it."""
    net, X = _network(case.data, _depth(case), case.seed)
    J = case.product.A
    y = _targets(case)
    rest = y.ravel() - _output(case)
    _, sigma, Vt = np.linalg.svd(J, full_matrices=False)
    lam = float(sigma[0] ** 2) / 10.0
    W = (sigma / np.sqrt(sigma**2 + lam))[:, None] * Vt
    masks = sampling.masks(probabilities.leverage(J, lam), MANY, RETRAINED, rng=case.rng(24))
    trained = [
        lazy(net, X, y, penalty=lam, masks=several, progress=False)
        for several in (None, masks.toarray())
    ]
    changes = np.linalg.norm((trained[1] - trained[0]).reshape(RETRAINED, -1), axis=1)
    eps = [np.linalg.norm((W * (mask - 1.0)) @ W.T, 2) for mask in masks.toarray()]
    limits = bounds.retrained(eps, J, rest, penalty=lam)
    closest = int(np.argmin(limits / changes))
    return float(limits[closest]), float(changes[closest])


def _untrained(case: Case) -> float:
    """Distance of the targets from the untrained outputs, which the empty mask leaves."""
    return float(np.linalg.norm(_targets(case).ravel() - _output(case)))


def _rows(case: Case) -> list[Product]:
    """Return the product of each output of a layer, (H, w_j), that is not zero."""
    columns = case.product.B.T
    return [Product(case.product.A, w) for w in columns if np.any(case.product.A @ w)]


def _layer_of(case: Case) -> tuple[nn.Module, Any]:
    """Return the layer as a module of its own, and its inputs."""
    module = nn.Linear(*case.product.B.shape, bias=False, dtype=torch.float64)
    module.weight = nn.Parameter(torch.as_tensor(case.product.B.T.copy()))
    return module, case.product.A


def _by_rows(case: Case) -> float:
    """Return the moment of the layer from one forward pass of the library."""
    return float(layer_products(*_layer_of(case), progress=False)["weight"].moment(case.s).sum())


def _drawn_by_rows(case: Case, risk: float) -> Interval:
    """Masks for each row by themselves; the squared errors of one trial are added up."""
    total, variance = np.zeros(case.trials), 0.0
    for place, product in enumerate(_rows(case)):
        p, rng = probabilities.optimal(product), case.rng(26, place)
        total += montecarlo.squared_errors(product, p, case.s, trials=case.trials, rng=rng)
        variance += case.variance(p, product=product) or 0.0
    return intervals.mean(total, risk, variance=variance)


def _moment_of_scores(case: Case) -> float:
    """Return the moment of draws in proportion to the score "layer", row by row."""
    scores = layer(*_layer_of(case), progress=False)["weight"]
    pairs = zip(case.product.B.T, scores, strict=True)
    live = [(w, row) for w, row in pairs if np.any(case.product.A @ w)]
    return float(
        sum(moments.multinomial(Product(case.product.A, w), row, case.s) for w, row in live)
    )


def _best_by_rows(case: Case, risk: float) -> Interval:
    value = float(sum(moments.optimal(product, case.s) for product in _rows(case)))
    return intervals.exact(value, ROUNDING * sum(p.total**2 for p in _rows(case)) / case.s)


def _neyman(case: Case, risk: float) -> Interval:
    product = layer_products(*_layer_of(case), progress=False)["weight"]
    draws = product.budgets(case.s * len(product.weight))
    live = draws > 0
    return intervals.exact(float((product.moment(1)[live] / draws[live]).sum()))


SPEAKS = Assumption(
    "the network's output is not zero", lambda case: bool(np.any(_output(case) != 0))
)

NETWORKS: tuple[Statement, ...] = (
    Statement(
        "N1",
        "ReLU network of L layers without biases: J w0 = L F(w0)",
        "identity",
        _scaled_output,
        _tangent_value,
        TANGENT,
        (SPEAKS,),
        figure="tangent_kernel",
    ),
    Statement(
        "N1",
        "its linearised relative error under a mask is L times that of the product (J, w0)",
        "identity",
        _relative_error,
        _linearised_error,
        TANGENT,
        (SPEAKS,),
        figure="tangent_kernel",
    ),
    Statement(
        "N2",
        "(J, J^T): E||K_m - K||^2 = (sum ||J_i||^4 / p_i - ||K||^2) / s",
        "identity",
        _moment_by_columns,
        _mean,
        ("tangent_kernel",),
        figure="tangent_kernel",
    ),
    Statement(
        "N2",
        "the draw p_i = ||J_i||^2 / ||J||^2 has E||K_m - K||^2 = (||J||^4 - ||K||^2) / s",
        "identity",
        _best_moment,
        _best_mean,
        ("tangent_kernel",),
        figure="tangent_kernel",
    ),
    Statement(
        "N2",
        "lazy training under a mask changes the outputs by at most the bound of E4",
        "bound",
        lambda case: _lazy_training(case)[0],
        lambda case, risk: intervals.exact(_lazy_training(case)[1]),
        ("tangent_3",),
        trivial=_untrained,
        figure="tangent_kernel",
    ),
    Statement(
        "N3",
        "rows drawn apart: E||err||^2 = sum_j ((sum ||h_i|| |w_ij|)^2 - ||H w_j||^2) / s",
        "identity",
        _by_rows,
        _drawn_by_rows,
        ("layer",),
        figure="layers",
    ),
    Statement(
        "N3",
        "|w_ij| ||h_i||, known as Wanda, is row by row the optimal draw of the product (H, w_j)",
        "identity",
        _moment_of_scores,
        _best_by_rows,
        ("layer",),
        figure="layers",
    ),
    Statement(
        "N3",
        "Neyman's budgets have at most the moment of equal ones",
        "bound",
        _by_rows,
        _neyman,
        ("layer",),
        trivial=lambda case: case.product.norm2,
        figure="layers",
    ),
    # What holds for products holds for (J, w0) and for (J, J^T).
    *(
        dataclasses.replace(statement, products=("tangent_3",))
        for statement in (*SKETCHING, *TAILS)
        if "initial" in statement.products or statement.label == "B5"
    ),
    *(
        dataclasses.replace(statement, products=("tangent_kernel",))
        for statement in (*SKETCHING, *TAILS)
        if "kernel" in statement.products
    ),
)
