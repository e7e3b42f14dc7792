"""Sketches by a matrix of independent entries, made and used block by block."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy

from lth_sketch.parallel import blockwise
from lth_sketch.parallel.products import matmul
from lth_sketch.sketches import _operands
from lth_sketch.sketches._operands import Operands, Sketch, inverse, random_signs, row_norms
from lth_sketch.validation import Floats


def _independent(entries: Callable[[np.random.Generator, tuple[int, int]], Floats]) -> Sketch:
    def sketch(operands: Operands, s: int, rng: np.random.Generator) -> list[Floats]:
        d = operands[0].shape[1]
        readable = [M.tocsc() if scipy.sparse.issparse(M) else M for M in operands]
        sums = [np.zeros((M.shape[0], s)) for M in operands]
        for columns in blockwise.spans(d, max(1, _operands.DENSE // s)):
            S = entries(rng, (len(range(*columns.indices(d))), s)) / np.sqrt(s)
            for M, total in zip(readable, sums, strict=True):
                total += matmul(M[:, columns].astype(np.float64), S)
        return sums

    return sketch


def _normal(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.standard_normal(shape)


gaussian = _independent(_normal)
rademacher = _independent(random_signs)


def norm_corrected(operands: Operands, s: int, rng: np.random.Generator) -> list[Floats]:
    """Return a Gaussian sketch whose rows are scaled to the norms that the rows of A, B^T have."""
    return [
        rows * (row_norms(M) * inverse(np.linalg.norm(rows, axis=1)))[:, None]
        for M, rows in zip(operands, gaussian(operands, s, rng), strict=True)
    ]
