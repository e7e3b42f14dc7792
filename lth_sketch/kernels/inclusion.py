"""One pass over a block of weights: the check, the sum, and the cap of the water filling."""

from __future__ import annotations

import math

import numpy as np

from lth_sketch.kernels._jit import compiled, reduction
from lth_sketch.validation import Array, Floats

# Sums run side by side, a line of them a step: the same bits on every processor, at memory speed.
LANES = 64


@compiled
def survey(p: Array, bits: Array) -> tuple[float, float, int]:
    """Return the sum of `p`, its entry of the largest bit pattern, and how many are not zero.

    `bits` is `p` seen as unsigned integers. Among entries >= 0 their order is that of the numbers;
    infinities, NaN and anything with a sign come after all of these, so one maximum is the check.
    The sum is that of `LANES` sums: no processor may choose another order.
    """
    half = len(p) // 2
    # Two streams at a time: memory is fetched ahead of both.
    before, behind = bits[:half], bits[half:]
    largest = bits[-1]
    nonzero = 0
    for i in range(half):
        largest = max(largest, before[i], behind[i])
        nonzero += int(before[i] != 0) + int(behind[i] != 0)
    if len(p) % 2:
        nonzero += int(bits[-1] != 0)
    sums = np.zeros(LANES)
    whole = len(p) - len(p) % LANES
    for i in range(0, whole, LANES):
        for k in range(LANES):
            sums[k] += np.float64(p[i + k])
    for i in range(whole, len(p)):
        sums[i - whole] += np.float64(p[i])
    total = 0.0
    for k in range(LANES):
        # Python's own numbers grow to infinity without a word.
        total += float(sums[k])
    last = np.empty(1, bits.dtype)
    last[0] = largest
    return total, float(last.view(p.dtype)[0]), nonzero


@reduction
def capped(p: Array, tau: float) -> tuple[float, int]:
    """Return the sum of the entries below `tau`, and how many are not below."""
    rest = 0.0
    count = 0
    for i in range(len(p)):
        value = np.float64(p[i])
        below = value < tau
        rest += value if below else 0.0
        count += not below
    return rest, count


@compiled
def reached(p: Array, tau: float) -> int:
    """Return how many entries are not below `tau`."""
    count = 0
    for i in range(len(p)):
        # Widened, or numpy would round tau where nothing is compiled.
        count += int(not np.float64(p[i]) < tau)
    return count


@compiled
def exact(p: Array, tau: float, exponent: int) -> tuple[int, float, float, float, float]:
    """Return how many entries are not below `tau`, and the sum of the others in exact parts.

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
    count : int
        Number of entries that are not below.
    first, second, third : float
        Sums of multiples of three grids, each finer than the last.
    left : float
        The sum of the sizes of what is left, zero unless entries need finer grids: then the parts
        before are exact, but not all.
    """
    # Adding and subtracting 1.5 * 2^k rounds to a multiple of 2^(k - 52). With these k no sum of
    # multiples is rounded, in any order.
    first = math.ldexp(1.5, exponent + 17)
    second = math.ldexp(1.5, exponent - 19)
    third = math.ldexp(1.5, exponent - 55)
    sums = np.zeros((4, LANES))
    a, b, c, left = sums[0], sums[1], sums[2], sums[3]
    whole = len(p) - len(p) % LANES
    count = 0
    for i in range(0, whole, LANES):
        for k in range(LANES):
            value = np.float64(p[i + k])
            below = value < tau
            count += int(not below)
            x = value if below else 0.0
            multiple = (x + first) - first
            a[k] += multiple
            x -= multiple
            multiple = (x + second) - second
            b[k] += multiple
            x -= multiple
            multiple = (x + third) - third
            c[k] += multiple
            left[k] += abs(x - multiple)
    for i in range(whole, len(p)):
        value = np.float64(p[i])
        below = value < tau
        count += int(not below)
        x = value if below else 0.0
        multiple = (x + first) - first
        a[0] += multiple
        x -= multiple
        multiple = (x + second) - second
        b[0] += multiple
        x -= multiple
        multiple = (x + third) - third
        c[0] += multiple
        left[0] += abs(x - multiple)
    return count, a.sum(), b.sum(), c.sum(), left.sum()


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
