"""Errors of simulated masks, read off one stream of draws at every size in passing."""

from __future__ import annotations

import numpy as np

from lth_sketch.kernels._jit import compiled, reduction
from lth_sketch.validation import Floats, Integers

# With fewer draws than d / SCARCE between two sizes, counting them first is not worth a pass.
SCARCE = 8


@compiled
def guide(cumulative: Floats, out: Integers) -> None:
    """Write into ``out[j]`` the first i with ``cumulative[i] > j / len(out)``."""
    i = 0
    for j in range(len(out)):
        while cumulative[i] <= j / len(out):
            i += 1
        out[j] = i


@compiled
def looked_up(u: float, cumulative: Floats, table: Integers) -> int:
    """Return the entry that a uniform draws: the first i with ``cumulative[i] > u``."""
    i = table[int(u * len(table))]
    while cumulative[i] <= u:
        i += 1
    return int(i)


@reduction
def replacement_errors(
    terms: Floats,
    lengths: Integers,
    centre: Floats,
    cumulative: Floats,
    table: Integers,
    sizes: Integers,
    rng: np.random.Generator,
    out: Floats,
) -> None:
    """Simulate draws with replacement: squared errors at every size, one trial a column.

    Parameters
    ----------
    terms : (d, rank)
        Row i is the term i over its probability; entries from ``lengths[i]`` on are zero.
    lengths : (d,)
        Leading entries of each row that may be nonzero.
    centre : (rank,)
        The product itself.
    cumulative : (d,)
        Running sum of the probabilities, infinite from the last one that is positive.
    table : (k,)
        The `guide` to `cumulative`.
    sizes : (n_sizes,)
        Numbers of draws, ascending.
    rng : Generator
        Source of the uniforms, one for each draw.
    out : (n_sizes, n_trials)
        Squared errors.
    """
    d, rank = terms.shape
    counts = np.zeros(d, np.int64)
    total = np.empty(rank)
    for trial in range(out.shape[1]):
        total[:] = 0.0
        done = 0
        for k in range(len(sizes)):
            size = sizes[k]
            new = size - done
            done = size
            scarce = new * SCARCE < d
            for _ in range(new):
                i = looked_up(rng.random(), cumulative, table)
                if scarce:
                    for j in range(lengths[i]):
                        total[j] += terms[i, j]
                else:
                    counts[i] += 1
            if not scarce:
                for i in range(d):
                    count = counts[i]
                    if count:
                        counts[i] = 0
                        for j in range(lengths[i]):
                            total[j] += count * terms[i, j]
            error = 0.0
            for j in range(rank):
                gap = total[j] / size - centre[j]
                error += gap * gap
            out[k, trial] = error


@compiled
def replacement_counts(
    cumulative: Floats, table: Integers, sizes: Integers, rng: np.random.Generator, out: Floats
) -> None:
    """Count draws with replacement, the very draws of `replacement_errors`, at every size.

    Parameters
    ----------
    cumulative, table, sizes, rng
        As there.
    out : (n_sizes, n_trials, d)
        How often each term is drawn.
    """
    for trial in range(out.shape[1]):
        done = 0
        for k in range(len(sizes)):
            counts = out[k, trial]
            counts[:] = 0.0
            if k > 0:
                counts[:] = out[k - 1, trial]
            for _ in range(sizes[k] - done):
                i = looked_up(rng.random(), cumulative, table)
                counts[i] += 1.0
            done = sizes[k]


@reduction
def rank_errors(
    terms: Floats,
    lengths: Integers,
    centre: Floats,
    p: Floats,
    order: Integers,
    taus: Floats,
    limit: float,
    sizes: Integers,
    rng: np.random.Generator,
    out: Floats,
) -> None:
    """Simulate Poisson or priority samples: squared errors at every size, one trial a column.

    The ranks ``p_i / v_i`` of a trial serve every size. An entry of a mask weighs ``max(1, tau /
    p_i)`` with a tau that falls as the size grows: it joins the sum of the terms over p, which
    waits to be multiplied by tau, and leaves it for the sum of the plain terms when tau reaches
    ``p_i``.

    Parameters
    ----------
    terms : (d, rank)
        Row i is the term i; entries from ``lengths[i]`` on are zero.
    lengths : (d,)
        Leading entries of each row that may be nonzero.
    centre : (rank,)
        The product itself.
    p : (d,)
        Probabilities.
    order : (d,)
        Their indices, descending.
    taus : (n_sizes,)
        Poisson: the threshold at each size, positive. Priority: zeros, for it is the next rank.
    limit : float
        Poisson: the last threshold. Priority: one that more than the last size will rarely miss.
    sizes : (n_sizes,)
        Numbers of kept entries, ascending, at most the number of nonzero p.
    rng : Generator
        Source of the uniforms, d for each trial.
    out : (n_sizes, n_trials)
        Squared errors.
    """
    d, rank = terms.shape
    ranks = np.empty(d)
    places = np.empty(d, np.int64)
    kept = np.empty(d, np.bool_)
    plain = np.empty(rank)
    scaled = np.empty(rank)
    for trial in range(out.shape[1]):
        for i in range(d):
            ranks[i] = p[i] / (1.0 - rng.random())
        # Only the ranks from the limit on are put in order, all of them where these are too few.
        near = 0
        for i in range(d):
            places[near] = i
            near += int(ranks[i] >= limit)
        if near <= sizes[-1] and taus[-1] == 0.0:
            near = d
            places[:] = order
        ranking = places[:near][np.argsort(-ranks[places[:near]])]
        kept[:] = False
        plain[:] = 0.0
        scaled[:] = 0.0
        count = 0
        capped = 0
        for k in range(len(sizes)):
            tau = taus[k]
            poisson = tau > 0.0
            if not poisson and sizes[k] < d:
                tau = ranks[ranking[sizes[k]]]
            while capped < d and p[order[capped]] >= tau:
                i = order[capped]
                if kept[i]:
                    share = 1.0 / p[i]
                    for j in range(lengths[i]):
                        plain[j] += terms[i, j]
                        scaled[j] -= share * terms[i, j]
                capped += 1
            while count < near and (ranks[ranking[count]] >= tau if poisson else count < sizes[k]):
                i = ranking[count]
                kept[i] = True
                if p[i] >= tau:
                    for j in range(lengths[i]):
                        plain[j] += terms[i, j]
                else:
                    share = 1.0 / p[i]
                    for j in range(lengths[i]):
                        scaled[j] += share * terms[i, j]
                count += 1
            error = 0.0
            for j in range(rank):
                gap = plain[j] + tau * scaled[j] - centre[j]
                error += gap * gap
            out[k, trial] = error


@reduction
def systematic_errors(
    terms: Floats,
    lengths: Integers,
    centre: Floats,
    ends: Floats,
    weights: Floats,
    rng: np.random.Generator,
    out: Floats,
) -> None:
    """Simulate systematic samples: squared errors at every size, one trial a column.

    Parameters
    ----------
    terms : (d, rank)
        Row i is the term i; entries from ``lengths[i]`` on are zero.
    lengths : (d,)
        Leading entries of each row that may be nonzero.
    centre : (rank,)
        The product itself.
    ends : (n_sizes, d)
        Running sums of the inclusion probabilities at each size.
    weights : (n_sizes, d)
        One over the inclusion probabilities.
    rng : Generator
        Source of the starts, one for each trial and size.
    out : (n_sizes, n_trials)
        Squared errors.
    """
    d, rank = terms.shape
    total = np.empty(rank)
    for trial in range(out.shape[1]):
        for k in range(len(ends)):
            point = 1.0 - rng.random()
            total[:] = 0.0
            for i in range(d):
                if point <= ends[k, i]:
                    point += 1.0
                    for j in range(lengths[i]):
                        total[j] += weights[k, i] * terms[i, j]
            error = 0.0
            for j in range(rank):
                gap = total[j] - centre[j]
                error += gap * gap
            out[k, trial] = error
