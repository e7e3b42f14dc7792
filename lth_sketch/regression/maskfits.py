"""Least squares and ridge under many masks at once, from one reduction of the data.

A mask's fit has to cost far less than a factorisation of its own. In unit features A = R/norms
each mask gets the Cholesky factor of its part of A^T A, which squares the condition number; one
refinement against A gives the digits back (the seminormal equations of A. Bjorck, Linear Algebra
Appl. 88/89 (1987)). A mask for which a check says that this is not enough, or that the rank is in
doubt, is fitted from the singular value decomposition of its own R diag(m).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from lth_sketch import tolerances
from lth_sketch.kernels import regression as kernels
from lth_sketch.parallel import blockwise
from lth_sketch.reduction import ALIKE, Reduced, decomposition, unit_columns
from lth_sketch.validation import Array, Floats, Integers

# Masks are taken together by as many as their Cholesky factors fit in so many float64 entries.
ENTRIES = 2**25
TOGETHER = 32

Mask = tuple[Integers, Floats]  # the features kept and their weights
Parallel = Callable[..., list[Any]]  # map, on threads


def fit(
    data: Reduced,
    masks: Any,
    penalty: float,
    *,
    test: Reduced | None,
    weights: Array | None,
    threads: int,
) -> tuple[Floats, Floats | None]:
    """Return train and test losses (n_masks, r) for CSR masks with positive stored entries.

    The effective weights go to `weights` (n_masks, d, r), if given. Blocks of masks have a fixed
    size, so that the result does not depend on the number of threads.
    """
    n_masks, d = masks.shape
    r = data.targets.shape[1]
    width = int(np.diff(masks.indptr).max())
    normal = _Normal(data, penalty) if len(data.R) == d else None
    together = max(1, min(TOGETHER, ENTRIES // width**2))
    L = np.empty((together, width, width) if normal else 0)
    train = np.empty((n_masks, r))
    held_out = None if test is None else np.empty((n_masks, r))
    with blockwise.team(threads) as runs:

        def parallel(work: Callable[..., Any], *arguments: Any) -> list[Any]:
            return runs([partial(work, *each) for each in zip(*arguments, strict=False)])

        for start in range(0, n_masks, together):
            rows = slice(start, min(start + together, n_masks))
            block = [
                (masks.indices[lo:hi].astype(np.int64), masks.data[lo:hi].astype(np.float64))
                for lo, hi in zip(masks.indptr[rows], masks.indptr[1:][rows], strict=True)
            ]
            fitted = normal.fit(block, L, parallel) if normal else [None] * len(block)
            w = np.stack(
                [
                    _by_spectrum(data, mask, penalty) if solved is None else solved
                    for mask, solved in zip(block, fitted, strict=True)
                ]
            )
            train[rows] = data.loss(w)
            if test is not None and held_out is not None:
                held_out[rows] = test.loss(w)
            if weights is not None:
                weights[rows] = w.transpose(0, 2, 1)
    return train, held_out


def _by_spectrum(data: Reduced, mask: Mask, penalty: float) -> Floats:
    """Return effective weights (r, d): ridge from zero, or the minimum-norm least squares."""
    features, m = mask
    parts = decomposition(data.R[:, features] * m, data.n_samples)
    with np.errstate(over="ignore"):
        shares = 1.0 / (1.0 + np.square(np.sqrt(penalty) / parts.sigma))
    rows = np.zeros((data.targets.shape[1], data.R.shape[1]))
    rows[:, features] = (data.targets.T @ parts.U * shares) @ parts.steps.T * m
    return rows


@dataclass(frozen=True)
class _Part:
    """The Cholesky factor L of one mask's features in unit norm, and what it rests on."""

    kept: Integers  # features in L
    left: Integers  # features that depend on those as far as L can tell
    ridge: Floats  # added to the diagonal for those in L
    mask: Floats  # (d,)
    cutoff: float  # residuals of unit features up to it are zero
    sound: bool  # whether the features in L are all beyond it
    L: Floats


class _Normal:
    """The normal equations of unit features, and fits of blocks of masks from them."""

    def __init__(self, data: Reduced, penalty: float) -> None:
        self.data = data
        self.penalty = penalty
        self.A, self.norms = unit_columns(data.R)
        self.scale = np.divide(1.0, self.norms, out=np.zeros_like(self.norms), where=self.norms > 0)
        self.H = self.A.T @ self.A
        self.B = data.targets.T @ self.A

    def fit(self, block: list[Mask], L: Floats, parallel: Parallel) -> list[Floats | None]:
        """Return the effective weights (r, d) of each mask, or None where a check fails.

        Every target of every mask is one row of P, in unit features: its r outputs, then the
        features that its Cholesky factor left out, to be told dependent by their residuals.
        """
        parts: list[_Part] = parallel(self._factored, block, L)
        r = len(self.B)
        stops = np.cumsum([r + len(part.left) for part in parts])
        slots = [slice(*ends) for ends in itertools.pairwise([0, *stops])]
        targets = np.vstack(
            [t for part in parts for t in (self.data.targets.T, self.A.T[part.left])]
        )
        gradient = np.vstack([t for part in parts for t in (self.B, self.H[part.left])])
        P = np.zeros_like(gradient)
        parallel(_improve, parts, [gradient[s] for s in slots], [P[s] for s in slots])
        gradient = (targets - P @ self.A.T) @ self.A
        refined = parallel(_improve, parts, [gradient[s] for s in slots], [P[s] for s in slots])
        return [
            self._weights(part, P[slot]) if part.sound and good else None
            for part, slot, good in zip(parts, slots, refined, strict=True)
        ]

    def _factored(self, mask: Mask, L: Floats) -> _Part:
        """Return the Cholesky factor of one mask, written to `L`."""
        features, m = mask
        live = self.norms[features] > 0
        features, m = features[live], m[live]
        sizes = self.norms[features] * m
        with np.errstate(over="ignore"):
            ridge = np.square(np.sqrt(self.penalty) / sizes)
        positions = np.empty(len(features), dtype=np.int64)
        rank = kernels.cholesky(self.H, features, ridge, tolerances.PIVOT, positions, L)
        positions = positions[:rank]
        # On columns of unit norm, as in `reduction.spectrum`.
        largest = math.sqrt(max(1, len(features)))
        cutoff = tolerances.rank(self.data.n_samples, len(mask[0])) * largest
        if self.penalty > 0:
            sound = 0 < rank == len(features)
        else:
            # The least pivot stands for the least singular value.
            pivots = np.diag(L)[:rank]
            sound = rank > 0 and bool(pivots.min() > 2 * cutoff)
        spread = np.zeros(len(self.norms))
        spread[features] = m
        left = np.delete(features, positions)
        return _Part(features[positions], left, ridge[positions], spread, cutoff, sound, L)

    def _weights(self, part: _Part, P: Floats) -> Floats | None:
        """Return the effective weights, those of least norm ||v|| where features are dependent."""
        r = len(self.B)
        if part.left.size == 0:
            return np.asarray(P * self.scale)
        residuals = self.A.T[part.left] - P[r:] @ self.A.T
        sizes = self.norms * part.mask
        live = sizes[sizes > 0]
        if live.max() > ALIKE * live.min():
            # Rounding in a null vector would outgrow it on a small feature.
            return None
        if not (np.linalg.norm(residuals, axis=1) <= part.cutoff).all():
            return None
        # Null vectors of R diag(m), from each dependent feature; v has no part in their span.
        inverse = np.divide(1.0, sizes, out=np.zeros_like(sizes), where=sizes > 0)
        null = -P[r:]
        null[np.arange(len(null)), part.left] = 1.0
        Q = np.linalg.qr((null * inverse).T)[0]
        v = P[:r] * inverse
        v -= (v @ Q) @ Q.T
        return np.asarray(v * part.mask)


def _improve(part: _Part, gradient: Floats, P: Floats) -> bool:
    """Add a solution of the normal equations to the rows of P; say whether it was a small step."""
    # `take` gives C-contiguous rows, plain indexing need not.
    step = gradient.take(part.kept, axis=1) - part.ridge * P.take(part.kept, axis=1)
    kernels.solve(part.L, len(part.kept), step)
    P[:, part.kept] += step
    sizes = np.abs(P).max(axis=1)
    return bool((np.abs(step).max(axis=1, initial=0.0) <= tolerances.REFINED * sizes).all())
