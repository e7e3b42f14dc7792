"""What the names of a checkpoint tell of its layers: pruned, normalised, parametrised already."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lth_sketch.validation import Array

# The mask or the original of a weight by itself, under the names of torch.nn.utils.prune.
LONE = re.compile(r"(.*\.)?(weight|bias)_(mask|orig)")
PARAMETRISED = re.compile(r"((?:.*\.)?parametrizations\.[^.]+)\.")


def reparametrised(name: str, arrays: Mapping[str, Array]) -> str | None:
    """Return how to make a layer plain, if an array is a part of its weight and not the weight.

    Parameters
    ----------
    name : str
        A name of `arrays`.
    arrays : mapping from name to array
        The whole checkpoint: a suffix means something only where its partner is there too.

    Returns
    -------
    str or None
        What the layer is, and the function that undoes it.
    """
    stem, _, part = name.rpartition("_")
    orig, mask = arrays.get(f"{stem}_orig"), arrays.get(f"{stem}_mask")
    if part in ("orig", "v") and orig is not None and f"{stem}_u" in arrays:
        return "a layer with spectral normalisation; call torch.nn.utils.remove_spectral_norm on it"
    pruned = orig is not None and mask is not None and orig.shape == mask.shape
    # A mask or an original of a weight that is not there stands for one that is elsewhere.
    if (pruned and part in ("orig", "mask")) or (LONE.fullmatch(name) and stem not in arrays):
        return "a pruned layer; call torch.nn.utils.prune.remove on the layers"
    size, direction = arrays.get(f"{stem}_g"), arrays.get(f"{stem}_v")
    if part in ("g", "v") and _is_size(size, direction):
        return "a layer with weight normalisation; call torch.nn.utils.remove_weight_norm on it"
    match = PARAMETRISED.match(name)
    if match and f"{match[1]}.0.mask" in arrays:
        return "a layer masked by this library; call lth_sketch.networks.remove on the module"
    if match and any(f"{match[1]}.original{end}" in arrays for end in ("", "0")):
        return "a parametrised layer; call torch.nn.utils.parametrize.remove_parametrizations on it"
    return None


def _is_size(size: Array | None, direction: Array | None) -> bool:
    """Return whether one array can hold the norms of another along all axes but one."""
    if size is None or direction is None:
        return False
    if size.size == 1:
        return True
    long = [axis for axis, n in enumerate(size.shape) if n > 1]
    return (
        size.ndim == direction.ndim
        and len(long) == 1
        and size.shape[long[0]] == direction.shape[long[0]]
    )
