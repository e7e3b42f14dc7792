"""Samples of fixed size in one pass: pivotal duels, and conditional Poisson trials."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lth_sketch.kernels._jit import compiled
from lth_sketch.validation import Floats, Integers

Mask = npt.NDArray[np.bool_]


@compiled
def pivotal(pi: Floats, s: int, rng: np.random.Generator, out: Mask) -> None:
    """Mark an ordered pivotal sample (Deville and Tille) of the entries.

    Each entry meets the one that is left over from before: the loser gives its probability away, or
    the winner takes a whole unit of both and is kept.

    Parameters
    ----------
    pi : (d,)
        Inclusion probabilities.
    s : int
        Their sum, up to rounding.
    rng : Generator
        Source of the uniforms, one for each duel.
    out : (d,)
        Whether each entry is kept; s are.
    """
    holder = -1
    waiting = 0.0
    kept = 0
    for i in range(len(pi)):
        out[i] = False
        joining = pi[i]
        if joining >= 1.0:
            out[i] = True
            kept += 1
        elif joining > 0.0:
            total = waiting + joining
            if waiting == 0.0:
                holder = i
                waiting = joining
            elif total < 1.0:
                if rng.random() * total < joining:
                    holder = i
                waiting = total
            else:
                # The newcomer is kept with the probability that the other one lacks.
                if rng.random() * (2.0 - total) < 1.0 - waiting:
                    out[i] = True
                else:
                    out[holder] = True
                    holder = i
                kept += 1
                waiting = total - 1.0
    # What is left is nothing or a whole unit, but for rounding.
    if kept < s:
        out[holder] = True


@compiled
def conditional(pi: Floats, s: int, trials: int, rng: np.random.Generator, out: Mask) -> bool:
    """Try to draw a Poisson sample of exactly s entries; return whether a trial did.

    Parameters
    ----------
    pi : (d,)
        Inclusion probabilities, summing to s.
    s : int
        Number of entries to be kept.
    trials : int
        Samples that are tried at most.
    rng : Generator
        Source of the uniforms.
    out : (d,)
        Whether each entry is kept.
    """
    for _ in range(trials):
        kept = 0
        for i in range(len(pi)):
            keep = rng.random() < pi[i]
            out[i] = keep
            kept += int(keep)
            if kept > s:
                break
        if kept == s:
            return True
    return False


@compiled
def distinct(
    cumulative: Floats, table: Integers, drawn: int, rng: np.random.Generator, out: Mask
) -> bool:
    """Try to draw entries with replacement that are all different; return whether they are.

    Parameters
    ----------
    cumulative : (d,)
        Running sum of the probabilities, infinite from the last one that is positive.
    table : (k,)
        The `errors.guide` to `cumulative`.
    drawn : int
        Number of draws, at most the number of positive probabilities.
    rng : Generator
        Source of the uniforms, one for each draw.
    out : (d,)
        Whether each entry is drawn.
    """
    out[:] = False
    for _ in range(drawn):
        # As `errors.looked_up`: a cached kernel calls none of another file.
        u = rng.random()
        i = table[int(u * len(table))]
        while cumulative[i] <= u:
            i += 1
        if out[i]:
            return False
        out[i] = True
    return True


@compiled
def _error(
    terms: Floats, lengths: Integers, centre: Floats, weights: Floats, keep: Mask, total: Floats
) -> float:
    """Return the squared error of a mask that keeps what is marked."""
    total[:] = 0.0
    for i in range(len(keep)):
        if keep[i]:
            for j in range(lengths[i]):
                total[j] += weights[i] * terms[i, j]
    error = 0.0
    for j in range(len(total)):
        gap = total[j] - centre[j]
        error += gap * gap
    return error


@compiled
def pivotal_errors(
    terms: Floats,
    lengths: Integers,
    centre: Floats,
    pi: Floats,
    weights: Floats,
    s: int,
    rng: np.random.Generator,
    out: Floats,
) -> None:
    """Simulate pivotal samples: squared errors of one size.

    Parameters
    ----------
    terms : (d, rank)
        Row i is the term i; entries from ``lengths[i]`` on are zero.
    lengths : (d,)
        Leading entries of each row that may be nonzero.
    centre : (rank,)
        The product itself.
    pi : (d,)
        Inclusion probabilities of a Poisson draw, summing to s.
    weights : (d,)
        Weight of each entry where it is kept.
    s : int
        Number of entries kept.
    rng : Generator
        Source of the uniforms.
    out : (n_trials,)
        Squared errors.
    """
    keep = np.empty(len(pi), np.bool_)
    total = np.empty(len(centre))
    for trial in range(len(out)):
        pivotal(pi, s, rng, keep)
        out[trial] = _error(terms, lengths, centre, weights, keep, total)


@compiled
def conditional_errors(
    terms: Floats,
    lengths: Integers,
    centre: Floats,
    pi: Floats,
    weights: Floats,
    s: int,
    rng: np.random.Generator,
    out: Floats,
) -> None:
    """Simulate conditional Poisson samples: as `pivotal_errors`."""
    keep = np.empty(len(pi), np.bool_)
    total = np.empty(len(centre))
    for trial in range(len(out)):
        while not conditional(pi, s, 1, rng, keep):
            pass
        out[trial] = _error(terms, lengths, centre, weights, keep, total)


@compiled
def distinct_errors(
    terms: Floats,
    lengths: Integers,
    centre: Floats,
    cumulative: Floats,
    table: Integers,
    weights: Floats,
    drawn: int,
    rng: np.random.Generator,
    out: Floats,
) -> None:
    """Simulate draws that are all different: as `pivotal_errors`, from what `distinct` reads.

    What is kept surely is in none of the draws, and has been taken off the centre.
    """
    keep = np.empty(len(terms), np.bool_)
    total = np.empty(len(centre))
    for trial in range(len(out)):
        while not distinct(cumulative, table, drawn, rng, keep):
            pass
        out[trial] = _error(terms, lengths, centre, weights, keep, total)
