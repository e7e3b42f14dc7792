"""Hybrid draws: the largest weights surely, the rest with replacement."""

from __future__ import annotations

import numpy as np

from lth_sketch.inclusion import checked
from lth_sketch.inclusion.checked import CheckedWeights
from lth_sketch.inclusion.hybrid import sure
from lth_sketch.sampling import _replacement
from lth_sketch.sampling._rows import Output, Rows
from lth_sketch.validation import Array, Integers


def hybrid(
    given: CheckedWeights, s: int, rng: np.random.Generator, threads: int
) -> tuple[Integers, Array]:
    """Draw once, see `sampling.draw`."""
    kept, rest = _split(given, s, threads)
    weights = np.ones(len(kept), given.p.dtype)
    if rest is None:
        return np.sort(kept), weights
    indices, drawn = _replacement.multinomial(rest, s - len(kept), rng, threads)
    indices = np.concatenate([kept, indices])
    order = np.argsort(indices)
    return indices[order], np.concatenate([weights, drawn])[order]


def hybrid_rows(given: CheckedWeights, s: int, threads: int) -> Rows:
    """Return what draws rows, see `sampling.masks`."""
    kept, rest = _split(given, s, threads)
    kept = np.sort(kept)
    drawn = None if rest is None else _replacement.multinomial_rows(rest, s - len(kept), threads)

    def fill(rng: np.random.Generator, counts: Integers, output: Output | None) -> None:
        if output is None:
            counts[:] = 0
            if drawn is not None:
                drawn(rng, counts, None)
            counts += len(kept)
            return
        lengths = np.diff(output.starts) - len(kept)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        inner = Output(
            starts, np.empty(starts[-1], np.int64), np.empty(starts[-1], output.weights.dtype)
        )
        if drawn is not None:
            drawn(rng, lengths.copy(), inner)
        for t in range(len(lengths)):
            own = slice(starts[t], starts[t + 1])
            place = slice(output.starts[t], output.starts[t + 1])
            indices = np.concatenate([kept, inner.indices[own]])
            weights = np.concatenate([np.ones(len(kept)), inner.weights[own]])
            order = np.argsort(indices)
            output.indices[place], output.weights[place] = indices[order], weights[order]

    return fill


def _split(given: CheckedWeights, s: int, threads: int) -> tuple[Integers, CheckedWeights | None]:
    """Return what is kept surely, and the weights of the rest, if something is drawn of it."""
    kept = sure(given.p, s)
    if len(kept) == given.nonzero:
        return kept, None
    p = given.p.copy()
    p[kept] = 0.0
    return kept, checked.survey(p, threads)
