"""From counts of magnitudes to thresholds, exactly: what `sampling.draw` finds in the weights."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from lth_sketch.checkpoints.looking import Cells
from lth_sketch.inclusion.checked import ALL
from lth_sketch.kernels import walks
from lth_sketch.pruning import selection
from lth_sketch.validation import Integers

# Weights that share their upper 16 bits lie within so many units of the last place.
SPAN = 0xFFFF
# How many standard deviations are hardly ever exceeded, and the share of weights between two
# numbers 2^-7 apart, relatively, by which ``min(1, p / t)`` of their mean may be off.
SURE, SHARED = 8.0, 2.0**-9


class Unresolved(Exception):
    """The answer hangs on the lower bits of the magnitudes with these upper ones."""

    def __init__(self, upper: int) -> None:
        super().__init__(upper)
        self.upper = upper


def resolved(cells: Cells, upper: int, counts: Integers) -> Cells:
    """Put the numbers themselves in the place of those that share their upper bits."""
    kept = (cells.bits >> np.uint32(16)) != upper
    lows = np.flatnonzero(counts)
    bits = np.concatenate([cells.bits[kept], ((upper << 16) | lows).astype(np.uint32)])
    joined = np.concatenate([cells.counts[kept], counts[lows]])
    rest = np.concatenate([cells.lows[kept], np.zeros(len(lows), np.int64)])
    order = np.argsort(bits)
    return Cells(bits[order], joined[order], rest[order])


def top(cells: Cells, kept: int) -> tuple[int, int]:
    """Return the bits of the kept-th largest magnitude, and how many of its size are kept."""
    beyond = np.cumsum(cells.counts[::-1])[::-1]
    i = int(np.flatnonzero(beyond >= kept)[-1])
    if cells.lows[i]:
        raise Unresolved(int(cells.bits[i]) >> 16)
    return int(cells.bits[i]), kept - int(beyond[i] - cells.counts[i])


def _value(bits: int) -> tuple[int, int]:
    """Return a number, and the unit of its last place, in units of 2^-149."""
    exponent, mantissa = bits >> 23, bits & 0x7FFFFF
    if exponent == 0:
        return mantissa, 1
    return (mantissa | 0x800000) << (exponent - 1), 1 << (exponent - 1)


def threshold(cells: Cells, s: int) -> float:
    """Return the tau with ``sum_i min(1, p_i / tau) = s``, rounded once (S4)."""
    values = [_value(int(b)) for b in cells.bits]
    masses = [
        int(count) * value + int(low) * unit
        for (value, unit), count, low in zip(values, cells.counts, cells.lows, strict=True)
    ]
    rest, capped = sum(masses), 0
    for i in range(len(masses) - 1, -1, -1):
        value, unit = values[i]
        share = s - capped
        largest = value + (SPAN * unit if cells.lows[i] else 0)
        if largest * share <= rest:
            break
        if value * share <= rest:
            raise Unresolved(int(cells.bits[i]) >> 16)
        rest -= masses[i]
        capped += int(cells.counts[i])
    return float(Fraction(rest, (s - capped) << 149))


def walk(cells: Cells, tau: float) -> int:
    """Return how far the systematic walk goes along these weights, in exact integers."""
    p = cells.bits.view(np.float32).astype(np.float64)
    steps = np.minimum(p * (walks.WHOLE / tau), walks.WHOLE).astype(np.int64)
    return sum(int(n) * int(k) for n, k in zip(cells.counts, steps, strict=True))


def draws_for(cells: Cells, kept: int, nonzero: int) -> tuple[int, float]:
    """Return s, and the probability of s + 1 in its place, that keep `kept` distinct on average.

    Weights that share their upper bits count with their mean; s is then right to about 1e-5 of s.
    """
    live = cells.bits > 0
    means = _means(cells)[live]
    counts = cells.counts[live].astype(np.float64)
    p = means / (means @ counts)

    def distinct(s: int) -> float:
        with np.errstate(divide="ignore"):
            return float(-np.expm1(s * np.log1p(-p)) @ counts)

    low = high = kept
    while distinct(high) <= kept:
        low, high = high, 2 * high
        if low > max(selection.DRAWS, 64 * kept):
            raise ValueError(
                f"density asks for {kept} distinct entries of {nonzero} that are not zero, which "
                "takes too many draws with replacement; lower it, or use design='poisson'"
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if distinct(middle) <= kept else (low, middle)
    below, above = distinct(low), distinct(low + 1)
    return low, min(1.0, max(0.0, (kept - below) / (above - below)))


def _means(cells: Cells) -> np.ndarray:
    means = [
        (int(c) * value + int(low) * unit) / (int(c) << 149)
        for (value, unit), c, low in zip(
            [_value(int(b)) for b in cells.bits], cells.counts, cells.lows, strict=True
        )
    ]
    return np.array(means)


def bracket(cells: Cells, s: int) -> tuple[float, float]:
    """Return two numbers between which the (s+1)-th largest of the ranks ``p / v`` lies (S6).

    The number of ranks from t on has the mean ``sum_i min(1, p_i / t)`` and, by Chernoff's bounds,
    is `SURE` roots of the mean away from it with a chance below 1e-12; a draw sees whether it is.
    Weights that share their upper bits count with their mean, which moves the sum by no more than
    `SHARED` of those near t.
    """
    live = cells.bits > 0
    values = _means(cells)[live]
    counts = cells.counts[live].astype(np.float64)
    slack = SHARED * float(np.max(cells.counts[live], where=cells.lows[live] > 0, initial=0))
    # Of the cells from i on, all are capped at their own value; those below have this mass.
    beyond = np.cumsum(counts[::-1])[::-1]
    below = np.concatenate([[0.0], np.cumsum(values * counts)[:-1]])
    means = beyond + below / values

    def level(wanted: float) -> float:
        if wanted <= 0.0:
            return np.inf
        i = int(np.flatnonzero(means > wanted)[-1]) if means[0] > wanted else -1
        if i < 0:
            return ALL
        capped = beyond[i + 1] if i + 1 < len(values) else 0.0
        return float((below[i] + values[i] * counts[i]) / (wanted - capped))

    far = SURE * np.sqrt(s + SURE**2) + slack
    return level(s + 1 + far), level(s - far)
