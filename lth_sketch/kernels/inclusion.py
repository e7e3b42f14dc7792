"""One pass over a block of weights: the check, the sum, and the cap of the water filling."""

from __future__ import annotations

import math

import numpy as np

from lth_sketch.kernels._jit import compiled, prefetch
from lth_sketch.validation import Array, Floats

# Sums run side by side, a line of them a step: the same bits on every processor, at memory speed.
LANES = 64
# Entries of a line of memory, and how many ahead of their use they are asked for: a pass over
# 200 MB took 14.5 ms with that and 17 without, on two cores.
LINE, AHEAD = 8, 1024
# Units of the grids on which weights of at most 2^e are added exactly: 2^(e - 35), ...
GRIDS = (35, 71, 107)
INFINITE = 0x7FF << 52

# What rounds to each grid, and how many units of each there are, with the bits of what is left.
Units = tuple[float, float, float]
Counts = tuple[int, int, int, int]


@compiled
def grids(exponent: int) -> Units:
    """Return what rounds numbers up to 2^exponent to the grids when it is added, see `counted`."""
    top = exponent + 52
    return (
        math.ldexp(1.5, top - GRIDS[0]),
        math.ldexp(1.5, top - GRIDS[1]),
        math.ldexp(1.5, top - GRIDS[2]),
    )


@compiled
def counted(x: float, units: Units) -> Counts:
    """Return bits that count how many units of each grid add up to `x`, and the bits of the rest.

    Adding and subtracting 1.5 * 2^k rounds to a multiple of 2^(k - 52), which the last bits of the
    first result count. Sums of these integers are exact, in any order, up to multiples of 2^64.
    """
    one, two, three = units
    shifted = x + one
    first = int(np.float64(shifted).view(np.int64))
    x -= shifted - one
    shifted = x + two
    second = int(np.float64(shifted).view(np.int64))
    x -= shifted - two
    shifted = x + three
    third = int(np.float64(shifted).view(np.int64))
    return first, second, third, int(np.float64(x - (shifted - three)).view(np.int64))


@compiled
def without_zeros(counts: Counts, terms: int, units: Units) -> Counts:
    """Take the bits of so many zeros from a sum of what `counted` returns."""
    one, two, three = units
    return (
        counts[0] - terms * int(np.float64(one).view(np.int64)),
        counts[1] - terms * int(np.float64(two).view(np.int64)),
        counts[2] - terms * int(np.float64(three).view(np.int64)),
        counts[3],
    )


@compiled
def survey(p: Array, bits: Array, exponent: int | None) -> tuple[float, float, int, Counts]:
    """Return the sum of `p`, its entry of the largest bit pattern, how many are not zero, and more.

    `bits` is `p` seen as unsigned integers. Among entries >= 0 their order is that of the numbers;
    infinities, NaN and anything with a sign come after all of these, so one maximum is the check.
    The sum is that of `LANES` sums: no processor may choose another order. The last result is the
    sum as `exact` counts it, if that is asked for and no entry is above 2^exponent.
    """
    # It is compiled once for each kind of argument: without an exponent no line of this is left.
    if exponent is not None:
        units = grids(exponent)
    largest = bits[0]
    nonzero = first = second = third = left = 0
    sums = np.zeros(LANES)
    row = p.reshape(1, len(p))
    whole = len(p) - len(p) % LANES
    for start in range(0, whole, LANES):
        for k in range(0, LANES, LINE):
            prefetch(row, 0, start + k + AHEAD)
        for k in range(LANES):
            i = start + k
            # Python's own numbers grow to infinity without a word.
            value = float(p[i])
            sums[k] += value
            largest = max(largest, bits[i])
            nonzero += int(bits[i] != 0)
            if exponent is not None:
                one, two, three, rest = counted(value, units)
                first += one
                second += two
                third += three
                left |= rest
    for i in range(whole, len(p)):
        sums[i - whole] += float(p[i])
        largest = max(largest, bits[i])
        nonzero += int(bits[i] != 0)
    total = 0.0
    for k in range(LANES):
        total += float(sums[k])
    last = np.empty(1, bits.dtype)
    last[0] = largest
    counts = (first, second, third, left)
    if exponent is not None:
        counts = without_zeros(counts, whole, units)
        end = exact(p[whole:], math.inf, exponent)[0]
        counts = (counts[0] + end[0], counts[1] + end[1], counts[2] + end[2], counts[3] | end[3])
    return total, float(last.view(p.dtype)[0]), nonzero, counts


@compiled
def exact(p: Array, tau: float, exponent: int) -> tuple[Counts, int, float, float]:
    """Add the entries below `tau` up exactly.

    Parameters
    ----------
    p : (d,)
        Weights >= 0, at most 2^17 of them.
    tau : float
        A weight is left out if it is not below.
    exponent : int
        The entries added are at most 2^exponent.

    Returns
    -------
    sum : (4,)
        What adds up to the sum, in units of ``2^(exponent - GRIDS[k])``; the last one is zero
        unless entries need a finer grid than the third: then the sum is not exact.
    count : int
        Number of entries that are not below.
    below, above : float
        The largest entry below, or 0, and the smallest one that is not, or infinity.
    """
    units = grids(exponent)
    count = first = second = third = left = 0
    # Among numbers >= 0 the order of their bits is theirs.
    largest, smallest = 0, INFINITE
    for i in range(len(p)):
        value = float(p[i])
        below = value < tau
        count += int(not below)
        smallest = min(smallest, INFINITE if below else int(np.float64(value).view(np.int64)))
        x = value if below else 0.0
        largest = max(largest, int(np.float64(x).view(np.int64)))
        one, two, three, rest = counted(x, units)
        first += one
        second += two
        third += three
        left |= rest
    return (
        without_zeros((first, second, third, left), len(p), units),
        count,
        float(np.int64(largest).view(np.float64)),
        float(np.int64(smallest).view(np.float64)),
    )


@compiled
def kept(q: Floats, s: int, law: Floats, out: Floats) -> None:
    """Write P(fewer than s of the others happen) for each of d independent events (S5).

    Parameters
    ----------
    q : (d,)
        Probabilities of the events, descending.
    s : int
        At least 1.
    law : (k,)
        Scratch: the law of the number of events, up to k - 1 > s, beyond which it is negligible.
    out : (d,)
        For event i, the probability that at most s - 1 of the d - 1 others happen.
    """
    d = len(q)
    law[:] = 0.0
    law[0] = 1.0
    for j in range(d):
        for k in range(min(j + 1, len(law) - 1), 0, -1):
            law[k] += q[j] * (law[k - 1] - law[k])
        law[0] *= 1.0 - q[j]
    # out becomes P(exactly s - 1 others): event i is taken out of the law from the end where that
    # is stable, k = 0 for q < 1/2 and the last k for the likely ones.
    likely = 0
    while likely < d and q[likely] >= 0.5:
        likely += 1
    inverse = np.empty(d)
    for i in range(d):
        inverse[i] = 1.0 / max(q[i], 1.0 - q[i])
        out[i] = 0.0
    ratio = inverse - 1.0
    for k in range(s):
        for i in range(likely, d):
            out[i] = law[k] * inverse[i] - ratio[i] * out[i]
    for k in range(len(law) - 1, s - 1, -1):
        for i in range(likely):
            out[i] = law[k] * inverse[i] - ratio[i] * out[i]
    # {fewer than s others} = {fewer than s in all} or {i and exactly s - 1 others}
    fewer = law[:s].sum()
    for i in range(d):
        out[i] = fewer + q[i] * out[i]
