"""Which weights of a module are pruned, and how the module is run without touching it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from lth_sketch.validation import Array

LAYERS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)

# What a layer has whose weight is made of parts, and what makes it plain again.
REMOVERS = {
    "weight_u": "torch.nn.utils.remove_spectral_norm(layer)",
    "weight_g": "torch.nn.utils.remove_weight_norm(layer)",
    "weight_orig": "torch.nn.utils.prune.remove(layer, 'weight')",
    "parametrizations": "torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight')",
}

Tensors = dict[str, Any]


def prunable(module: nn.Module) -> Tensors:
    """Return the weights that are pruned: those of linear and convolutional layers, by name.

    Parameters
    ----------
    module : torch.nn.Module
        Any module. It is not changed.

    Returns
    -------
    dict of torch.Tensor
        Detached weights (they share memory with the module's), in the order of its layers.

    Raises
    ------
    TypeError
        If `module` is no module, or such a weight holds no real floating-point numbers.
    ValueError
        If there is no such weight, one is shared between layers, pruned already, not initialised,
        or has an entry that is NaN or infinite.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.BatchNorm1d(3), nn.Linear(3, 2))
    >>> {name: tuple(weight.shape) for name, weight in prunable(net).items()}
    {'0.weight': (3, 4), '3.weight': (2, 3)}
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch.nn.Module; got {type(module).__name__}")
    found: Tensors = {}
    for name, layer in module.named_modules(remove_duplicate=False):
        if isinstance(layer, LAYERS):
            title = f"{name}.weight" if name else "weight"
            found[title] = _checked(title, layer)
    if not found:
        raise ValueError(
            "module has no prunable parameters: it holds no linear or convolutional layer (biases, "
            "normalisation layers, embeddings and recurrent cells are not pruned)"
        )
    owners: dict[int, str] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if isinstance(parameter, nn.UninitializedParameter):
            continue
        first = owners.setdefault(parameter.data_ptr() or id(parameter), name)
        if first != name and (name in found or first in found):
            raise ValueError(
                f"module shares one parameter between {first} and {name}; a mask for one would "
                "untie them: give each layer a weight of its own (a clone) before pruning"
            )
    return found


def vector(arrays: Mapping[str, Any]) -> Array:
    """Return named arrays or tensors as one vector, in their order: the columns of `jacobian`.

    Parameters
    ----------
    arrays : mapping from name to array or tensor
        Weights, scores or masks of the layers.

    Returns
    -------
    (d,) array
        All entries.

    Examples
    --------
    >>> vector({"a": np.array([[1.0, 2.0]]), "b": np.array([3.0])})
    array([1., 2., 3.])
    """
    return np.concatenate([np.ravel(to_numpy(array)) for array in arrays.values()])


def to_numpy(value: Any) -> Array:
    """Return a tensor or array as a numpy array; half precisions become float32."""
    if isinstance(value, torch.Tensor):
        value = value.detach()
        if value.dtype in (torch.float16, torch.bfloat16):
            value = value.float()
        return np.asarray(value.cpu().numpy())
    return np.asarray(value)


def inputs(module: nn.Module, X: Any) -> Any:
    """Return X as a tensor on the module's device; real numbers in the type of its weights."""
    weight = next(iter(prunable(module).values()))
    tensor = torch.as_tensor(X, device=weight.device)
    if tensor.dtype.is_floating_point:
        tensor = tensor.to(weight.dtype)
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(
                "X must be finite; it has NaN or infinite entries: remove these samples"
            )
    if tensor.ndim < 2 or len(tensor) == 0:
        raise ValueError(
            f"X must hold samples along its first axis, each of at least one axis; got shape "
            f"{tuple(tensor.shape)}"
        )
    return tensor


def masked(weights: Tensors, masks: Mapping[str, Array] | None) -> Tensors:
    """Return the weights times their masks, as new tensors."""
    if masks is None:
        return {name: weight.clone() for name, weight in weights.items()}
    if set(masks) != set(weights):
        raise ValueError(
            f"masks must name the prunable weights {', '.join(weights)}; got {', '.join(masks)}"
        )
    found = {}
    for name, weight in weights.items():
        if tuple(np.shape(masks[name])) != tuple(weight.shape):
            raise ValueError(
                f"masks[{name!r}] must have shape {tuple(weight.shape)}; got shape "
                f"{tuple(np.shape(masks[name]))}"
            )
        mask = torch.as_tensor(masks[name], dtype=weight.dtype, device=weight.device)
        found[name] = weight * mask
    return found


@contextmanager
def evaluating(module: nn.Module, *, batch_statistics: bool = False) -> Iterator[Tensors]:
    """Run a module in evaluation mode, normalisation optionally by the batch; then put it back.

    Yields copies of the buffers, to be used in place of the module's, which so stay as they are.
    """
    modes = {layer: layer.training for layer in module.modules()}
    try:
        module.eval()
        if batch_statistics:
            for layer in module.modules():
                if isinstance(layer, _NormBase):
                    layer.training = True
        yield {name: buffer.clone() for name, buffer in module.named_buffers()}
    finally:
        for layer, training in modes.items():
            layer.training = training


def _checked(name: str, layer: nn.Module) -> Any:
    remover = next((undo for part, undo in REMOVERS.items() if hasattr(layer, part)), None)
    if remover is not None:
        raise ValueError(
            f"{name} is pruned or parametrised already; make it plain first, with {remover}"
        )
    weight = layer.weight
    if isinstance(weight, nn.UninitializedParameter):
        raise ValueError(f"{name} is not initialised; run the module on one batch first")
    if not weight.dtype.is_floating_point:
        raise TypeError(
            f"{name} must hold floating-point numbers; got dtype {weight.dtype}: convert the "
            "module, for instance with module.float()"
        )
    weight = weight.detach()
    finite = torch.isfinite(weight)
    if not bool(finite.all()):
        where = tuple((~finite).nonzero()[0].tolist())
        raise ValueError(
            f"{name} must be finite; got {name}{list(where)} = {float(weight[where])}; "
            "load a checkpoint from before the training diverged"
        )
    return weight
