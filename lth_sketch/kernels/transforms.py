"""Passes over the matrices of a product: gathered columns, CountSketch, Hadamard."""

from __future__ import annotations

import numpy as np

from lth_sketch.kernels._jit import compiled
from lth_sketch.validation import Array, Floats, Integers

# Rows that are read side by side.
ABREAST = 8
# Entries of a Hadamard transform that stay in the first cache.
CHUNK = 1 << 11


@compiled
def gather(A: Array, columns: Integers, scale: Floats, out: Floats) -> None:
    """Write ``A[:, columns] * scale`` into `out`; ascending columns are read in order."""
    # Each entry is a line of its own from memory: more rows at a time, more lines under way.
    q = len(A)
    for j in range(0, q - q % ABREAST, ABREAST):
        for k in range(len(columns)):
            i, factor = columns[k], scale[k]
            for a in range(ABREAST):
                out[j + a, k] = A[j + a, i] * factor
    for j in range(q - q % ABREAST, q):
        for k in range(len(columns)):
            out[j, k] = A[j, columns[k]] * scale[k]


@compiled
def gather_rows(B: Array, rows: Integers, scale: Floats, out: Floats) -> None:
    """Write ``B[rows]``, each row times its scale, into `out`."""
    for k in range(len(rows)):
        for j in range(B.shape[1]):
            out[k, j] = B[rows[k], j] * scale[k]


@compiled
def scatter_columns(A: Array, buckets: Integers, signs: Floats, out: Floats) -> None:
    """Add up the columns of `A` (q, d) by buckets.

    Parameters
    ----------
    A : (q, d)
        Rows in memory order.
    buckets : (d, n)
        Columns of the output that each column of A is added to.
    signs : (d, n)
        What each is multiplied by.
    out : (q, s)
        Sums, overwritten.
    """
    q = len(A)
    # Rows side by side: one look at a bucket serves them all.
    sums = np.empty((out.shape[1], ABREAST))
    for j in range(0, q - q % ABREAST, ABREAST):
        sums[:] = 0.0
        for i in range(len(buckets)):
            for n in range(buckets.shape[1]):
                bucket, sign = buckets[i, n], signs[i, n]
                for k in range(ABREAST):
                    sums[bucket, k] += sign * A[j + k, i]
        for bucket in range(len(sums)):
            for k in range(ABREAST):
                out[j + k, bucket] = sums[bucket, k]
    for j in range(q - q % ABREAST, q):
        out[j] = 0.0
        for i in range(len(buckets)):
            for n in range(buckets.shape[1]):
                out[j, buckets[i, n]] += signs[i, n] * A[j, i]


@compiled
def scatter_rows(B: Array, places: Integers, buckets: Integers, signs: Floats, out: Floats) -> None:
    """Add rows of `B` (d, r) to rows of `out`, for the given places of `buckets`, `signs` (d, n).

    Places are counted along the rows of these: place ``i n + k`` adds row i of B.
    """
    count = buckets.shape[1]
    for place in places:
        i, n = place // count, place % count
        source, target, sign = B[i], out[buckets[i, n]], signs[i, n]
        for k in range(len(source)):
            target[k] += sign * source[k]


@compiled
def hadamard(rows: Floats) -> None:
    """Multiply each row (D a power of two, at least 2) by the Hadamard matrix of Sylvester."""
    D = rows.shape[1]
    for row in rows:
        if D < 8:
            _butterflies(row, 1)
            continue
        # All the short steps of one chunk while it is at hand, then the long ones.
        chunk = min(CHUNK, D)
        for first in range(0, D, chunk):
            part = row[first : first + chunk]
            _eights(part)
            _butterflies(part, 8)
        _butterflies(row, chunk)


@compiled
def _eights(entries: Floats) -> None:
    """Do the first three steps, too short for a loop, on eight entries at a time."""
    for i in range(0, len(entries), 8):
        x = entries[i : i + 8]
        a, b, c, d = x[0] + x[1], x[0] - x[1], x[2] + x[3], x[2] - x[3]
        e, f, g, h = x[4] + x[5], x[4] - x[5], x[6] + x[7], x[6] - x[7]
        a, b, c, d = a + c, b + d, a - c, b - d
        e, f, g, h = e + g, f + h, e - g, f - h
        x[0], x[1], x[2], x[3] = a + e, b + f, c + g, d + h
        x[4], x[5], x[6], x[7] = a - e, b - f, c - g, d - h


@compiled
def _butterflies(x: Floats, half: int) -> None:
    """Add and subtract entries at the distances `half`, twice that, and so on, below ``len(x)``."""
    while half < len(x):
        for first in range(0, len(x), 2 * half):
            low, high = x[first : first + half], x[first + half : first + 2 * half]
            for k in range(half):
                a, b = low[k], high[k]
                low[k] = a + b
                high[k] = a - b
        half *= 2
