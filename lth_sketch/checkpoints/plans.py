"""Which weights compete, in which order, and how they are cut into the pieces of a plan."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from lth_sketch.checkpoints.layers import reparametrised
from lth_sketch.checkpoints.patterns import left_out
from lth_sketch.checkpoints.shards import Tensor
from lth_sketch.parallel import blockwise
from lth_sketch.pruning import selection

# Designs that need no more than a threshold for all weights, or a number of draws a block.
DESIGNS = ("multinomial", "poisson", "priority", "systematic", "top")
# Blocks of weights in a piece, and pieces in a task.
BLOCKS, PIECES = 64, 8
# Types whose magnitudes are counted one by one, and those that are read in parts.
NARROW, FLOATS = ("BF16", "F16"), ("BF16", "F16", "F32")


class Segment(NamedTuple):
    """A stretch of one tensor: its entries from `low` to `high`."""

    tensor: int
    low: int
    high: int


class Piece(NamedTuple):
    """Consecutive weights of a group, in whole blocks but for the end of the group."""

    group: int
    first: int
    last: int
    segments: tuple[Segment, ...]
    # Weights in a block.
    block: int


class Group(NamedTuple):
    """Weights that compete with each other, in order: `kept` of them stay."""

    name: str
    tensors: tuple[int, ...]
    size: int
    kept: int
    pieces: tuple[Piece, ...]


def prunable(tensors: Sequence[Tensor], skip: str | Sequence[str]) -> tuple[Tensor, ...]:
    """Return the tensors that are pruned, in the order of their names.

    Raises
    ------
    TypeError
        If one of two axes or more is no floating-point number, or of a type not read here.
    ValueError
        If none is left, one is pruned or parametrised already, or a pattern matches nothing.
    """
    # Names and shapes tell what a layer is; no entry is read for it.
    shapes = {t.name: np.broadcast_to(np.zeros(()), t.shape) for t in tensors}
    dropped = left_out(shapes, skip)
    chosen = []
    for tensor in tensors:
        if len(tensor.shape) < 2 or tensor.size == 0 or tensor.name in dropped:
            continue
        layer = reparametrised(tensor.name, shapes)
        if layer is not None:
            raise ValueError(f"{tensor.name} belongs to {layer} and save again")
        if tensor.dtype not in (*FLOATS, "F64"):
            raise TypeError(
                f"{tensor.name} must hold floating-point numbers of 16 bits or more to be pruned; "
                f"got {tensor.dtype}: convert it, or leave it out (--skip {tensor.name!r})"
            )
        chosen.append(tensor)
    if not chosen:
        listed = ", ".join(tensor.name for tensor in tensors) or "no tensors"
        raise ValueError(
            f"there are no prunable weights among {listed}: weights have two axes or more"
        )
    return tuple(chosen)


def grouped(
    names: Sequence[str], sizes: Sequence[int], density: float | None, scope: str, floor: int
) -> list[Group]:
    """Part tensors into groups, and say how many weights each keeps (as `pruning.select`).

    Raises
    ------
    ValueError
        If the density keeps nothing, or a floor cannot be met.
    """
    for name, size in zip(names, sizes, strict=True):
        if floor > size:
            raise ValueError(f"floor = {floor} is more than the {size} entries of {name}")
    kept = selection.entries_kept(density, sum(sizes), floor, len(sizes))
    if scope == "global":
        return [_group(0, "the weights", range(len(sizes)), sizes, kept, blockwise.BLOCK)]
    shares = selection.shares(kept, np.array(sizes), floor).tolist()
    return [
        _group(g, name, range(g, g + 1), sizes, shares[g], blockwise.BLOCK)
        for g, name in enumerate(names)
    ]


def patterned(names: Sequence[str], sizes: Sequence[int], n: int, M: int) -> list[Group]:
    """Return a group for each tensor, of which n of every M weights are kept (S9).

    Its blocks hold whole runs of M weights, as those of `sampling.grouped`.
    """
    block = max(1, blockwise.BLOCK // M) * M
    return [
        _group(g, name, range(g, g + 1), sizes, sizes[g] // M * n, block)
        for g, name in enumerate(names)
    ]


def _group(g: int, name: str, tensors: range, sizes: Sequence[int], kept: int, block: int) -> Group:
    ends = [0, *accumulate(sizes[t] for t in tensors)]
    size, height = ends[-1], BLOCKS * block
    pieces = []
    for low in range(0, size, height):
        high = min(low + height, size)
        inside = range(bisect_right(ends, low) - 1, bisect_left(ends, high))
        segments = tuple(
            Segment(tensors[t], max(low - ends[t], 0), min(high, ends[t + 1]) - ends[t])
            for t in inside
        )
        pieces.append(Piece(g, low // block, -(-high // block), segments, block))
    return Group(name, tuple(tensors), size, kept, tuple(pieces))


def tasks(pieces: Sequence[Piece]) -> list[tuple[Piece, ...]]:
    """Bundle pieces, so that a task takes about as long as `PIECES` full ones."""
    bundles: list[tuple[Piece, ...]] = []
    bundle: list[Piece] = []
    blocks = 0
    for piece in pieces:
        bundle.append(piece)
        blocks += piece.last - piece.first
        if blocks >= PIECES * BLOCKS:
            bundles.append(tuple(bundle))
            bundle, blocks = [], 0
    return [*bundles, tuple(bundle)] if bundle else bundles
