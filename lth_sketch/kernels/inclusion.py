"""One pass over a block of weights: the check, the sum, and the cap of the water filling."""

from __future__ import annotations

import numpy as np

from lth_sketch.kernels._jit import compiled, reduction
from lth_sketch.validation import Array, Floats


@reduction
def survey(p: Array, bits: Array) -> tuple[float, int, int]:
    """Return the sum of `p`, its largest bit pattern, and its number of nonzero entries.

    `bits` is `p` seen as unsigned integers. Among entries >= 0 their order is that of the numbers;
    infinities, NaN and anything with a sign come after all of these, so one maximum is the check.
    """
    half = len(p) // 2
    # Two streams at a time: memory is fetched ahead of both.
    front, back = p[:half], p[half:]
    before, behind = bits[:half], bits[half:]
    total = 0.0
    largest = bits[-1]
    nonzero = 0
    for i in range(half):
        total += float(front[i])
        total += float(back[i])
        largest = max(largest, before[i], behind[i])
        nonzero += int(before[i] != 0) + int(behind[i] != 0)
    if len(p) % 2:
        total += float(p[-1])
        nonzero += bits[-1] != 0
    return total, largest, nonzero


@reduction
def capped(p: Array, tau: float) -> tuple[float, int]:
    """Return the sum of the entries below `tau`, and how many are not below."""
    rest = 0.0
    count = 0
    for i in range(len(p)):
        below = p[i] < tau
        rest += np.float64(p[i]) if below else 0.0
        count += not below
    return rest, count


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
