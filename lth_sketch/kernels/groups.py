"""Samples of fixed size in consecutive groups of weights (n of M): draws, and joint inclusions."""

from __future__ import annotations

import numpy as np

from lth_sketch.kernels._jit import compiled
from lth_sketch.validation import Array, Floats, Integers

CAPPED = -1.0


@compiled
def fill(p: Array, n: int, pi: Floats) -> None:
    """Write the inclusion probabilities of one group: ``min(1, p_i / tau)``, with sum n.

    A group of at most n weights that are not zero keeps these, and the first of the others.
    """
    live = 0
    for i in range(len(p)):
        pi[i] = np.float64(p[i])
        live += int(pi[i] > 0.0)
    if live <= n:
        for i in range(len(p)):
            free = pi[i] == 0.0 and live < n
            live += int(free)
            pi[i] = 1.0 if free or pi[i] > 0.0 else 0.0
        return
    left = n
    while True:
        total = 0.0
        for i in range(len(p)):
            if pi[i] != CAPPED:
                total += pi[i]
        tau = total / left
        full = 0
        for i in range(len(p)):
            if pi[i] != CAPPED and pi[i] >= tau:
                pi[i] = CAPPED
                full += 1
        if full == 0:
            break
        left -= full
    for i in range(len(p)):
        pi[i] = 1.0 if pi[i] == CAPPED else pi[i] / tau


@compiled
def inclusions(p: Array, n: int, M: int, out: Floats) -> None:
    """Write the inclusion probabilities of consecutive groups of M."""
    for start in range(0, len(p), M):
        fill(p[start : start + M], n, out[start : start + M])


@compiled
def drawn(p: Array, n: int, M: int, binary: bool, rng: np.random.Generator, out: Array) -> None:
    """Draw n of each group of M: systematically, in a random order of the group.

    Parameters
    ----------
    p : (d,)
        Weights; d a multiple of M.
    n, M : int
        How many are kept of how many.
    binary : bool
        Ones in the place of weights.
    rng : Generator
        Source of the uniforms, M for each group.
    out : (d,)
        The mask: one over the inclusion probabilities where an entry is kept.
    """
    pi = np.empty(M)
    order = np.arange(M)
    for start in range(0, len(p), M):
        fill(p[start : start + M], n, pi)
        for k in range(M - 1, 0, -1):
            other = int(rng.random() * (k + 1))
            order[k], order[other] = order[other], order[k]
        point = 1.0 - rng.random()
        reached = 0.0
        kept = 0
        last = 0
        for k in range(M):
            i = order[k]
            reached += pi[i]
            out[start + i] = 0.0
            if pi[i] > 0.0:
                if reached >= point:
                    point += 1.0
                    kept += 1
                    out[start + i] = 1.0 if binary else 1.0 / pi[i]
                else:
                    last = i
        # The sum is n but for rounding.
        if kept < n:
            out[start + last] = 1.0 if binary else 1.0 / pi[last]


@compiled
def largest(scores: Array, n: int, M: int, out: Array) -> None:
    """Mark the n largest of each group of M with ones, the first among equals."""
    for start in range(0, len(scores), M):
        for i in range(M):
            out[start + i] = 0.0
        for _ in range(n):
            best = -1
            for i in range(M):
                if out[start + i] == 0.0 and (best < 0 or scores[start + i] > scores[start + best]):
                    best = i
            out[start + best] = 1.0


@compiled
def joint(pi: Floats, chances: Floats, members: Integers, out: Floats) -> None:
    """Write the joint inclusion probabilities (M, M) of one group.

    Parameters
    ----------
    pi : (M,)
        Inclusion probabilities, summing to an integer.
    chances : (M - 1,)
        Chance that a given set of k others lies between two entries of a random circle.
    members : (M,)
        Scratch.
    out : (M, M)
        Probability that both are kept; ``pi`` on the diagonal.
    """
    M = len(pi)
    for i in range(M):
        out[i, i] = pi[i]
        for j in range(i):
            others = 0
            for k in range(M):
                if k not in (i, j):
                    members[others] = k
                    others += 1
            total = 0.0
            for code in range(1 << others):
                behind = pi[i]
                count = 0
                for k in range(others):
                    if code >> k & 1:
                        behind += pi[members[k]]
                        count += 1
                # i lies on [0, pi_i) of a circle of unit length, j on [first, first + pi_j).
                first = behind - np.floor(behind)
                both = max(0.0, min(pi[i], first + pi[j]) - first)
                both += max(0.0, min(pi[i], first + pi[j] - 1.0))
                total += chances[count] * both
            out[i, j] = total
            out[j, i] = total


@compiled
def moment(C: Floats, pi: Floats, chances: Floats, M: int) -> float:
    """Return the mean squared error of a draw of each group of M (S9).

    Parameters
    ----------
    C : (d, rank)
        Row i is the term i in the coordinates of S0.
    pi : (d,)
        Inclusion probabilities; zero only where the term is.
    chances : (M - 1,)
        As in `joint`.
    M : int
        Size of a group.
    """
    members = np.empty(M, np.int64)
    both = np.empty((M, M))
    total = 0.0
    for start in range(0, len(pi), M):
        joint(pi[start : start + M], chances, members, both)
        for i in range(M):
            for j in range(M):
                product = pi[start + i] * pi[start + j]
                if product > 0.0:
                    inner = 0.0
                    for k in range(C.shape[1]):
                        inner += C[start + i, k] * C[start + j, k]
                    total += inner * (both[i, j] - product) / product
    return total
