"""Sums of squares over the columns, or the rows, of a matrix, at memory speed."""

from __future__ import annotations

import numpy as np

from lth_sketch.kernels._jit import prefetch, reduction
from lth_sketch.validation import Array, Floats

# Rows that are read side by side: as many streams from memory, and sums that round less.
ABREAST = 8
# Entries of a line of memory, and how many ahead of their use they are asked for.
LINE = 8
AHEAD = 64


@reduction
def column_squares(A: Array, first: int, last: int, out: Floats) -> None:
    """Write the sums of squares of the columns from `first` to `last` of `A` (q, d) into `out`."""
    q = len(A)
    out[:] = 0.0
    for j in range(0, q - q % ABREAST, ABREAST):
        for start in range(first, last, LINE):
            for k in range(ABREAST):
                prefetch(A, j + k, start + AHEAD)
            for i in range(start, min(start + LINE, last)):
                total = 0.0
                for k in range(ABREAST):
                    value = np.float64(A[j + k, i])
                    total += value * value
                out[i - first] += total
    for j in range(q - q % ABREAST, q):
        for i in range(first, last):
            value = np.float64(A[j, i])
            out[i - first] += value * value


@reduction
def row_squares(A: Array, out: Floats) -> None:
    """Write the sum of squares of each row of `A` (d, r) into `out` (d,)."""
    d, r = A.shape
    # Four rows side by side: as many streams from memory.
    for i in range(0, d - d % 4, 4):
        a = b = c = e = 0.0
        for k in range(r):
            w, x = np.float64(A[i, k]), np.float64(A[i + 1, k])
            y, z = np.float64(A[i + 2, k]), np.float64(A[i + 3, k])
            a += w * w
            b += x * x
            c += y * y
            e += z * z
        out[i], out[i + 1], out[i + 2], out[i + 3] = a, b, c, e
    for i in range(d - d % 4, d):
        a = 0.0
        for k in range(r):
            w = np.float64(A[i, k])
            a += w * w
        out[i] = a
