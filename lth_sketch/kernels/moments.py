"""Errors of systematic samples, and second moments of priority samples, over all outcomes."""

from __future__ import annotations

import numpy as np

from lth_sketch.kernels._jit import compiled
from lth_sketch.tolerances import EPS
from lth_sketch.validation import Floats, Integers

# Levels of a law that are kept above its mean: so many standard deviations, and so many more.
DEVIATIONS = 10.0
MORE = 40
# Chances this near to one are one.
SETTLED = 4 * EPS


@compiled
def _add(row: Floats, weight: float, total: Floats, lost: Floats) -> None:
    """Add ``weight * row`` to `total`, and what rounding takes from it to `lost` (Knuth)."""
    for j in range(len(row)):
        term = weight * row[j]
        new = total[j] + term
        part = new - total[j]
        lost[j] += (total[j] - (new - part)) + (term - part)
        total[j] = new


@compiled
def systematic(C: Floats, inverse: Floats, first: Integers, order: Integers, out: Floats) -> None:
    """Write the error of a systematic sample for each interval of its start (S5).

    As the start grows, entries leave the sample one by one, and the next one in line takes the
    place. What came in with a huge weight must leave without a trace: the sum is compensated.

    Parameters
    ----------
    C : (n, rank)
        Row i is the term i in the coordinates of S0.
    inverse : (n,)
        One over the inclusion probabilities.
    first : (n,)
        How often each entry is in the sample of the least start, 0 or 1.
    order : (k,)
        Entries in the order in which they leave; the last one of all is not among them.
    out : (k + 1,)
        Norm of the error before each of these events, and after the last.
    """
    n, rank = C.shape
    total = np.zeros(rank)
    lost = np.zeros(rank)
    for i in range(n):
        _add(C[i], first[i] * inverse[i] - 1.0, total, lost)
    for k in range(len(out)):
        # The square of a huge weight may overflow where its share of a mean does not.
        largest = 0.0
        for j in range(rank):
            largest = max(largest, abs(total[j] + lost[j]))
        square = 0.0
        if largest > 0.0:
            for j in range(rank):
                part = (total[j] + lost[j]) / largest
                square += part * part
        out[k] = largest * np.sqrt(square)
        if k < len(order):
            i = order[k]
            _add(C[i], -inverse[i], total, lost)
            _add(C[i + 1], inverse[i + 1], total, lost)


@compiled
def priority(p: Floats, gains: Floats, s: int, nodes: Floats, out: Floats) -> None:
    """Write the integrand of S5 (c), with x = 1 / z, summed over the entries, at each node z.

    That is ``sum gains_i P(at least s of the others have v_j < p_j z) / z^2`` over the entries with
    ``p_i z < 1``. One law is built for all entries; each is then taken out of it.

    Parameters
    ----------
    p : (d,)
        Weights > 0, descending.
    gains : (d,)
        ``u_i^2 / p_i``.
    s : int
        Size of the sample, at least 2.
    nodes : (n,)
        Values z, ascending, with at most s entries ``p_i z >= 1``.
    out : (n,)
        The integrand.
    """
    d = len(p)
    law = np.empty(d + 2)
    q = np.empty(d)
    chances = np.empty(d)
    sure = 0
    for node in range(len(nodes)):
        z = nodes[node]
        while sure < d and p[sure] * z >= 1.0:
            sure += 1
        n, need = d - sure, s - sure
        mean = 0.0
        variance = 0.0
        for i in range(n):
            q[i] = p[sure + i] * z
            mean += q[i]
            variance += q[i] * (1.0 - q[i])
        levels = min(n, max(need, int(mean)) + int(DEVIATIONS * np.sqrt(variance)) + MORE)
        # law[k]: probability that at least k of all happen. Terms are positive: no digit is lost.
        law[0] = 1.0
        law[1 : levels + 2] = 0.0
        # Nearly all have happened so often already: from here on up the law is still open.
        start = 0
        for i in range(n):
            while law[start + 1] >= 1.0 - SETTLED:
                start += 1
            before = 1.0
            for k in range(start + 1, min(i + 1, levels) + 1):
                here = law[k]
                law[k] = here + q[i] * (before - here)
                before = here
        # law[k] = (1 - q) chance[k] + q chance[k - 1], to be solved for the chances without i: from
        # above for the likelier entries, from below for the others; either is stable there.
        split = 0
        while split < n and q[split] * law[need] >= (1.0 - q[split]) * law[need + 1]:
            split += 1
        chances[:split] = 0.0
        for k in range(levels, need, -1):
            for i in range(split):
                chances[i] = (law[k] - (1.0 - q[i]) * chances[i]) / q[i]
        chances[split:n] = 1.0
        for k in range(start + 1, need + 1):
            for i in range(split, n):
                chances[i] = (law[k] - q[i] * chances[i]) / (1.0 - q[i])
        total = 0.0
        for i in range(n):
            total += gains[sure + i] * chances[i]
        out[node] = total / z / z


@compiled
def pivotal(y: Floats, pi: Floats) -> float:
    """Return the mean squared error of an ordered pivotal sample (S5).

    The error is a sum of martingale steps, a duel each. Of the entry that waits for the next duel
    only mean and variance of its y are needed.

    Parameters
    ----------
    y : (n, rank)
        Row i is the term i in the coordinates of S0 over ``pi[i]``.
    pi : (n,)
        Inclusion probabilities, in (0, 1).
    """
    rank = y.shape[1]
    mean = np.zeros(rank)
    spread = 0.0
    waiting = 0.0
    moment = 0.0
    for i in range(len(pi)):
        joining = pi[i]
        gap2 = 0.0
        for j in range(rank):
            gap = y[i, j] - mean[j]
            gap2 += gap * gap
        total = waiting + joining
        if waiting == 0.0:
            spread = 0.0
            share = 1.0
        elif total < 1.0:
            moment += waiting * joining * (spread + gap2)
            share = joining / total
        else:
            moment += (1.0 - waiting) * (1.0 - joining) * (spread + gap2)
            share = (1.0 - joining) / (2.0 - total)
        waiting = total if total < 1.0 else total - 1.0
        spread = (1.0 - share) * (spread + share * gap2)
        for j in range(rank):
            mean[j] += share * (y[i, j] - mean[j])
    return moment
