"""The last read of a checkpoint: what each piece keeps, written where it belongs."""

from __future__ import annotations

import os
from typing import Any, NamedTuple, cast

import numpy as np

from lth_sketch.checkpoints import levels, reading, streams
from lth_sketch.checkpoints.looking import Work, magnitudes_of
from lth_sketch.checkpoints.plans import Piece
from lth_sketch.checkpoints.reading import Block, Reserved
from lth_sketch.checkpoints.shards import WIDTHS
from lth_sketch.kernels import draws, groups, magnitudes, walks
from lth_sketch.validation import Array, Floats, Integers


class Order(NamedTuple):
    """What a piece has to keep.

    Attributes
    ----------
    design : str
        How; "all" keeps every weight that is not zero, "none" none but those reserved, "pattern" n
        of every M as `Work.pattern` says, by `Work.design`.
    tau : float
        Threshold of the weights ``max(1, tau / p)``, or total over draws with replacement.
    bits, ties : int
        Top: the bits of the smallest magnitude that is kept, and how many of its size are kept.
    phase : int
        Systematic: where the walk stands.
    low, high : float
        Priority: ranks from `low` on are kept for now, those from `high` on for good. Equal where
        the threshold is known: then ranks above are kept, and those at the positions `accepted`.
        `wanted` weights are kept, in all pieces.
    counts, masses : arrays
        With replacement: draws in each block, and the sum of its weights.
    skipped : tuple of int
        Shards that are finished: nothing is written to them.
    dry : bool
        Whether nothing is written at all.
    """

    piece: Piece
    reserved: list[Reserved] | None
    design: str
    tau: float = 0.0
    bits: int = 0
    ties: int = 0
    phase: int = 0
    low: float = 0.0
    high: float = 0.0
    accepted: tuple[int, ...] = ()
    wanted: int = 0
    counts: Integers | None = None
    masses: Floats | None = None
    skipped: tuple[int, ...] = ()
    dry: bool = False


class Written(NamedTuple):
    """What one piece has kept.

    Attributes
    ----------
    kept : list of int
        How many weights of each segment.
    sure : int
        Of a priority draw, how many ranks are not in doubt.
    positions, ranks : arrays
        Those in doubt.
    """

    kept: list[int]
    sure: int
    positions: Integers
    ranks: Floats
    read: int


def write(work: Work, task: tuple[Order, ...]) -> list[Written]:
    """Keep what the orders say, and write it into the unfinished files."""
    return [_write(work, order) for order in task]


def _write(work: Work, order: Order) -> Written:
    piece = order.piece
    used, read, kept = [0] * len(piece.segments), [0], [0] * len(piece.segments)
    scratch, keep = np.empty(piece.block, np.uint32), np.empty(piece.block, bool)
    doubts: list[tuple[Integers, Floats]] = []
    handles: dict[str, int] = {}
    state, reserved = _State(order), 0
    direct = _is_direct(work, order)
    try:
        for b, parts in reading.blocks(piece, work.tensors, work.files, read):
            length = sum(len(part.codes) for part in parts)
            marks, weights = keep[:length], None
            if direct:
                _decide_codes(work, order, b, parts, marks, state, doubts)
            else:
                bits, saved = magnitudes_of(work, piece, parts, order.reserved, used, scratch)
                weights = _decide(work, order, b, bits, marks, state, doubts)
                if saved is not None:
                    reserved += int(np.count_nonzero(saved))
                    marks |= saved
                    if weights is not None:
                        weights[saved] = 1.0
            place = 0
            for part in parts:
                inside = slice(place, place + len(part.codes))
                place = inside.stop
                kept[part.segment] += int(np.count_nonzero(marks[inside]))
                tensor = work.tensors[piece.segments[part.segment].tensor]
                if order.dry or tensor.shard in order.skipped:
                    continue
                path, start = work.outputs[piece.segments[part.segment].tensor]
                if path not in handles:
                    handles[path] = os.open(path, os.O_WRONLY)
                chosen = None if weights is None else weights[inside]
                data = _content(work, part, tensor.dtype, marks[inside], chosen)
                put(handles[path], data, start + part.low * data.itemsize)
    finally:
        for handle in handles.values():
            os.close(handle)
    positions = np.concatenate([np.empty(0, np.int64), *(parts for parts, _ in doubts)])
    ranks = np.concatenate([np.empty(0), *(parts for _, parts in doubts)])
    return Written(kept, sum(kept) - reserved - len(ranks), positions, ranks, read[0])


class _State:
    """What a block leaves to the next one, and what all of them write into."""

    def __init__(self, order: Order) -> None:
        self.phase, self.ties = order.phase, order.ties
        drawn = order.design in ("poisson", "priority")
        self.integers = np.empty(order.piece.block if drawn else 0, np.int64)
        self.near = np.empty(order.piece.block if order.low < order.high else 0, np.int64)


def _is_direct(work: Work, order: Order) -> bool:
    """Whether codes of 16 bits are compared as they are, with a number or those of a table."""
    piece = order.piece
    if not work.narrow[piece.group] or order.reserved is not None or work.rescale or work.alike:
        return False
    if order.design == "top":
        return True
    drawn = order.design in ("poisson", "systematic") or order.low < order.high
    return drawn and sum(s.high - s.low for s in piece.segments) >= levels.WORTH


def _decide_codes(
    work: Work,
    order: Order,
    b: int,
    parts: list[Block],
    marks: Array,
    state: _State,
    doubts: list[tuple[Integers, Floats]],
) -> None:
    """Mark what is kept of a block, as `_decide` does, without arithmetic for each weight."""
    integers = state.integers[: len(marks)]
    if len(integers):
        streams.integers(work.seeds[order.piece.group], b, integers)
    place = 0
    for part in parts:
        dtype = work.tensors[order.piece.segments[part.segment].tensor].dtype
        inside = slice(place, place + len(part.codes))
        out, drawn = marks[inside], integers[inside]
        if order.design == "top":
            above, at = levels.code(order.bits, dtype)
            if state.ties and at == above:
                state.ties = magnitudes.keep_from(part.codes, at, state.ties, out)
            else:
                magnitudes.keep_above(part.codes, above, out)
        elif order.design == "systematic":
            steps = levels.steps(order.tau, dtype)
            state.phase = magnitudes.keep_completed(part.codes, steps, state.phase, out)
        elif order.design == "poisson":
            magnitudes.keep_reached(part.codes, drawn, levels.least(order.tau, dtype), out)
        else:
            edges = levels.between(order.low, order.high, dtype)
            count = magnitudes.keep_between(part.codes, drawn, *edges, out, state.near)
            near = state.near[:count]
            p = levels.values(dtype)[part.codes[near] & magnitudes.SIZE]
            ranks = p / (1.0 - drawn[near] / streams.UNIFORM)
            doubts.append((b * order.piece.block + place + near, ranks))
        place = inside.stop


def _decide(
    work: Work,
    order: Order,
    b: int,
    bits: Array,
    marks: Array,
    state: _State,
    doubts: list[tuple[Integers, Floats]],
) -> Array | None:
    """Mark what is kept of a block; return its weights if they are asked for."""
    p = bits.view(np.float32)
    weights = np.zeros(len(p), np.float32) if work.rescale else None
    if order.design == "none":
        marks[:] = False
    elif order.design == "all":
        np.not_equal(bits, 0, out=marks)
        if weights is not None:
            weights[marks] = 1.0
    elif order.design == "top":
        _, state.ties = magnitudes.keep_32(bits, order.bits, state.ties, marks)
        if weights is not None:
            weights[marks] = 1.0
    elif order.design == "pattern":
        weights = _grouped(work, order, b, p, marks)
    elif order.design == "multinomial":
        _with_replacement(work, order, b, p, marks, weights)
    elif order.design == "systematic":
        _walk(order, p, marks, weights, state)
    else:
        _by_ranks(work, order, b, p, marks, doubts)
        if weights is not None:
            wide = p[marks].astype(np.float64)
            weights[marks] = np.maximum(1.0, order.tau / wide)
    return weights


def _grouped(work: Work, order: Order, b: int, p: Array, marks: Array) -> Array | None:
    """Keep n of every M: as `sampling.grouped` draws them, or the largest."""
    assert work.pattern is not None
    n, M = work.pattern
    weights = np.empty(len(p), np.float32)
    if work.design == "top":
        groups.largest(p, n, M, weights)
    else:
        rng = streams.generator(work.seeds[order.piece.group], b)
        groups.drawn(p, n, M, not work.rescale, rng, weights)
    np.not_equal(weights, 0, out=marks)
    return weights if work.rescale else None


def _with_replacement(
    work: Work, order: Order, b: int, p: Array, marks: Array, weights: Array | None
) -> None:
    assert order.counts is not None
    assert order.masses is not None
    marks[:] = False
    number = int(order.counts[b - order.piece.first])
    if number == 0:
        return
    mass = float(order.masses[b - order.piece.first])
    scratch = draws.merge_scratch(len(p), number)
    rng = streams.generator(work.seeds[order.piece.group], b)
    distinct = draws.multinomial(p, mass, number, rng, scratch)
    indices, values = np.empty(distinct, np.int64), np.empty(distinct, np.float32)
    draws.counted(p, scratch, order.tau, 0, indices, values)
    marks[indices] = True
    if weights is not None:
        weights[indices] = values


def _walk(order: Order, p: Array, marks: Array, weights: Array | None, state: _State) -> None:
    low, high = walks.steps(p, order.tau)
    end = state.phase + int(low) + (int(high) << walks.HALF)
    hits = end >> walks.FRACTION
    indices, values = np.empty(hits, np.int64), np.empty(hits, np.float32)
    walks.systematic(p, order.tau, state.phase, 0, indices, values)
    marks[:] = False
    magnitudes.spread_marks(indices, marks)
    if weights is not None:
        weights[indices] = values
    state.phase = end & (walks.UNIT - 1)


def _by_ranks(
    work: Work,
    order: Order,
    b: int,
    p: Array,
    marks: Array,
    doubts: list[tuple[Integers, Floats]],
) -> None:
    uniforms = streams.generator(work.seeds[order.piece.group], b).random(len(p))
    if order.design == "poisson":
        draws.mark_reaching(p, uniforms, order.tau, marks)
        return
    draws.mark_reaching(p, uniforms, order.low, marks)
    if order.low < order.high:
        sure = np.empty(len(p), bool)
        draws.mark_reaching(p, uniforms, order.high, sure)
        positions = np.flatnonzero(marks & ~sure)
        doubts.append(
            (b * order.piece.block + positions, p[positions] / (1.0 - uniforms[positions]))
        )
        return
    # The threshold is known: ranks at it are kept only where that was decided.
    first, at = b * order.piece.block, np.flatnonzero(marks)
    ranks = p[at] / (1.0 - uniforms[at])
    marks[at[ranks == order.low]] = False
    last = first + len(p)
    marks[[i - first for i in order.accepted if first <= i < last]] = True


def _content(work: Work, part: Block, dtype: str, marks: Array, weights: Array | None) -> Array:
    """Return what is written of a stretch: its mask, or its weights under the mask."""
    if not work.apply:
        return marks.view(np.uint8) if weights is None else weights
    if weights is None:
        return part.codes * marks
    values = reading.decoded(part.codes, dtype) * weights
    return np.where(marks, reading.encoded(values, dtype), np.zeros(1, part.codes.dtype))


def put(handle: int, data: Array, offset: int) -> None:
    """Write bytes at a place of a file."""
    view = memoryview(cast("Any", data)).cast("B") if data.size else memoryview(b"")
    done = 0
    while done < len(view):
        done += os.pwrite(handle, view[done:], offset + done)


def width(apply: bool, rescale: bool, dtype: str) -> tuple[str, int]:
    """Return the type of what is written for a tensor, and its bytes an entry."""
    kind = dtype if apply else "F32" if rescale else "BOOL"
    return kind, WIDTHS[kind]
