"""A loss of a module and its derivatives by the weights, in the widest numbers that it takes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from lth_sketch.networks.boundary import (
    Options,
    call,
    differentiable,
    evaluating,
    held,
    inputs,
    is_type_mismatch,
    pick,
    probe,
    targets,
    tensor,
)
from lth_sketch.networks.unwrapping import plain
from lth_sketch.networks.weights import Tensors, choose, masked, spread, values
from lth_sketch.validation import Array

Masks = Mapping[str, Array]
Loss = Callable[[Any, Any], Any]


def widest(compute: Callable[[Any], Any]) -> Any:
    """Return what is computed in float64, or in less where a layer insists; a warning says so."""
    refused: ValueError | None = None
    for kind in (torch.float64, torch.float32, None):
        try:
            computed = compute(kind)
        except ValueError as error:
            if not is_type_mismatch(error):
                raise
            refused = refused or error
            continue
        if refused is not None:
            name = "its own types" if kind is None else str(kind).removeprefix("torch.")
            warnings.warn(
                f"module has a layer that insists on its type of numbers, so scores are computed "
                f"in {name}, not in float64: the last digits depend on threads and devices",
                stacklevel=4,
            )
        return computed
    assert refused is not None
    raise refused


def slopes(
    module: nn.Module,
    X: Any,
    y: Any,
    masks: Masks | None,
    loss: Loss | None,
    options: Options,
    derive: Callable[[Any, Tensors], Any],
) -> tuple[Tensors, Any]:
    """Return the weights, and what `derive` makes of the loss and them."""
    with differentiable():
        net = plain(module)
        pruned = choose(net, include=options.include, exclude=options.exclude).pruned
        weights = masked(values(pruned), masks)
        samples = inputs(weights, X)
        batch = len(samples) > 1
        probe(net, samples, options.output, batch_statistics=batch)

        def compute(kind: Any) -> tuple[Tensors, Any]:
            leaves = {
                name: value.to(kind or value.dtype).detach().clone().requires_grad_()
                for name, value in weights.items()
            }
            x = inputs(weights, X, kind)
            with evaluating(net, batch_statistics=batch) as buffers:
                state = {
                    name: value.to(kind) if kind and value.is_floating_point() else value
                    for name, value in held(net, buffers).items()
                }
                outputs = call(net, x, samples, {**state, **spread(pruned, leaves)})
                value = _loss(pick(outputs, options.output), y, loss)
                return leaves, derive(value, leaves)

        pair: tuple[Tensors, Any] = widest(compute)
        return pair


def _loss(outputs: Any, y: Any, loss: Loss | None) -> Any:
    if loss is not None:
        return loss(outputs, tensor("y", y, device=outputs.device))
    wanted = targets(outputs, y)
    if wanted.is_floating_point():
        return (outputs - wanted).square().sum() / (2 * len(outputs))
    if outputs.ndim > 2 and wanted.shape == outputs.shape[:-1]:
        outputs = outputs.movedim(-1, 1)
    return nn.functional.cross_entropy(outputs, wanted)
