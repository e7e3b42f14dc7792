"""Magnitudes of weights of 16 and 32 bits as integers: counts of them, and what a design keeps."""

from __future__ import annotations

import numpy as np

from lth_sketch.kernels._jit import compiled
from lth_sketch.validation import Array, Integers

# Everything but the sign of a number of 16 and of 32 bits.
SIZE = np.uint16(0x7FFF)
WIDE = np.uint32(0x7FFFFFFF)
# The bit of a unit of the systematic walk, as in `kernels.walks`, and those below it.
FRACTION = 62
# Weights that are looked at together for one in doubt.
TOGETHER = 16
NOWHERE = np.uint64(1 << 63)
BELOW = (1 << FRACTION) - 1


@compiled
def count_16(codes: Array, out: Array) -> None:
    """Add to `out` (4, 2^15) the number of magnitudes of each size.

    Four tables take turns: the same size twice in a row need not wait for itself.
    """
    whole = len(codes) - len(codes) % 4
    for i in range(0, whole, 4):
        out[0, codes[i] & SIZE] += 1
        out[1, codes[i + 1] & SIZE] += 1
        out[2, codes[i + 2] & SIZE] += 1
        out[3, codes[i + 3] & SIZE] += 1
    for i in range(whole, len(codes)):
        out[0, codes[i] & SIZE] += 1


@compiled
def count_32(bits: Array, counts: Integers, lows: Integers) -> int:
    """Add to `counts` and `lows` (2^15,) how many share the upper 16 bits, and their lower ones.

    `bits` are numbers >= 0; the result is how many are zero.
    """
    zeros = 0
    for i in range(len(bits)):
        upper = bits[i] >> np.uint32(16)
        counts[upper] += 1
        lows[upper] += np.int64(bits[i] & np.uint32(0xFFFF))
        zeros += int(bits[i] == 0)
    return zeros


@compiled
def count_within(bits: Array, upper: int, out: Integers) -> None:
    """Add to `out` (2^16,) the lower bits of those with these upper ones."""
    for i in range(len(bits)):
        if np.int64(bits[i] >> np.uint32(16)) == upper:
            out[np.int64(bits[i] & np.uint32(0xFFFF))] += 1


@compiled
def keep_above(codes: Array, above: np.uint16, out: Array) -> None:
    """Mark magnitudes beyond the code `above`."""
    for i in range(len(codes)):
        out[i] = (codes[i] & SIZE) > above


@compiled
def keep_from(codes: Array, at: np.uint16, ties: int, out: Array) -> int:
    """Mark magnitudes beyond the code `at`, and the first `ties` at it; return the ties left."""
    equal = 0
    for i in range(len(codes)):
        size = codes[i] & SIZE
        out[i] = size >= at
        equal += int(size == at)
    # The last ones, until few enough are left.
    i = len(codes)
    while equal > ties:
        i -= 1
        if (codes[i] & SIZE) == at:
            out[i] = False
            equal -= 1
    return ties - equal


@compiled
def keep_reached(codes: Array, integers: Integers, least: Integers, out: Array) -> None:
    """Mark where an integer reaches the least one that keeps a magnitude: ``least[code]``."""
    for i in range(len(codes)):
        out[i] = integers[i] >= least[codes[i] & SIZE]


@compiled
def keep_between(
    codes: Array,
    integers: Integers,
    low: Integers,
    high: Integers,
    widest: np.uint64,
    out: Array,
    near: Integers,
) -> int:
    """Mark where an integer reaches ``low[code]``; list in `near` where it is below ``high[code]``.

    The result is how many are listed; none of ``high - low`` is above `widest`. `near` is as long
    as the codes.
    """
    count = 0
    for start in range(0, len(codes), TOGETHER):
        end = min(start + TOGETHER, len(codes))
        nearest = NOWHERE
        for i in range(start, end):
            beyond = integers[i] - low[codes[i] & SIZE]
            out[i] = beyond >= 0
            # As an unsigned number, what is below is far beyond.
            nearest = min(nearest, np.uint64(beyond))
        # Rare: a branch that is foreseen.
        if nearest < widest:
            for i in range(start, end):
                if out[i] and integers[i] < high[codes[i] & SIZE]:
                    near[count] = i
                    count += 1
    return count


@compiled
def keep_completed(codes: Array, steps: Integers, phase: int, out: Array) -> int:
    """Walk along magnitudes in ``steps[code]`` of at most a unit; mark where one is completed.

    `phase` is the fraction of a unit completed before, and the result that completed behind them.
    """
    for i in range(len(codes)):
        phase += steps[codes[i] & SIZE]
        out[i] = phase >> FRACTION
        phase &= BELOW
    return phase


@compiled
def keep_32(bits: Array, threshold: int, ties: int, out: Array) -> tuple[int, int]:
    """Mark numbers >= 0 above a threshold, given by its bits, and the first `ties` at it."""
    kept = 0
    for i in range(len(bits)):
        keep = np.int64(bits[i]) > threshold
        out[i] = keep
        kept += int(keep)
    if ties > 0:
        for i in range(len(bits)):
            if ties > 0 and np.int64(bits[i]) == threshold:
                out[i] = True
                kept += 1
                ties -= 1
    return kept, ties


@compiled
def spread_marks(positions: Integers, out: Array) -> None:
    """Mark positions."""
    for k in range(len(positions)):
        out[positions[k]] = True
