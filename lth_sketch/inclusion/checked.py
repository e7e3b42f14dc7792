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
# Weights in a sample of long ones, and in each of the runs that it consists of.
SAMPLE, RUN = 1 << 16, 1 << 6
# A threshold that capping lowers to more than this part has few weights above it.
LITTLE = 0.9
# The first pass adds up exactly up to this power of two above the largest of the first weights.
HEAD, SPARE = 8, 8
# Powers of two between which grids neither overflow nor are finer than numbers are.
LEAST, MOST = -900, 900
# A threshold below every positive number: all nonzero weights reach it.
ALL = float(np.nextafter(0.0, 1.0))


class Rest(NamedTuple):
    """The weights below a level: their sum ``mass / unit``, exactly, and where they end."""

    capped: int
    """Number of weights that are not below."""
    mass: int
    unit: int
    largest: float
    """The largest weight below the level."""
    above: float
    """The smallest one that is not."""


class CheckedWeights(NamedTuple):
    """Checked weights and what one pass tells of them."""

    p: Array
    sums: Floats
    total: float
    largest: float
    nonzero: int
    whole: Rest | None
    """All of the weights, where the pass could add them up exactly."""

    def check_size(self, s: int, design: Design) -> None:
        """Refuse a size that the design cannot draw from these weights, see `Design.check`."""
        design.check_counts(s, self.nonzero, len(self.p))


def survey(
    p: npt.ArrayLike, threads: int = 1, *, scaled: bool = True, exact: bool = True
) -> CheckedWeights:
    """Check weights, as `validation.weights` does, and add them up in the same pass.

    Where only their order counts, `scaled` false keeps them as they are: no scale makes two equal.
    Where no threshold is to follow, `exact` false spares the pass what that asks for.

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
    given = _passed(values, threads, exact)
    if given.nonzero and SMALLEST <= given.largest <= LARGEST:
        return given
    # The exact error, or weights that are sound and only need another form: negative zeros, sizes
    # whose sum would overflow.
    validation.weights("p", values)
    values = np.abs(values)
    largest = float(values.max())
    if scaled and not SMALLEST <= largest <= LARGEST:
        values = np.ldexp(values, -int(np.frexp(largest)[1]))
    return _passed(values, threads, exact)


def threshold(given: CheckedWeights, s: float, threads: int = 1) -> float:
    """Return the tau with ``sum_i min(1, p_i / tau) = s`` (S4), capped water filling.

    Newton's iteration for the concave function of 1 / tau: it starts where nothing is capped, caps
    too few at every step, and ends when no weight lies between a step and the next, mostly after
    one to three passes. What is below the cap is added up exactly: the result is the exact
    threshold, rounded once. So it depends on the weights alone, not on how they are cut or what
    adds them up.

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
    tau = _solved(given, s, threads)
    check_span(tau, s)
    return tau


def _solved(given: CheckedWeights, s: float, threads: int) -> float:
    look = _passes(given, threads)
    level = given.total / s
    if given.whole or given.largest < level:
        tau, level = _step(given.whole or look(math.inf), s)
        if given.largest < level:
            return tau
    level = _guessed(given, s, level)
    while True:
        rest = look(level)
        if rest.capped < s:
            tau, level = _step(rest, s)
            if rest.largest < level <= rest.above:
                return tau
        else:
            # No step of the iteration goes as low: it is to start from the very top.
            level = math.inf


def _step(rest: Rest, s: float) -> tuple[float, float]:
    """Return where the others add up to what is left of s, and the first number not below it."""
    # Ratios of integers, for Python divides them with one rounding, and fractions are slow.
    size, unit = float(s).as_integer_ratio()
    above, below = rest.mass * unit, rest.unit * (size - rest.capped * unit)
    tau = above / below
    numerator, denominator = tau.as_integer_ratio()
    return tau, math.nextafter(tau, math.inf) if numerator * below < above * denominator else tau


def _guessed(given: CheckedWeights, s: float, uncapped: float) -> float:
    """Return a level to start from: where nothing is capped, or near what a sample tells."""
    if len(given.p) <= 2 * SAMPLE:
        return uncapped
    # Runs of the weights, from all over: layers may lie behind one another.
    every = len(given.p) // SAMPLE
    runs = given.p[: every * SAMPLE].reshape(-1, every, RUN)[:, 0]
    sample = _passed(runs.ravel(), 1)
    share = s * len(sample.p) / len(given.p)
    if share >= sample.nonzero:
        return uncapped
    level = _solved(sample, share, 1)
    # Where little is capped, by how much that lowers the threshold is known better than where to.
    lowered = level / (sample.total / share)
    return uncapped * lowered if lowered > LITTLE else level


def _passes(given: CheckedWeights, threads: int) -> Callable[[float], Rest]:
    """Return a pass over the weights: on threads, or in a single call for a single block."""
    if len(given.sums) == 1:
        return lambda level: _rest(given.p, level, given.largest)
    blocks = blockwise.spans(len(given.p))

    def look(level: float) -> Rest:
        def part(places: range) -> list[Rest]:
            return [_rest(given.p[blocks[b]], level, given.largest) for b in places]

        parts = [rest for some in blockwise.share(part, len(blocks), threads) for rest in some]
        mass, unit = _added([(rest.mass, rest.unit) for rest in parts])
        return Rest(
            sum([rest.capped for rest in parts]),
            mass,
            unit,
            max([rest.largest for rest in parts]),
            min([rest.above for rest in parts]),
        )

    return look


def _added(ratios: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the sum of ratios whose denominators are powers of two: the largest is common."""
    unit = max([below for _, below in ratios])
    return sum([part * (unit // below) for part, below in ratios]), unit


def _rest(p: Array, level: float, largest: float) -> Rest:
    # Of the weights that are added up, none is above the largest.
    exponent = max(math.frexp(min(level, largest))[1], LEAST)
    counted, capped, *ends = inclusion.exact(p, level, exponent)
    mass = _of_any_sizes(p, level).as_integer_ratio() if counted[3] else _ratio(counted, exponent)
    return Rest(capped, *mass, *ends)


def _ratio(counted: tuple[int, int, int, int], exponent: int) -> tuple[int, int]:
    """Return as a ratio what is counted in the units of three grids."""
    one, two, three = inclusion.GRIDS
    mass = (counted[0] << (three - one)) + (counted[1] << (three - two)) + counted[2]
    return mass << max(exponent - three, 0), 1 << max(three - exponent, 0)


def _of_any_sizes(p: Array, tau: float) -> Fraction:
    """Return the exact sum of the entries below `tau`, whatever their sizes."""
    wide = p.astype(np.float64)
    mantissas, exponents = np.frexp(wide[wide < tau])
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


def _passed(p: Array, threads: int, exact: bool = True) -> CheckedWeights:
    bits = p.view(np.uint32 if p.dtype.itemsize == 4 else np.uint64)
    exponent = _exponent(p) if exact else None
    if len(p) <= blockwise.BLOCK:
        mass, highest, live, counted = inclusion.survey(p, bits, exponent)
        whole = _whole([counted], highest, exponent)
        return CheckedWeights(p, np.array([mass]), mass, highest, live, whole)
    blocks = blockwise.spans(len(p))
    sums = np.empty(len(blocks))
    largest = np.empty(len(blocks), p.dtype)
    nonzero = np.empty(len(blocks), np.int64)
    counts = [(0, 0, 0, 0)] * len(blocks)

    def look(part: range) -> None:
        for b in part:
            sums[b], largest[b], nonzero[b], counts[b] = inclusion.survey(
                p[blocks[b]], bits[blocks[b]], exponent
            )

    blockwise.share(look, len(blocks), threads)
    # By bit patterns again: what is no number, or has a sign, comes after all that are sound.
    top = float(largest[largest.view(bits.dtype).argmax()])
    whole = _whole(counts, top, exponent)
    return CheckedWeights(p, sums, math.fsum(sums), top, int(nonzero.sum()), whole)


def _exponent(p: Array) -> int:
    """Return a power of two that the largest of the weights is hardly above."""
    return min(max(math.frexp(max(p[:HEAD].tolist()))[1] + SPARE, LEAST), MOST)


def _whole(
    counts: list[tuple[int, int, int, int]], largest: float, exponent: int | None
) -> Rest | None:
    """Return what blocks add up to, unless weights are too large or too small for their grids."""
    if exponent is None:
        return None
    if not largest <= math.ldexp(1.0, exponent) or any(left for *_, left in counts):
        return None
    return Rest(0, *_added([_ratio(counted, exponent) for counted in counts]), largest, math.inf)
