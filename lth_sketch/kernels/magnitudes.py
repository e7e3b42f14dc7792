"""Magnitudes of weights of 16 and 32 bits as integers: counts of them, and what a design keeps."""

from __future__ import annotations

import numpy as np

from lth_sketch.kernels._jit import compiled
from lth_sketch.validation import Array, Floats, Integers

# Everything but the sign of a number of 16 and of 32 bits.
SIZE = np.uint16(0x7FFF)
WIDE = np.uint32(0x7FFFFFFF)
# Ranks are binned by their exponent and ten bits of the mantissa.
SHIFT = 42
BINS = 1 << (63 - SHIFT)
# Products this close, relatively, to what they are compared with are left to a division.
NEAR = 2.0**-50


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
def keep_16(codes: Array, above: int, at: int, ties: int, out: Array) -> tuple[int, int]:
    """Mark magnitudes beyond the code `above`, and the first `ties` at the code `at`.

    Returns how many are marked, and how many ties are left.
    """
    kept = 0
    left = 0
    for i in range(len(codes)):
        size = np.int64(codes[i] & SIZE)
        found = size > above
        out[i] = found
        kept += int(found)
        left += int(size == at)
    if ties > 0 and left > 0:
        i = 0
        while ties > 0 and i < len(codes):
            if np.int64(codes[i] & SIZE) == at:
                out[i] = True
                kept += 1
                ties -= 1
            i += 1
    return kept, ties


@compiled
def keep_32(bits: Array, threshold: int, ties: int, out: Array) -> tuple[int, int]:
    """Mark numbers >= 0 above a threshold, given by its bits, and the first `ties` at it."""
    kept = 0
    for i in range(len(bits)):
        found = np.int64(bits[i]) > threshold
        out[i] = found
        kept += int(found)
    if ties > 0:
        for i in range(len(bits)):
            if ties > 0 and np.int64(bits[i]) == threshold:
                out[i] = True
                kept += 1
                ties -= 1
    return kept, ties


@compiled
def keep_ranks(p: Array, uniforms: Floats, tau: float, out: Array) -> int:
    """Mark where ``p / (1 - u) >= tau``, by products; return how many a division has to decide."""
    near = 0
    for i in range(len(p)):
        level = tau * (1.0 - uniforms[i])
        value = np.float64(p[i])
        out[i] = value >= level
        near += int(abs(value - level) <= NEAR * level)
    return near


@compiled
def bin_ranks(p: Array, uniforms: Floats, bins: Array) -> None:
    """Turn `uniforms` into ranks ``p / (1 - u)``; add to `bins` (BINS,) how many are in each."""
    for i in range(len(p)):
        uniforms[i] = np.float64(p[i]) / (1.0 - uniforms[i])
    bits = uniforms.view(np.int64)
    for i in range(len(p)):
        bins[bits[i] >> SHIFT] += 1


@compiled
def spread_marks(positions: Integers, out: Array) -> None:
    """Mark positions."""
    for k in range(len(positions)):
        out[positions[k]] = True
