"""Polynomials that are at least 1 from x on and never negative before: certificates (B9 a)."""

from __future__ import annotations

import numpy as np

from lth_sketch.tolerances import ROUNDING
from lth_sketch.validation import Array, Floats


def expectation(moments: Floats, x: Floats, nodes: Floats, origin: Floats | None = None) -> Floats:
    """Return E f of the certificate of m laws, from above: a bound on P(Z >= x).

    f is the polynomial of least degree with f(x) = 1, and f = f' = 0 at the nodes below x, f = 1
    and f' = 0 at those above, f = 0 at `origin`. What rounding can change in its expectation is
    added. Where there is no such certificate the bound is infinite.

    Parameters
    ----------
    moments : (k, m) array
        ``E Z^j`` for j = 0 .. k - 1; the last may be an upper bound.
    x : (m,) array
        Where the tail begins.
    nodes : (m, n) array
        Other than x, ascending; exact ones are not needed.
    origin : (m,) array, optional
        Least value that Z can take; all nodes are above it, and x is.
    """
    limits = np.full(len(x), np.inf)
    below = (nodes < x[:, None]).sum(axis=1)
    for zeros in np.unique(below):
        laws = np.flatnonzero(below == zeros)
        low = None if origin is None else origin[laws]
        # Without a zero below x, f is one everywhere.
        if zeros or low is not None:
            limits[laws] = _one_shape(moments[:, laws], x[laws], nodes[laws].T, int(zeros), low)
    return limits


def _one_shape(
    moments: Floats, x: Floats, nodes: Floats, zeros: int, origin: Floats | None
) -> Floats:
    """Return `expectation` for laws with as many nodes below x; nodes are (n, m), ascending."""
    # In Newton's form what comes first is zero, so that all terms are as small as f.
    low = [] if origin is None else [origin]
    places = np.array([*low, *np.repeat(nodes[:zeros], 2, 0), x, *np.repeat(nodes[zeros:], 2, 0)])
    heights = np.zeros_like(places)
    heights[len(low) + 2 * zeros :] = 1.0
    with np.errstate(all="ignore"):
        slopes, sizes = _differences(places, heights)
        powers, reach = _powers(places, slopes, sizes)
        used = moments[: len(powers)]
        value = (powers * used).sum(axis=0)
        upper = value + ROUNDING * (reach * _absolute(used, origin)).sum(axis=0)
    # Nodes of a law that is never below its origin are above it, but for rounding.
    sound = (
        np.isfinite(upper)
        if origin is None
        else np.isfinite(upper) & (places[1:] > origin).all(axis=0)
    )
    return np.where(sound, upper, np.inf)


def _differences(places: Floats, heights: Floats) -> tuple[Floats, Floats]:
    """Divided differences of Hermite's interpolation, and the sizes of what was subtracted.

    At most two places in a row are equal; slopes there are zero.
    """
    count = len(places)
    table, size = heights.copy(), np.abs(heights)
    first, bulk = [table[0]], [size[0]]
    for level in range(1, count):
        gaps = places[level:] - places[:-level]
        change = table[1:] - table[:-1]
        if level == 1:
            # Heights are 0 and 1: their differences are exact.
            equal = gaps == 0.0
            table = np.divide(change, gaps, out=np.zeros_like(gaps), where=~equal)
            size = np.abs(table)
        else:
            size = (size[1:] + size[:-1]) / np.abs(gaps)
            table = change / gaps
        first.append(table[0])
        bulk.append(size[0])
    return np.array(first), np.array(bulk)


def _powers(places: Floats, slopes: Floats, sizes: Floats) -> tuple[Floats, Floats]:
    """From Newton's form to powers; and the same for the sizes."""
    count = len(places)
    coefficients, reach = np.zeros_like(places), np.zeros_like(places)
    for i in reversed(range(count)):
        moved, spread = coefficients * places[i], reach * np.abs(places[i])
        coefficients[1:], reach[1:] = coefficients[:-1].copy(), reach[:-1].copy()
        coefficients[0], reach[0] = 0.0, 0.0
        coefficients -= moved
        reach += spread
        coefficients[0] += slopes[i]
        reach[0] += sizes[i]
    return coefficients, reach


def _absolute(moments: Floats, origin: Floats | None) -> Floats:
    """Bounds on ``E |Z|^j``."""
    absolute = moments.copy()
    for j in range(1, len(moments), 2):
        if j + 1 < len(moments):
            absolute[j] = np.sqrt(moments[j - 1] * moments[j + 1])
        elif origin is not None:
            # What is negative is no larger than the origin.
            absolute[j] = np.abs(moments[j]) + 2.0 * np.abs(origin) * moments[j - 1]
    return absolute


def finite(moments: Floats) -> Array:
    """Say which laws have finite moments of all orders given."""
    return np.asarray(np.isfinite(moments).all(axis=0))
