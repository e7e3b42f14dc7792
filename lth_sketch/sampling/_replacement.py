"""Draws with replacement: sorted uniforms, merged with the running sum of the weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lth_sketch.inclusion.checked import CheckedWeights
from lth_sketch.kernels import draws
from lth_sketch.parallel import blockwise
from lth_sketch.sampling._rows import Output, Rows, room, streams, trimmed
from lth_sketch.validation import Array, Integers

_NO_INDICES = np.empty(0, np.int64)
# Weights up to which one walk past all of them is the quicker, for up to a batch of draws.
FEW = 1 << 14
# Draws for each weight beyond which each weight's count is drawn, not each draw.
MANY = 32


def multinomial(
    given: CheckedWeights, s: int, rng: np.random.Generator, threads: int
) -> tuple[Integers, Array]:
    p, sums = given.p, given.sums
    if len(sums) == 1 and len(p) <= FEW and s <= min(draws.BATCH, MANY * len(p)):
        return _few(given, s, rng)
    blocks = blockwise.spans(len(p))
    # Blocks without mass stay out: rounding may leave a draw to the last of the rest.
    live = np.flatnonzero(sums)
    split = np.zeros(len(blocks), np.int64)
    split[live] = rng.multinomial(s, sums[live] / given.total) if len(blocks) > 1 else s
    children = streams(rng, len(blocks))
    # As if the draws never met.
    indices, weights = room(int(np.minimum(split, len(p[blocks[0]])).sum()), p.dtype)

    def run(b: int, place: Callable[[int], slice]) -> None:
        block, n = p[blocks[b]], int(split[b])
        scratch = draws.merge_scratch(len(block), n)
        kept = place(_drawn(block, sums[b], n, children[b], scratch))
        share, first = given.total / s, blocks[b].start
        draws.counted(block, scratch, share, first, indices[kept], weights[kept])

    length = blockwise.chain(run, len(blocks), threads)
    return trimmed(length, indices, weights)


def _few(given: CheckedWeights, s: int, rng: np.random.Generator) -> tuple[Integers, Array]:
    """Draw as `draws.multinomial` does, one batch from one block; a Generator costs less here."""
    indices, weights = np.empty(s, np.int64), np.empty(s, given.p.dtype)
    spacings = rng.standard_exponential(s)
    kept = draws.few(given.p, given.total, spacings, rng.standard_gamma(1.0), indices, weights)
    return indices[:kept], weights[:kept]


def _drawn(p: Array, mass: float, s: int, rng: np.random.Generator, scratch: draws.Merge) -> int:
    """Draw s times; return the number of distinct positions, which `scratch` takes."""
    if s == 0:
        return 0
    if s > MANY * len(p):
        return draws.binomials(p, s, rng, np.empty(len(p)), scratch.positions, scratch.counts)
    return draws.multinomial(p, mass, s, rng, scratch)


def multinomial_rows(given: CheckedWeights, s: int, threads: int) -> Rows:
    p = given.p

    def rows(rng: np.random.Generator, counts: Integers, output: Output | None) -> None:
        starts, indices, weights = output or Output(_NO_INDICES, _NO_INDICES, p[:0])
        scratch = draws.merge_scratch(len(p), s)
        if s > MANY * len(p):
            for t in range(len(counts)):
                counts[t] = _drawn(p, given.total, s, rng, scratch)
                if output:
                    row = slice(starts[t], starts[t] + counts[t])
                    share = given.total / s
                    draws.counted(p, scratch, share, 0, indices[row], weights[row])
            return
        draws.multinomial_rows(p, given.total, s, rng, scratch, starts, indices, weights, counts)

    return rows
