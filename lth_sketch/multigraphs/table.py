"""The sums of one law, and what of them is worth the time and the memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from lth_sketch.multigraphs.sums import Weigh, graph_sums
from lth_sketch.product import FACTOR_ENTRIES
from lth_sketch.validation import Floats

# Multiplications and additions for the complete graph K4: taken without being asked for, and at
# most. Its d triangles take 2 d^4 of them.
LITTLE, MUCH = 2**30, 2**40
# What a processor does of them in a second, for the estimate in the error.
RATE = 2**34


class GraphTable(NamedTuple):
    """Sums over connected multigraphs, in units of a scale.

    Attributes
    ----------
    sums : (order + 1, order + 1) array
        As `graph_sums` returns them.
    scale : float
        What the entries of G have been divided by.
    exact : bool
        Whether K4 is in it, rather than a bound on its size.
    """

    sums: Floats
    scale: float
    exact: bool

    @property
    def order(self) -> int:
        """Largest number of edges."""
        return len(self.sums) - 1

    def upto(self, order: int) -> GraphTable:
        """Return the sums of the graphs of fewer edges."""
        return self._replace(sums=self.sums[: order + 1, : order + 1])

    def serves(self, d: int, order: int, exact: bool) -> bool:
        """Say whether this is what `summed` would return."""
        return self.order >= order and (order < 6 or self.exact or not (exact or _cheap(d)))


def fits(d: int) -> bool:
    """Say whether d x d matrices are within memory."""
    return d * d <= FACTOR_ENTRIES


def check_size(d: int, order: int, exact: bool) -> None:
    """Refuse what does not fit into memory, or would take minutes.

    Raises
    ------
    ValueError
        With the size and what to do.
    """
    if not fits(d):
        raise ValueError(
            f"order = {order} needs matrices of d x d = {d} x {d} entries ({d * d * 8 / 2**30:.3g} "
            f"GiB each, limit {FACTOR_ENTRIES * 8 / 2**30:.3g} GiB); use order 2, which does "
            "without, or fewer features"
        )
    work = 2 * d**4
    if exact and order == 6 and work > MUCH:
        raise ValueError(
            f"exact = True at order 6 takes d products of d x d matrices for d = {d}, about "
            f"{work / RATE / 60:.0f} minutes (limit {MUCH / RATE / 60:.0f}); use exact = False, "
            "which is above the exact moment by little, or order 5"
        )


def extended(
    table: GraphTable | None,
    d: int,
    order: int,
    exact: bool,
    make: Callable[[int, bool], GraphTable],
) -> GraphTable:
    """Return the table that a law of d terms keeps, or a larger one if it does not serve.

    Raises ValueError as `check_size`.
    """
    check_size(d, order, exact)
    return table if table is not None and table.serves(d, order, exact) else make(order, exact)


def summed(
    G: Floats,
    weigh: Weigh,
    scale: float,
    order: int,
    exact: bool,
    fallback: Literal["cycle", "path"],
) -> GraphTable:
    """Return the sums for G / scale, with K4 where it is asked for or costs next to nothing."""
    sharp = exact or _cheap(len(G))
    sums = graph_sums(G, weigh, order, "exact" if sharp else fallback)
    return GraphTable(sums, scale, sharp)


def _cheap(d: int) -> bool:
    return bool(2 * d**4 <= LITTLE)


def deviation(G: Floats, weights: Floats, loops: Floats) -> float:
    """Return the root of ``sum w_i loops_i^2 + 2 sum w_i w_j G_ij^2``, without overflow."""
    largest = max(float(np.abs(G).max()), float(np.abs(loops).max()))
    if not 0.0 < largest < np.inf:
        return largest
    squares = np.square(G / largest)
    inside = weights @ np.square(loops / largest) + 2.0 * (weights @ squares @ weights)
    return largest * float(np.sqrt(inside))
