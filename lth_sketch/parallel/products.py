"""Dense matrix products in fixed tiles: the same bits for any number of threads.

A multi-threaded BLAS cuts a product by the number of its threads, and the cut shows in the last
digits. It also keeps its threads turning after a call, on the processors of the kernels that come
next. So tiles run on threads of ours, each tile on one thread of BLAS.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from threading import Lock
from typing import Any

import numpy as np
import scipy
from threadpoolctl import ThreadpoolController

from lth_sketch import validation
from lth_sketch.parallel import blockwise

# Largest tile: BLAS rearranges the two sides of each tile, which large tiles make up for.
ROWS, COLUMNS = 512, 1024
# Multiplications below which a product is a single tile.
SMALL = 1 << 22
# Multiplications below which BLAS starts no second thread, for a matrix and for a vector (OpenBLAS:
# up to 262,144, and below 9,216): there the change of its threads would cost more than the product.
TINY, TINY_VECTOR = 1 << 18, 1 << 13
# The number of threads of BLAS belongs to the process: one product at a time may change it.
_LOCK = Lock()


def matmul(left: Any, right: Any) -> Any:
    """Return ``left @ right``; NaN and infinity pass without a warning.

    Parameters
    ----------
    left : (q, n) float64 array or sparse matrix
        Left matrix.
    right : (n, r) float64 array or sparse matrix
        Right matrix.

    Returns
    -------
    (q, r) array or sparse matrix
        The product; sparse if both matrices are.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        (q, n), r = left.shape, right.shape[1]
        tiny = q * n * r < (TINY if min(q, r) > 1 else TINY_VECTOR)
        if tiny or scipy.sparse.issparse(left) or scipy.sparse.issparse(right):
            return left @ right
        out = np.empty((q, r))
        jobs = [
            partial(np.matmul, left[rows], right[:, columns], out=out[rows, columns])
            for rows, columns in _tiles(q, n, r)
        ]
        with one_blas_thread():
            blockwise.run(jobs, validation.workers(None))
        return out


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Give BLAS and LAPACK one thread in the whole process: the same bits on any machine."""
    with _LOCK, _controller().limit(limits=1, user_api="blas"):
        yield


def _tiles(q: int, n: int, r: int) -> list[tuple[slice, slice]]:
    """Cut a (q, r) product over n terms into tiles that depend on nothing else."""
    rows, columns = q, r
    if q * n * r >= SMALL:
        # An even number of bands, so that two threads share them fairly.
        rows, columns = -(-q // (2 * -(-q // (2 * ROWS)))), COLUMNS
    return [(a, b) for a in blockwise.spans(q, rows) for b in blockwise.spans(r, columns)]


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
