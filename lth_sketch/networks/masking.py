"""The masks of a module: put on, taken off, counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from lth_sketch import named
from lth_sketch.networks.layers import Site
from lth_sketch.networks.masked import attach, detach, mask_of
from lth_sketch.networks.unwrapping import pruned_sites, unwrapped
from lth_sketch.networks.weights import choose, fitted, to_numpy, values
from lth_sketch.validation import Array

Masks = Mapping[str, Array]


def apply(module: nn.Module, masks: Masks) -> None:
    """Mask the weights of a module in place: all of them, or none after an error.

    Each weight becomes a parametrization (``torch.nn.utils.parametrize``): the trained parameter
    ``parametrizations.weight.original`` times the buffer ``parametrizations.weight.0.mask``. What
    reads the weight sees the product, a layer's own forward or a fused kernel; state_dict,
    deepcopy, pickle and optimisers carry both. A weight that is masked already has its mask
    replaced, and a shared weight is masked wherever it is used. `remove` makes the layers plain
    again.

    Parameters
    ----------
    module : torch.nn.Module
        A network.
    masks : mapping from name to array
        Masks by weight, as `find` returns them. Weights without one stay as they are.

    Raises
    ------
    TypeError, ValueError
        As `prunable`; also if the masks do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> net = nn.Linear(2, 1)
    >>> apply(net, {"weight": np.array([[1.0, 0.0]])})
    >>> net.weight[0, 1].item() == 0, sorted(net.state_dict())
    (True, ['bias', 'parametrizations.weight.0.mask', 'parametrizations.weight.original'])
    """
    net = unwrapped(module)
    if not masks:
        raise ValueError("masks must hold at least one mask; got none")
    known = choose(net, include="*")
    wanted: dict[str, str] = {}
    for name, places in known.pruned.items():
        wanted.update({site.name: name for site in places})
    pairs = []
    for name in masks:
        if name not in wanted:
            raise ValueError(
                f"masks must name the prunable weights {', '.join(known.pruned)}; got {name}"
            )
        places = known.pruned[wanted[name]]
        weight = values({name: places})[name]
        mask = fitted(name, masks, weight)
        pairs += [(site, mask) for site in _once(places)]
    attach(pairs)


def remove(module: nn.Module) -> None:
    """Make the masked weights of a module plain parameters again, with their zeros for good.

    Parameters
    ----------
    module : torch.nn.Module
        A network that `apply` has masked. The parameters are those that were trained: an optimiser
        goes on with them. Masks that others have put on are left alone.

    Raises
    ------
    TypeError
        If `module` is no module.
    ValueError
        If it has no masks of this library.

    Examples
    --------
    >>> import numpy as np
    >>> net = nn.Linear(2, 1)
    >>> apply(net, {"weight": np.array([[1.0, 0.0]])})
    >>> remove(net)
    >>> net.weight[0, 1].item() == 0, sorted(net.state_dict())
    (True, ['bias', 'weight'])
    """
    sites = pruned_sites(unwrapped(module))
    if not sites:
        raise ValueError("module has no masks to remove: it was not masked, or they are removed")
    detach(_once(sites))


def kept(module: nn.Module | Masks) -> named.Counts:
    """Count what is kept in each layer, of a masked module or in masks.

    Parameters
    ----------
    module : torch.nn.Module or mapping from name to array
        A network, masked or not, or masks.

    Returns
    -------
    Counts
        For each layer the number kept and its size. Of a module, ``left`` names the weights that
        have no mask, ``reached`` is the density of all weights of two axes or more, and ``table()``
        shows both.

    Raises
    ------
    TypeError, ValueError
        If `module` is neither, or has no weights.

    Examples
    --------
    >>> import numpy as np
    >>> net = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 2))
    >>> apply(net, {"1.weight": np.eye(2, 4)})
    >>> kept(net), kept(net).left, kept(net).reached == 22 / 28
    ({'1.weight': Kept(kept=2, size=8)}, {'0.weight': 20}, True)
    """
    if isinstance(module, Mapping):
        return named.kept({name: to_numpy(mask) for name, mask in module.items()})
    net = unwrapped(module)
    masks: dict[str, Array] = {}
    left: dict[str, int] = {}
    for name, places in choose(net, include="*").pruned.items():
        mask = mask_of(places[0].layer, places[0].attribute)
        if mask is None:
            left[name] = int(getattr(places[0].layer, places[0].attribute).numel())
        else:
            masks[name] = to_numpy(mask)
    return named.kept(masks, left=left)


def _once(places: Sequence[Site]) -> list[Site]:
    """Return places without those that are a layer met twice."""
    return list({(id(site.layer), site.attribute): site for site in places}.values())
