"""Weights of a piece, block by block: as codes, as magnitudes, with what a floor reserves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import numpy as np

from lth_sketch.checkpoints.plans import NARROW, Piece, Segment
from lth_sketch.checkpoints.shards import WIDTHS, Tensor
from lth_sketch.kernels import magnitudes
from lth_sketch.validation import Array

# Bits of the smallest magnitude that is not finite.
INFINITE = {"BF16": 0x7F80, "F16": 0x7C00, "F32": 0x7F800000}


class Reserved(NamedTuple):
    """What a floor keeps of a segment: magnitudes above the bits `above`, and the first ties."""

    above: int
    ties: int


class Block(NamedTuple):
    """Consecutive weights of one segment within a block of the group."""

    segment: int
    low: int
    codes: Array


def blocks(
    piece: Piece, tensors: tuple[Tensor, ...], files: tuple[str, ...], read: list[int]
) -> Iterator[tuple[int, list[Block]]]:
    """Yield the blocks of a piece, each as stretches of its tensors; add to `read` its bytes."""
    buffer = np.empty(piece.block * 4, np.uint8)
    handles: dict[int, int] = {}
    segments = list(enumerate(piece.segments))
    try:
        for block in range(piece.first, piece.last):
            room, place = piece.block, 0
            parts = []
            while room and segments:
                number, segment = segments[0]
                tensor = tensors[segment.tensor]
                width = WIDTHS[tensor.dtype]
                count = min(room, segment.high - segment.low)
                if tensor.shard not in handles:
                    handles[tensor.shard] = os.open(files[tensor.shard], os.O_RDONLY)
                # Entries of four bytes begin at a multiple of four.
                place += -place % width
                view = buffer[place : place + count * width]
                fill(handles[tensor.shard], view, tensor.start + segment.low * width)
                kind = np.uint16 if tensor.dtype in NARROW else np.uint32
                parts.append(Block(number, segment.low, view.view(kind)))
                read[0] += count * width
                place += count * width
                room -= count
                if segment.low + count == segment.high:
                    segments.pop(0)
                else:
                    segments[0] = number, Segment(segment.tensor, segment.low + count, segment.high)
            yield block, parts
    finally:
        for handle in handles.values():
            os.close(handle)


def fill(handle: int, buffer: Array, offset: int) -> None:
    """Read bytes of a file into a buffer.

    Raises
    ------
    OSError
        If the file ends before: it has changed since its header was read.
    """
    view = memoryview(cast("Any", buffer))
    done = 0
    while done < len(view):
        count = os.preadv(handle, [view[done:]], offset + done)
        if count == 0:
            raise OSError("a file of the checkpoint became shorter while it was read; run again")
        done += count


def sizes(codes: Array, dtype: str, out: Array) -> None:
    """Write the magnitudes of codes as bits of float32, which have the order of the numbers."""
    if dtype == "F16":
        out.view(np.float32)[:] = (codes & magnitudes.SIZE).view(np.float16)
    elif dtype == "BF16":
        out[:] = codes & magnitudes.SIZE
        np.left_shift(out, 16, out=out)
    else:
        np.bitwise_and(codes, magnitudes.WIDE, out=out)


def widened(parts: list[Block], piece: Piece, tensors: tuple[Tensor, ...], out: Array) -> Array:
    """Write the magnitudes of a whole block as bits of float32, and return that part of `out`."""
    place = 0
    for part in parts:
        dtype = tensors[piece.segments[part.segment].tensor].dtype
        sizes(part.codes, dtype, out[place : place + len(part.codes)])
        place += len(part.codes)
    return out[:place]


def reserve(bits: Array, parts: list[Block], reserved: list[Reserved], used: list[int]) -> Array:
    """Mark what a floor keeps of a block, and set it to zero: it takes no part in the draw.

    `used` counts the ties of each segment that were met before.
    """
    marks = np.zeros(len(bits), bool)
    place = 0
    for part in parts:
        above, ties = reserved[part.segment]
        place, low = place + len(part.codes), place
        inside = bits[low:place]
        marks[low:place] = inside > above
        left = ties - used[part.segment]
        if left > 0:
            at = np.flatnonzero(inside == above)[:left]
            marks[low + at] = True
            used[part.segment] += len(at)
    bits[marks] = 0
    return marks


def not_finite(parts: list[Block], piece: Piece, tensors: tuple[Tensor, ...]) -> str | None:
    """Return the first entry of a block that is not finite, in words."""
    for part in parts:
        tensor = tensors[piece.segments[part.segment].tensor]
        mask = magnitudes.SIZE if tensor.dtype in NARROW else magnitudes.WIDE
        bad = np.flatnonzero((part.codes & mask) >= INFINITE[tensor.dtype])
        if bad.size:
            place = np.unravel_index(part.low + int(bad[0]), tensor.shape)
            value = decoded(part.codes[bad[:1]], tensor.dtype)[0]
            where = ", ".join(str(int(i)) for i in place)
            return (
                f"{tensor.name} must be finite; got {tensor.name}[{where}] = {value}; remove or "
                f"impute such entries, or leave it out (--skip {tensor.name!r})"
            )
    return None


def nonzero(parts: list[Block], piece: Piece, tensors: tuple[Tensor, ...]) -> Iterator[bool]:
    """Yield, for each stretch of a block, whether a weight is not zero."""
    for part in parts:
        dtype = tensors[piece.segments[part.segment].tensor].dtype
        mask = magnitudes.SIZE if dtype in NARROW else magnitudes.WIDE
        yield bool((part.codes & mask).any())


def decoded(codes: Array, dtype: str) -> Any:
    """Return codes as float32 numbers."""
    if dtype == "F16":
        return codes.view(np.float16).astype(np.float32)
    if dtype == "BF16":
        return (codes.astype(np.uint32) << 16).view(np.float32)
    return codes.view(np.float32)


def encoded(values: Array, dtype: str) -> Array:
    """Return finite float32 numbers as codes, rounded to the nearest, ties to even."""
    if dtype == "F16":
        return values.astype(np.float16).view(np.uint16)
    bits = values.view(np.uint32)
    if dtype == "BF16":
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return bits
