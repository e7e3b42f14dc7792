"""Masks of named layers: a dictionary of scores in, a dictionary of masks out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lth_sketch import pruning, validation
from lth_sketch.validation import Array

Arrays = dict[str, Array]


class Kept(NamedTuple):
    """How many weights of a layer a mask keeps, out of how many."""

    kept: int
    size: int


def select(
    scores: Mapping[str, Array],
    density: float,
    *,
    design: str = "top",
    binary: bool = True,
    scope: str = "global",
    floor: int = 0,
    rng: np.random.Generator | int | None = None,
) -> Arrays:
    """Select a mask for each named layer, by `pruning.select`.

    Parameters
    ----------
    scores : mapping from name to array
        Scores of each layer, the largest most worth keeping. Where all layers compete and no floor
        is set, a layer whose scores are all zero is left empty (a network that an earlier round cut
        through has such layers).
    density : float
        Share of all weights that is kept, in (0, 1].
    design, binary, scope, floor, rng
        As in `pruning.select`: "top" or a random design, ones or unbiased weights, one competition
        or one a layer, how many weights each layer keeps at least.

    Returns
    -------
    dict of arrays
        Masks of the shapes and types of the scores, in their order.

    Raises
    ------
    TypeError, ValueError
        As `pruning.select`; an error about ``scores[i]`` names the layer as well.

    Examples
    --------
    >>> import numpy as np
    >>> select({"a": np.array([5.0, 4.0]), "b": np.array([1.0, 2.0])}, 0.5, floor=1)
    {'a': array([1., 0.]), 'b': array([0., 1.])}
    """
    if not scores:
        raise ValueError("scores must hold at least one layer; got none")
    names, share = list(scores), validation.share("density", density)
    if scope == "global" and floor == 0:
        names = [name for name in scores if np.any(scores[name])] or names
        total, live = (sum(scores[n].size for n in group) for group in (scores, names))
        wanted = math.floor(share * total + 0.5)
        if live < total and wanted > live:
            raise ValueError(
                f"density = {density} keeps {wanted} of {total} weights, but only the {live} of "
                f"{', '.join(names)} have scores that are not all zero; lower the density"
            )
        if live < total and wanted:
            share = wanted / live
    try:
        found = pruning.select(
            [scores[name] for name in names],
            share,
            design=design,
            binary=binary,
            scope=scope,
            floor=floor,
            rng=rng,
        )
    except (TypeError, ValueError) as error:
        listed = "; ".join(f"scores[{i}] is {name!r}" for i, name in enumerate(names))
        if "scores[" in str(error):
            raise type(error)(f"{error} ({listed})") from None
        raise
    chosen = dict(zip(names, found, strict=True))
    return {name: chosen.get(name, np.zeros_like(scores[name])) for name in scores}


def kept(masks: Mapping[str, Array]) -> dict[str, Kept]:
    """Count the weights that are kept in each layer.

    Parameters
    ----------
    masks : mapping from name to array
        Masks, binary or with weights.

    Returns
    -------
    dict of Kept
        For each layer the number kept and its size.

    Examples
    --------
    >>> import numpy as np
    >>> kept({"a": np.array([[1.0, 0.0], [0.0, 0.0]])})
    {'a': Kept(kept=1, size=4)}
    """
    return {name: Kept(int(np.count_nonzero(m)), int(np.size(m))) for name, m in masks.items()}
