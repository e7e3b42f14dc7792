"""B9: the least bound that the first moments of the squared error give."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from lth_sketch import squared_error, validation
from lth_sketch.bounds import _certificate, _floors, _quadrature
from lth_sketch.product import Product
from lth_sketch.squared_error import MOST, Moments
from lth_sketch.tolerances import ROUNDING
from lth_sketch.validation import Array, Floats

# Halvings of the interval in which a bound lies: to the last digit from 2^4 deviations.
HALVINGS = 56
# A certificate that misses by rounding is tried a little further up, each time eight times as far,
# and then so many halvings back.
NUDGE, GROWTH, TRIES, RETURNS = 2.0**-40, 8.0, 16, 6


def moment(
    product: Product,
    p: npt.ArrayLike,
    s: npt.ArrayLike,
    delta: float,
    *,
    order: int = 6,
    design: str = "multinomial",
) -> Floats:
    """Return the least bound that the first moments of ``||err||^2`` give (B9).

    No smaller bound depends on these moments alone, and some products attain it.

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Weights >= 0, normalised here; positive wherever the product's term is not zero.
    s : int or array of int
        Numbers of draws; for "poisson" and "systematic" at most the number of nonzero `p`.
    delta : float
        Risk, in (0, 1).
    order : int
        Moments that are used, from 1 to 6: 1 is Markov's inequality, 2 is at most `cantelli`.
    design : {"multinomial", "poisson", "systematic"}
        How masks are drawn, see `sampling.draw`.

    Returns
    -------
    float, or array of the shape of `s`
        Bound on ``||err||_F`` with probability at least 1 - delta. It grows like
        ``delta^(-1/12)`` for order 6.

    Raises
    ------
    ValueError
        If `p` would bias the estimate or does not fit, `s` is below 1 or too large, `delta` is no
        risk, `order` is not in 1 .. 6, the design has no moments, or d x d matrices do not fit into
        memory (order 3 and more, "poisson" order 2 and more).

    Notes
    -----
    What is certified is a polynomial f with f >= 1 beyond the bound and f >= 0 everywhere, whose
    expectation, with all that rounding can add to it, is at most delta. Where a law has few values
    its exact quantile comes out.

    References
    ----------
    This project, docs/theory.md, B9, after Chebyshev, Markov and Stieltjes.

    Examples
    --------
    >>> product = Product([[3.0, 4.0, 5.0]], [1.0, -1.0, 1.0])
    >>> [round(float(moment(product, [3, 4, 5], 9, 0.01, order=k)), 3) for k in (1, 2, 4, 6)]
    [37.712, 14.347, 11.422, 11.257]
    """
    draws = validation.sizes(s)
    delta = validation.risk("delta", delta)
    order = validation.count("order", order)
    if order > MOST:
        raise ValueError(f"order must be at most {MOST}; got {order}")
    design = validation.choice("design", design, squared_error.DESIGNS)
    error_moments = squared_error.moments(product, p, draws, order, design)
    # Once for the errors, and once for the mean, which need not be that of the same factor.
    floor = 2.0 * _floors.of(product, p, draws, design)
    bound = np.sqrt(np.maximum(least(error_moments, delta), 0.0)) + floor
    return np.asarray(bound * product.total)[()]


def least(error_moments: Moments, delta: float) -> Floats:
    """Return the bound on Q itself that moments give, the least over all orders that are there."""
    shape, order = error_moments.mean.shape, len(error_moments.standard) - 1
    mean, deviation = error_moments.mean.reshape(-1), error_moments.deviation.reshape(-1)
    bound = np.asarray(mean / delta)
    if order >= 2:
        one_sided = float(np.sqrt((1.0 - delta) / delta))
        bound = np.fmin(bound, mean + deviation * one_sided)
    standard = error_moments.standard.reshape(order + 1, -1)
    for degree in range(3, order + 1):
        usable = _certificate.finite(standard[: degree + 1]) & (deviation > 0.0) & (mean > 0.0)
        laws = np.flatnonzero(usable & np.isfinite(bound))
        if laws.size:
            part = standard[: degree + 1, laws]
            ratio = mean[laws] / deviation[laws]
            top = (bound[laws] - mean[laws]) / deviation[laws]
            z = _improved(part, ratio, top, delta)
            better = (mean[laws] + deviation[laws] * z) * (1.0 + ROUNDING)
            bound[laws] = np.minimum(bound[laws], better)
    return bound.reshape(shape)


def _improved(moments: Floats, ratio: Floats, top: Floats, delta: float) -> Floats:
    """Return the bound on Z = (Q - mean) / deviation from moments 0 .. 2 n + e, if below `top`.

    An odd number of moments (e = 1) makes use of Q >= 0, which is Z >= -ratio.
    """
    odd = len(moments) % 2 == 0
    law, origin = moments, None
    if odd:
        # The law of density Q / mean.
        law, origin = moments[:-1] + moments[1:] / ratio, -ratio
    rule = _quadrature.jacobi(law)
    n = len(law) // 2
    z = top.copy()
    for values in np.unique(rule.values):
        laws = np.flatnonzero(rule.values == values)
        search = _Search(
            rule.of(laws, n),
            moments[:, laws],
            None if origin is None else origin[laws],
            delta,
        )
        z[laws] = search.full(top[laws]) if values > n else search.few(int(values), top[laws])
    return z


class _Search:
    """The least x of some laws at which a certificate holds."""

    def __init__(
        self, rule: _quadrature.Jacobi, moments: Floats, origin: Floats | None, delta: float
    ) -> None:
        self.rule, self.moments, self.origin, self.delta = rule, moments, origin, delta
        # P(Z >= -t) is at least t^2 / (1 + t^2): no bound is lower than this.
        self.floor = -float(np.sqrt(delta / (1.0 - delta)))

    def full(self, top: Floats) -> Floats:
        """Return it where nodes may be chosen: the zeros of K_n(x, .)."""
        start = self._halved(top, lambda x: self._largest_tail(x) <= self.delta)
        # Certificates miss by rounding there: first further up, and then back half the way.
        low, high = start, top.copy()
        step = NUDGE * np.maximum(1.0, np.abs(start))
        for _ in range(TRIES):
            missing = (high == top) & (low < top)
            if not missing.any():
                break
            tried = np.minimum(start + step, top)
            holds = missing & (self._certified(tried) <= self.delta)
            high = np.where(holds, tried, high)
            low = np.where(missing & ~holds, tried, low)
            step *= GROWTH
        for _ in range(RETURNS):
            middle = (low + high) / 2.0
            holds = (high < top) & (self._certified(middle) <= self.delta)
            high, low = np.where(holds, middle, high), np.where(holds, low, middle)
        return high

    def few(self, values: int, top: Floats) -> Floats:
        """Return it for laws of so few values that these are the nodes."""
        if values < 1:
            return top
        nodes = _quadrature.support(self.rule, values)
        return self._halved(
            top,
            lambda x: _certificate.expectation(self.moments, x, nodes, self.origin) <= self.delta,
        )

    def _halved(self, top: Floats, holds: Callable[[Floats], Array]) -> Floats:
        """Return where a falling function comes down to what is wanted: `top` where it does not."""
        low, high = np.full_like(top, self.floor), top.copy()
        if self.origin is not None:
            low = np.maximum(low, self.origin)
        low = np.minimum(low, high)
        sound = holds(high)
        for _ in range(HALVINGS):
            middle = (low + high) / 2.0
            below = holds(middle)
            high, low = np.where(below, middle, high), np.where(below, low, middle)
        return np.where(sound, high, top)

    def _largest_tail(self, x: Floats) -> Floats:
        """Return the largest P(Z >= x) of all laws with these moments: the weights from x on."""
        nodes, weights, place = _quadrature.through(self.rule, x)
        counted = nodes >= x[:, None]
        counted[np.arange(len(x)), place] = True
        if self.origin is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                weights = weights / (1.0 - nodes / self.origin[:, None])
        return np.asarray(np.where(counted, weights, 0.0).sum(axis=1))

    def _certified(self, x: Floats) -> Floats:
        nodes, _, place = _quadrature.through(self.rule, x)
        others = nodes[np.arange(nodes.shape[1]) != place[:, None]].reshape(len(x), -1)
        return _certificate.expectation(self.moments, x, others, self.origin)
