"""Squared norms of the columns of matrices, whatever their form, at memory speed."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import scipy

from lth_sketch.kernels import norms
from lth_sketch.parallel import blockwise
from lth_sketch.parallel.blockwise import Filling
from lth_sketch.validation import Floats

# Entries that are read in one part of the work, and columns whose running sums stay in a core's own
# cache. Fixed, so that no number of threads changes a bit.
PART = 1 << 23
TILE = 1 << 13
# Entries that numpy squares and adds before a kernel is called, and that no kernel is compiled for.
TINY = 1 << 12


def column_squares(*matrices: Any, alike: bool = False) -> list[Floats]:
    """Return the squared norms of the columns of each matrix, in float64.

    Parameters
    ----------
    *matrices : (q, d) array or CSR/CSC matrix
        Matrices of any sizes. Entries that are not finite, or whose squares overflow, show in the
        result.
    alike : bool
        Whether arrays of every memory order shall give the same bits, at the price of a copy of
        those that lie by column.

    Returns
    -------
    list of (d,) arrays
        One for each matrix.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        entries = sum(M.size for M in matrices)
        if entries <= TINY:
            return [_tiny(M) for M in matrices]
        partial_sums = blockwise.filled([_partial_sums(M, alike) for M in matrices], entries)
        return [parts.sum(axis=0) for parts in partial_sums]


def by_column(M: Any) -> bool:
    """Whether the entries of a column, not of a row, are neighbours in memory."""
    if scipy.sparse.issparse(M):
        return False
    return bool(M.T.flags.c_contiguous and not M.flags.c_contiguous)


def _tiny(M: Any) -> Floats:
    """Return the squared norms of the columns of M, the same bits for every memory order."""
    if scipy.sparse.issparse(M):
        return np.asarray(_partial_sums(M, True).array[0])
    wide = np.ascontiguousarray(M, dtype=np.float64)
    return np.asarray(np.square(wide).sum(axis=0))


def _partial_sums(M: Any, alike: bool) -> Filling:
    """Return rows that add up to the squared norms of the columns of M."""
    if scipy.sparse.issparse(M):
        wide = M.astype(np.float64)
        return Filling(np.asarray(wide.multiply(wide).sum(axis=0)).reshape(1, -1), [])
    if by_column(M) and not alike:
        whole = np.empty((1, M.shape[1]))
        columns = blockwise.spans(M.shape[1], max(1, PART // len(M)))
        jobs = [partial(norms.row_squares, M.T[part], whole[0, part]) for part in columns]
        return Filling(whole, jobs)
    blocks = blockwise.spans(len(M), PART // TILE)
    parts = np.empty((len(blocks), M.shape[1]))

    def fill(b: int, tile: slice) -> None:
        part, first = M[blocks[b]], tile.start
        if not M.flags.c_contiguous:
            part, first = np.ascontiguousarray(part[:, tile]), 0
        out = parts[b, tile]
        norms.column_squares(part, first, first + len(out), out)

    tiles = blockwise.spans(M.shape[1], TILE)
    return Filling(parts, [partial(fill, b, tile) for b in range(len(blocks)) for tile in tiles])
