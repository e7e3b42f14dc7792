"""Which weights of a module are pruned, by name, and those weights under masks."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from lth_sketch.networks import parametrised
from lth_sketch.networks.layers import DEFAULT, Site, sites
from lth_sketch.networks.masked import mask_of, parameter_of
from lth_sketch.networks.unwrapping import unwrapped
from lth_sketch.validation import Array

Tensors = dict[str, Any]
Patterns = str | Sequence[str]


class Choice(NamedTuple):
    """The weights to prune, each with all the places that hold it, and those that are left out."""

    pruned: dict[str, list[Site]]
    left: dict[str, list[Site]]


def prunable(module: nn.Module, *, include: Patterns = (), exclude: Patterns = ()) -> Tensors:
    """Return the weights that are pruned, by name.

    Those of linear and convolutional layers, the projections of attention layers, and the layers
    of `register`. A weight that several layers share is one weight, under the name of the first.

    Parameters
    ----------
    module : torch.nn.Module
        Any module, also within DataParallel or compiled. It is not changed.
    include : str or sequence of str
        Patterns as of a shell for names of other weights of two axes or more, for instance
        ``"embed*"`` or ``"lstm.weight*"``: embeddings, recurrent layers, parameters of one's own.
    exclude : str or sequence of str
        Patterns for weights to leave whole.

    Returns
    -------
    dict of torch.Tensor
        Detached weights, times their masks where `apply` has masked them.

    Raises
    ------
    TypeError
        If `module` is no module, or such a weight holds no real floating-point numbers.
    ValueError
        If there is no such weight, a pattern fits none, one is parametrised by others, not
        initialised, or has an entry that is NaN or infinite.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.BatchNorm1d(3), nn.Linear(3, 2))
    >>> {name: tuple(weight.shape) for name, weight in prunable(net).items()}
    {'0.weight': (3, 4), '3.weight': (2, 3)}
    >>> list(prunable(net, exclude="3.*"))
    ['0.weight']
    """
    return values(choose(module, include=include, exclude=exclude).pruned)


def choose(module: nn.Module, *, include: Patterns = (), exclude: Patterns = ()) -> Choice:
    """Return which weights are pruned and which are left out, with all the places of each."""
    wanted, unwanted = _patterns("include", include), _patterns("exclude", exclude)
    groups: dict[tuple[int, ...], list[Site]] = {}
    for site in sites(unwrapped(module)):
        places = groups.setdefault(_identity(site), [])
        if all(site.name != other.name for other in places):
            places.append(site)
    known = [site.name for places in groups.values() for site in places]
    for argument, patterns in (("include", wanted), ("exclude", unwanted)):
        for pattern in patterns:
            if not fnmatch.filter(known, pattern):
                raise ValueError(
                    f"{argument} has the pattern {pattern!r}, which fits no weight of the module; "
                    f"it has {', '.join(known) or 'none'}"
                )
    pruned: dict[str, list[Site]] = {}
    left: dict[str, list[Site]] = {}
    for places in groups.values():
        names = [site.name for site in places]
        usual = [site for site in places if site.kind in DEFAULT]
        if _any(names, unwanted) or not (usual or _any(names, wanted)):
            left[names[0]] = places
        else:
            first = usual[0] if usual else places[0]
            pruned[first.name] = [first, *(site for site in places if site is not first)]
    if not pruned:
        others = f" it has {', '.join(left)}, which include= names;" if left else ""
        raise ValueError(
            f"module has no prunable parameters: no weight of a linear, convolutional or attention "
            f"layer is left;{others} biases and normalisation layers are not pruned"
        )
    return Choice(pruned, left)


def values(pruned: Mapping[str, Sequence[Site]]) -> Tensors:
    """Return the checked weights of chosen places."""
    return {name: _checked(places[0]) for name, places in pruned.items()}


def spread(pruned: Mapping[str, Sequence[Site]], weights: Tensors) -> Tensors:
    """Return weights under every name that a layer has for them, for ``functional_call``."""
    return {site.name: weights[name] for name, places in pruned.items() for site in places}


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


def masked(weights: Tensors, masks: Mapping[str, Array] | None) -> Tensors:
    """Return the weights times their masks, as new tensors."""
    if masks is None:
        return {name: weight.clone() for name, weight in weights.items()}
    if set(masks) != set(weights):
        raise ValueError(
            f"masks must name the prunable weights {', '.join(weights)}; got {', '.join(masks)}"
        )
    return {name: weight * fitted(name, masks, weight) for name, weight in weights.items()}


def fitted(name: str, masks: Mapping[str, Array], weight: Any) -> Any:
    """Return the mask of a weight as a tensor of its type, if it fits."""
    shape = tuple(np.shape(masks[name]))
    if shape != tuple(weight.shape):
        raise ValueError(
            f"masks[{name!r}] must have shape {tuple(weight.shape)}; got shape {shape}"
        )
    mask = torch.as_tensor(to_numpy(masks[name]), dtype=weight.dtype, device=weight.device)
    if not bool(torch.isfinite(mask).all()):
        raise ValueError(f"masks[{name!r}] must be finite: draw it again, or take zeros and ones")
    return mask.clone()


def _patterns(argument: str, patterns: Patterns) -> list[str]:
    listed = [patterns] if isinstance(patterns, str) else list(patterns)
    for pattern in listed:
        if not isinstance(pattern, str):
            raise TypeError(f"{argument} must hold patterns, strings; got {pattern!r}")
    return listed


def _any(names: Collection[str], patterns: Sequence[str]) -> bool:
    return any(fnmatch.filter(names, pattern) for pattern in patterns)


def _identity(site: Site) -> tuple[int, ...]:
    """Return what tells one weight from another: its memory, or else its layer."""
    if _remover(site) is not None:
        return id(site.layer), hash(site.attribute)
    parameter = parameter_of(site.layer, site.attribute)
    if isinstance(parameter, nn.UninitializedParameter) or not parameter.data_ptr():
        return (id(parameter),)
    return parameter.data_ptr(), *parameter.shape


def _remover(site: Site) -> str | None:
    """Return what makes a weight plain that others have parametrised."""
    if mask_of(site.layer, site.attribute) is not None:
        return None
    tensors = (*site.layer.named_parameters(), *site.layer.named_buffers())
    remove = parametrised.remover(site.attribute, [name for name, _ in tensors])
    if remove is None and site.attribute not in site.layer._parameters:
        return f"torch.nn.utils.parametrize.remove_parametrizations(layer, {site.attribute!r})"
    return remove


def _checked(site: Site) -> Any:
    name, layer, attribute = site[:3]
    remover = _remover(site)
    if remover is not None:
        raise ValueError(
            f"{name} is pruned or parametrised already: it is computed from other tensors, and a "
            f"mask on it would not last; make it plain first, with {remover}"
        )
    weight = parameter_of(layer, attribute)
    if isinstance(weight, nn.UninitializedParameter):
        raise ValueError(f"{name} is not initialised; run the module on one batch first")
    if not weight.dtype.is_floating_point:
        raise TypeError(
            f"{name} must hold floating-point numbers; got dtype {weight.dtype}: convert the "
            "module, for instance with module.float()"
        )
    if weight.device.type == "meta":
        raise ValueError(f"{name} has no values (device meta); load the weights first")
    weight = weight.detach()
    finite = torch.isfinite(weight)
    if not bool(finite.all()):
        where = tuple((~finite).nonzero()[0].tolist())
        raise ValueError(
            f"{name} must be finite; got {name}{list(where)} = {float(weight[where])}; "
            "load a checkpoint from before the training diverged"
        )
    mask = mask_of(layer, attribute)
    return weight if mask is None else weight * mask
