"""Sums of squares over the columns, or the rows, of a matrix, at memory speed."""

from __future__ import annotations

import numpy as np

from lth_sketch.kernels._jit import compiled, prefetch
from lth_sketch.validation import Array, Floats

# Rows that are read side by side: as many streams from memory, and sums that round less.
ABREAST = 8
# Entries of a line of memory, and how many ahead of their use they are asked for.
LINE = 8
AHEAD = 64
# The same along rows, which are one stream.
FURTHER = 512
# Sums along a row that run side by side.
LANES = 64


@compiled
def column_squares(A: Array, first: int, last: int, out: Floats) -> None:
    """Write the sums of squares of the columns from `first` to `last` of `A` (q, d) into `out`."""
    q = len(A)
    out[:] = 0.0
    for j in range(0, q - q % ABREAST, ABREAST):
        for start in range(first, last, LINE):
            for k in range(ABREAST):
                prefetch(A, j + k, start + AHEAD)
            # Columns are taken together, rows in their order: the same bits on every processor.
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


@compiled
def row_squares(A: Array, out: Floats) -> None:
    """Write the sum of squares of each row of `A` (d, r) into `out` (d,).

    The sum is that of `LANES` sums: no processor may choose another order.
    """
    d, r = A.shape
    sums = np.empty(LANES)
    whole = r - r % LANES
    used = min(whole, LANES)
    for i in range(d):
        total = 0.0
        # No test whether there is a line: that would keep the loop from being vectorised.
        sums[:used] = 0.0
        for start in range(0, whole, LANES):
            # Rows follow one another: beyond the end of this one lies the next.
            for k in range(0, LANES, LINE):
                prefetch(A, i, start + k + FURTHER)
            for k in range(LANES):
                value = np.float64(A[i, start + k])
                sums[k] += value * value
        for k in range(used):
            total += sums[k]
        for k in range(whole, r):
            value = np.float64(A[i, k])
            total += value * value
        out[i] = total
