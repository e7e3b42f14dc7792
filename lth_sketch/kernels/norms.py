"""Sums of squares over the columns of a matrix, at memory speed."""

from __future__ import annotations

import numpy as np

from lth_sketch._jit import reduction
from lth_sketch.validation import Array, Floats

# Rows added up before they join the total: keeps rounding small without a second pass.
ROWS = 256


@reduction
def column_squares(A: Array, out: Floats) -> None:
    """Write the sum of squares of each column of `A` (q, d) into `out` (d,)."""
    q, d = A.shape
    part = np.empty(d)
    out[:] = 0.0
    for start in range(0, q, ROWS):
        part[:] = 0.0
        for j in range(start, min(start + ROWS, q)):
            row = A[j]
            for i in range(d):
                value = np.float64(row[i])
                part[i] += value * value
        for i in range(d):
            out[i] += part[i]
