"""Weights that are computed from others: told by the names beside them, with what undoes it."""

from __future__ import annotations

from collections.abc import Collection

OURS = "lth_sketch.networks.remove(module)"


def remover(attribute: str, names: Collection[str]) -> str | None:
    """Return the call that makes a weight plain again, or None if it is plain.

    Parameters
    ----------
    attribute : str
        The weight, for instance "weight".
    names : collection of str
        All tensors that its layer holds, parameters and buffers.

    Returns
    -------
    str or None
        A call of PyTorch or of this library, as one writes it.

    Examples
    --------
    >>> remover("weight", ["bias", "weight_g", "weight_v"])
    'torch.nn.utils.remove_weight_norm(layer)'
    """
    inner = f"parametrizations.{attribute}."
    own = {name.removeprefix(inner) for name in names if name.startswith(inner)}
    if own == {"original", "0.mask"}:
        return OURS
    if own:
        return f"torch.nn.utils.parametrize.remove_parametrizations(layer, {attribute!r})"
    name = "" if attribute == "weight" else f", {attribute!r}"
    has = {ending: f"{attribute}_{ending}" in names for ending in ("g", "v", "orig", "mask", "u")}
    if has["g"] and has["v"]:
        return f"torch.nn.utils.remove_weight_norm(layer{name})"
    if has["orig"] and has["mask"]:
        return f"torch.nn.utils.prune.remove(layer, {attribute!r})"
    if has["orig"] and has["u"]:
        return f"torch.nn.utils.remove_spectral_norm(layer{name})"
    return None
