"""S0': a triangle in the place of the rows, in one pass over them."""

from __future__ import annotations

from concurrent.futures import Executor
from math import prod
from typing import Any, NamedTuple

import numpy as np

from lth_sketch.scale import parts
from lth_sketch.scale.lapack import FEW, fold, one_thread
from lth_sketch.scale.parts import Fault, Part
from lth_sketch.scale.passes import reduced
from lth_sketch.validation import Floats

# Rows that are widened to float64 and folded at a time, of few columns and of more: they stay in
# the cache.
HEIGHTS = (1 << 10, 1 << 8)


class Rows(NamedTuple):
    """A small data set that answers like (X, y).

    Attributes
    ----------
    X : (k, d) array
        In the place of the data, k = min(n_samples, d + r).
    y : (k,) or (k, r) array, or None
        In the place of the targets.
    n_samples : int
        Rows that they stand for.
    """

    X: Floats
    y: Floats | None
    n_samples: int


class Node(NamedTuple):
    """Rows in the place of `n` rows: at most as many as columns, then an upper triangle."""

    rows: Floats
    n: int
    outputs: tuple[int, ...] | None
    fault: Fault | None = None


def rows(
    X: Any, y: Any = None, *, executor: Executor | None = None, n_jobs: int | None = None
) -> Rows:
    """Reduce rows that may not fit into memory to a small data set that answers like them (S0').

    With T the triangle of a QR factorisation of [X y], ``||y - X w||`` and
    ``||X diag(m) B - X B||`` are those of T for every w, m and B, and so are the norms of the
    columns: every moment, bound, draw, score, loss and fit is unchanged. Pass ``n_samples`` along
    where a rank is decided: ``regression.Problem(data.X, data.y, n_samples=data.n_samples)``. What
    needs the rows themselves is not to be had from it: `Product.value`, predictions, test data.

    Parameters
    ----------
    X : (n, d) array, memory map, CSR/CSC matrix, dask array, or iterator of blocks
        Samples in rows. A dask array may have chunks on either axis, sparse chunks, empty ones and
        such of unknown length. An iterator yields blocks of rows, or pairs (X, y) of such. Wrap
        what h5py or zarr have opened: ``dask.array.from_array(file["X"])``.
    y : (n,) or (n, r) array, or dask array, optional
        Targets.
    executor : concurrent.futures.Executor, optional
        Where parts are folded, for instance dask's ``client.get_executor()``; by default threads
        here, and for a dask array the scheduler that dask has chosen.
    n_jobs : int, optional
        Number of local threads; by default all processors.

    Returns
    -------
    Rows
        float64. The same bits for any number of threads or workers; other parts of the rows give
        other last digits, and signs. Rows are read once.

    Raises
    ------
    TypeError
        If an entry is not a real number, or X is none of the above.
    ValueError
        If there are no rows, an entry is NaN or infinite (the first one is named, by its row), y
        has another number of rows, or blocks differ in their columns.

    References
    ----------
    J. Demmel, L. Grigori, M. Hoemmen, J. Langou, "Communication-optimal parallel and sequential QR
    and LU factorizations", SIAM J. Sci. Comput. 34 (2012), sections 3 and 4. No Gram matrix is
    formed: it would square the condition number, which least squares cannot spare.

    Examples
    --------
    >>> X = np.arange(12.0).reshape(6, 2)
    >>> data = rows(X, X[:, 0] + 1.0)
    >>> data.X.shape, data.y.shape, data.n_samples
    ((3, 2), (3,), 6)
    >>> bool(np.allclose(data.X.T @ data.X, X.T @ X))
    True
    """
    root = reduced(X, y, chunk, merged, executor=executor, n_jobs=n_jobs)
    d = root.rows.shape[1] - prod(root.outputs or ()) * (root.outputs is not None)
    targets = None
    if root.outputs is not None:
        targets = np.ascontiguousarray(root.rows[:, d:]).reshape(-1, *root.outputs)
    return Rows(np.ascontiguousarray(root.rows[:, :d]), targets, root.n)


def chunk(X: Any, y: Any = None) -> Node:
    """Reduce one part of the rows; what is wrong with them is told, not raised."""
    part = parts.opened(Part(X, y))
    outputs = None if part.y is None else tuple(part.y.shape[1:])
    shape = parts.shapes(part)
    if shape is not None:
        return Node(np.empty((0, 0)), 0, outputs, shape)
    n, d = part.X.shape
    width = d + (0 if outputs is None else prod(outputs))
    if n <= width:
        triangle = np.empty((n, width), order="F")
        parts.widened(part, slice(0, n), triangle)
    else:
        triangle = np.zeros((width, width), order="F")
        height = HEIGHTS[width > FEW]
        scratch = np.empty((width, height)).T
        with one_thread():
            for start in range(0, n, height):
                short = slice(start, min(start + height, n))
                block = scratch[: short.stop - start]
                parts.widened(part, short, block)
                fold(triangle, block)
    bad = None
    if not np.isfinite(triangle).all():
        bad = parts.fault(part) or Fault(
            0,
            ValueError,
            "X or y has entries near row {row} whose squares leave the range of float64; "
            "rescale them",
        )
    return Node(triangle, n, outputs, bad)


def merged(*nodes: Node) -> Node:
    """Merge nodes that follow one another; the first fault by position is kept."""
    joined = nodes[0]
    with one_thread():
        for node in nodes[1:]:
            joined = _merged(joined, node)
    return joined


def _merged(left: Node, right: Node) -> Node:
    n = left.n + right.n
    bad = left.fault
    if bad is None and right.fault is not None:
        bad = right.fault._replace(row=left.n + right.fault.row)
    if bad is None and (left.rows.shape[1], left.outputs) != (right.rows.shape[1], right.outputs):
        bad = Fault(
            left.n,
            ValueError,
            "blocks must have as many columns each; the one from row {row} on has "
            f"{right.rows.shape[1]} of X and y together, those before have {left.rows.shape[1]}",
        )
    if bad is not None:
        return Node(left.rows, n, left.outputs, bad)
    width = left.rows.shape[1]
    if len(left.rows) + len(right.rows) <= width:
        return Node(np.asfortranarray(np.vstack([left.rows, right.rows])), n, left.outputs)
    # More rows than columns have become a triangle. It comes first: the order of rows is free.
    first, second = (left, right) if left.n > width else (right, left)
    block = np.array(second.rows, order="F")
    triangle = np.array(first.rows, order="F")
    if first.n <= width:
        triangle, block = np.zeros((width, width), order="F"), np.vstack([left.rows, right.rows])
        block = np.asfortranarray(block)
    fold(triangle, block, upper=second.n > width)
    return Node(triangle, n, left.outputs)
