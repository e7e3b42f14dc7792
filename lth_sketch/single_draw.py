"""The law of one draw: all that the moments and bounds of s draws with replacement are made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import multigraphs, validation
from lth_sketch.multigraphs import GraphTable
from lth_sketch.parallel.products import matmul
from lth_sketch.product import LARGEST, Product
from lth_sketch.recent import Law, recent
from lth_sketch.tolerances import EPS
from lth_sketch.validation import Floats

# Multiplications spent at most on the exact diameter D before a bound on it is taken.
DIAMETER_WORK = 2**36
# Rounding of terms over their probabilities, and of their mean.
ROUNDED = 2**4 * EPS
# Share of the uncentred second moment below which the centred one is no difference of two: five
# binary digits are lost at most.
CANCELLED = 2**-5
# Pairs of terms are compared in square blocks of this many rows.
BLOCK = 512


class SingleDraw(Law):
    """One draw of a term, ``Z = vec(A_i B_i) / p_i`` with probability ``p_i``, and ``Y = Z - E Z``.

    Every quantity is in units of the product's `total` U (squares in U^2, and so on), so that no
    scale of the matrices can overflow.

    Parameters
    ----------
    product : Product
        The product AB that is sketched.
    p : (d,) array
        Weights >= 0, normalised here; positive wherever the product's term is not zero.

    Attributes
    ----------
    p : (d,) array
        Normalised probabilities.
    T : float
        ``E ||Y||^2``; s draws have the second moment V = T / s (S2).
    uncentred : float
        ``E ||Z||^2``.
    R : float
        ``max ||Z||``.
    floor : float
        How far rounding may put ``||err||``, and whatever bounds it, below the truth: what bounds
        add. ``||err||`` is moved by at most a factor times ``sum u_i |m_i - 1| <= (1 + R) U``.
    """

    def __init__(self, product: Product, p: npt.ArrayLike) -> None:
        self.p = validation.covering(p, product.term_norms)
        self._live = self.p > 0
        self._q = self.p[self._live]
        self._product = product
        # G - ||AB||^2 of S2; the largest terms of G are divided before they are multiplied.
        u = product.term_norms[self._live] / product.total
        with np.errstate(over="ignore"):
            self.uncentred = float((u * (u / self._q)).sum())
            self.R = float((u / self._q).max())
        self.T = self.uncentred - product.norm2 / product.total**2
        if CANCELLED * self.uncentred > self.T:
            self.T = product.centred_moment(self.p)
        self.floor = ROUNDED * (1.0 + self.R)
        self._kept: dict[str, Any] = {}
        self._graphs: GraphTable | None = None

    @classmethod
    def of(cls, product: Product, p: npt.ArrayLike) -> SingleDraw:
        """Return the law; it shares what was computed for the last one of this product and `p`.

        Several bounds on one product and one p then share the eigenvalues and the rest.
        """
        law = cls(product, p)
        return recent(cls, product, law.p, None, lambda: law)

    def keep(self, name: str, compute: Callable[[], Any]) -> Any:
        """Return what a bound computes once for this law: the first time, and kept."""
        if name not in self._kept:
            self._kept[name] = compute()
        return self._kept[name]

    @property
    def chances(self) -> Floats:
        """Probabilities of the terms that can be drawn."""
        return self._q

    @property
    def rows(self) -> Floats:
        """Terms Y_i that can be drawn, one a row, in the coordinates of S0."""
        return self._centred

    @property
    def factor_floor(self) -> float:
        """`floor` for what is read off the factor of S0."""
        return self.floor + self._product.unit_error * (1.0 + self.R)

    @cached_property
    def _centred(self) -> Floats:
        """Rows Y_i in the coordinates of S0, for the terms that can be drawn."""
        C = self._product.unit_factor
        rows = C[self._live] / self._q[:, None]
        rows -= C.sum(axis=0)
        # By how much that is not the mean, in rounding.
        rows -= self._q @ rows
        return rows

    @cached_property
    def _squares(self) -> Floats:
        """``||Y_i||^2`` for the terms that can be drawn."""
        with np.errstate(over="ignore"):
            return np.asarray(np.einsum("ik,ik->i", self._centred, self._centred))

    @cached_property
    def second(self) -> float:
        """``E ||Y||^2`` of the very rows that the bounds below are made of, and at least T."""
        mean_square = float(self._q @ self._squares)
        # A square may overflow where its share of the mean does not.
        return max(self.T, mean_square) if np.isfinite(mean_square) else self.T

    @cached_property
    def M(self) -> float:
        """``max ||Y_i||``."""
        return float(np.sqrt(self._squares.max()))

    @cached_property
    def fourth(self) -> float:
        """``E ||Y||^4``."""
        with np.errstate(over="ignore"):
            return float(self._q @ self._squares**2)

    @cached_property
    def omega2(self) -> float:
        """``Var ||Y||^2``."""
        if not np.isfinite(self.fourth):
            return np.inf
        mean = float(self._q @ self._squares)
        return float(self._q @ (self._squares - mean) ** 2)

    @cached_property
    def eigenvalues(self) -> Floats:
        """Eigenvalues of Sigma = E Y Y^T, descending, without those lost in rounding."""
        rows = self._centred * np.sqrt(self._q)[:, None]
        values = scipy.linalg.eigvalsh(rows.T @ rows, check_finite=False)[::-1]
        floor = len(values) * np.finfo(np.float64).eps * max(values[0], 0.0)
        return np.asarray(values[values > floor])

    @cached_property
    def sigma2(self) -> float:
        """Largest eigenvalue of Sigma."""
        return float(self.eigenvalues.max(initial=0.0))

    @cached_property
    def frobenius2(self) -> float:
        """``||Sigma||_F^2``."""
        with np.errstate(over="ignore"):
            return float(self.eigenvalues @ self.eigenvalues)

    def graphs(self, order: int, *, exact: bool = False) -> GraphTable:
        """Return the sums of multigraphs of which centred moments are made (B9); they are kept.

        Raises ValueError if d x d matrices, or with `exact` the time for K4, are out of reach.
        """
        d = len(self._q)
        self._graphs = multigraphs.extended(self._graphs, d, order, exact, self._summed)
        return self._graphs.upto(order)

    def _summed(self, order: int, exact: bool) -> GraphTable:
        q = self._q
        # What overflows is infinite, or NaN, in the end: such an order is of no use.
        with np.errstate(over="ignore", invalid="ignore"):
            G = matmul(self._centred, self._centred.T)
            loops = self._squares - float(q @ self._squares)
            scale = multigraphs.deviation(G, q, loops) or 1.0
            G /= scale
            loops /= scale

            def weigh(ends: int, count: int) -> Floats:
                return np.asarray(q * loops**count)

            return multigraphs.summed(G, weigh, scale, order, exact, "cycle")

    def variance(self, s: Floats) -> Floats:
        """``Var ||err||^2`` after s draws: W of B7."""
        return (self.omega2 / s + 2.0 * ((s - 1.0) / s) * self.frobenius2) / s / s

    @cached_property
    def D(self) -> float:
        """``max ||Z_i - Z_j||``, or a bound on it where all pairs would cost too much.

        Pairs are tried in the order of their distance from the mean, which rules out most of them.
        """
        norms = np.sqrt(self._squares)
        order = np.argsort(-norms)
        norms = norms[order]
        if len(norms) == 1:
            return 0.0
        ceiling = min(float(norms[0] + norms[1]), 2 * self.R)
        if not ceiling < LARGEST:
            return ceiling
        best = 0.0
        work = DIAMETER_WORK
        for start in range(0, len(norms), BLOCK):
            # j <= i with norms[i] + norms[j] > best are the pairs still worth a look.
            reach = int(np.searchsorted(-norms, norms[start] - best, side="left"))
            if norms[start] * 2 <= best:
                break
            rows = self._centred[order[start : start + BLOCK]]
            for other in range(start, min(reach, len(norms)), BLOCK):
                work -= BLOCK**2 * rows.shape[1]
                if work < 0:
                    return ceiling
                columns = self._centred[order[other : other + BLOCK]]
                best = max(best, _largest_distance(rows, columns))
        return min(best, ceiling)


def _largest_distance(rows: Floats, columns: Floats) -> float:
    """Largest distance between a row of one matrix and a row of the other."""
    squares = -2.0 * (rows @ columns.T)
    squares += np.einsum("ik,ik->i", rows, rows)[:, None]
    squares += np.einsum("ik,ik->i", columns, columns)
    i, j = np.unravel_index(int(squares.argmax()), squares.shape)
    # The winner again without cancellation.
    return float(np.linalg.norm(rows[i] - columns[j]))
