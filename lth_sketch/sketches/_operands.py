"""What sketches share: pairs of operands, and passes over their rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy

from lth_sketch import validation
from lth_sketch.parallel import blockwise
from lth_sketch.parallel.norms import column_squares
from lth_sketch.validation import Floats

# Entries of a dense sketch that exist at a time.
DENSE = 1 << 20
# Rows of an operand in a part of the work, fixed so that no number of threads changes a bit.
ROWS = 128

# A, and B transposed: what is sketched are their columns.
Operands = tuple[Any, Any]
# From operands, a size and a Generator to two matrices: the estimate of AB is ``left @ right.T``.
Sketch = Callable[[Operands, int, np.random.Generator], list[Any]]


class NotFiniteError(Exception):
    """A sketch met an entry that is no number, which `multiply` then finds and names."""


def finite(M: Any) -> bool:
    """Whether every entry is a number; an overflow of their sum counts as none."""
    return bool(np.isfinite((M.data if scipy.sparse.issparse(M) else M).sum()))


def scaled(M: Any, scale: Floats) -> Any:
    """Return M in float64 with its columns multiplied by `scale`."""
    wide = M.astype(np.float64)
    return wide @ scipy.sparse.diags_array(scale) if scipy.sparse.issparse(M) else wide * scale


def row_norms(M: Any) -> Floats:
    """Return the norms of the rows of M."""
    return np.sqrt(*column_squares(M.T))


def inverse(scale: Floats) -> Floats:
    """Return ``1 / scale``, zero where it is zero."""
    return np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)


def share(work: Callable[[slice], None], length: int, size: int) -> None:
    """Run `work` on blocks of `size` rows out of `length`, on all threads."""
    jobs = [partial(work, rows) for rows in blockwise.spans(length, size)]
    blockwise.run(jobs, validation.workers(None))


def random_signs(rng: np.random.Generator, shape: int | tuple[int, int]) -> Floats:
    """Return independent fair signs."""
    return np.asarray(rng.integers(0, 2, shape, dtype=np.int8) * 2.0 - 1.0)
