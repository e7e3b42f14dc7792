"""The quadrature of priority samples (S5): where the law of independent events is not settled.

An index is kept, and its error grows, as fewer or more than s of the others have ``p_j / v_j``
above x. With z = 1 / x that is a number of independent events, ``v_j < p_j z``, whose law serves
all indices at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy

from lth_sketch.validation import Floats

# Laws are taken for settled where Bernstein's inequality leaves less than exp(-40) of the other
# outcome above, exp(-80) below: small errors of entries that are almost surely kept count there.
BELOW, ABOVE = -80.0, 40.0
# Gauss-Legendre nodes for a panel of at most so much of the width over which the law changes.
WIDTHS = (1 / 256, 1 / 32, 1 / 8, 3 / 8)
NODES = (2, 3, 4, 6, 12)
# End of the first panel, where the mean number of events is the same or lower.
FIRST = 0.25
# Variance below which a law changes no faster all the same: it counts whole events.
SPREAD = 0.25


class Rule(NamedTuple):
    """Nodes and weights from where at least s of the events are unlikely to where they are sure."""

    start: float
    stop: float
    nodes: Floats
    shares: Floats


def rule(q: Floats, s: int) -> Rule:
    """Return the rule for integrals over z of the chances of s among the events ``v_j < q_j z``.

    These are smooth between kinks at ``1 / q_i``, and no law of independent events changes over
    less than its standard deviation: panels end at both.

    Parameters
    ----------
    q : (d,) array
        Probabilities > 0, descending.
    s : int
        Number of events, below d.
    """
    kinks = 1.0 / np.maximum(q, np.finfo(np.float64).tiny)
    # Sums of q and of q^2 from each entry on.
    sums, squares = (np.append(np.cumsum(x[::-1])[::-1], 0.0) for x in (q, q * q))

    def law(z: Floats | float) -> tuple[Floats, Floats]:
        """Return mean and variance of the number of events."""
        sure = np.searchsorted(kinks, z, side="right")
        mean = sums[sure] * z
        return sure + mean, np.maximum(0.0, mean - squares[sure] * z * z)

    def width(z: Floats | float) -> Floats:
        sure = np.searchsorted(kinks, z, side="right")
        spread = np.sqrt(np.maximum(SPREAD, law(z)[1]))
        left = sums[sure]
        # Where every entry is sure nothing is left that spreads.
        free = np.divide(spread, left, out=np.full(np.shape(z), np.inf), where=left > 0)
        return np.asarray(np.minimum(z, free))

    def settled(z: float) -> float:
        """Bernstein's exponent, negative where fewer than s is the likely outcome."""
        mean, variance = law(z)
        gap = float(mean) - s
        return math.copysign(gap * gap / (2.0 * (float(variance) + abs(gap) / 3.0)), gap)

    # With s + 1 sure entries everyone has s others.
    start = _crossing(settled, BELOW, FIRST, kinks[s])
    stop = _crossing(settled, ABOVE, FIRST, kinks[s])
    edges = [0.0, FIRST] if start == FIRST else [start]
    while edges[-1] < stop:
        edges.append(edges[-1] + float(width(edges[-1])))
    edges[-1] = stop
    inner = kinks[(kinks > edges[0]) & (kinks < stop)]
    panels = np.unique(np.concatenate([edges, inner]))
    middle, half = (panels[1:] + panels[:-1]) / 2, np.diff(panels) / 2
    kind = np.searchsorted(WIDTHS, 2.0 * half / width(middle))
    nodes, shares = [], []
    for k, count in enumerate(NODES):
        places, parts = np.polynomial.legendre.leggauss(count)
        nodes.append((middle[kind == k, None] + half[kind == k, None] * places).ravel())
        shares.append((half[kind == k, None] * parts).ravel())
    z = np.concatenate(nodes)
    order = np.argsort(z)
    return Rule(edges[0], stop, z[order], np.concatenate(shares)[order])


def _crossing(rising: Callable[[float], float], level: float, low: float, high: float) -> float:
    """Return where a function reaches a level: an end of the interval if it does so nowhere."""
    if rising(low) >= level:
        return low
    if rising(high) <= level:
        return high
    return math.exp(
        scipy.optimize.bisect(lambda t: rising(math.exp(t)) - level, math.log(low), math.log(high))
    )
