"""Compiled loops of closed-form training: triangular factors that leave dependent features out."""

from __future__ import annotations

import math

import numpy as np

from lth_sketch.kernels._jit import reduction
from lth_sketch.validation import Floats, Integers


@reduction
def cholesky(
    H: Floats, features: Integers, ridge: Floats, threshold: float, kept: Integers, L: Floats
) -> int:
    """Factor H[features][:, features] + diag(ridge) = L L^T in the order given, with dropping.

    A feature whose pivot is at most `threshold` times its diagonal entry (or NaN) is left out of
    the factor. Returns how many are kept: their positions in `features` lead `kept`, their rows
    lead `L`.
    """
    count = len(features)
    rows = np.empty((4, count))
    w0, w1, w2, w3 = rows[0], rows[1], rows[2], rows[3]
    rank = 0
    for start in range(0, count, 4):
        # Four rows share each pass over L: their sums are independent, and hide one another's
        # latency. A last, smaller group repeats its last feature.
        base = rank
        f0 = features[start]
        f1 = features[min(start + 1, count - 1)]
        f2 = features[min(start + 2, count - 1)]
        f3 = features[min(start + 3, count - 1)]
        for j in range(base):
            other = L[j]
            t0 = t1 = t2 = t3 = 0.0
            for k in range(j):
                entry = other[k]
                t0 += w0[k] * entry
                t1 += w1[k] * entry
                t2 += w2[k] * entry
                t3 += w3[k] * entry
            column = H[features[kept[j]]]
            inverse = 1.0 / other[j]
            w0[j] = (column[f0] - t0) * inverse
            w1[j] = (column[f1] - t1) * inverse
            w2[j] = (column[f2] - t2) * inverse
            w3[j] = (column[f3] - t3) * inverse
        for i in range(start, min(start + 4, count)):
            feature = features[i]
            row = L[rank]
            pivot = diagonal = H[feature, feature] + ridge[i]
            for j in range(rank):
                if j < base:
                    row[j] = rows[i - start, j]
                else:
                    other = L[j]
                    total = 0.0
                    for k in range(j):
                        total += row[k] * other[k]
                    row[j] = (H[feature, features[kept[j]]] - total) / other[j]
                pivot -= row[j] * row[j]
            if pivot > threshold * diagonal:
                row[rank] = math.sqrt(pivot)
                kept[rank] = i
                rank += 1
    return rank


@reduction
def solve(L: Floats, rank: int, out: Floats) -> None:
    """Overwrite each row b of `out` with the solution of L L^T x = b, L of `rank` rows."""
    for c in range(len(out)):
        x = out[c]
        for i in range(rank):
            row = L[i]
            total = 0.0
            for k in range(i):
                total += row[k] * x[k]
            x[i] = (x[i] - total) / row[i]
        for i in range(rank - 1, -1, -1):
            row = L[i]
            x[i] /= row[i]
            last = x[i]
            for k in range(i):
                x[k] -= last * row[k]


@reduction
def prefix_losses(A: Floats, C: Floats, tolerance: float, V: Floats, out: Floats) -> None:
    """Residual sums of squares of targets (rows of C) on each prefix of features (rows of A).

    Householder reflectors (rows of V, of squared norm 2) triangularise the features one by one; a
    feature whose component beyond its predecessors is at most `tolerance` makes no reflector, and
    its loss is that of the prefix before it. `A` and `C` are overwritten.
    """
    n_features, length = A.shape
    rank = 0
    for j in range(n_features):
        x = A[j]
        for i in range(rank):
            v = V[i]
            dot = 0.0
            for k in range(i, length):
                dot += v[k] * x[k]
            for k in range(i, length):
                x[k] -= dot * v[k]
        tail = 0.0
        for k in range(rank, length):
            tail += x[k] * x[k]
        norm = math.sqrt(tail)
        if norm > tolerance:
            v = V[rank]
            scale = 1.0 / math.sqrt(norm * (norm + abs(x[rank])))
            for k in range(rank, length):
                v[k] = x[k] * scale
            v[rank] += math.copysign(norm, x[rank]) * scale
            for o in range(len(C)):
                target = C[o]
                dot = 0.0
                for k in range(rank, length):
                    dot += v[k] * target[k]
                for k in range(rank, length):
                    target[k] -= dot * v[k]
            rank += 1
        for o in range(len(C)):
            total = 0.0
            for k in range(rank, length):
                total += C[o, k] * C[o, k]
            out[j, o] = total
