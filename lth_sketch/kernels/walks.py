"""The systematic walk: a unit for each entry that is kept, in exact integers."""

from __future__ import annotations

import numpy as np

from lth_sketch.kernels._jit import compiled
from lth_sketch.validation import Array, Integers

# Fractions of a unit are integers up to 2^FRACTION: their sums are exact, in any order, and a unit
# is completed where a sum flips the bit above them.
FRACTION = 62
UNIT = 1 << FRACTION
HALF = FRACTION // 2
LOW = (1 << HALF) - 1
WHOLE = float(UNIT)
# What rounds to multiples of 2^HALF, and to integers, when it is added and subtracted.
UPPER, LOWER = 1.5 * 2.0 ** (52 + HALF), 1.5 * 2.0**52
# Positions that a loop carries are unsigned: no test for a negative one delays the next step.
NONE, ONE = np.uint64(0), np.uint64(1)


@compiled
def fraction(p: float, scale: float) -> tuple[int, int]:
    """Return the fraction ``min(1, p / tau)`` in units of 2^-HALF and in what is left of these.

    Both as bits that `steps` takes the zeros from. Adding and subtracting 1.5 * 2^(52 + k) rounds
    to a multiple of 2^k, which the last bits of the first result count: for several numbers at
    once, while conversions come one by one.
    """
    step = min(p * scale, WHOLE)
    shifted = step + UPPER
    rest = np.floor(step - (shifted - UPPER))
    high = int(np.float64(shifted).view(np.int64))
    return high, int(np.float64(rest + LOWER).view(np.int64))


@compiled
def steps(p: Array, tau: float) -> tuple[int, int]:
    """Return the sum of the fractions ``min(1, p_i / tau)``: units are high * 2^HALF + low.

    It is the sum of the very integers that `systematic` adds.
    """
    scale = WHOLE / tau
    half = len(p) // 2
    # Two streams at a time: memory is fetched ahead of both.
    front, back = p[:half], p[half:]
    high = low = 0
    if len(p) % 2:
        high, low = fraction(np.float64(p[-1]), scale)
    for i in range(half):
        more, rest = fraction(np.float64(front[i]), scale)
        high += more
        low += rest
        more, rest = fraction(np.float64(back[i]), scale)
        high += more
        low += rest
    none, zero = int(np.float64(UPPER).view(np.int64)), int(np.float64(LOWER).view(np.int64))
    return low - len(p) * zero, high - len(p) * none


@compiled
def systematic(
    p: Array, tau: float, phase: int, first: int, indices: Integers, weights: Array
) -> None:
    """Walk along the weights in steps of ``p_i / tau``; keep an entry where a unit is completed.

    Entries at the cap (``p_i >= tau``) step a whole unit: they are kept, and the phase stays.

    Parameters
    ----------
    p : (d,)
        Weights.
    tau : float
        Weights over inclusion probabilities, below the cap; UNIT / tau is finite.
    phase : int
        Fraction of a unit completed before the first weight, in [0, UNIT).
    first : int
        Index of the first weight.
    indices, weights : (n,)
        Output, of the exact length: the entries kept, and ``max(1, tau / p_i)``.
    """
    scale = WHOLE / tau
    i = NONE
    filled = NONE
    end = np.uint64(len(indices))
    while filled < end:
        before = phase
        phase += int(min(np.float64(p[i]) * scale, WHOLE))
        # Written always, and over again until a unit is completed: no branch to be predicted.
        indices[filled] = first + np.int64(i)
        weights[filled] = p[i]
        filled += np.uint64(((phase ^ before) >> FRACTION) & 1)
        i += ONE
    for k in range(len(weights)):
        weights[k] = max(1.0, tau / np.float64(weights[k]))


@compiled
def completed(p: Array, tau: float, start: int, indices: Integers, weights: Array) -> bool:
    """Walk as `systematic` does from its start; return whether that completes what is asked for.

    Parameters
    ----------
    p : (d,)
        Weights, at most 2^17 of them.
    tau : float
        As in `systematic`.
    start : int
        The phase before the first weight, in [0, UNIT).
    indices, weights : (n,)
        Output. Rounding makes about 1 start in 10^9 complete another number of units than n: then
        nothing is written.
    """
    low, high = steps(p, tau)
    low += start & LOW
    high += (start >> HALF) + (low >> HALF)
    if high >> (FRACTION - HALF) != len(indices):
        return False
    systematic(p, tau, start, 0, indices, weights)
    return True


@compiled
def systematic_rows(
    p: Array, tau: float, phases: Integers, starts: Integers, indices: Integers, weights: Array
) -> None:
    """Draw once from each of the phases; draw t is written from ``starts[t]`` on."""
    for t in range(len(phases)):
        low, high = starts[t], starts[t + 1]
        systematic(p, tau, int(phases[t]), 0, indices[low:high], weights[low:high])
