"""Masks on the weights of a module: a parametrization that holds whatever reads the weight.

``torch.nn.utils.parametrize`` turns the weight into a property, ``original * mask``, so that a
layer that reads it without being called (the output projection of an attention, a recurrent cell,
a fused kernel) is masked as well; a hook of the layer would be passed by. What PyTorch's own
parametrizations lack is added: a module can be pickled, and a copy can be made plain by itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from lth_sketch.networks.layers import Site

# What a recurrent layer derives from its weights, and makes again.
DERIVED = ("_flat_weights", "_flat_weight_refs")


class Masked(nn.Module):  # type: ignore[misc]
    """The parametrization ``original * mask``; the mask is a buffer, binary or with weights.

    Parameters
    ----------
    mask : torch.Tensor
        Of the weight's shape, type and device.
    order : sequence of str
        The parameters of the layer in their order, which is that of an optimiser's state.
    """

    def __init__(self, mask: Any, order: Sequence[str] = ()) -> None:
        super().__init__()
        self.register_buffer("mask", mask)
        self.order = tuple(order)

    def forward(self, weight: Any) -> Any:
        """Return the masked weight."""
        return weight * self.mask

    def right_inverse(self, weight: Any) -> Any:
        """Return what is stored when the weight is assigned: the value itself."""
        return weight


def mask_of(layer: nn.Module, attribute: str) -> Any:
    """Return the mask on a weight, or None; not if there are other parametrizations as well."""
    chains = layer._modules.get("parametrizations")
    if not isinstance(chains, nn.ModuleDict) or attribute not in chains:
        return None
    chain = chains[attribute]
    return chain[0].mask if len(chain) == 1 and isinstance(chain[0], Masked) else None


def parameter_of(layer: nn.Module, attribute: str) -> Any:
    """Return the parameter behind a weight, masked by this library or plain."""
    if mask_of(layer, attribute) is not None:
        return layer.parametrizations[attribute].original
    return layer._parameters[attribute]


def attach(pairs: Sequence[tuple[Site, Any]]) -> None:
    """Put a mask on each weight, or replace the one that is there; all of them or none."""
    undo: list[Callable[[], None]] = []
    try:
        for site, mask in pairs:
            old = mask_of(site.layer, site.attribute)
            if old is None:
                undo.append(partial(_detach, site.layer, site.attribute))
                _register(site.layer, site.attribute, mask)
            else:
                chain = site.layer.parametrizations[site.attribute]
                undo.append(partial(setattr, chain[0], "mask", old))
                chain[0].mask = mask
    except BaseException:
        for step in reversed(undo):
            step()
        raise


def detach(sites: Sequence[Site], *, bake: bool = True) -> None:
    """Make masked weights plain parameters again, with the mask's zeros for good."""
    values: dict[int, Any] = {}
    with torch.no_grad():
        for site in sites:
            # Layers that share a parameter share its masked value: once, not once a layer.
            parameter = parameter_of(site.layer, site.attribute)
            values.setdefault(id(parameter), getattr(site.layer, site.attribute).clone())
        for site in sites:
            parameter = parameter_of(site.layer, site.attribute)
            _detach(site.layer, site.attribute)
            if bake:
                parameter.copy_(values[id(parameter)])


def _register(layer: nn.Module, attribute: str, mask: Any) -> None:
    earlier = layer._modules.get("parametrizations", {})
    orders = [chain[0].order for chain in earlier.values() if isinstance(chain[0], Masked)]
    order = orders[0] if orders else tuple(layer._parameters)
    parametrize.register_parametrization(layer, attribute, Masked(mask, order))
    _adapt(layer)


def _adapt(layer: nn.Module) -> None:
    """Teach the class that ``parametrize`` has made for a layer to be copied and pickled."""
    made: Any = type(layer)
    base = made.__bases__[0]
    if getattr(base, "__deepcopy__", None) is None:
        made.__deepcopy__ = _copied
    made.__reduce_ex__ = _reduced


def _detach(layer: nn.Module, attribute: str) -> None:
    """Take a mask off; nothing happens if there is none."""
    chains = layer._modules.get("parametrizations")
    if not isinstance(chains, nn.ModuleDict) or attribute not in chains:
        return
    parameter, order = chains[attribute].original, chains[attribute][0].order
    del chains[attribute]
    made: Any = type(layer)
    base = made.__bases__[0]
    if len(chains):
        # A copy of the layer may use the same class: never change it.
        rest = {name: value for name, value in vars(made).items() if name != attribute}
        rest = {name: rest[name] for name in rest if name not in ("__dict__", "__weakref__")}
        layer.__class__ = type(made.__name__, (base,), rest)
    else:
        del layer._modules["parametrizations"]
        layer.__class__ = base
    setattr(layer, attribute, parameter)
    places = [name for name in order if name in layer._parameters]
    for name in (*places, *(name for name in list(layer._parameters) if name not in order)):
        layer._parameters[name] = layer._parameters.pop(name)


def _state(layer: nn.Module) -> dict[str, Any]:
    return {name: value for name, value in layer.__dict__.items() if name not in DERIVED}


def _revived(base: type, attributes: tuple[str, ...]) -> nn.Module:
    """Return an empty layer whose weights of these names are masked."""
    layer: nn.Module = object.__new__(base)
    parametrize._inject_new_class(layer)
    for attribute in attributes:
        parametrize._inject_property(layer, attribute)
    _adapt(layer)
    return layer


def _filled(layer: nn.Module, state: Mapping[str, Any]) -> None:
    """Give a revived layer what it held."""
    layer.__dict__.update(state)
    if isinstance(layer, nn.RNNBase):
        layer._init_flat_weights()


def _recipe(layer: nn.Module) -> tuple[type, tuple[str, ...]]:
    chains = layer.parametrizations.values()
    if not all(isinstance(step, Masked) for chain in chains for step in chain):
        raise TypeError(
            f"{type(layer).__bases__[0].__name__} has parametrizations of others beside the masks, "
            "which PyTorch does not pickle; save its state_dict, or remove them first"
        )
    return type(layer).__bases__[0], tuple(layer.parametrizations)


def _reduced(layer: nn.Module, protocol: Any) -> tuple[Any, ...]:
    return _revived, _recipe(layer), _state(layer), None, None, _filled


def _copied(layer: nn.Module, memo: dict[int, Any]) -> Any:
    if id(layer) in memo:
        return memo[id(layer)]
    base = type(layer).__bases__[0]
    replica = _revived(base, tuple(layer.parametrizations))
    memo[id(layer)] = replica
    _filled(replica, copy.deepcopy(_state(layer), memo))
    return replica
