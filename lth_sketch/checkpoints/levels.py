"""What each magnitude of 16 bits is compared with: tables in the place of arithmetic."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from lth_sketch.checkpoints import reading
from lth_sketch.checkpoints.streams import UNIFORM
from lth_sketch.kernels import walks
from lth_sketch.validation import Array, Floats, Integers

CODES = 1 << 15
# Weights of a piece from which on it is worth while to make a table.
WORTH = 1 << 15


@lru_cache(maxsize=2)
def bits(dtype: str) -> Array:
    """Return all magnitudes of a type as bits of float32."""
    levels = np.empty(CODES, np.uint32)
    reading.sizes(np.arange(CODES, dtype=np.uint16), dtype, levels)
    # What is not finite was refused; it would only trouble the arithmetic.
    levels[reading.INFINITE[dtype] :] = 0
    return levels


@lru_cache(maxsize=2)
def values(dtype: str) -> Floats:
    """Return all magnitudes of a type as numbers; zero for those that are not finite."""
    return bits(dtype).view(np.float32).astype(np.float64)


@lru_cache(maxsize=8)
def code(threshold: int, dtype: str) -> tuple[np.uint16, np.uint16 | None]:
    """Return the largest code not above a magnitude in bits of float32; its own, if there is."""
    finite = bits(dtype)[: reading.INFINITE[dtype]]
    above = np.uint16(np.searchsorted(finite, threshold, side="right") - 1)
    return above, above if int(finite[above]) == threshold else None


@lru_cache(maxsize=8)
def least(tau: float, dtype: str) -> Integers:
    """Return the least integer m below 2^53 for which ``p / (1 - m / 2^53) >= tau``, as divided.

    It is 2^53 where there is none: such a magnitude is not kept, whatever its uniform.
    """
    p = values(dtype)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        # Ranks fall where 1 - u grows: its largest multiple of 2^-53 that will do, up to rounding.
        largest = np.clip(p / tau * UNIFORM, 1, UNIFORM).astype(np.int64)

        def reached(candidates: Integers) -> Array:
            return p / (candidates / UNIFORM) >= tau

        while (wrong := (largest > 0) & ~reached(largest)).any():
            largest[wrong] -= 1
        while (more := (largest > 0) & (largest < UNIFORM) & reached(largest + 1)).any():
            largest[more] += 1
    return UNIFORM - largest


@lru_cache(maxsize=8)
def between(low: float, high: float, dtype: str) -> tuple[Integers, Integers, np.uint64]:
    """Return `least` of two thresholds, and how far they are apart at most."""
    first, last = least(low, dtype), least(high, dtype)
    return first, last, np.uint64(np.max(last - first))


@lru_cache(maxsize=8)
def steps(tau: float, dtype: str) -> Integers:
    """Return the steps of the systematic walk, in the integers of `kernels.walks.systematic`."""
    fractions = np.minimum(values(dtype) * (walks.WHOLE / tau), walks.WHOLE)
    return fractions.astype(np.int64)
