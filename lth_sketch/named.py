"""Masks of named layers: a dictionary of scores in, a dictionary of masks out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lth_sketch import pruning, validation
from lth_sketch.validation import Array

Arrays = dict[str, Array]


class Kept(NamedTuple):
    """How many weights of a layer a mask keeps, out of how many."""

    kept: int
    size: int


class Counts(dict[str, Kept]):
    """What masks keep of each layer, and which weights have no mask.

    Attributes
    ----------
    left : dict of int
        Sizes of the weights that are left whole, by name.
    """

    def __init__(self, counts: Mapping[str, Kept], left: Mapping[str, int] | None = None) -> None:
        super().__init__(counts)
        self.left: dict[str, int] = dict(left or {})

    @property
    def density(self) -> float:
        """Share of the masked weights that is kept."""
        return sum(layer.kept for layer in self.values()) / self._size(())

    @property
    def reached(self) -> float:
        """Share of all weights that is kept, those that are left whole among them."""
        whole = sum(self.left.values())
        return (sum(layer.kept for layer in self.values()) + whole) / self._size((whole,))

    @property
    def emptied(self) -> list[str]:
        """Layers of which nothing is kept."""
        return [name for name, layer in self.items() if layer.kept == 0 < layer.size]

    def table(self) -> str:
        """Return a line for each layer, for those left whole, and for all."""
        lines = {name: (layer.kept, layer.size, "") for name, layer in self.items()}
        lines |= {name: (size, size, "  left whole") for name, size in self.left.items()}
        kept = sum(line[0] for line in lines.values())
        lines["all"] = (kept, sum(line[1] for line in lines.values()), "")
        width = max(len(name) for name in lines)
        return "\n".join(
            f"{name:{width}}  {k:>12,} of {n:>12,}  {100 * k / max(n, 1):8.3f}%{note}"
            for name, (k, n, note) in lines.items()
        )

    def _size(self, others: tuple[int, ...]) -> int:
        return max(1, sum(layer.size for layer in self.values()) + sum(others))


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
        As `pruning.select`; an error about the scores of a layer names it.

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
    competing: Any = {name: scores[name] for name in names}
    chosen: Arrays = pruning.select(
        competing,
        share,
        design=design,
        binary=binary,
        scope=scope,
        floor=floor,
        rng=rng,
    )
    return {name: chosen.get(name, np.zeros_like(scores[name])) for name in scores}


def kept(masks: Mapping[str, Array], *, left: Mapping[str, int] | None = None) -> Counts:
    """Count the weights that are kept in each layer.

    Parameters
    ----------
    masks : mapping from name to array
        Masks, binary or with weights.
    left : mapping from name to int, optional
        Sizes of weights that have no mask.

    Returns
    -------
    Counts
        For each layer the number kept and its size: a dictionary, with a table and densities.

    Examples
    --------
    >>> import numpy as np
    >>> counts = kept({"a": np.array([[1.0, 0.0], [0.0, 0.0]])}, left={"b": 4})
    >>> counts, counts.density, counts.reached
    ({'a': Kept(kept=1, size=4)}, 0.25, 0.625)
    >>> print(counts.table())
    a               1 of            4    25.000%
    b               4 of            4   100.000%  left whole
    all             5 of            8    62.500%
    """
    counts = {name: Kept(int(np.count_nonzero(m)), int(np.size(m))) for name, m in masks.items()}
    return Counts(counts, left)
