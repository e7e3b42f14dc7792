"""The last read of a checkpoint: what each piece keeps, written where it belongs."""

from __future__ import annotations

import os
from typing import Any, NamedTuple, cast

import numpy as np

from lth_sketch.checkpoints import reading
from lth_sketch.checkpoints.looking import Work, generators, magnitudes_of
from lth_sketch.checkpoints.plans import NARROW, Piece
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
        `wanted` of the ranks between are kept, in all pieces.
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
    """How many weights of each segment were kept, and the ranks that are still in doubt."""

    kept: list[int]
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
    state = _State(order.phase, order.ties)
    # Codes of 16 bits are compared as they are: their order is that of the numbers.
    direct = order.design == "top" and order.reserved is None and not work.rescale
    direct = direct and work.narrow[piece.group] and not work.alike
    try:
        for b, found in reading.blocks(piece, work.tensors, work.files, read):
            first = b * piece.block
            length = sum(len(part.codes) for part in found)
            marks, weights = keep[:length], None
            if direct:
                _top_of_codes(work, order, found, marks, state)
            else:
                bits, saved = magnitudes_of(work, piece, found, order.reserved, used, scratch)
                weights = _decide(work, order, b, bits, marks, state, doubts, first)
                if saved is not None:
                    marks |= saved
                    if weights is not None:
                        weights[saved] = 1.0
            place = 0
            for part in found:
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
    positions = [positions for positions, _ in doubts]
    ranks = [ranks for _, ranks in doubts]
    return Written(
        kept,
        np.concatenate([np.empty(0, np.int64), *positions]),
        np.concatenate([np.empty(0), *ranks]),
        read[0],
    )


class _State:
    """What a block leaves to the next one."""

    def __init__(self, phase: int, ties: int) -> None:
        self.phase, self.ties = phase, ties


def _top_of_codes(
    work: Work, order: Order, found: list[Block], marks: Array, state: _State
) -> None:
    place = 0
    for part in found:
        dtype = work.tensors[order.piece.segments[part.segment].tensor].dtype
        above, at = _code(order.bits, dtype)
        inside = marks[place : place + len(part.codes)]
        _, state.ties = magnitudes.keep_16(part.codes, above, at, state.ties, inside)
        place += len(part.codes)


def _code(bits: int, dtype: str) -> tuple[int, int]:
    """Return the largest code not above a magnitude, and the code that is equal to it, or -1."""
    assert dtype in NARROW
    value = np.array([bits], np.uint32).view(np.float32)
    codes = np.arange(1 << 15, dtype=np.uint16)
    # Bits of finite numbers alone: what is not finite was refused.
    sizes = np.empty(len(codes), np.uint32)
    reading.sizes(codes, dtype, sizes)
    above = int(np.searchsorted(sizes, bits, side="right")) - 1
    at = above if above >= 0 and int(sizes[above]) == bits and value.size else -1
    return above, at


def _decide(
    work: Work,
    order: Order,
    b: int,
    bits: Array,
    marks: Array,
    state: _State,
    doubts: list[tuple[Integers, Floats]],
    first: int,
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
        _by_ranks(work, order, b, p, marks, doubts, first)
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
        groups.drawn(p, n, M, not work.rescale, generators(work, order.piece.group, b), weights)
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
    rng = generators(work, order.piece.group, b)
    found = draws.multinomial(p, mass, number, rng, scratch)
    indices, values = np.empty(found, np.int64), np.empty(found, np.float32)
    draws.counted(p, scratch, order.tau, 0, indices, values)
    marks[indices] = True
    if weights is not None:
        weights[indices] = values


def _walk(order: Order, p: Array, marks: Array, weights: Array | None, state: _State) -> None:
    low, high = walks.steps(p, order.tau)
    end = state.phase + int(low) + (int(high) << walks.HALF)
    found = end >> walks.FRACTION
    indices, values = np.empty(found, np.int64), np.empty(found, np.float32)
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
    first: int,
) -> None:
    uniforms = generators(work, order.piece.group, b).random(len(p))
    if order.design == "poisson":
        _reach(p, uniforms, order.tau, marks)
        return
    _reach(p, uniforms, order.low, marks)
    if order.low < order.high:
        sure = np.empty(len(p), bool)
        _reach(p, uniforms, order.high, sure)
        positions = np.flatnonzero(marks & ~sure)
        doubts.append((first + positions, p[positions] / (1.0 - uniforms[positions])))
        return
    # The threshold is known: ranks at it are kept only where that was decided.
    at = np.flatnonzero(marks)
    ranks = p[at] / (1.0 - uniforms[at])
    marks[at[ranks == order.low]] = False
    last = first + len(p)
    marks[[i - first for i in order.accepted if first <= i < last]] = True


def _reach(p: Array, uniforms: Floats, tau: float, out: Array) -> None:
    """Mark where the rank ``p / (1 - u)`` is at least tau, as its division says."""
    if magnitudes.keep_ranks(p, uniforms, tau, out):
        np.greater_equal(p / (1.0 - uniforms), tau, out=out)


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
