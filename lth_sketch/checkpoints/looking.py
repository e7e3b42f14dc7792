"""First reads of a checkpoint: what each piece tells of its magnitudes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lth_sketch.checkpoints import reading
from lth_sketch.checkpoints.plans import Piece
from lth_sketch.checkpoints.reading import Block, Reserved
from lth_sketch.checkpoints.shards import Tensor
from lth_sketch.checkpoints.streams import Seed
from lth_sketch.kernels import inclusion, magnitudes, walks
from lth_sketch.validation import Array, Floats, Integers

ONE = np.float32(1.0).view(np.uint32)


class Work(NamedTuple):
    """What all tasks share: the weights, the design, and where each group's randomness starts."""

    tensors: tuple[Tensor, ...]
    files: tuple[str, ...]
    design: str
    # Whether every weight counts alike, whatever its size.
    alike: bool
    # n and M, where n of every M are kept.
    pattern: tuple[int, int] | None
    seeds: tuple[Seed, ...]
    narrow: tuple[bool, ...]
    outputs: tuple[tuple[str, int], ...] = ()
    apply: bool = False
    rescale: bool = False


class Cells(NamedTuple):
    """How many magnitudes have the bits `bits`, or share the upper 16 of them.

    `lows` adds up the lower bits beyond `bits`: where it is zero the magnitudes are those numbers.
    """

    bits: Array
    counts: Integers
    lows: Integers


class Looked(NamedTuple):
    """What one piece tells."""

    cells: Cells
    sums: Floats
    zeros: int
    fault: str | None
    read: int


Order = tuple[Piece, list[Reserved] | None]


def magnitudes_of(
    work: Work,
    piece: Piece,
    parts: list[Block],
    reserved: list[Reserved] | None,
    used: list[int],
    out: Array,
) -> tuple[Array, Array | None]:
    """Return the bits of the weights of a block that are drawn from, and what a floor keeps."""
    bits = reading.widened(parts, piece, work.tensors, out)
    if work.alike:
        bits[:] = ONE
    if reserved is None:
        return bits, None
    return bits, reading.reserve(bits, parts, reserved, used)


def look(work: Work, task: tuple[Order, ...]) -> list[Looked]:
    """Count the magnitudes of pieces; add up what the design needs."""
    return [_look(work, *order) for order in task]


def _look(work: Work, piece: Piece, reserved: list[Reserved] | None) -> Looked:
    simple = work.narrow[piece.group] and reserved is None and not work.alike
    tables = {
        dtype: np.zeros((4, 1 << 15), np.uint32)
        for dtype in {work.tensors[s.tensor].dtype for s in piece.segments}
        if simple
    }
    counts, lows = np.zeros((2, 1 << 15), np.int64)
    sums = np.zeros(piece.last - piece.first)
    scratch = np.empty(piece.block, np.uint32)
    zeros, fault, read, used = 0, None, [0], [0] * len(piece.segments)
    for b, parts in reading.blocks(piece, work.tensors, work.files, read):
        if simple:
            for part in parts:
                dtype = work.tensors[piece.segments[part.segment].tensor].dtype
                magnitudes.count_16(part.codes, tables[dtype])
        if simple and work.design != "multinomial":
            continue
        fault = reading.not_finite(parts, piece, work.tensors)
        if fault is not None:
            break
        bits, _ = magnitudes_of(work, piece, parts, reserved, used, scratch)
        if not simple:
            zeros += magnitudes.count_32(bits, counts, lows)
        if work.design == "multinomial":
            sums[b - piece.first] = inclusion.survey(bits.view(np.float32), bits, None)[0]
    cells = _narrow(tables) if simple else _wide(counts, lows)
    if simple and fault is None and len(cells.bits) and cells.bits[-1] >= 0x7F800000:
        for _, parts in reading.blocks(piece, work.tensors, work.files, read):
            fault = fault or reading.not_finite(parts, piece, work.tensors)
    if simple and len(cells.bits) and cells.bits[0] == 0:
        zeros = int(cells.counts[0])
    return Looked(cells, sums, zeros, fault, read[0])


def _narrow(tables: dict[str, Array]) -> Cells:
    bits, counts = [], []
    for dtype, table in tables.items():
        total = table.sum(axis=0, dtype=np.int64)
        live = np.flatnonzero(total).astype(np.uint16)
        out = np.empty(len(live), np.uint32)
        reading.sizes(live, dtype, out)
        bits.append(out)
        counts.append(total[live])
    return merged([Cells(b, c, np.zeros_like(c)) for b, c in zip(bits, counts, strict=True)])


def _wide(counts: Integers, lows: Integers) -> Cells:
    live = np.flatnonzero(counts)
    return Cells((live << 16).astype(np.uint32), counts[live], lows[live])


def merged(parts: list[Cells]) -> Cells:
    """Add up cells of the same bits."""
    bits, where = np.unique(np.concatenate([part.bits for part in parts]), return_inverse=True)
    counts, lows = np.zeros((2, len(bits)), np.int64)
    np.add.at(counts, where, np.concatenate([part.counts for part in parts]))
    np.add.at(lows, where, np.concatenate([part.lows for part in parts]))
    return Cells(bits, counts, lows)


def sound(work: Work, task: tuple[Piece, ...]) -> list[tuple[str | None, bool, int]]:
    """Return, for each piece, its first entry that is not finite in words, and if all are zero."""
    answers = []
    for piece in task:
        fault, zero, read = None, True, [0]
        for _, parts in reading.blocks(piece, work.tensors, work.files, read):
            fault = fault or reading.not_finite(parts, piece, work.tensors)
            zero = zero and not any(reading.nonzero(parts, piece, work.tensors))
        answers.append((fault, zero, read[0]))
    return answers


def within(work: Work, task: tuple[tuple[Piece, Any, int], ...]) -> list[tuple[Integers, int]]:
    """Count the lower bits of those magnitudes of a piece that have the upper bits asked for."""
    counted = []
    for piece, reserved, upper in task:
        counts = np.zeros(1 << 16, np.int64)
        scratch, read = np.empty(piece.block, np.uint32), [0]
        used = [0] * len(piece.segments)
        for _, parts in reading.blocks(piece, work.tensors, work.files, read):
            bits, _ = magnitudes_of(work, piece, parts, reserved, used, scratch)
            magnitudes.count_within(bits, upper, counts)
        counted.append((counts, read[0]))
    return counted


def lengths(work: Work, task: tuple[tuple[Piece, Any, float], ...]) -> list[tuple[int, int]]:
    """Return how far the systematic walk goes along each piece, in exact integers."""
    totals = []
    for piece, reserved, tau in task:
        scratch, read = np.empty(piece.block, np.uint32), [0]
        used = [0] * len(piece.segments)
        total = 0
        for _, parts in reading.blocks(piece, work.tensors, work.files, read):
            bits, _ = magnitudes_of(work, piece, parts, reserved, used, scratch)
            low, high = walks.steps(bits.view(np.float32), tau)
            total += int(low) + (int(high) << walks.HALF)
        totals.append((total, read[0]))
    return totals


def largest(work: Work, task: tuple[tuple[Piece, int], ...]) -> list[tuple[list[Cells], int]]:
    """Return, for each segment of a piece, its `floor` largest magnitudes as cells."""
    counted = []
    for piece, floor in task:
        tops = [np.zeros(0, np.uint32) for _ in piece.segments]
        scratch, read = np.empty(piece.block, np.uint32), [0]
        for _, parts in reading.blocks(piece, work.tensors, work.files, read):
            for part in parts:
                dtype = work.tensors[piece.segments[part.segment].tensor].dtype
                bits = scratch[: len(part.codes)]
                reading.sizes(part.codes, dtype, bits)
                if len(tops[part.segment]) == floor:
                    bits = bits[bits > tops[part.segment][0]]
                joined = np.concatenate([tops[part.segment], bits])
                if len(joined) > floor:
                    joined = np.partition(joined, len(joined) - floor)[-floor:]
                tops[part.segment] = np.sort(joined)
        cells = []
        for top in tops:
            bits, counts = np.unique(top, return_counts=True)
            cells.append(Cells(bits, counts.astype(np.int64), np.zeros(len(bits), np.int64)))
        counted.append((cells, read[0]))
    return counted
