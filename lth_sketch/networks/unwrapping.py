"""From what a user holds to the module itself: wrappers off, masks baked into a copy."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from lth_sketch.networks.layers import Site, sites
from lth_sketch.networks.masked import detach, mask_of

WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def unwrapped(module: Any) -> nn.Module:
    """Return the module inside DataParallel, DistributedDataParallel and ``torch.compile``.

    Raises
    ------
    TypeError
        If `module` is no module, or scripted.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch.nn.Module; got {type(module).__name__}")
    while True:
        inner = getattr(module, "_orig_mod", None)
        if isinstance(module, WRAPPERS):
            module = module.module
        elif isinstance(inner, nn.Module):
            module = inner
        else:
            break
    for name, layer in module.named_modules():
        if isinstance(layer, torch.jit.ScriptModule):
            where = f"module.{name}" if name else "module"
            raise TypeError(
                f"{where} is scripted or traced, and its weights cannot be replaced; pass the "
                "module from before torch.jit.script, prune it, call remove, and script it then"
            )
    return module


def pruned_sites(module: nn.Module) -> list[Site]:
    """Return the places in a module that `apply` has masked."""
    return [site for site in sites(module) if mask_of(site.layer, site.attribute) is not None]


def plain(module: Any) -> nn.Module:
    """Return the module itself, unwrapped; a copy with its zeros baked in if it is masked."""
    net = unwrapped(module)
    if not pruned_sites(net):
        return net
    net = copy.deepcopy(net)
    detach(pruned_sites(net))
    return net
