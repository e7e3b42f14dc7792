"""Which weights a layer holds, and how each lies as a matrix of outputs by inputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from lth_sketch import validation
from lth_sketch.validation import Array

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
RECURRENT = (nn.RNNBase, nn.RNNCellBase)
ATTENTION = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
# Kinds that are pruned unless they are excluded; the others only where they are included.
DEFAULT = ("linear", "convolution", "transposed", "attention", "registered")


class Registered(NamedTuple):
    """A layer of the user's: the attribute of its weight, and the axis of its inputs."""

    weight: str
    inputs: int


_REGISTERED: dict[type, Registered] = {}


class Site(NamedTuple):
    """A weight: its name in the module, the layer and the attribute that hold it, its kind.

    `inputs` is the axis that the layer sums over in a matrix, `groups` those of a convolution.
    """

    name: str
    layer: nn.Module
    attribute: str
    kind: str
    inputs: int = 1
    groups: int = 1


def register(kind: type, *, weight: str = "weight", inputs: int = 1) -> None:
    """Have the weight of a layer of one's own pruned, in all modules from now on.

    Parameters
    ----------
    kind : type
        A subclass of torch.nn.Module that computes ``x @ weight.T`` or ``x @ weight`` (and a bias)
        along the last axis of its single input.
    weight : str
        The attribute that holds the weight, a parameter of two axes.
    inputs : {0, 1}
        The axis of the weight that is summed over: 1 for (outputs, inputs) as in torch.nn.Linear,
        0 for (inputs, outputs) as in the layer Conv1D of the package transformers.

    Raises
    ------
    TypeError, ValueError
        If `kind` is no such class, or `inputs` neither 0 nor 1.

    Examples
    --------
    >>> import torch
    >>> from lth_sketch.networks import prunable
    >>> class Conv1D(nn.Module):
    ...     def __init__(self, outputs, inputs):
    ...         super().__init__()
    ...         self.weight = nn.Parameter(torch.ones(inputs, outputs))
    ...
    ...     def forward(self, x):
    ...         return x @ self.weight
    >>> register(Conv1D, inputs=0)
    >>> list(prunable(nn.Sequential(Conv1D(2, 3))))
    ['0.weight']
    """
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise TypeError(f"kind must be a subclass of torch.nn.Module; got {kind!r}")
    if inputs not in (0, 1):
        raise ValueError(f"inputs must be 0 or 1, an axis of the weight; got {inputs!r}")
    if not (isinstance(weight, str) and weight.isidentifier()):
        raise ValueError(f"weight must be the name of an attribute; got {weight!r}")
    _REGISTERED[kind] = Registered(weight, validation.count("inputs", inputs, minimum=0))


def sites(module: nn.Module) -> Iterator[Site]:
    """Yield every weight that a mask can act on: all parameters of two axes or more.

    A weight that several layers share, or a layer that is met twice, is yielded each time.
    """
    for prefix, layer in module.named_modules(remove_duplicate=False):
        if _inside(prefix):
            continue
        computed = _parametrised(layer)
        parts = {f"{name}_{ending}" for name in computed for ending in ("g", "orig", "v")}
        held = {
            name: value
            for name, value in layer._parameters.items()
            if value is not None and name not in parts
        }
        for attribute in dict.fromkeys((*held, *computed)):
            kind, inputs = _kind(layer, attribute)
            value = held.get(attribute)
            lazy = isinstance(value, nn.UninitializedParameter)
            if kind == "other" and (lazy or _axes(layer, attribute, value) < 2):
                continue
            name = f"{prefix}.{attribute}" if prefix else attribute
            yield Site(name, layer, attribute, kind, inputs, int(getattr(layer, "groups", 1)))


def rows(site: Site, weight: Array) -> Array:
    """Return an array of the weight's shape as a matrix (outputs, inputs)."""
    if site.kind == "transposed":
        groups, kernel = site.groups, weight.shape[2:]
        inputs, outputs = weight.shape[0] // groups, weight.shape[1]
        parts = weight.reshape(groups, inputs, outputs, *kernel).swapaxes(1, 2)
        return parts.reshape(groups * outputs, -1)
    if site.inputs == 0:
        return weight.reshape(len(weight), -1).T
    return weight.reshape(len(weight), -1)


def unrows(site: Site, matrix: Array, shape: tuple[int, ...]) -> Array:
    """Return a matrix (outputs, inputs) in the weight's shape: the inverse of `rows`."""
    if site.kind == "transposed":
        groups, kernel = site.groups, shape[2:]
        inputs, outputs = shape[0] // groups, shape[1]
        parts = matrix.reshape(groups, outputs, inputs, *kernel).swapaxes(1, 2)
        return np.ascontiguousarray(parts.reshape(shape))
    if site.inputs == 0:
        return np.ascontiguousarray(matrix.T.reshape(shape))
    return np.ascontiguousarray(matrix.reshape(shape))


def _inside(prefix: str) -> bool:
    """Whether a name lies inside what ``torch.nn.utils.parametrize`` adds to a layer."""
    return "parametrizations" in prefix.split(".")


def _parametrised(layer: nn.Module) -> tuple[str, ...]:
    """Return the attributes of a layer that a parametrisation computes."""
    chains = layer._modules.get("parametrizations")
    names = list(chains) if isinstance(chains, nn.ModuleDict) else []
    # The older weight_norm, spectral_norm and pruning: a plain tensor beside weight_v, weight_orig.
    own = [*layer._parameters, *layer._buffers]
    for name in own:
        stem, _, ending = name.rpartition("_")
        if ending in ("orig", "v") and stem and stem not in own:
            names.append(stem)
    return tuple(names)


def _axes(layer: nn.Module, attribute: str, value: Any) -> int:
    if value is None:
        chains = layer._modules.get("parametrizations")
        if isinstance(chains, nn.ModuleDict) and attribute in chains:
            tensors = list(chains[attribute].parameters())
            return max((x.ndim for x in tensors), default=0)
        value = getattr(layer, attribute, None)
    return int(getattr(value, "ndim", 0))


def _kind(layer: nn.Module, attribute: str) -> tuple[str, int]:
    """Return the kind of a weight, and the axis of its inputs."""
    for kind, known in _REGISTERED.items():
        if isinstance(layer, kind) and attribute == known.weight:
            return "registered", known.inputs
    if attribute == "weight":
        if isinstance(layer, nn.Linear):
            return "linear", 1
        if isinstance(layer, CONVOLUTIONS):
            return "convolution", 1
        if isinstance(layer, TRANSPOSED):
            return "transposed", 1
        if isinstance(layer, EMBEDDINGS):
            return "embedding", 0
    if isinstance(layer, nn.MultiheadAttention) and attribute in ATTENTION:
        return "attention", 1
    if isinstance(layer, RECURRENT) and attribute.startswith("weight"):
        return "recurrent", 1
    return "other", 1
