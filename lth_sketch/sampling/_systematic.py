"""Systematic samples (Madow): one walk over the weights from a uniform start, in exact integers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lth_sketch.inclusion import checked
from lth_sketch.inclusion.checked import CheckedWeights
from lth_sketch.kernels import walks
from lth_sketch.parallel import blockwise
from lth_sketch.sampling import _ranks
from lth_sketch.sampling._rows import Output, Rows, room, trimmed
from lth_sketch.validation import Array, Integers

# Thresholds below SMALL are lifted by a power of two: exactly, and without overflow.
SMALL, LIFT = 2.0**-900, 2.0**256


def systematic(
    given: CheckedWeights, s: int, rng: np.random.Generator, threads: int
) -> tuple[Integers, Array]:
    if s == given.nonzero:
        return _ranks.poisson(given, s, rng, threads)
    p = given.p
    tau = checked.threshold(given, s, threads)
    if len(given.sums) == 1:
        return _alone(p, tau, s, rng)
    blocks = blockwise.spans(len(p))
    indices, weights = room(s, p.dtype)

    def walk(b: int, place: Callable[[int], slice]) -> None:
        block, level = _lifted(p[blocks[b]], tau)
        # Exact integers: blocks agree on where the walk stands, and so on every index.
        stretch = place(_length(block, level))
        low, high = start + stretch.start, start + stretch.stop
        kept = slice(low >> walks.FRACTION, high >> walks.FRACTION)
        phase = low & (walks.UNIT - 1)
        walks.systematic(block, level, phase, blocks[b].start, indices[kept], weights[kept])

    # The whole walk is s units up to rounding: about 1 start in 10^9 completes another number.
    completed = -1
    while completed != s:
        start = int(rng.integers(walks.UNIT))
        completed = (start + blockwise.chain(walk, len(blocks), threads)) >> walks.FRACTION
    return trimmed(s, indices, weights)


def _alone(p: Array, tau: float, s: int, rng: np.random.Generator) -> tuple[Integers, Array]:
    """Walk over a single block."""
    block, level = _lifted(p, tau)
    indices, weights = np.empty(s, np.int64), np.empty(s, p.dtype)
    while not walks.completed(block, level, int(rng.integers(walks.UNIT)), indices, weights):
        pass
    return indices, weights


def _lifted(p: Array, tau: float) -> tuple[Array, float]:
    """Take weights and threshold away from the smallest numbers, where UNIT / tau overflows."""
    return (p, tau) if tau > SMALL else (p * LIFT, tau * LIFT)


def _length(p: Array, tau: float) -> int:
    low, high = walks.steps(*_lifted(p, tau))
    return int(low) + (int(high) << walks.HALF)


def _phases(length: int, wanted: int, rng: np.random.Generator, size: int) -> Integers:
    """Return uniform starts of a walk of `length` that completes exactly `wanted` units.

    `length` is ``wanted * UNIT`` up to rounding; starts that would complete another number, about
    1 in 10^9, are left out.
    """
    excess = length - wanted * walks.UNIT
    low, high = max(0, -excess), min(walks.UNIT, walks.UNIT - excess)
    return rng.integers(low, high, size=size)


def systematic_rows(given: CheckedWeights, s: int, threads: int) -> Rows:
    if s == given.nonzero:
        return _ranks.poisson_rows(given, s, threads)
    block = _lifted(given.p, checked.threshold(given, s, threads))
    length = _length(*block)

    def rows(rng: np.random.Generator, counts: Integers, output: Output | None) -> None:
        assert output is not None
        walks.systematic_rows(*block, _phases(length, s, rng, len(counts)), *output)

    return rows
