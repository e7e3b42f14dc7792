"""What is known of a mask before training: the candidates for telling who wins."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from lth_sketch import networks
from lth_sketch.validation import Array

NAMES = (
    "concentration",
    "emptied",
    "least_kept",
    "dead_units",
    "log_paths",
    "effective",
    "coherence",
    "error",
    "log_strength",
)

# Stands for a mask that answers nothing.
WEAKEST = -12


def known(module: nn.Module, masks: Mapping[str, Array], X: Any) -> dict[str, float]:
    """Return the predictors of a mask.

    Parameters
    ----------
    module : torch.nn.Module
        The network at initialization.
    masks : mapping from name to array
        Its binary masks.
    X : tensor
        Some samples.

    Returns
    -------
    dict of float
        ``emptied``: layers that keep nothing. ``least_kept``: kept weights per output unit, in the
        layer with fewest. ``dead_units``: share of units that keep no input. ``log_paths``: decimal
        logarithm of the number of paths from input to output, ``effective``: share of the kept
        weights that lie on one (NaN where LayerNorm makes paths meaningless). ``coherence``: least
        over layers of ``||HW^T||^2 / sum u^2``. ``error``: the greatest relative error of a layer
        on the unpruned network's inputs, the mask binary. ``log_strength``: decimal logarithm of
        `networks.strength`, at least `WEAKEST`.
    """
    matrices = {name: np.asarray(mask).reshape(len(mask), -1) for name, mask in masks.items()}
    units = {name: matrix.sum(1) for name, matrix in matrices.items()}
    predictors = {
        "emptied": float(sum(not rows.any() for rows in units.values())),
        "least_kept": float(min(rows.mean() for rows in units.values())),
        "dead_units": float(np.mean(np.concatenate([rows == 0 for rows in units.values()]))),
    }
    paths, effective = _paths(module, masks, X)
    products = networks.layer_products(module, X, batch=len(X), progress=False)
    coherence, error = math.inf, 0.0
    for name, product in products.items():
        value = float(product.values2.sum())
        terms = float((product.term_norms**2).sum())
        if value > 0:
            coherence = min(coherence, value / terms)
            lost = float(product.squared_errors(np.asarray(masks[name])).sum())
            error = max(error, math.sqrt(lost / value))
    return predictors | {
        "log_paths": paths,
        "effective": effective,
        "coherence": coherence,
        "error": error,
        "log_strength": math.log10(max(10**WEAKEST, networks.strength(module, X, masks=masks))),
    }


def concentration(scores: Mapping[str, Array], density: float) -> float:
    """Return the share of all scores, by size, that the largest ones hold: as many as are kept."""
    sizes = np.sort(np.concatenate([np.abs(values).ravel() for values in scores.values()]))
    kept = int(density * len(sizes) + 0.5)
    return float(sizes[-kept:].sum() / max(sizes.sum(), np.finfo(np.float64).tiny))


def _paths(module: nn.Module, masks: Mapping[str, Array], X: Any) -> tuple[float, float]:
    if any(isinstance(layer, nn.LayerNorm) for layer in module.modules()):
        return math.nan, math.nan
    ones = copy.deepcopy(module).double()
    with torch.no_grad():
        for name in masks:
            ones.get_parameter(name).fill_(1.0)
        for layer in ones.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.reset_parameters()
    flow = networks.synflow(ones, torch.ones_like(X[:1]), masks=dict(masks))
    kept = sum(int(np.count_nonzero(mask)) for mask in masks.values())
    last = list(flow)[-1]
    # Every path crosses the last layer once.
    total = float(flow[last].sum())
    alive = sum(int(np.count_nonzero(values)) for values in flow.values())
    return (math.log10(total) if total > 0 else 0.0), alive / kept
