"""One draw, or rows of draws, in one pass over the weights in order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lth_sketch.kernels._jit import compiled
from lth_sketch.validation import Array, Floats, Integers, Unsigned

# Ranks are binned by exponent and four bits of the mantissa.
SHIFT = 48
BINS = 1 << (63 - SHIFT)
# Sorted uniforms that a draw with replacement holds at a time.
BATCH = 1024
# Entries that the merge of uniforms and running sum takes in one step.
GROUP = 8
# Products this close, relatively, to what they are compared with are left to a division, and so are
# those near the smallest numbers.
NEAR, TINY = 2.0**-50, 2.0**-900
# Positions that a loop carries are unsigned: no test for a negative one delays the next step.
NONE, ONE, STRIDE = np.uint64(0), np.uint64(1), np.uint64(GROUP)


class Merge(NamedTuple):
    """Scratch of `multinomial` for d weights: a batch of uniforms, groups, and what was drawn.

    The batch has k sorted uniforms and their groups; there are running sums of at least
    ceil(d / GROUP) groups, and n >= ``min(d, draws)`` positions drawn, ascending, with counts.
    """

    targets: Floats
    groups: Unsigned
    sums: Floats
    positions: Integers
    counts: Integers


def merge_scratch(length: int, draws: int) -> Merge:
    """Return scratch for so many draws from `length` weights. Its batch is part of the bits."""
    distinct = min(length, draws)
    return Merge(
        np.empty(BATCH),
        np.empty(BATCH, np.uint64),
        np.empty(-(-length // GROUP)),
        np.empty(distinct, np.int64),
        np.empty(distinct, np.int64),
    )


@compiled
def group_sum(p: Array, g: int) -> float:
    """Add the weights of group g, in order."""
    total = 0.0
    for i in range(GROUP):
        total += np.float64(p[GROUP * g + i])
    return total


@compiled
def running(p: Array, sums: Floats) -> None:
    """Write the sum of `p` up to the end of each group to `sums`; the last one is infinite."""
    # Two streams at a time: memory is fetched ahead of both.
    half = (len(sums) - 1) // 2
    for g in range(half):
        sums[g] = group_sum(p, g)
        sums[half + g] = group_sum(p, half + g)
    for g in range(2 * half, len(sums) - 1):
        sums[g] = group_sum(p, g)
    sums[-1] = np.inf
    for g in range(1, len(sums)):
        sums[g] += sums[g - 1]


@compiled
def advance(
    sums: Floats, targets: Floats, groups: Unsigned, k: np.uint64, end: np.uint64, g: np.uint64
) -> np.uint64:
    """Merge the targets from k up to `end`, from group `g` on; return the group of the last."""
    while k < end:
        groups[k] = g
        before = np.uint64(sums[g] <= targets[k])
        g += before
        k += ONE - before
    return g


@compiled
def merge(sums: Floats, targets: Floats, groups: Unsigned, g: np.uint64) -> np.uint64:
    """Write the first group whose sum is above each of the ascending targets, `g` or later.

    No branch depends on the data: such a branch is mispredicted at every target. The two halves
    are merged in turns, for a step of one half need not wait for one of the other.
    """
    end = np.uint64(len(targets))
    k, middle = NONE, np.uint64(len(targets) // 2)
    other, h = middle, g + np.uint64(np.searchsorted(sums[g:], targets[middle], side="right"))
    while k < middle and other < end:
        groups[k] = g
        groups[other] = h
        before = np.uint64(sums[g] <= targets[k])
        behind = np.uint64(sums[h] <= targets[other])
        g += before
        h += behind
        k += ONE - before
        other += ONE - behind
    advance(sums, targets, groups, k, middle, g)
    return advance(sums, targets, groups, other, end, h)


@compiled
def last_drawn(p: Array, mass: float) -> int:
    """Return the last entry that moves the running sum, where a uniform beyond all of it goes.

    What lies beyond is rounding: an entry below that would get an absurd weight.
    """
    end = len(p) - 1
    while p[end] <= mass * 2.0**-53:
        end -= 1
    return end


@compiled
def multinomial(p: Array, mass: float, draws: int, rng: np.random.Generator, scratch: Merge) -> int:
    """Merge sorted uniforms with the running sum of p; return the number of distinct positions.

    Parameters
    ----------
    p : (d,)
        Weights, not all zero.
    mass : float
        Their sum.
    draws : int
        Number of draws.
    rng : Generator
        Source of the spacings.
    scratch : Merge
        Takes the positions drawn, ascending, and how often each.
    """
    targets, groups, sums, positions, counts = scratch
    sums = sums[: -(-len(p) // GROUP)]
    running(p, sums)
    end = last_drawn(p, mass)
    final = np.uint64(end)
    distinct = NONE
    last = -1
    before = 0
    done = 0
    low = 0.0
    g = NONE
    while done < draws:
        # The lowest of the uniforms still to come: spacings are exponential over their sum, and
        # those not needed yet enter the sum as one Gamma variate.
        batch = min(draws - done, len(targets))
        total = 0.0
        for k in range(batch):
            total += rng.standard_exponential()
            targets[k] = total
        scale = (1.0 - low) / (total + rng.standard_gamma(draws - done - batch + 1.0))
        for k in range(batch):
            targets[k] = (low + scale * targets[k]) * mass
        low += scale * total
        g = merge(sums, targets[:batch], groups, g)
        for k in range(batch):
            # The entry within the group, by the very sums that made its end.
            start = groups[k] * STRIDE
            base = sums[groups[k] - ONE] if groups[k] > NONE else 0.0
            inside = 0.0
            i = int(start)
            for j in range(GROUP - 1):
                inside += np.float64(p[min(start + np.uint64(j), final)])
                i += int(base + inside <= targets[k])
            i = min(i, end)
            new = i != last
            distinct += np.uint64(new)
            before = done if new else before
            last = i
            done += 1
            positions[distinct - ONE] = i
            counts[distinct - ONE] = done - before
    return int(distinct)


@compiled
def few(
    p: Array, mass: float, draws: Floats, rest: float, indices: Integers, weights: Array
) -> int:
    """Draw as `multinomial` does, where a single walk over p is short; return how many are kept.

    Parameters
    ----------
    p : (d,)
        Weights, not all zero.
    mass : float
        Their sum.
    draws : (s,)
        Exponential spacings of the uniforms; taken for scratch.
    rest : float
        The spacing beyond the last.
    indices, weights : (s,)
        Written from the start: the distinct entries, ascending, and ``count mass / (s p)``.

    Returns
    -------
    int
        Number of distinct entries.
    """
    s = len(draws)
    total = 0.0
    for k in range(s):
        total += draws[k]
        draws[k] = total
    scale = 1.0 / (total + rest)
    end = last_drawn(p, mass)
    share = mass / s
    i = 0
    reached = np.float64(p[0])
    kept = 0
    k = 0
    while k < s:
        target = draws[k] * scale * mass
        while i < end and reached <= target:
            i += 1
            reached += np.float64(p[i])
        first = k
        k += 1
        while k < s and (i == end or draws[k] * scale * mass < reached):
            k += 1
        indices[kept] = i
        weights[kept] = float(k - first) * share / np.float64(p[i])
        kept += 1
    return kept


@compiled
def binomials(
    p: Array,
    draws: int,
    rng: np.random.Generator,
    rest: Floats,
    positions: Integers,
    counts: Integers,
) -> int:
    """Draw how often each entry is drawn, one after another; return how many are.

    The count of an entry, given those before it, is binomial: its chance is its share of what is
    left. The shares are sums from the end, so that small entries there keep their digits.

    Parameters
    ----------
    p : (d,)
        Weights, not all zero.
    draws : int
        Number of draws.
    rng : Generator
        Source of the binomials.
    rest : (d,)
        Scratch.
    positions, counts : (n,)
        Entries drawn, ascending, and how often each; n at least min(d, draws).
    """
    total = 0.0
    for i in range(len(p) - 1, -1, -1):
        total += np.float64(p[i])
        rest[i] = total
    left = draws
    distinct = 0
    for i in range(len(p)):
        if left == 0:
            break
        if p[i] > 0.0:
            share = np.float64(p[i]) / rest[i]
            count = left if share >= 1.0 else rng.binomial(left, share)
            if count > 0:
                positions[distinct] = i
                counts[distinct] = count
                distinct += 1
                left -= count
    return distinct


@compiled
def counted(
    p: Array, scratch: Merge, share: float, first: int, indices: Integers, weights: Array
) -> None:
    """Write what was drawn: positions counted from `first`, and weights ``counts share / p``."""
    for k in range(len(indices)):
        i = scratch.positions[k]
        indices[k] = first + i
        weights[k] = scratch.counts[k] * share / np.float64(p[i])


@compiled
def multinomial_rows(
    p: Array,
    mass: float,
    draws: int,
    rng: np.random.Generator,
    scratch: Merge,
    starts: Integers,
    indices: Integers,
    weights: Array,
    counts: Integers,
) -> None:
    """Draw ``len(counts)`` times; draw t is written from ``starts[t]`` on, its length to `counts`.

    With empty `indices` the draws are only counted. `scratch` is that of `multinomial`.
    """
    share = mass / draws
    for t in range(len(counts)):
        counts[t] = multinomial(p, mass, draws, rng, scratch)
        if len(indices) > 0:
            low, high = starts[t], starts[t] + counts[t]
            counted(p, scratch, share, 0, indices[low:high], weights[low:high])


@compiled
def listed(keep: Array, first: int, indices: Integers) -> None:
    """Write the positions that `keep` (d,) marks, counted from `first`, to the last of `indices`.

    `indices` has the exact length.
    """
    i = 0
    filled = 0
    while filled < len(indices):
        # Written always, and over again until it is kept: no branch to be predicted.
        indices[filled] = first + i
        filled += int(keep[i])
        i += 1


@compiled
def inverted(p: Array, tau: float, indices: Integers, weights: Array) -> None:
    """Write the weights ``max(1, tau / p)`` of the `indices` into p."""
    for k in range(len(indices)):
        weights[k] = max(1.0, tau / np.float64(p[indices[k]]))


@compiled
def reaches(p: float, uniform: float, tau: float) -> tuple[bool, bool]:
    """Return whether ``p >= tau (1 - u)``, and whether a division is to decide on the rank."""
    level = tau * (1.0 - uniform)
    return p >= level, abs(p - level) <= NEAR * level


@compiled
def mark_reaching(p: Array, uniforms: Floats, tau: float, out: Array) -> None:
    """Mark the entries whose rank ``p / (1 - u)`` reaches `tau`; all arrays are (d,)."""
    doubts = 0
    for i in range(len(p)):
        keep, doubt = reaches(np.float64(p[i]), uniforms[i], tau)
        out[i] = keep
        doubts += int(doubt)
    if doubts or tau < TINY:
        for i in range(len(p)):
            out[i] = np.float64(p[i]) / (1.0 - uniforms[i]) >= tau


@compiled
def reaching(p: Array, uniforms: Floats, tau: float, first: int, indices: Integers) -> int:
    """List what `mark_reaching` marks, counted from `first`; return how many they are."""
    kept = doubts = 0
    for i in range(len(p)):
        # Written always, and over again until it is kept: no branch to be predicted.
        indices[kept] = first + i
        keep, doubt = reaches(np.float64(p[i]), uniforms[i], tau)
        kept += int(keep)
        doubts += int(doubt)
    if doubts or tau < TINY:
        kept = 0
        for i in range(len(p)):
            indices[kept] = first + i
            kept += int(np.float64(p[i]) / (1.0 - uniforms[i]) >= tau)
    return kept


@compiled
def listed_rows(
    p: Array, keep: Array, taus: Floats, starts: Integers, indices: Integers, weights: Array
) -> None:
    """List each row of `keep` with its weights; row t is written from ``starts[t]`` on."""
    for t in range(len(keep)):
        low, high = starts[t], starts[t + 1]
        listed(keep[t], 0, indices[low:high])
        inverted(p, taus[t], indices[low:high], weights[low:high])


@compiled
def histogram(bits: Integers, out: Integers) -> None:
    """Add to `out` (BINS,) the number of ranks in each bin, `bits` being the ranks as integers."""
    for i in range(len(bits)):
        out[bits[i] >> SHIFT] += 1
