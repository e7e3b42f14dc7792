"""Errors of simulated masks, read off one stream of draws at every size in passing."""

from __future__ import annotations

import numpy as np

from lth_sketch._jit import compiled, reduction
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
                u = rng.random()
                i = table[int(u * len(table))]
                while cumulative[i] <= u:
                    i += 1
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
