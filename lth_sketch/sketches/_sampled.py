"""The sampling sketch: columns of A and rows of B that a mask keeps."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import sampling, validation
from lth_sketch.kernels import transforms
from lth_sketch.parallel import blockwise
from lth_sketch.parallel.blockwise import Filling
from lth_sketch.parallel.norms import by_column, column_squares
from lth_sketch.product import LARGEST, SMALLEST
from lth_sketch.sketches import _operands
from lth_sketch.sketches._operands import NotFiniteError, Operands, finite, scaled
from lth_sketch.validation import Floats, Integers


def sampled(
    operands: Operands, s: int, p: npt.ArrayLike | None, rng: np.random.Generator
) -> list[Any]:
    """Return the columns of A, with their weights, and of B^T that are drawn."""
    if p is None:
        squares = column_squares(*operands)
        norms = [_norms(M, sums) for M, sums in zip(operands, squares, strict=True)]
        if not all(map(finite, norms)):
            raise NotFiniteError
        chances = norms[0] * norms[1]
        if not chances.any():
            return [np.zeros((M.shape[0], 0)) for M in operands]
    else:
        chances = validation.weights("p", p, size=operands[0].shape[1])
    indices, weights = sampling.draw(chances, s, rng=rng)
    scales = weights.astype(np.float64), np.ones(len(indices))
    # One piece for both: its pages are more likely to be kept for the next call than those of two.
    ends = np.cumsum([0 if scipy.sparse.issparse(M) else M.shape[0] for M in operands])
    room = np.empty((ends[1], len(indices)))
    parts = zip(operands, scales, np.split(room, ends[:1]), strict=True)
    return blockwise.filled([_columns(M, indices, *part) for M, *part in parts], room.size)


def _columns(M: Any, indices: Integers, scale: Floats, space: Floats) -> Filling:
    """Return ``M[:, indices] * scale`` in float64, in `space` where M is dense."""
    if by_column(M):
        turned = space.reshape(len(indices), len(M))
        jobs = [
            partial(transforms.gather_rows, M.T, indices[part], scale[part], turned[part])
            for part in blockwise.spans(len(turned), _operands.ROWS)
        ]
        return Filling(turned.T, jobs)
    if scipy.sparse.issparse(M) or not M.flags.c_contiguous:
        return Filling(scaled(M[:, indices], scale), [])
    jobs = [
        partial(transforms.gather, M[rows], indices, scale, space[rows])
        for rows in blockwise.spans(len(M), _operands.ROWS)
    ]
    return Filling(space, jobs)


def _norms(M: Any, squares: Floats) -> Floats:
    """Return the norms of the columns of M up to a common scale, NaN where they are not finite."""
    norms = np.sqrt(squares, out=squares)
    if norms.min() > SMALLEST and norms.max() < LARGEST:
        return norms
    # Some are zero or not finite, or only their squares are.
    odd = np.flatnonzero(~((norms > SMALLEST) & (norms < LARGEST)))
    part = M[:, odd]
    largest = abs(part).max(axis=0)
    largest = np.asarray(largest.toarray() if scipy.sparse.issparse(part) else largest).ravel()
    scale = np.maximum(largest, np.finfo(np.float64).tiny).astype(np.float64)
    unit = max(float(scale.max()), float(np.delete(norms, odd).max(initial=0.0)))
    norms /= unit
    norms[odd] = scale / unit * np.sqrt(*column_squares(scaled(part, 1.0 / scale)))
    return norms
