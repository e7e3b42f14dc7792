"""The rules that moments allow: nodes and weights with one node at x (B9 b).

Vectorised over m laws, which are the last axis of moments.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lth_sketch.tolerances import ROUNDING
from lth_sketch.validation import Floats, Integers

# What stands for zero in a quotient, and for infinity in a matrix.
TINY, FARTHEST = float(np.finfo(np.float64).tiny), 1e300


class Jacobi(NamedTuple):
    """Recurrence of the orthonormal polynomials of m laws.

    Attributes
    ----------
    diagonal, beside : (n, m) array
        a_0 .. a_{n-1}, and b_1 .. b_n > 0.
    values : (m,) array
        n + 1; where the moments tell that a law has fewer values, up to n, how many it has.
    """

    diagonal: Floats
    beside: Floats
    values: Integers

    def of(self, laws: Integers, n: int | None = None) -> Jacobi:
        """Return the recurrence of some of the laws, up to n."""
        return Jacobi(self.diagonal[:n, laws], self.beside[:n, laws], np.asarray(self.values[laws]))


def jacobi(moments: Floats) -> Jacobi:
    """Return the recurrence from moments 0 .. 2 n, by Cholesky's factor of their Hankel matrix.

    Parameters
    ----------
    moments : (2 n + 1, m) array
        Moments of m laws; those of order 0 are one.

    Examples
    --------
    The normal law, and two values:

    >>> moments = np.array([[1.0, 0.0, 1.0, 0.0, 3.0], [1.0, 0.0, 1.0, 0.0, 1.0]]).T
    >>> print(jacobi(moments).beside.T[0].round(6), jacobi(moments).values)
    [1.       1.414214] [3 2]
    """
    n, count = len(moments) // 2, moments.shape[1]
    R = np.zeros((n + 1, n + 1, count))
    values = np.full(count, n + 1)
    for i in range(n + 1):
        pivot = moments[2 * i] - np.square(R[:i, i]).sum(axis=0)
        # Where it vanishes, the polynomial of degree i is zero on all values of the law.
        lost = ~(pivot > ROUNDING * moments[2 * i])
        values = np.where(lost, np.minimum(values, i), values)
        R[i, i] = np.sqrt(np.where(lost, 1.0, pivot))
        for j in range(i + 1, n + 1):
            R[i, j] = (moments[i + j] - (R[:i, i] * R[:i, j]).sum(axis=0)) / R[i, i]
    diagonal = np.stack([R[j, j + 1] / R[j, j] for j in range(n)])
    for j in range(1, n):
        diagonal[j] -= R[j - 1, j] / R[j - 1, j - 1]
    beside = np.stack([R[j, j] / R[j - 1, j - 1] for j in range(1, n + 1)])
    return Jacobi(diagonal, beside, values)


def through(rule: Jacobi, x: Floats) -> tuple[Floats, Floats, Integers]:
    """Return nodes (m, n + 1), weights, and which node is x: the rule of Gauss and Radau.

    The other nodes are the zeros of ``K_n(x, .)``, and the weights ``1 / K_n(v, v)``.
    """
    n, count = rule.diagonal.shape
    squares = np.square(rule.beside)
    before, here = np.ones(count), x - rule.diagonal[0]
    for j in range(1, n):
        before, here = here, (x - rule.diagonal[j]) * here - squares[j - 1] * before
    here = np.where(here == 0.0, TINY, here)
    with np.errstate(over="ignore"):
        last = x - squares[n - 1] * (before / here)
    last = np.minimum(np.maximum(last, -FARTHEST), FARTHEST)
    nodes, weights = _decomposed([*rule.diagonal, last], rule.beside)
    return nodes, weights, np.abs(nodes - x[:, None]).argmin(axis=1)


def support(rule: Jacobi, values: int) -> Floats:
    """Return the values (m, `values`) of laws that have no more than that."""
    return _decomposed([*rule.diagonal[:values]], rule.beside[: values - 1])[0]


def _decomposed(diagonal: list[Floats], beside: Floats) -> tuple[Floats, Floats]:
    """Eigenvalues of symmetric tridiagonal matrices, and squares of the vectors' first entries."""
    size, count = len(diagonal), len(diagonal[0])
    T = np.zeros((count, size * size))
    for j, entries in enumerate(diagonal):
        T[:, j * (size + 1)] = entries
    # LAPACK reads the lower triangle alone.
    T[:, size :: size + 1] = beside.T
    nodes, vectors = np.linalg.eigh(T.reshape(count, size, size))
    return nodes, np.square(vectors[:, 0, :])
