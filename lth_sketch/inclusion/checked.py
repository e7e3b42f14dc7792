"""One pass over long weights: their check, their sums, and capped water filling."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from lth_sketch import validation
from lth_sketch.designs import Design
from lth_sketch.kernels import inclusion
from lth_sketch.parallel import blockwise
from lth_sketch.validation import Array, Floats

T = TypeVar("T")

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
    sums = _Sums(given.p, threads)
    tau = given.total / s
    known = 0
    while given.largest >= tau:
        rest, count = sums.capped(tau)
        # Rounding may cap all s, when the rest is nothing beside them.
        if count <= known or count >= s:
            break
        known = count
        tau = rest / (s - count)
    tau = _exact(given, s, tau, sums)
    check_span(tau, s)
    return tau


class _Sums:
    """What passes over the weights add up: on threads, or in a single call for a single block."""

    def __init__(self, p: Array, threads: int) -> None:
        self.blocks = (
            [p[part] for part in blockwise.spans(len(p))] if len(p) > blockwise.BLOCK else [p]
        )
        self.threads = threads

    def _each(self, look: Callable[[Array], T]) -> list[T]:
        blocks = self.blocks
        if len(blocks) == 1:
            return [look(blocks[0])]

        def part(places: range) -> dict[int, T]:
            return {b: look(blocks[b]) for b in places}

        answers: dict[int, T] = {}
        for some in blockwise.share(part, len(blocks), self.threads):
            answers |= some
        return [answers[b] for b in range(len(blocks))]

    def capped(self, level: float) -> tuple[float, int]:
        """Return the sum of the weights below a level, and how many are not below."""
        parts = self._each(lambda block: inclusion.capped(block, level))
        if len(parts) == 1:
            return parts[0]
        rests, counts = np.array(parts).T
        return float(rests.sum()), int(counts.sum())

    def exact(self, level: float, largest: float) -> tuple[int, list[tuple[int, int]]]:
        """Return how many weights are not below, and ratios that add up to the sum of the rest."""
        # Of the weights that are added up, none is above the largest.
        exponent = math.frexp(min(level, largest))[1]

        def look(block: Array) -> tuple[int, list[tuple[int, int]]]:
            count, *parts, rough = inclusion.exact(block, level, exponent)
            if rough > 0.0:
                return count, [_of_any_sizes(block, level).as_integer_ratio()]
            return count, [part.as_integer_ratio() for part in parts]

        counted = self._each(look)
        if len(counted) == 1:
            return counted[0]
        return sum(count for count, _ in counted), [x for _, parts in counted for x in parts]

    def reached(self, level: float) -> int:
        """Return how many weights are not below a level."""
        return sum(self._each(lambda block: inclusion.reached(block, level)))


def _exact(given: CheckedWeights, s: float, level: float, sums: _Sums) -> float:
    """Return the exact threshold, rounded once, from a level near it."""
    # Ratios of integers, for Python divides them with one rounding, and fractions are slow.
    size, unit = float(s).as_integer_ratio()
    while True:
        capped, ratios = sums.exact(level, given.largest)
        if capped >= s:
            level = math.inf
            continue
        # Denominators are powers of two: the largest is common to all.
        common = max([below for _, below in ratios])
        above = sum([part * (common // below) for part, below in ratios]) * unit
        below = common * (size - capped * unit)
        tau = above / below
        level = tau
        numerator, denominator = tau.as_integer_ratio()
        if numerator * below < above * denominator:
            # The smallest number that is not below the exact threshold.
            level = math.nextafter(tau, math.inf)
        if given.largest < level and capped == 0:
            return tau
        if sums.reached(level) == capped:
            return tau


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
        mass, highest, live = inclusion.survey(p, bits)
        return CheckedWeights(p, np.array([mass]), mass, highest, live)
    blocks = blockwise.spans(len(p))
    sums = np.empty(len(blocks))
    largest = np.empty(len(blocks), p.dtype)
    nonzero = np.empty(len(blocks), np.int64)

    def look(part: range) -> None:
        for b in part:
            sums[b], largest[b], nonzero[b] = inclusion.survey(p[blocks[b]], bits[blocks[b]])

    blockwise.share(look, len(blocks), threads)
    # By bit patterns again: what is no number, or has a sign, comes after all that are sound.
    top = float(largest[largest.view(bits.dtype).argmax()])
    return CheckedWeights(p, sums, math.fsum(sums), top, int(nonzero.sum()))
