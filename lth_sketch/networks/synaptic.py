"""SynFlow of a module, at any depth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

from lth_sketch.networks.boundary import (
    Output,
    call,
    differentiable,
    evaluating,
    held,
    inputs,
    pick,
    probe,
)
from lth_sketch.networks.gradients import widest
from lth_sketch.networks.unwrapping import plain
from lth_sketch.networks.weights import (
    Patterns,
    Tensors,
    choose,
    masked,
    spread,
    to_numpy,
    values,
)
from lth_sketch.validation import Array

# Activations beyond 2^+-LIMIT are scaled back; gradients then stay within 2^+-(2 LIMIT).
LIMIT = 256


def synflow(
    module: nn.Module,
    X: Any,
    *,
    masks: Mapping[str, Array] | None = None,
    include: Patterns = (),
    exclude: Patterns = (),
    output: Output = None,
) -> Tensors:
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
    include, exclude, output
        As in `jacobian`.

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
    with differentiable():
        net = plain(module)
        pruned = choose(net, include=include, exclude=exclude).pruned
        weights = masked(values(pruned), masks)
        samples = inputs(weights, X)
        probe(net, samples, output)

        def compute(kind: Any) -> Tensors:
            absolute = {
                name: weight.to(kind or weight.dtype).abs().requires_grad_()
                for name, weight in weights.items()
            }
            x = inputs(weights, X, kind)
            with evaluating(net) as buffers:
                state: Tensors = {}
                for name, value in held(net, buffers).items():
                    last = name.rsplit(".", 1)[-1]
                    wide = value
                    if value.is_floating_point():
                        wide = value.to(kind or value.dtype).abs()
                    still = "bias" in last or last == "running_mean"
                    state[name] = torch.zeros_like(wide) if still else wide
                flow = x.abs().as_subclass(_Scaled) if x.is_floating_point() else x
                outputs = call(net, flow, samples, {**state, **spread(pruned, absolute)})
                total = pick(outputs, output).sum().as_subclass(torch.Tensor)
            return _derived(total, absolute, masks is not None)

        result: Tensors = widest(compute)
        return result


def _derived(total: Any, absolute: Tensors, later: bool) -> Tensors:
    """Return the scores of the flow's total; zeros for a network that an earlier round cut."""
    nothing = {name: np.zeros(tuple(weight.shape)) for name, weight in absolute.items()}
    value = total.item()
    if not (math.isfinite(value) and value > 0):
        if later and value == 0:
            return nothing
        raise ValueError(
            f"module gives the synaptic flow R = {value}, not a finite number above zero: "
            "some layer is all zero, or an activation is not positively homogeneous"
        )
    slopes = torch.autograd.grad(total, list(absolute.values()), allow_unused=True)
    return {
        name: nothing[name] if slope is None else to_numpy(weight * slope).astype(np.float64)
        for (name, weight), slope in zip(absolute.items(), slopes, strict=True)
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
            answer = func(*plain_args, **plain_kwargs)
            return tree_map(lambda x: _wrapped(x, top), answer)


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
