"""Sketches whose matrix has few entries a row, all signs: CountSketch and sparse signs."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from lth_sketch.kernels import transforms
from lth_sketch.parallel.norms import by_column
from lth_sketch.sketches import _operands
from lth_sketch.sketches._operands import Operands, random_signs, share
from lth_sketch.validation import Floats, Integers


def countsketch(operands: Operands, s: int, rng: np.random.Generator) -> list[Any]:
    """Return the columns of both operands, with random signs, added up in s random buckets."""
    d = operands[0].shape[1]
    buckets, signs = rng.integers(0, s, d), random_signs(rng, d)
    return [_scattered(M, buckets[:, None], signs[:, None], s) for M in operands]


def sparse_signs(
    operands: Operands, s: int, rng: np.random.Generator, *, nonzeros: int, blocks: bool
) -> list[Any]:
    """Return sketches in which every column goes to `nonzeros` distinct buckets.

    One bucket in each of as many blocks of equal size, or any distinct ones.
    """
    d = operands[0].shape[1]
    if blocks:
        width = s // nonzeros
        buckets = rng.integers(0, width, (d, nonzeros)) + width * np.arange(nonzeros)
    else:
        buckets = _distinct(s, nonzeros, d, rng)
    signs = random_signs(rng, (d, nonzeros)) / np.sqrt(nonzeros)
    return [_scattered(M, buckets, signs, s) for M in operands]


def _distinct(s: int, count: int, d: int, rng: np.random.Generator) -> Integers:
    """Return d uniform sets of `count` distinct numbers below s as rows, by Floyd's algorithm."""
    chosen = np.empty((d, count), np.int64)
    for k, last in enumerate(range(s - count, s)):
        pick = rng.integers(0, last + 1, d)
        taken = (chosen[:, :k] == pick[:, None]).any(axis=1)
        chosen[:, k] = np.where(taken, last, pick)
    return chosen


def _scattered(M: Any, buckets: Integers, signs: Floats, s: int) -> Any:
    """Return the columns of M added up by their buckets, a row of them each, with their signs."""
    d, count = buckets.shape
    if scipy.sparse.issparse(M):
        S = scipy.sparse.csr_array(
            (signs.ravel(), buckets.ravel(), np.arange(0, d * count + 1, count)), shape=(d, s)
        )
        return M.astype(np.float64) @ S
    if by_column(M):
        turned = np.zeros((s, len(M)))
        flat = buckets.ravel()
        order = np.argsort(flat, kind="stable")
        ends = np.searchsorted(flat[order], np.arange(s + 1))

        def rows(part: slice) -> None:
            chosen = order[ends[part.start] : ends[part.stop]]
            transforms.scatter_rows(M.T, chosen, buckets, signs, turned)

        share(rows, s, _operands.ROWS)
        return turned.T
    out = np.empty((len(M), s))

    def columns(rows: slice) -> None:
        transforms.scatter_columns(np.ascontiguousarray(M[rows]), buckets, signs, out[rows])

    share(columns, len(M), _operands.ROWS)
    return out
