"""Sketches without chance: co-occurring directions, and the best product of rank s."""

from __future__ import annotations

from typing import Any

import numpy as np

from lth_sketch.conversion import dense
from lth_sketch.parallel.products import matmul, one_blas_thread
from lth_sketch.sketches._operands import Operands, row_norms
from lth_sketch.validation import Floats


def truncated(operands: Operands, s: int, rng: np.random.Generator) -> list[Any]:
    """Return the leading singular vectors of AB, the left ones times the singular values."""
    left, right = map(dense, operands)
    if left.shape[1] < min(len(left), len(right)):
        # The product of two tall operands: all of it is in their triangles.
        with one_blas_thread():
            (Q, R), (P, T) = np.linalg.qr(left), np.linalg.qr(right)
            U, sigma, Vt = np.linalg.svd(R @ T.T)
            return [Q @ (U[:, :s] * sigma[:s]), P @ Vt[:s].T]
    value = matmul(left, right.T)
    with one_blas_thread():
        U, sigma, Vt = np.linalg.svd(value, full_matrices=False)
        return [U[:, :s] * sigma[:s], Vt[:s].T]


def co_occurring(operands: Operands, s: int, rng: np.random.Generator) -> list[Any]:
    """Return sketches of s columns by co-occurring directions.

    Columns are taken up s at a time beside the s that stand for all before. Whenever the buffer is
    full, the singular values of the product of its two sides are shrunk by the (s+1)-th. With s as
    large as A has rows, or B columns, there is none.

    References
    ----------
    Mroueh, Marcheret, Goel, Co-Occurring Directions Sketching for Approximate Matrix Multiply,
    AISTATS 2017.
    """
    if s >= min(M.shape[0] for M in operands):
        # No singular value is ever cut: the product itself.
        return truncated(operands, s, rng)
    balance = _balance(operands)
    left, right = np.zeros((operands[0].shape[0], 0)), np.zeros((operands[1].shape[0], 0))
    d = operands[0].shape[1]
    for start in range(0, d, s):
        columns = slice(start, min(start + s, d))
        left = np.hstack([left, dense(operands[0][:, columns]) * balance])
        right = np.hstack([right, dense(operands[1][:, columns]) / balance])
        if left.shape[1] > s:
            with one_blas_thread():
                left, right = _shrunk(left, right, s)
    return [left, right]


def _balance(operands: Operands) -> float:
    """Return the scale that gives both operands the same Frobenius norm, as the proof wants it."""
    sizes = [float(np.linalg.norm(row_norms(M))) for M in operands]
    return float(np.sqrt(sizes[1] / sizes[0])) if all(sizes) else 1.0


def _shrunk(left: Floats, right: Floats, s: int) -> tuple[Floats, Floats]:
    (Q, R), (P, T) = np.linalg.qr(left), np.linalg.qr(right)
    U, sigma, Vt = np.linalg.svd(R @ T.T, full_matrices=False)
    cut = sigma[s] if len(sigma) > s else 0.0
    roots = np.sqrt(np.maximum(sigma[:s] - cut, 0.0))
    return Q @ (U[:, :s] * roots), P @ (Vt[:s].T * roots)
