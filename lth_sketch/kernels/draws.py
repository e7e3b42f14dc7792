"""One draw, or rows of draws, in one pass over the weights in order."""

from __future__ import annotations

import numpy as np

from lth_sketch._jit import compiled, reduction
from lth_sketch.validation import Array, Floats, Integers

# Fractions of a unit of the systematic walk are integers below 2^FRACTION: their sums are exact,
# in any order, and the sum of two fits into 64 bits.
FRACTION = 62
UNIT = 1 << FRACTION
HALF = FRACTION // 2
# Ranks are binned by exponent and four bits of the mantissa.
SHIFT = 48
BINS = 1 << (63 - SHIFT)


@compiled
def multinomial(
    p: Array,
    mass: float,
    draws: int,
    rng: np.random.Generator,
    spacings: Floats,
    positions: Integers,
    counts: Integers,
) -> int:
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
    spacings : (k,)
        Scratch: so many sorted uniforms at a time.
    positions, counts : (n,)
        Output, n at least ``min(d, draws)``: the positions drawn, ascending, and how often each.
    """
    # A uniform beyond the last running sum is rounding. It goes to the last entry that moves the
    # sum at all: one whose own probability is below rounding would get an absurd weight.
    end = len(p) - 1
    while p[end] <= mass * 2.0**-53:
        end -= 1
    i = 0
    running = np.float64(p[0])
    found = 0
    last = -1
    before = 0
    done = 0
    low = 0.0
    while done < draws:
        # The lowest of the uniforms still to come: spacings are exponential over their sum, and
        # those not needed yet enter the sum as one Gamma variate.
        batch = min(draws - done, len(spacings))
        total = 0.0
        for k in range(batch):
            total += rng.standard_exponential()
            spacings[k] = total
        scale = (1.0 - low) / (total + rng.standard_gamma(draws - done - batch + 1.0))
        for k in range(batch):
            target = (low + scale * spacings[k]) * mass
            while running <= target and i < end:
                i += 1
                running += np.float64(p[i])
            found += i != last
            before = done if i != last else before
            last = i
            done += 1
            positions[found - 1] = i
            counts[found - 1] = done - before
        low += scale * total
    return found


@compiled
def counted(p: Array, counts: Array, share: float, indices: Integers, weights: Array) -> None:
    """Write the weight ``counts share / p`` of each of the `indices` into p."""
    for k in range(len(indices)):
        weights[k] = counts[k] * share / np.float64(p[indices[k]])


@compiled
def multinomial_rows(
    p: Array,
    mass: float,
    draws: int,
    rng: np.random.Generator,
    scratch: tuple[Floats, Integers, Integers],
    starts: Integers,
    indices: Integers,
    weights: Array,
    counts: Integers,
) -> None:
    """Draw ``len(counts)`` times; draw t is written from ``starts[t]`` on, its length to `counts`.

    With empty `indices` the draws are only counted. `scratch` is that of `multinomial`.
    """
    spacings, positions, times = scratch
    for t in range(len(counts)):
        found = multinomial(p, mass, draws, rng, spacings, positions, times)
        counts[t] = found
        if len(indices) > 0:
            low = starts[t]
            for k in range(found):
                indices[low + k] = positions[k]
            counted(p, times, mass / draws, positions[:found], weights[low : low + found])


@compiled
def listed(keep: Array, first: int, indices: Integers) -> None:
    """Write the positions that `keep` (d,) marks, counted from `first`, to the last of `indices`.

    `indices` has the exact length.
    """
    i = 0
    found = 0
    while found < len(indices):
        # Written always, and over again until it is kept: no branch to be predicted.
        indices[found] = first + i
        found += int(keep[i])
        i += 1


@compiled
def inverted(p: Array, tau: float, indices: Integers, weights: Array) -> None:
    """Write the weights ``max(1, tau / p)`` of the `indices` into p."""
    for k in range(len(indices)):
        weights[k] = max(1.0, tau / np.float64(p[indices[k]]))


@compiled
def listed_rows(
    p: Array, keep: Array, taus: Floats, starts: Integers, indices: Integers, weights: Array
) -> None:
    """List each row of `keep` with its weights; row t is written from ``starts[t]`` on."""
    for t in range(len(keep)):
        low, high = starts[t], starts[t + 1]
        listed(keep[t], 0, indices[low:high])
        inverted(p, taus[t], indices[low:high], weights[low:high])


@reduction
def steps(p: Array, tau: float) -> tuple[int, int, int]:
    """Return the sum of the fractions ``p_i / tau`` below the cap, and the number at the cap.

    The sum, ``high * 2^HALF + low``, is that of the very integers that `systematic` adds.
    """
    low = 0
    high = 0
    count = 0
    for i in range(len(p)):
        below = p[i] < tau
        step = int(np.float64(p[i]) / tau * UNIT) if below else 0
        low += step & ((1 << HALF) - 1)
        high += step >> HALF
        count += not below
    return low, high, count


@compiled
def systematic(p: Array, tau: float, phase: int, first: int, indices: Integers) -> None:
    """Walk along the weights in steps of ``p_i / tau``; keep an entry where a unit is completed.

    Entries at the cap (``p_i >= tau``) step a whole unit: they are kept, and the phase stays.

    Parameters
    ----------
    p : (d,)
        Weights.
    tau : float
        Weights over inclusion probabilities, below the cap.
    phase : int
        Fraction of a unit completed before the first weight, in [0, UNIT).
    first : int
        Index of the first weight.
    indices : (n,)
        Output, of the exact length.
    """
    i = 0
    found = 0
    while found < len(indices):
        phase += int(np.float64(p[i]) / tau * UNIT) if p[i] < tau else UNIT
        indices[found] = first + i
        found += phase >> FRACTION
        phase &= UNIT - 1
        i += 1


@compiled
def systematic_rows(
    p: Array, tau: float, phases: Integers, starts: Integers, indices: Integers, weights: Array
) -> None:
    """Draw once from each of the phases; draw t is written from ``starts[t]`` on."""
    for t in range(len(phases)):
        low, high = starts[t], starts[t + 1]
        systematic(p, tau, phases[t], 0, indices[low:high])
        inverted(p, tau, indices[low:high], weights[low:high])


@compiled
def histogram(bits: Integers, out: Integers) -> None:
    """Add to `out` (BINS,) the number of ranks in each bin, `bits` being the ranks as integers."""
    for i in range(len(bits)):
        out[bits[i] >> SHIFT] += 1
