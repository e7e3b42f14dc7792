"""Least-squares data up to a rotation of the samples: what every loss and every fit depends on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy

from lth_sketch import conversion, tolerances
from lth_sketch.validation import Floats

# Rows of X that are widened to dense float64 at a time: for products, and for reflectors, which
# want them to stay in the cache.
TALL, SHORT = 2**14, 2**10
# Reflectors that LAPACK applies together.
PANEL = 32
# Columns whose norms differ by less lose less than so many eps of a singular value to one another.
ALIKE = 2.0**10


@dataclass(frozen=True)
class Reduced:
    """X and y with ||y - X w||^2 = ||targets - R w||^2 + rest for every w, one output a column.

    Attributes
    ----------
    R : (k, d) array
        What X is in rotated samples, k = min(n, d): X^T X = R^T R.
    targets : (k, r) array
        What y is in the same rotated samples.
    rest : (r,) array
        Squared norm of what no weights reach beyond these k directions.
    n_samples : int
        Rows of X.
    """

    R: Floats
    targets: Floats
    rest: Floats
    n_samples: int

    def loss(self, rows: Floats) -> Floats:
        """Return the sums of squares (..., r) of weights given as rows (..., r, d)."""
        fitted = (rows.reshape(-1, rows.shape[-1]) @ self.R.T).reshape(*rows.shape[:-1], -1)
        return np.asarray(np.square(self.targets.T - fitted).sum(axis=-1) + self.rest)

    def spectrum(self, A: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the singular value decomposition of A = R diag(m) without its zero values.

        Which are zero is decided on columns of unit norm, for the n samples that A stands for: no
        column is lost for being small beside another. See `decomposition`.
        """
        return decomposition(A, self.n_samples)[:3]


class Decomposition(NamedTuple):
    """A = U diag(sigma) V^T without the zero singular values.

    Attributes
    ----------
    U, sigma, Vt : (k, rank), (rank,) and (rank, d) arrays
        Singular values descending, and their vectors.
    steps : (d, rank) array
        V diag(1 / sigma), each row right in its own size.
    """

    U: Floats
    sigma: Floats
    Vt: Floats
    steps: Floats


def decomposition(A: Floats, n_samples: int) -> Decomposition:
    """Decompose A, with the one rule of rank.

    Columns are scaled to unit norm, A = A' D. The rank is the number of singular values of A' above
    `tolerances.rank` times the largest; where columns differ much in size, the number of columns
    whose part beyond the larger ones is longer than that. Jacobi's method then keeps the digits of
    small singular values.

    Parameters
    ----------
    A : (k, d) array
        A matrix, or R of it.
    n_samples : int
        Rows that A stands for.

    References
    ----------
    Z. Drmac, K. Veselic, "New fast and accurate Jacobi SVD algorithm", SIAM J. Matrix Anal. Appl.
    29 (2008).
    """
    unit, norms = unit_columns(A)
    live = np.flatnonzero(norms)
    tolerance = tolerances.rank(n_samples, A.shape[1])
    if live.size == 0:
        none = np.empty(0)
        d = A.shape[1]
        return Decomposition(np.empty((len(A), 0)), none, np.empty((0, d)), np.empty((d, 0)))
    sizes = norms[live]
    if sizes.max() > ALIKE * sizes.min():
        U, sigma, right, steps = _graded(unit[:, live], sizes, tolerance)
    else:
        U, sigma, Vt = np.linalg.svd(A, full_matrices=False)
        # With all columns independent this is what the rule says, at half the cost.
        if len(sigma) == A.shape[1] and sigma[-1] > np.sqrt(len(norms)) * tolerance * sigma[0]:
            return Decomposition(U, sigma, Vt, Vt.T / sigma)
        U, near, Vt = np.linalg.svd(unit[:, live], full_matrices=False)
        rank = int(np.count_nonzero(near > tolerance * near[0]))
        turned, sigma, right = np.linalg.svd(near[:rank, None] * Vt[:rank] * sizes, False)
        U, steps = U[:, :rank] @ turned, right.T / sigma
    rows, spread = np.zeros((len(sigma), A.shape[1])), np.zeros((A.shape[1], len(sigma)))
    rows[:, live], spread[live] = right, steps
    return Decomposition(U, sigma, rows, spread)


def _graded(unit: Floats, sizes: Floats, tolerance: float) -> Decomposition:
    """Decompose ``unit diag(sizes)`` where the sizes are far apart.

    From the largest column down, each is kept or depends on those kept: A = Q R D C with R of unit
    columns, D their sizes, and C = [I E] up to order. None of the three matrices is far from
    orthogonal beside the sizes, so that Jacobi's method keeps the digits of every singular value.
    """
    d = unit.shape[1]
    order = np.argsort(-sizes, kind="stable")
    kept: list[int] = []
    left: list[int] = []
    Q: Floats = np.empty((len(unit), min(unit.shape)))
    for j in order:
        rest = unit[:, j]
        basis = Q[:, : len(kept)]
        for _ in range(2):
            rest = rest - basis @ (basis.T @ rest)
        norm = float(np.linalg.norm(rest))
        if len(kept) < Q.shape[1] and norm > tolerance:
            Q[:, len(kept)] = rest / norm
            kept.append(j)
        else:
            left.append(j)
    rank = len(kept)
    Q, scale = Q[:, :rank], sizes[kept]
    R = np.triu(Q.T @ unit[:, kept])
    shares = np.empty((rank, len(left)))
    if left:
        shares = scipy.linalg.solve_triangular(R, Q.T @ unit[:, left])
    # Rounding: on a small column it would outgrow all that matters.
    shares[np.abs(shares) <= np.sqrt(d) * tolerance] = 0.0
    E = shares * (sizes[left] / scale[:, None])
    largest = float(scale[0])
    turn, B, pivots = scipy.linalg.qr(R * (scale / largest), pivoting=True)
    C = np.zeros((rank, d))
    C[np.arange(rank), kept] = 1.0
    C[:, left] = E
    # For columns and rows of any sizes ("F"), with U and V, over the whole range of numbers.
    scaled, V, back, work, *_ = scipy.linalg.lapack.dgejsv(
        np.asfortranarray((B @ C[pivots]).T), joba=2, jobu=0, jobv=0, jobr=0
    )
    sigma, U = scaled * (work[0] / work[1]), turn @ back
    # A x = U, by these three: each entry is right beside 1 / size, those of V beside 1 / sigma.
    steps = scipy.linalg.solve_triangular(R, U) / (scale / largest)[:, None]
    if left:
        steps = scipy.linalg.solve(np.eye(rank) + E @ E.T, steps, assume_a="pos")
    steps = np.where(sigma >= sizes[:, None] / largest, V / sigma, C.T @ steps)
    return Decomposition(Q @ U, sigma * largest, V.T, steps / largest)


def unit_columns(A: Floats) -> tuple[Floats, Floats]:
    """Return the columns of A with norm 1 (zero ones as they are), and their norms.

    No square leaves the range of numbers, whatever the size of a column.
    """
    exponents = np.frexp(np.abs(A).max(axis=0, initial=0.0))[1]
    near = np.ldexp(A, -exponents)
    norms = np.sqrt(np.einsum("ij,ij->j", near, near))
    near /= np.where(norms > 0, norms, 1.0)
    return near, np.ldexp(norms, exponents)


def reduce(X: Any, Y: Floats) -> Reduced:
    """Return [X, Y] up to a rotation of the samples: Householder reflectors, block after block.

    R and the targets are exact for data that differ from X and Y by a few eps of each column's
    norm, so the condition number is not squared. Dense or CSR/CSC `X` (n, d), `Y` (n, r).

    References
    ----------
    J. Demmel, L. Grigori, M. Hoemmen, J. Langou, "Communication-optimal parallel and sequential QR
    and LU factorizations", SIAM J. Sci. Comput. 34 (2012): sequential TSQR.
    """
    n, d = X.shape
    width = d + Y.shape[1]
    joined = (np.hstack([block, Y[rows]]) for rows, block in blocks(X, SHORT))
    if n <= width:
        R = np.asarray(np.linalg.qr(np.vstack(list(joined)), mode="r"))
    else:
        R = triangle(joined, width)
    k = min(n, d)
    rest = np.square(R[k:, d:]).sum(axis=0)
    return Reduced(np.ascontiguousarray(R[:k, :d]), np.ascontiguousarray(R[:k, d:]), rest, n)


def triangle(parts: Iterable[Floats], width: int) -> Floats:
    """Return the triangle R (width, width) with the Gram matrix of blocks of rows (n_i, width)."""
    R = np.zeros((width, width), order="F")
    for part in parts:
        # LAPACK's tpqrt: the triangle so far on top of a block of rows.
        R = scipy.linalg.lapack.dtpqrt(
            0, min(PANEL, width), R, np.asfortranarray(part), overwrite_b=True
        )[0]
    return np.asarray(R)


def blocks(X: Any, height: int = TALL) -> Iterator[tuple[slice, Floats]]:
    """Yield (rows, X[rows] as dense float64), `height` rows at a time."""
    if scipy.sparse.issparse(X):
        X = X.tocsr()
    for start in range(0, X.shape[0], height):
        rows = slice(start, min(start + height, X.shape[0]))
        yield rows, conversion.dense(X[rows])
