"""Least-squares data up to a rotation of the samples: what every loss and every fit depends on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from lth_sketch import tolerances
from lth_sketch.validation import Floats

# Rows of X that are widened to dense float64 at a time: for products, and for reflectors, which
# want them to stay in the cache.
TALL, SHORT = 2**14, 2**10
# Reflectors that LAPACK applies together.
PANEL = 32


@dataclass(frozen=True)
class Factor:
    """X and y with ||y - X w||^2 = ||C - R w||^2 + rest for every w, one output a column.

    Attributes
    ----------
    R : (k, d) array
        Factor of X, k = min(n, d).
    C : (k, r) array
        The targets in the same rotated samples.
    rest : (r,) array
        Squared norm of what no weights reach beyond these k directions.
    n_samples : int
        Rows of X.
    """

    R: Floats
    C: Floats
    rest: Floats
    n_samples: int

    def loss(self, rows: Floats) -> Floats:
        """Return the sums of squares (..., r) of weights given as rows (..., r, d)."""
        fitted = (rows.reshape(-1, rows.shape[-1]) @ self.R.T).reshape(*rows.shape[:-1], -1)
        return np.asarray(np.square(self.C.T - fitted).sum(axis=-1) + self.rest)

    def spectrum(self, A: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the singular value decomposition of A = R diag(m) without its zero values.

        Zero is what `tolerances.rank` says, for the n samples that A stands for.
        """
        U, sigma, Vt = np.linalg.svd(A, full_matrices=False)
        rank = np.count_nonzero(sigma > tolerances.rank(self.n_samples, A.shape[1]) * sigma[0])
        return U[:, :rank], sigma[:rank], Vt[:rank]


def factor(X: Any, Y: Floats) -> Factor:
    """Return the factor of [X, Y] by Householder reflectors, one block of rows after another.

    R and C are exact for data that differ from X and Y by a few eps of each column's norm, so the
    condition number is not squared. Dense or CSR/CSC `X` (n, d), `Y` (n, r).

    References
    ----------
    J. Demmel, L. Grigori, M. Hoemmen, J. Langou, "Communication-optimal parallel and sequential QR
    and LU factorizations", SIAM J. Sci. Comput. 34 (2012): sequential TSQR.
    """
    n, d = X.shape
    width = d + Y.shape[1]
    joined = (np.hstack([block, Y[rows]]) for rows, block in blocks(X, SHORT))
    if n <= width:
        triangle = np.asarray(np.linalg.qr(np.vstack(list(joined)), mode="r"))
    else:
        triangle = np.zeros((width, width), order="F")
        for block in joined:
            # LAPACK's tpqrt: the triangle so far on top of a block of rows.
            triangle = scipy.linalg.lapack.dtpqrt(
                0, min(PANEL, width), triangle, np.asfortranarray(block), overwrite_b=True
            )[0]
    k = min(n, d)
    rest = np.square(triangle[k:, d:]).sum(axis=0)
    return Factor(
        np.ascontiguousarray(triangle[:k, :d]), np.ascontiguousarray(triangle[:k, d:]), rest, n
    )


def blocks(X: Any, height: int = TALL) -> Iterator[tuple[slice, Floats]]:
    """Yield (rows, X[rows] as dense float64), `height` rows at a time."""
    if scipy.sparse.issparse(X):
        X = X.tocsr()
    for start in range(0, X.shape[0], height):
        rows = slice(start, min(start + height, X.shape[0]))
        part = X[rows]
        dense = part.toarray() if scipy.sparse.issparse(part) else part
        yield rows, np.asarray(dense, dtype=np.float64)
