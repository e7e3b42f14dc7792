"""Designs by rank p_i / v_i, v uniform: Poisson keeps the ranks that reach a threshold.

Priority keeps the s largest ranks, top the s largest p, where every v_i is 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from lth_sketch.inclusion import checked
from lth_sketch.inclusion.checked import CheckedWeights
from lth_sketch.kernels import draws
from lth_sketch.parallel import blockwise
from lth_sketch.sampling._rows import Output, Rows, rewound, room, streams, trimmed
from lth_sketch.validation import Array, Floats, Integers


def _drawn_ranks(p: Array, rng: np.random.Generator, out: Floats) -> Floats:
    """Write ``p_i / v_i``, v uniform on (0, 1], into `out`, (d,) or rows of it."""
    rng.random(out=out)
    np.subtract(1.0, out, out=out)
    return np.divide(p, out, out=out)


def _top_up(keep: Array, ranks: Array, tau: float, missing: int) -> None:
    """Keep the first `missing` of the ranks at `tau` too."""
    if missing > 0:
        keep[np.flatnonzero(ranks == tau)[:missing]] = True


def _listed(
    given: CheckedWeights, tau: float, counts: Integers, keep: Callable[[int], Array], threads: int
) -> tuple[Integers, Array]:
    """List what ``keep(b)`` marks in each block, with the weights ``max(1, tau / p)``.

    The threshold is zero where nothing is weighted: what is kept may be zero then.
    """
    p = given.p
    blocks = blockwise.spans(len(p))
    ends = np.cumsum(counts)
    indices = np.empty(ends[-1], np.int64)
    weights = np.empty(ends[-1], p.dtype)

    def fill(part: range) -> None:
        for b in part:
            place = slice(ends[b] - counts[b], ends[b])
            draws.listed(keep(b), blocks[b].start, indices[place])
            if tau:
                draws.inverted(p, tau, indices[place], weights[place])
            else:
                weights[place] = 1.0

    blockwise.share(fill, len(ends), threads)
    return indices, weights


def _kept(given: CheckedWeights, tau: float, keep: Array) -> tuple[Integers, Array]:
    """List what is kept of a single block, as `_listed` does, without a start of its loops."""
    indices = keep.nonzero()[0]
    if not tau:
        return indices, np.ones(len(indices), given.p.dtype)
    p = given.p[indices]
    if p.dtype == np.float64:
        return indices, np.maximum(1.0, tau / p)
    with np.errstate(over="ignore"):
        return indices, np.maximum(1.0, tau / p.astype(np.float64)).astype(p.dtype)


def poisson(
    given: CheckedWeights, s: int, rng: np.random.Generator, threads: int
) -> tuple[Integers, Array]:
    p = given.p
    tau = checked.threshold(given, s, threads)
    if len(given.sums) == 1:
        listed = np.empty(len(p), np.int64)
        indices = listed[: draws.reaching(p, rng.random(len(p)), tau, 0, listed)].copy()
        weights = np.empty(len(indices), p.dtype)
        draws.inverted(p, tau, indices, weights)
        return indices, weights
    blocks = blockwise.spans(len(p))
    children = streams(rng, len(blocks))
    # By Bernstein's inequality a draw needs more than this with a chance below 1e-300.
    most = s + 40 * math.isqrt(s) + 640
    indices, weights = room(min(given.nonzero, most), p.dtype)
    # Scratch goes from block to block: memory that is new each time costs more than the loop.
    size = len(p[blocks[0]])
    idle = [(np.empty(size), np.empty(size, np.int64)) for _ in range(threads)]

    def run(b: int, place: Callable[[int], slice]) -> None:
        block, first = p[blocks[b]], blocks[b].start
        scratch = idle.pop()
        uniforms, listed = scratch
        children[b].random(out=uniforms[: len(block)])
        count = draws.reaching(block, uniforms, tau, first, listed)
        kept = place(count)
        indices[kept] = listed[:count]
        idle.append(scratch)
        draws.inverted(p, tau, indices[kept], weights[kept])

    length = blockwise.chain(run, len(blocks), threads)
    return trimmed(length, indices, weights)


def poisson_rows(given: CheckedWeights, s: int, threads: int) -> Rows:
    p = given.p
    tau = checked.threshold(given, s, threads)

    def rows(rng: np.random.Generator, counts: Integers, output: Output | None) -> None:
        keep = _drawn_ranks(p, rng, np.empty((len(counts), len(p)))) >= tau
        if output is None:
            counts[:] = np.count_nonzero(keep, axis=1)
        else:
            draws.listed_rows(p, keep, np.full(len(counts), tau), *output)

    return rows


def priority(
    given: CheckedWeights, s: int, rng: np.random.Generator, threads: int
) -> tuple[Integers, Array]:
    if s == given.nonzero:
        return poisson(given, s, rng, threads)
    p = given.p
    if len(given.sums) > 1:
        return _priority_blocks(given, s, streams(rng, len(given.sums)), threads)
    ranks = _drawn_ranks(p, rng, np.empty(len(p)))
    tau = _largest(ranks, s)
    keep = ranks > tau
    _top_up(keep, ranks, tau, s - int(np.count_nonzero(keep)))
    return _kept(given, tau, keep)


def _largest(values: Array, k: int) -> float:
    """Return the k-th largest value, counted from 0."""
    place = len(values) - 1 - k
    return float(np.partition(values, place)[place])


def _priority_blocks(
    given: CheckedWeights, s: int, children: list[np.random.Generator], threads: int
) -> tuple[Integers, Array]:
    """Find the (s+1)-th largest rank in two passes over the same uniforms, none of them stored.

    The first pass counts ranks in bins. The second one marks all from the bin that matters on, and
    collects the ranks in it: a small part of s, for 1 / v puts no more of them near a value.
    """
    p = given.p
    blocks = blockwise.spans(len(p))

    def ranks(b: int, scratch: Floats) -> Floats:
        block = p[blocks[b]]
        return _drawn_ranks(block, children[b], scratch[: len(block)])

    def count(part: range) -> Integers:
        scratch = np.empty(len(p[blocks[0]]))
        bins = np.zeros(draws.BINS, np.int64)
        for b in part:
            with rewound(children[b]):
                draws.histogram(ranks(b, scratch).view(np.int64), bins)
        return bins

    bins = np.sum(blockwise.share(count, len(blocks), threads), axis=0)
    beyond = np.cumsum(bins[::-1])[::-1]
    middle = int(np.flatnonzero(beyond > s)[-1])
    low, high = (np.array([middle, middle + 1]) << draws.SHIFT).view(np.float64)
    counts = np.empty(len(blocks), np.int64)
    kept: dict[int, Array] = {}
    near: dict[int, tuple[Integers, Floats]] = {}

    def mark(part: range) -> None:
        scratch = np.empty(len(p[blocks[0]]))
        for b in part:
            values = ranks(b, scratch)
            keep = values >= low
            positions = np.flatnonzero(keep & (values < high))
            counts[b] = np.count_nonzero(keep)
            kept[b] = np.packbits(keep)
            near[b] = positions, values[positions]

    blockwise.share(mark, len(blocks), threads)
    candidates = np.concatenate([near[b][1] for b in range(len(blocks))])
    wanted = s - int(beyond[middle] - bins[middle])
    tau = _largest(candidates, wanted)
    accepted = candidates > tau
    _top_up(accepted, candidates, tau, wanted - int(np.count_nonzero(accepted)))
    ends = np.cumsum([len(near[b][0]) for b in range(len(blocks))])
    refused = {b: near[b][0][~part] for b, part in enumerate(np.split(accepted, ends[:-1]))}
    counts -= [len(refused[b]) for b in range(len(blocks))]

    def keep(b: int) -> Array:
        marks = np.unpackbits(kept[b])
        marks[refused[b]] = 0
        return marks

    return _listed(given, tau, counts, keep, threads)


def priority_rows(given: CheckedWeights, s: int, threads: int) -> Rows:
    if s == given.nonzero:
        return poisson_rows(given, s, threads)
    p = given.p
    place = len(p) - 1 - s

    def rows(rng: np.random.Generator, counts: Integers, output: Output | None) -> None:
        assert output is not None
        ranks = _drawn_ranks(p, rng, np.empty((len(counts), len(p))))
        taus = np.partition(ranks, place, axis=1)[:, place]
        keep = ranks > taus[:, None]
        missing = s - np.count_nonzero(keep, axis=1)
        for t in np.flatnonzero(missing):
            _top_up(keep[t], ranks[t], taus[t], int(missing[t]))
        draws.listed_rows(p, keep, taus, *output)

    return rows


def top(
    given: CheckedWeights, s: int, rng: np.random.Generator, threads: int
) -> tuple[Integers, Array]:
    p = given.p
    blocks = blockwise.spans(len(p))
    tau = _largest(p, s - 1)
    if len(blocks) == 1:
        marks = p > tau
        _top_up(marks, p, tau, s - int(np.count_nonzero(marks)))
        return _kept(given, 0.0, marks)
    above = np.empty(len(blocks), np.int64)
    at = np.empty(len(blocks), np.int64)

    def count(part: range) -> None:
        for b in part:
            above[b] = np.count_nonzero(p[blocks[b]] > tau)
            at[b] = np.count_nonzero(p[blocks[b]] == tau)

    blockwise.share(count, len(blocks), threads)
    missing = np.clip(s - above.sum() - (np.cumsum(at) - at), 0, at)

    def keep(b: int) -> Array:
        marks = p[blocks[b]] > tau
        _top_up(marks, p[blocks[b]], tau, int(missing[b]))
        return marks

    return _listed(given, 0.0, above + missing, keep, threads)


def top_rows(given: CheckedWeights, s: int, threads: int) -> Rows:
    order = np.argsort(-given.p, kind="stable")[:s]
    order.sort()

    def rows(rng: np.random.Generator, counts: Integers, output: Output | None) -> None:
        assert output is not None
        place = slice(output.starts[0], output.starts[-1])
        output.indices[place].reshape(-1, s)[:] = order
        output.weights[place] = 1.0

    return rows
