"""Moments of one step of the walks of B6' and B10: all that is computed once for a draw's law.

Rows Y of the law are taken in the eigenbasis of Sigma, where coordinates behind the first are
multiplied by sqrt(b): y = (Y_1, sqrt(b) Y_2, sqrt(b) Y_3, ..).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy

from lth_sketch import validation
from lth_sketch.parallel import blockwise
from lth_sketch.parallel.products import one_blas_thread
from lth_sketch.single_draw import SingleDraw
from lth_sketch.tolerances import ROUNDING
from lth_sketch.validation import Floats

# Weights b of the directions behind the first, and shares alpha of Sigma that whitening takes.
WEIGHTS = (1.0, 1.3, 1.7, 2.2, 3.0, 4.2, 6.0)
SHARES = (0.0, 0.5, 0.75)
# Multiplications for the fourth moments of one weight and one share: up to THRIFTY (1024 terms in
# general position) all weights and shares are computed, up to WORK (4096) one of each, beyond it
# bounds on them take their place.
THRIFTY, WORK = 2**33, 2**39
# Largest length of a drawn term, in units of the total, whose eighth power stays in range.
LONGEST = 1e30
# Matrices up to this size get all their eigenvalues; larger ones a search and a certificate.
SMALL = 64


@dataclass(frozen=True)
class Radius:
    """What B6' reads of |y|^2, for one weight b: its mean T, variance, and the largest |y|."""

    b: float
    T: float
    sigma2: float
    m: float
    variance: float


@dataclass(frozen=True)
class Whitened:
    """Fourth moments in the directions of y, after a share of its covariance is divided out.

    With W = I - share E yy'/sigma2 and unit vectors v, f = v'Wv:
    Var <v, y>^2 <= fourth f^2, E <v, y>^3 <= third f^(3/2), E <v, y>^2 (|y|^2 - T) <= mixed f.
    """

    share: float
    fourth: float
    third: float
    mixed: float


@dataclass(frozen=True)
class Step:
    """Moments of y for one weight b; e = |y|^2 - T is the excess of its squared length."""

    radius: Radius
    linear: float  # |E y e|
    square: float  # |E y e^2|
    cube: float  # E e^3, at least 0
    fourth: float  # E e^4
    whitened: tuple[Whitened, ...]


class Steps:
    """The steps of one law: computed when they are asked for, and kept."""

    def __init__(self, draw: SingleDraw) -> None:
        rows, self._q = draw.rows, draw.chances
        Sigma = (rows * self._q[:, None]).T @ rows
        values, vectors = scipy.linalg.eigh(Sigma, check_finite=False)
        self._values = np.maximum(values[::-1], 0.0)
        self._rows = rows @ vectors[:, ::-1]
        self._squares = np.einsum("ij,ij->i", rows, rows)
        self._radii = {b: self._radius(b) for b in WEIGHTS}
        self._steps: dict[float, Step] = {}
        n, rank = rows.shape
        self._by_squares = rank * (rank + 1) // 2 <= n
        smaller, larger = sorted((n, rank * (rank + 1) // 2))
        self._work = smaller**2 * larger if self._by_squares else 8 * n * n * rank

    @classmethod
    def of(cls, draw: SingleDraw) -> Steps | None:
        """Return the steps of a law, kept with it; None where powers of their lengths overflow."""
        if not draw.M < LONGEST:
            return None
        steps: Steps = draw.keep("steps", lambda: cls(draw))
        return steps

    @property
    def thrifty(self) -> bool:
        """Whether the steps of every weight cost little."""
        return bool(self._work <= THRIFTY)

    def radius(self, b: float) -> Radius:
        """Return what B6' needs."""
        return self._radii[b]

    def step(self, b: float) -> Step:
        """Return what B10 needs."""
        return self.steps((b,))[0]

    def steps(self, weights: Sequence[float]) -> list[Step]:
        """Return what B10 needs for some weights."""
        jobs = {b: partial(self._step, self._radii[b]) for b in weights if b not in self._steps}
        if len(jobs) == 1:
            self._steps.update((b, job()) for b, job in jobs.items())
        elif jobs:
            # BLAS gains nothing from a second thread at the sizes of which all weights are tried.
            with one_blas_thread():
                made = blockwise.run(list(jobs.values()), validation.workers(None))
            self._steps.update(zip(jobs, made, strict=True))
        return [self._steps[b] for b in weights]

    def _lengths(self, b: float) -> Floats:
        """``|y|^2``, as a sum of squares."""
        if b == 1.0:
            return np.asarray(self._squares)
        rest = np.maximum(self._squares - self._rows[:, 0] ** 2, 0.0)
        return np.asarray(self._rows[:, 0] ** 2 + b * rest)

    def _radius(self, b: float) -> Radius:
        squares = self._lengths(b)
        T = float(self._q @ squares)
        second = self._values[1] if len(self._values) > 1 else 0.0
        return Radius(
            b,
            T,
            max(float(self._values[0]), b * float(second)) * (1.0 + ROUNDING),
            float(np.sqrt(squares.max())),
            float(self._q @ (squares - T) ** 2),
        )

    def _step(self, radius: Radius) -> Step:
        b, q = radius.b, self._q
        shares = SHARES if self.thrifty else SHARES[1:2]
        excess = self._lengths(b) - radius.T
        scale = np.full(len(self._values), np.sqrt(b))
        scale[0] = 1.0
        first = (q * excess) @ self._rows
        second = (q * excess**2) @ self._rows
        return Step(
            radius,
            float(np.linalg.norm(first * scale)),
            float(np.linalg.norm(second * scale)),
            max(0.0, float(q @ excess**3)),
            float(q @ excess**4),
            tuple(self._whitened(radius, scale, excess, share) for share in shares)
            if self._work <= WORK
            else (_bounded(radius),),
        )

    def _whitened(self, radius: Radius, scale: Floats, excess: Floats, share: float) -> Whitened:
        kept = 1.0 - share * np.minimum(scale**2 * self._values / radius.sigma2, 1.0)
        rows = self._rows * (scale / np.sqrt(kept))
        weighted = rows * self._q[:, None]
        mixed = _largest((weighted * excess[:, None]).T @ rows)
        if self._by_squares:
            fourth, third = _by_squares(rows, self._q)
        else:
            fourth, third = _by_pairs(rows, self._q, weighted)
        return Whitened(share, fourth, third, mixed)


def _bounded(radius: Radius) -> Whitened:
    """Return bounds on the fourth moments from the largest step alone."""
    fourth = radius.m**2 * radius.sigma2
    return Whitened(0.0, fourth, radius.m * radius.sigma2, np.sqrt(radius.variance * fourth))


def _by_squares(rows: Floats, q: Floats) -> tuple[float, float]:
    """Return the constants from the products of coordinates, fewer than the rows."""
    i, j = np.triu_indices(rows.shape[1])
    squares = rows[:, i] * rows[:, j] * np.where(i == j, 1.0, np.sqrt(2.0))
    cubes = (squares * q[:, None]).T @ rows
    third = np.sqrt(_largest(cubes.T @ cubes))
    size = float(q @ np.square(squares).sum(axis=1))
    squares -= q @ squares
    squares *= np.sqrt(q)[:, None]
    fourth = _largest(squares.T @ squares) + ROUNDING * size
    return fourth, float(third)


def _by_pairs(rows: Floats, q: Floats, weighted: Floats) -> tuple[float, float]:
    """Return the constants from the squared inner products of all pairs of rows."""
    G = rows @ rows.T
    np.square(G, out=G)
    third = np.sqrt(_largest(weighted.T @ (G @ weighted)))
    size = float(q @ np.diag(G))
    means = G @ q
    G -= means[:, None]
    G -= means
    G += q @ means
    root = np.sqrt(q)
    G *= root[:, None]
    G *= root
    return _largest(G) + ROUNDING * size, float(third)


def _largest(A: Floats) -> float:
    """Return an upper bound on the largest eigenvalue of a symmetric matrix, 0 at least.

    A search from one vector finds it from below; a Cholesky factor of mu I - A proves mu.
    """
    n = len(A)
    size = float(np.abs(A).max(initial=0.0))
    slack = ROUNDING * float(np.linalg.norm(A))
    if size == 0.0:
        return 0.0
    if n <= SMALL:
        return max(0.0, float(np.linalg.eigvalsh(A)[-1])) + slack
    try:
        eigenvalues = scipy.sparse.linalg.eigsh(
            A, 1, which="LA", tol=1e-4, v0=np.ones(n), return_eigenvectors=False
        )
        mu = max(0.0, float(eigenvalues[0])) + slack
        for growth in (1e-4, 1e-3, 1e-2, 1e-1):
            shifted = -A
            shifted.flat[:: n + 1] += mu * (1.0 + growth)
            if scipy.linalg.lapack.dpotrf(shifted, lower=1, overwrite_a=1)[1] == 0:
                return mu * (1.0 + growth) + slack
    except scipy.sparse.linalg.ArpackError:
        pass
    return max(0.0, float(scipy.linalg.eigvalsh(A, check_finite=False)[-1])) + slack
