"""One pass over long weights: their check, their sums, and capped water filling."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lth_sketch import validation
from lth_sketch.designs import Design
from lth_sketch.kernels import inclusion
from lth_sketch.parallel import blockwise
from lth_sketch.validation import Array, Floats

# Largest weights outside of these bounds are scaled: sums and ranks p_i / v_i must not overflow.
LARGEST, SMALLEST = 2.0**512, 2.0**-512
# A threshold below every positive number: all nonzero weights reach it.
ALL = float(np.nextafter(0.0, 1.0))


class CheckedWeights(NamedTuple):
    """Checked weights and what one pass tells of them."""

    p: Array
    sums: Floats
    total: float
    largest: float
    nonzero: int

    def check_size(self, s: int, design: Design) -> None:
        """Refuse a size that the design cannot draw from these weights, see `Design.check`."""
        design.check_counts(s, self.nonzero, len(self.p))


def survey(p: npt.ArrayLike, threads: int = 1, *, scaled: bool = True) -> CheckedWeights:
    """Check weights, as `validation.weights` does, and add them up in the same pass.

    Where only their order counts, `scaled` false keeps them as they are: no scale makes two equal.

    Raises
    ------
    TypeError
        If the entries are not real numbers.
    ValueError
        If `p` is not a vector, or has an entry that is negative or not finite, or none above zero.
    """
    if type(p) is np.ndarray and p.dtype in (np.float64, np.float32) and p.ndim == 1 and len(p) > 0:
        checked: Array = p
    else:
        checked = validation.weights("p", p)
    single = checked.dtype.itemsize == 4
    values = np.ascontiguousarray(checked, dtype=np.float32 if single else np.float64)
    given = _passed(values, threads)
    if given.nonzero and SMALLEST <= given.largest <= LARGEST:
        return given
    # The exact error, or weights that are sound and only need another form: negative zeros, sizes
    # whose sum would overflow.
    validation.weights("p", values)
    values = np.abs(values)
    largest = float(values.max())
    if scaled and not SMALLEST <= largest <= LARGEST:
        values = np.ldexp(values, -int(np.frexp(largest)[1]))
    return _passed(values, threads)


def threshold(given: CheckedWeights, s: float, threads: int = 1) -> float:
    """Return the tau with ``sum_i min(1, p_i / tau) = s`` (S4), capped water filling.

    Newton's iteration for the concave function of 1 / tau: it starts where nothing is capped, caps
    too few at every step, and ends when a step caps no more, mostly after one to three passes. A
    last pass adds up what is below the cap exactly: the result is the exact threshold, rounded
    once. So it depends on the weights alone, not on how they are cut or what adds them up.

    Parameters
    ----------
    given : CheckedWeights
        The weights.
    s : float
        Sum of the inclusion probabilities, at most the number of nonzero weights.
    threads : int
        Number of threads.

    Returns
    -------
    float
        The threshold, in units of `given.p`.

    Raises
    ------
    ValueError
        If the threshold is too small a fraction of the largest weight for float64.
    """
    if s == given.nonzero:
        return ALL
    blocks = blockwise.spans(len(given.p))
    rests = np.empty(len(blocks))
    counts = np.empty(len(blocks), np.int64)

    def cap(part: range) -> None:
        for b in part:
            rests[b], counts[b] = inclusion.capped(given.p[blocks[b]], tau)

    def everywhere(work: Callable[[range], None]) -> None:
        if len(blocks) == 1:
            work(range(1))
        else:
            blockwise.share(work, len(blocks), threads)

    tau = given.total / s
    known = 0
    while given.largest >= tau:
        everywhere(cap)
        count = int(counts.sum())
        # Rounding may cap all s, when the rest is nothing beside them.
        if count <= known or count >= s:
            break
        known = count
        tau = float(rests.sum()) / (s - count)
    tau = _exact(given, s, tau, blocks, everywhere)
    check_span(tau, s)
    return tau


def _exact(
    given: CheckedWeights,
    s: float,
    level: float,
    blocks: list[slice],
    everywhere: Callable[[Callable[[range], None]], None],
) -> float:
    """Return the exact threshold, rounded once, from a level near it."""
    counts = np.empty(len(blocks), np.int64)
    parts = np.empty((len(blocks), 4))

    def add(part: range) -> None:
        for b in part:
            counts[b] = inclusion.exact(given.p[blocks[b]], level, grids, parts[b])

    def count(part: range) -> None:
        for b in part:
            counts[b] = inclusion.reached(given.p[blocks[b]], level)

    # Ratios of integers, for Python divides them with one rounding, and fractions are slow.
    size, unit = float(s).as_integer_ratio()
    while True:
        # Of the weights that are added up, none is above the largest.
        grids = _grids(min(level, given.largest))
        everywhere(add)
        capped = int(counts.sum())
        if capped >= s:
            level = np.inf
            continue
        rough = parts[:, 3] > 0
        ratios = [x.as_integer_ratio() for x in parts[~rough, :3].ravel().tolist()]
        if rough.any():
            ratios += [
                _of_any_sizes(given.p[blocks[b]], level).as_integer_ratio()
                for b in np.flatnonzero(rough)
            ]
        # Denominators are powers of two: the largest is common to all.
        common = max(below for _, below in ratios)
        above = sum(part * (common // below) for part, below in ratios) * unit
        below = common * (size - capped * unit)
        tau = above / below
        level = tau
        numerator, denominator = tau.as_integer_ratio()
        if numerator * below < above * denominator:
            # The smallest number that is not below the exact threshold.
            level = float(np.nextafter(tau, np.inf))
        if given.largest < level and capped == 0:
            return tau
        everywhere(count)
        if int(counts.sum()) == capped:
            return tau


def _grids(top: float) -> Floats:
    """Return the grids of `inclusion.exact` for weights up to `top`."""
    k = math.frexp(top)[1] + 17
    return np.array([math.ldexp(1.5, k), math.ldexp(1.5, k - 36), math.ldexp(1.5, k - 72)])


def _of_any_sizes(p: Array, tau: float) -> Fraction:
    """Return the exact sum of the entries below `tau`, whatever their sizes."""
    mantissas, exponents = np.frexp(p[p < tau].astype(np.float64))
    integers = np.ldexp(mantissas, 53).astype(np.int64)
    total = Fraction()
    for exponent in np.unique(exponents):
        # In two halves, whose sums stay in 64 bits.
        alike = integers[exponents == exponent]
        mass = (int((alike >> 26).sum()) << 26) + int((alike & ((1 << 26) - 1)).sum())
        total += mass * Fraction(2) ** (int(exponent) - 53)
    return total


def check_span(smallest: float, s: float) -> None:
    """Refuse weights whose inclusion probabilities hang on numbers too small for float64.

    Raises
    ------
    ValueError
        If `smallest` is below the normal numbers.
    """
    if smallest < validation.TINY:
        raise ValueError(
            f"p spans too many orders of magnitude for s = {s}: its inclusion probabilities hang "
            f"on weights of about {smallest}; raise the smallest ones, or choose a smaller s"
        )


def _passed(p: Array, threads: int) -> CheckedWeights:
    bits = p.view(np.uint32 if p.dtype.itemsize == 4 else np.uint64)
    if len(p) <= blockwise.BLOCK:
        mass, bit, live = inclusion.survey(p, bits)
        highest = float(np.array(bit, bits.dtype).view(p.dtype))
        return CheckedWeights(p, np.array([mass]), float(mass), highest, int(live))
    blocks = blockwise.spans(len(p))
    sums = np.empty(len(blocks))
    largest = np.empty(len(blocks), bits.dtype)
    nonzero = np.empty(len(blocks), np.int64)

    def look(part: range) -> None:
        for b in part:
            sums[b], largest[b], nonzero[b] = inclusion.survey(p[blocks[b]], bits[blocks[b]])

    blockwise.share(look, len(blocks), threads)
    top = float(largest.max(keepdims=True).view(p.dtype)[0])
    return CheckedWeights(p, sums, math.fsum(sums), top, int(nonzero.sum()))
