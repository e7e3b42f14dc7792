"""The least of all bounds that apply, for every design."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from lth_sketch import moments, probabilities, squared_error, validation
from lth_sketch.bounds import _floors
from lth_sketch.bounds.chebyshev import moment
from lth_sketch.bounds.designs import systematic
from lth_sketch.bounds.draws import bousquet, cantelli, mcdiarmid, radial
from lth_sketch.bounds.two_centres import centred
from lth_sketch.moments.fixed import drawn
from lth_sketch.multigraphs import fits
from lth_sketch.product import Product
from lth_sketch.tolerances import QUADRATURE
from lth_sketch.validation import Floats

_Choice = Callable[[Product, npt.ArrayLike, npt.ArrayLike, float, int], Floats]

# Risks from which on B10, which takes seconds, may be the least: above it B9 is.
TINY = 1e-3


def sharpest(
    product: Product,
    p: npt.ArrayLike,
    s: npt.ArrayLike,
    delta: float,
    *,
    design: str = "multinomial",
    order: int = 6,
) -> Floats:
    """Return the least bound on ``||err||_F`` of all that apply to a design.

    All are fixed functions of the product, so their minimum costs nothing in delta.

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Weights >= 0, normalised here; positive wherever the product's term is not zero.
    s : int or array of int
        Numbers of draws; without replacement at most the number of nonzero `p`.
    delta : float
        Risk, in (0, 1).
    design : str
        How masks are drawn, see `sampling.draw`.

        - "multinomial": B3 (sharp), B4, B6, B7 and B9, which begins with Markov's inequality, and
          B10 for delta up to 1e-3.
        - "poisson": B9, and bounded differences (B3).
        - "systematic": the quantile itself.
        - "hybrid": those of "multinomial", for the product of the terms that are drawn (S8).
        - "priority", "pivotal", "conditional": Markov's inequality for the exact second moment
          (S5).
        - "top": the error itself, which has no chance in it.
    order : int
        Moments that B9 uses at most, from 1 to 6: each costs more, see `moment`. Where d x d
        matrices do not fit into memory those are used that do without them.

    Returns
    -------
    float, or array of the shape of `s`
        Bound on ``||err||_F`` with probability at least 1 - delta.

    Raises
    ------
    ValueError
        If `p` would bias the estimate or does not fit, `s` is below 1 or too large, `delta` is no
        risk, `order` is not in 1 .. 6, or the design is unknown.

    Examples
    --------
    >>> product = Product([[3.0, 4.0]], [1.0, -1.0])
    >>> round(float(sharpest(product, [3, 4], 4, 0.05)), 6)
    7.771869
    >>> print(sharpest(product, [3, 4], [1, 2], 0.05, design="systematic"))
    [8. 0.]
    """
    choose = _DESIGNS[validation.choice("design", design, _DESIGNS)]
    delta = validation.risk("delta", delta)
    order = validation.count("order", order)
    return np.asarray(choose(product, p, s, delta, order))[()]


def _multinomial(
    product: Product, p: npt.ArrayLike, s: npt.ArrayLike, delta: float, order: int
) -> Floats:
    if not fits(product.d):
        order = min(order, 2)
    each = [
        mcdiarmid(product, p, s, delta, sharp=True),
        bousquet(product, p, s, delta),
        radial(product, p, s, delta),
        cantelli(product, p, s, delta),
        moment(product, p, s, delta, order=order),
    ]
    if delta <= TINY:
        each.append(centred(product, p, s, delta))
    return np.asarray(np.min(each, axis=0))


def _hybrid(
    product: Product, p: npt.ArrayLike, s: npt.ArrayLike, delta: float, order: int
) -> Floats:
    """S8: what is kept surely has no error, and the rest is drawn with replacement."""
    draws = validation.sizes(s)
    weights = validation.covering(p, product.term_norms)
    tails = np.zeros(draws.shape)
    for size in np.unique(draws):
        rest = drawn(product, weights, int(size))
        if rest is not None:
            tail = _multinomial(rest.product, rest.p, rest.s, delta, order)
            tails[draws == size] = float(tail)
    return tails + _floors.of(product, p, draws, "hybrid") * product.total


def _poisson(
    product: Product, p: npt.ArrayLike, s: npt.ArrayLike, delta: float, order: int
) -> Floats:
    if not fits(product.d):
        order = 1
    by_moments = moment(product, p, s, delta, order=order, design="poisson")
    return np.minimum(by_moments, _independent_differences(product, p, s, delta))


def _independent_differences(
    product: Product, p: npt.ArrayLike, s: npt.ArrayLike, delta: float
) -> Floats:
    """B3 for independent inclusions: one of them changes the error by ``u_i / pi_i`` at most."""
    draws = validation.sizes(s)
    weights = validation.covering(p, product.term_norms)
    mean_square = squared_error.moments(product, p, draws, 1, "poisson").mean
    reach = np.empty(draws.shape)
    for size in np.unique(draws):
        pi = probabilities.inclusion(weights, int(size), design="poisson")
        loose = (pi > 0) & (pi < 1)
        with np.errstate(over="ignore"):
            span = product.term_norms[loose] / product.total / pi[loose]
            reach[draws == size] = np.square(span).sum()
    floor = _floors.of(product, p, draws, "poisson")
    bound: Floats = np.sqrt(mean_square) + np.sqrt(-np.log(delta) / 2.0 * reach) + floor
    return bound * product.total


def _systematic(
    product: Product, p: npt.ArrayLike, s: npt.ArrayLike, delta: float, order: int
) -> Floats:
    return systematic(product, p, s, delta)


def _markov(design: str, second: Callable[..., Floats]) -> _Choice:
    """Return Markov's inequality for the exact second moment of a design."""

    def choose(
        product: Product, p: npt.ArrayLike, s: npt.ArrayLike, delta: float, order: int
    ) -> Floats:
        # Some are integrals, found to better than this.
        bound = np.sqrt(second(product, p, s) * (1.0 + QUADRATURE) / delta)
        if design == "priority":
            # Its moment is one of norms alone.
            return bound
        return bound + _floors.of(product, p, s, design) * product.total

    return choose


def _top(product: Product, p: npt.ArrayLike, s: npt.ArrayLike, delta: float, order: int) -> Floats:
    floor = _floors.of(product, p, s, "top") * product.total
    return np.sqrt(moments.top(product, p, s)) + floor


_DESIGNS: dict[str, _Choice] = {
    "conditional": _markov("conditional", moments.conditional),
    "hybrid": _hybrid,
    "multinomial": _multinomial,
    "pivotal": _markov("pivotal", moments.pivotal),
    "poisson": _poisson,
    "priority": _markov("priority", moments.priority),
    "systematic": _systematic,
    "top": _top,
}
