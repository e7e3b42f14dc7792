"""Norms of the columns of rows that do not fit: the cheap pass, where it is enough."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any, NamedTuple

import numpy as np
import scipy

from lth_sketch.kernels import norms as kernels
from lth_sketch.scale import parts
from lth_sketch.scale.parts import Fault, Part
from lth_sketch.scale.passes import reduced
from lth_sketch.validation import Array, Floats

# Sums of squares that keep all their digits; others are taken in units of the largest entry.
SMALLEST, LARGEST = 1e-280, 1e300
# Entries that are read in one go, and columns whose running sums stay in a core's own cache.
BLOCK, TILE = 1 << 23, 1 << 13


class Node(NamedTuple):
    """Sums of squares of the columns of `n` rows, in units of 4 to the power of the exponents."""

    sums: Floats
    exponents: Array
    n: int
    fault: Fault | None = None


def norms(X: Any, *, executor: Executor | None = None, n_jobs: int | None = None) -> Floats:
    """Return the norms of the columns of rows that may not fit into memory.

    What draws by the columns need (`probabilities.optimal` is proportional to ``norms * |w|``)
    at the cost of reading the rows once; `rows` has everything else.

    Parameters
    ----------
    X, executor, n_jobs
        As in `rows`.

    Returns
    -------
    (d,) array
        Norms, in float64; no scale overflows.

    Raises
    ------
    TypeError, ValueError
        As `rows`.

    Examples
    --------
    >>> norms(np.array([[3.0, 0.0], [4.0, 1.0]]))
    array([5., 1.])
    """
    total = reduced(X, None, chunk, merged, executor=executor, n_jobs=n_jobs)
    return np.asarray(np.ldexp(np.sqrt(total.sums), total.exponents))


def chunk(X: Any, y: None = None) -> Node:
    """Add up the squares of one part; what is wrong with it is told, not raised."""
    block = parts.opened(Part(X)).X
    bad = parts.shapes(Part(block))
    if bad is not None:
        return Node(np.empty(0), np.empty(0, np.int64), 0, bad)
    if not scipy.sparse.issparse(block):
        block = parts.dense(block)
        if block.dtype not in (np.float32, np.float64):
            block = block.astype(np.float64)
    n, d = block.shape
    exponents = np.zeros(d, np.int64)
    with np.errstate(over="ignore", invalid="ignore"):
        sums = _squares(block)
    kept = (sums == 0) | ((sums >= SMALLEST) & (sums <= LARGEST))
    small = sums == 0
    if n and not (kept.all() and not small.any()):
        bad = parts.fault(Part(block))
        if bad is None:
            largest = (
                np.asarray(abs(block).max(axis=0).todense()).ravel()
                if (scipy.sparse.issparse(block))
                else np.abs(block).max(axis=0)
            )
            exponents = np.where(kept & ~small, 0, np.frexp(largest.astype(np.float64))[1])
            columns = np.flatnonzero(exponents)
            part = parts.dense(block[:, columns]).astype(np.float64)
            sums[columns] = np.square(np.ldexp(part, -exponents[columns])).sum(axis=0)
    return Node(sums, exponents, n, bad)


def _squares(block: Any) -> Floats:
    n, d = block.shape
    if scipy.sparse.issparse(block):
        block = block.tocsr()
        squares = np.square(block.data.astype(np.float64))
        return np.bincount(block.indices, weights=squares, minlength=d).astype(np.float64)
    total = np.zeros(d)
    if block.T.flags.c_contiguous and not block.flags.c_contiguous:
        kernels.row_squares(block.T, total)
        return total
    height = max(1, BLOCK // max(1, d))
    out = np.empty(min(d, TILE))
    for start in range(0, n, height):
        short = np.ascontiguousarray(block[start : start + height])
        for first in range(0, d, TILE):
            last = min(first + TILE, d)
            kernels.column_squares(short, first, last, out[: last - first])
            total[first:last] += out[: last - first]
    return total


def merged(*nodes: Node) -> Node:
    """Merge nodes that follow one another; the first fault by position is kept."""
    joined = nodes[0]
    for node in nodes[1:]:
        joined = _merged(joined, node)
    return joined


def _merged(left: Node, right: Node) -> Node:
    n = left.n + right.n
    bad = left.fault
    if bad is None and right.fault is not None:
        bad = right.fault._replace(row=left.n + right.fault.row)
    if bad is None and len(left.sums) != len(right.sums):
        bad = Fault(
            left.n,
            ValueError,
            f"blocks must have as many columns each; the one from row {{row}} on has "
            f"{len(right.sums)}, those before have {len(left.sums)}",
        )
    if bad is not None:
        return Node(left.sums, left.exponents, n, bad)
    exponents = np.maximum(left.exponents, right.exponents)
    # A column without entries so far takes the unit of the other side.
    exponents = np.where(left.sums == 0, right.exponents, exponents)
    exponents = np.where(right.sums == 0, left.exponents, exponents)
    sums = np.ldexp(left.sums, 2 * (left.exponents - exponents))
    sums += np.ldexp(right.sums, 2 * (right.exponents - exponents))
    return Node(sums, exponents, n)
