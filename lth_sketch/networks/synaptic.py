"""SynFlow of a module, at any depth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call
from torch.utils._pytree import tree_leaves, tree_map

from lth_sketch.networks.weights import Tensors, evaluating, inputs, masked, prunable, to_numpy
from lth_sketch.validation import Array

# Activations beyond 2^+-LIMIT are scaled back; gradients then stay within 2^+-(2 LIMIT).
LIMIT = 256


def synflow(module: nn.Module, X: Any, *, masks: Mapping[str, Array] | None = None) -> Tensors:
    """Return the SynFlow scores ``|w| dR/d|w|``, R the output of the network of absolute weights.

    R is the sum of the products along all paths, for the input of ones and the sum of all outputs.
    The total of a layer that every path crosses once is R: the conservation law.

    Parameters
    ----------
    module : torch.nn.Module
        A network with positively homogeneous activations (ReLU, pooling). It is not changed.
    X : (n, ...) array or tensor
        Samples: R is the sum over them, with inputs ``|X|``. Published is one sample of ones, see
        `source`.
    masks : mapping from name to array, optional
        Masks of an earlier round.

    Returns
    -------
    dict of arrays
        Scores of each prunable weight, float64, all divided by one power of two: 1 unless the
        activations leave 2^+-256. So there is no overflow at any depth.

    Raises
    ------
    TypeError, ValueError
        As `prunable`; also if masks do not fit, or R is not a finite number above zero.

    Notes
    -----
    Biases, and the shifts of normalisation layers, count as zero, as in the paper's networks
    (the authors' code takes their absolute values): then R is a sum over paths. Batch normalisation
    scales by ``|gamma| / sqrt(stored variance + eps)``. Every other parameter counts by its
    absolute value. All in float64.

    References
    ----------
    Tanaka, Kunin, Yamins, Ganguli, Pruning neural networks without any data by iteratively
    conserving synaptic flow, NeurIPS 2020, sections 4 and 6.

    Examples
    --------
    >>> net = nn.Linear(2, 1, bias=False)
    >>> _ = nn.init.constant_(net.weight, -3.0)
    >>> synflow(net, torch.ones(1, 2))
    {'weight': array([[3., 3.]])}
    """
    weights = prunable(module)
    absolute = {
        name: weight.double().abs().requires_grad_()
        for name, weight in masked(weights, masks).items()
    }
    samples = inputs(module, X).double().abs()
    with evaluating(module) as buffers:
        state: Tensors = {}
        for name, value in (*module.named_parameters(), *buffers.items()):
            last = name.rsplit(".", 1)[-1]
            wide = value.detach().double().abs() if value.is_floating_point() else value
            state[name] = torch.zeros_like(wide) if last in ("bias", "running_mean") else wide
        flow = samples.as_subclass(_Scaled)
        total = functional_call(module, {**state, **absolute}, (flow,)).sum()
        total = total.as_subclass(torch.Tensor)
    value = total.item()
    if not (math.isfinite(value) and value > 0):
        if masks is not None and value == 0:
            return {name: np.zeros(tuple(weight.shape)) for name, weight in weights.items()}
        raise ValueError(
            f"module gives the synaptic flow R = {value}, not a finite number above zero: "
            "some layer is all zero, or an activation is not positively homogeneous"
        )
    found = torch.autograd.grad(total, list(absolute.values()), allow_unused=True)
    return {
        name: np.zeros(tuple(weight.shape)) if slope is None else to_numpy(weight * slope)
        for (name, weight), slope in zip(absolute.items(), found, strict=True)
    }


class _Scaled(torch.Tensor):  # type: ignore[misc]
    """Activations divided by a power of two that each function hands on to its result.

    Sound for functions that are homogeneous of degree one in all activations together: layers
    without bias, ReLU, pooling, sums, concatenations. Operands are brought to one exponent first.
    """

    exponent = 0

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        leaves = tree_leaves((args, kwargs or {}))
        top = max(x.exponent for x in leaves if isinstance(x, _Scaled))

        def aligned(x: Any) -> Any:
            if not isinstance(x, _Scaled):
                return x
            plain = x.as_subclass(torch.Tensor)
            return plain if x.exponent == top else plain * 2.0 ** (x.exponent - top)

        with torch._C.DisableTorchFunctionSubclass():
            plain_args, plain_kwargs = tree_map(aligned, (tuple(args), kwargs or {}))
            found = func(*plain_args, **plain_kwargs)
            return tree_map(lambda x: _wrapped(x, top), found)


def _wrapped(value: Any, exponent: int) -> Any:
    """Return a tensor of real numbers as `_Scaled`, scaled back where it has grown too far."""
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return value
    largest = float(value.detach().abs().max()) if value.numel() else 0.0
    shift = math.frexp(largest)[1] if largest else 0
    if abs(shift) > LIMIT:
        value, exponent = value * 2.0**-shift, exponent + shift
    scaled = value.as_subclass(_Scaled)
    scaled.exponent = exponent
    return scaled
