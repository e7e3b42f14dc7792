"""The least-squares loss of every prefix of an order of the features, from one factorisation (E5).

Two routes. From `Reduced` data: Householder reflectors in the given order, right for every
condition. From a Gram matrix, several times faster on tall data: only where a posteriori bounds
show that it lost nothing, and None otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from lth_sketch import tolerances
from lth_sketch.kernels import regression as kernels
from lth_sketch.reduction import Reduced, blocks, unit_columns
from lth_sketch.validation import Floats, Integers

# Squares below it have lost digits to the end of the numbers.
SMALLEST = 1e-290


def from_reduced(data: Reduced, order: Integers) -> Floats:
    """Return the losses (d, r) of every prefix of `order`, by Householder reflectors."""
    A = np.ascontiguousarray(unit_columns(data.R)[0][:, order].T)
    d, k = A.shape
    out = np.empty((d, data.targets.shape[1]))
    rows = np.array(data.targets.T, order="C")
    kernels.prefix_losses(A, rows, tolerances.rank(data.n_samples, d), np.empty((k, k)), out)
    return out + data.rest


def from_gram(X: Any, Y: Floats, order: Integers) -> Floats | None:
    """Return the losses (d, r) of every prefix of `order`, or None where the Gram matrix is unfit.

    It is fit where each feature left out is dependent by its own residual, computed from X, and
    each loss is large against its error bound. With u the coefficients of features scaled to norm
    1, entries of [X, y]^T [X, y] that are right to gamma times the norms of their columns, and a
    backward stable Cholesky factor, move the loss by at most gamma (||u||_1 + ||y||)^2.
    """
    d = X.shape[1]
    G = np.zeros((d, d))
    B = np.zeros((d, Y.shape[1]))
    for rows, block in blocks(X):
        G += block.T @ block
        B += block.T @ Y[rows]
    if not (np.diag(G)[_nonzero(X)] > SMALLEST).all():
        return None
    norms = np.sqrt(np.diag(G))
    scale = np.divide(1.0, norms, out=np.zeros(d), where=norms > 0)
    H = G * scale[:, None] * scale
    B *= scale[:, None]
    live = np.flatnonzero(norms[order] > 0)
    features = order[live]
    L = np.zeros((len(live), len(live)))
    kept = np.empty(len(live), dtype=np.int64)
    rank = kernels.cholesky(H, features, np.zeros(len(live)), tolerances.PIVOT, kept, L)
    L, kept = L[:rank], kept[:rank]
    if rank == 0:
        return None
    if not _dependent(X, H, scale, features, kept, L):
        return None

    c = scipy.linalg.solve_triangular(L[:, :rank], B[features[kept]], lower=True)
    total = np.square(Y).sum(axis=0)
    rest = total - np.square(c).sum(axis=0)
    # After t of the kept features: the sum from the small end, so that nothing cancels but `rest`.
    losses = np.vstack([np.square(c), rest[None]])[::-1].cumsum(axis=0)[::-1]
    if not _accurate(L[:, :rank], c, losses, np.sqrt(total)):
        return None
    steps = np.zeros(d, dtype=np.int64)
    steps[live[kept]] = 1
    return np.asarray(losses[steps.cumsum()])


def _nonzero(X: Any) -> Any:
    """Return where a column of X has an entry that is not zero."""
    largest = abs(X).max(axis=0)
    return np.asarray(largest.toarray() if scipy.sparse.issparse(X) else largest).ravel() > 0


def _dependent(
    X: Any, H: Floats, scale: Floats, features: Integers, kept: Integers, L: Floats
) -> bool:
    """Say whether each feature left out depends on its predecessors, by residuals from X itself."""
    left = np.setdiff1d(np.arange(len(features)), kept)
    if left.size == 0:
        return True
    # Residuals of unit features: column j of X @ Z, improved once against X.
    Z = np.zeros((len(scale), left.size))
    Z[features[left], np.arange(left.size)] = 1.0
    before = np.searchsorted(kept, left)
    gradient = H[:, features[left]]
    for _ in range(2):
        for j in range(left.size):
            known = features[kept[: before[j]]]
            step = gradient[known, j][None]
            kernels.solve(L, int(before[j]), step)
            Z[known, j] -= step[0]
        gradient = np.zeros_like(Z)
        squares = np.zeros(left.size)
        for _, block in blocks(X):
            residual = block @ (scale[:, None] * Z)
            gradient += scale[:, None] * (block.T @ residual)
            squares += np.square(residual).sum(axis=0)
    return bool((np.sqrt(squares) <= tolerances.rank(*X.shape)).all())


def _accurate(L: Floats, c: Floats, losses: Floats, target_norms: Floats) -> bool:
    """Say whether every loss is large against the bound of its rounding error."""
    rows = scipy.linalg.solve_triangular(L, np.eye(len(L)), lower=True)
    u = np.zeros_like(c)
    sums = np.zeros_like(losses)
    for j in range(len(c)):
        u[: j + 1] += rows[j, : j + 1, None] * c[j]
        sums[j + 1] = np.abs(u).sum(axis=0)
    errors = tolerances.GRAM * (sums + target_norms) ** 2
    return bool((errors <= tolerances.GRAM_LOSS * losses).all())
