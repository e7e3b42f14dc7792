"""The law of the error of independent inclusions (S4), through its cumulants."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lth_sketch import multigraphs, probabilities, validation
from lth_sketch.multigraphs import GraphTable
from lth_sketch.parallel.products import matmul
from lth_sketch.product import Product
from lth_sketch.recent import Law, recent
from lth_sketch.validation import Floats


class PoissonDraw(Law):
    """Independent inclusions of one expected size: ``xi_i = m_i - 1`` of mean zero.

    Parameters
    ----------
    product : Product
        The product AB that is sketched.
    p : (d,) array
        Probabilities that cover the product's terms, see `validation.covering`.
    s : int
        Expected number of kept entries, at most the number of nonzero `p`.

    Attributes
    ----------
    V : float
        ``E ||err||^2`` in units of U^2.
    """

    def __init__(self, product: Product, p: Floats, s: int) -> None:
        self.p, self.s = p, s
        self._product = product
        pi = probabilities.inclusion(p, s, design="poisson")
        # What is kept surely adds no error; what is never kept has no term.
        self._live = np.flatnonzero((pi > 0) & (pi < 1))
        self._pi = pi[self._live]
        u = product.term_norms[self._live] / product.total
        with np.errstate(over="ignore"):
            self.V = float((u * (u / self._pi * (1.0 - self._pi))).sum())
        self._graphs: GraphTable | None = None

    @classmethod
    def of(cls, product: Product, p: npt.ArrayLike, s: int) -> PoissonDraw:
        """Return the law; it shares what was computed for the last one of this `p` and `s`."""
        weights = validation.covering(p, product.term_norms)
        return recent(cls, product, weights, s, lambda: cls(product, weights, s))

    def graphs(self, order: int, *, exact: bool = False) -> GraphTable:
        """Return the sums of multigraphs that are the cumulants of ``||err||^2`` (B9), kept here.

        Raises ValueError if d x d matrices, or with `exact` the time for K4, are out of reach.
        """
        d = len(self._pi)
        self._graphs = multigraphs.extended(self._graphs, d, order, exact, self._summed)
        return self._graphs.upto(order)

    def _summed(self, order: int, exact: bool) -> GraphTable:
        if not self._pi.size:
            return GraphTable(np.zeros((order + 1, order + 1)), 1.0, True)
        kappa = standard_cumulants(self._pi)
        # Entries of standard deviation one: the terms carry it instead.
        with np.errstate(over="ignore", invalid="ignore"):
            gains = np.sqrt((1.0 - self._pi) / self._pi)
            rows = self._product.unit_factor[self._live] * gains[:, None]
            G = matmul(rows, rows.T)
            # xi^2 = v + c xi for an entry of two values: a stub takes the place of a loop.
            stubs = G.diagonal() * kappa[3]
            np.fill_diagonal(G, 0.0)
            scale = multigraphs.deviation(G, np.ones(len(G)), stubs) or 1.0
            G /= scale
            stubs = stubs / scale

            def weigh(ends: int, count: int) -> Floats:
                return np.asarray(kappa[ends + count] * stubs**count)

            return multigraphs.summed(G, weigh, scale, order, exact, "path")


def standard_cumulants(pi: Floats) -> Floats:
    """Return the cumulants 0 .. 6 of events of probabilities `pi`, centred, of variance one.

    Parameters
    ----------
    pi : (d,) array
        Probabilities, strictly between 0 and 1.

    Returns
    -------
    (7, d) array

    Examples
    --------
    >>> standard_cumulants(np.array([0.2]))[:, 0].round(4).tolist()
    [0.0, 0.0, 1.0, 1.5, 0.25, -8.625, -28.4375]
    """
    v, skew = pi * (1.0 - pi), 1.0 - 2.0 * pi
    with np.errstate(over="ignore"):
        return np.array(
            [
                np.zeros_like(v),
                np.zeros_like(v),
                np.ones_like(v),
                skew / np.sqrt(v),
                (1.0 - 6.0 * v) / v,
                skew * (1.0 - 12.0 * v) / v / np.sqrt(v),
                (1.0 - 30.0 * v + 120.0 * v * v) / v / v,
            ]
        )
