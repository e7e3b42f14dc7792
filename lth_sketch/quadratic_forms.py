"""The law of a weighted sum of chi-squares, by integration along a hyperbola (for A1)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import validation
from lth_sketch.tolerances import ROUNDING
from lth_sketch.validation import Floats

# The integrand is followed until it has fallen below exp(-DEPTH) of its peak.
DEPTH = 42.0
# Trapezoid nodes at first; they double until the integrand has vanished.
NODES = 64
# Steps of the secant from a guess that is near.
STEPS = 12
# Half the opening of the hyperbola.
ANGLE = np.pi / 3


def survival(x: float, weights: npt.ArrayLike) -> float:
    """Return ``P(sum_i weights_i chi2_1 > x)``, independent chi-squares of one degree of freedom.

    Parameters
    ----------
    x : float
        Threshold, > 0.
    weights : (k,) array
        Weights >= 0, not all zero.

    Returns
    -------
    float
        The probability, to about 1e-12 absolute and, in the upper tail, relative accuracy.

    Notes
    -----
    With the cumulant function K(z) = -1/2 sum log(1 - 2 weights z), the probability is the integral
    of exp(K(z) - z x) / (2 pi i z) along any path from below to above the real axis that crosses it
    between 0 and 1/(2 max weights). The path here is a hyperbola through the saddle point, open to
    the right, where exp(-z x) decays: the trapezoidal rule then converges exponentially, for one
    weight as for a thousand.

    References
    ----------
    Rice, Distribution of Quadratic Forms in Normal Random Variables -- Evaluation by Numerical
    Integration, SIAM J. Sci. Stat. Comput. 1 (1980).

    Examples
    --------
    >>> round(survival(3.841458820694124, [1.0]), 10)
    0.05
    """
    lam = validation.weights("weights", weights).astype(np.float64)
    x = validation.number("x", x, low=0.0, closed=False)
    scale = lam.max()
    return _survival(x / scale, lam[lam > 0] / scale)


def quantile(delta: float, weights: npt.ArrayLike) -> float:
    """Return the x with ``P(sum_i weights_i chi2_1 > x) = delta``.

    Parameters
    ----------
    delta : float
        Probability of exceeding x, strictly between 0 and 1.
    weights : (k,) array
        Weights >= 0, not all zero.

    Returns
    -------
    float
        The upper quantile.

    Examples
    --------
    >>> round(quantile(0.05, [1.0, 1.0]), 10)
    5.9914645471
    """
    lam = validation.weights("weights", weights).astype(np.float64)
    delta = validation.risk("delta", delta)
    scale = lam.max()
    lam = lam[lam > 0] / scale
    # Start from the mean and double or halve until the root is enclosed.
    low = high = float(lam.sum())
    wanted = float(np.log(delta))

    def excess(t: float) -> float:
        return _log_survival(float(np.exp(t)), lam) - wanted

    # From the chi-square of the same mean and variance, a step of Newton's at a time: the logarithm
    # is smooth, and a handful of steps are enough. The enclosure is for what is not.
    spread = float(lam @ lam)
    guess = scipy.special.chdtri(low * low / spread, delta) * spread / low
    if np.isfinite(guess) and guess > 0:
        before, after = float(np.log(guess)), float(np.log(guess)) + 1e-3
        at_before, at_after = excess(before), excess(after)
        for _ in range(STEPS):
            if at_after == at_before:
                break
            step = at_after * (after - before) / (at_after - at_before)
            if not abs(step) < 1.0:
                break
            before, at_before = after, at_after
            after -= step
            if abs(step) <= ROUNDING:
                return float(np.exp(after)) * float(scale)
            at_after = excess(after)
    while _log_survival(high, lam) > wanted:
        high *= 2.0
    while _log_survival(low, lam) < wanted:
        low /= 2.0
    if low == high:
        return float(low * scale)
    logarithm = scipy.optimize.brentq(excess, np.log(low), np.log(high), xtol=ROUNDING)
    return float(np.exp(logarithm)) * float(scale)


def _survival(x: float, lam: Floats) -> float:
    """`survival` for weights whose largest is 1."""
    return min(1.0, float(np.exp(_log_survival(x, lam))))


def _log_survival(x: float, lam: Floats) -> float:
    """Return the logarithm of `survival`, for weights whose largest is 1."""
    edge = 0.5

    def slope(z: float) -> float:
        return float((lam / (1.0 - 2.0 * lam * z)).sum()) - x - 1.0 / z

    # slope rises from -infinity to +infinity on (0, edge).
    saddle = scipy.optimize.brentq(slope, edge * 1e-15, edge * (1 - 1e-15))
    # The hyperbola z = centre + focus cosh(t + i ANGLE): every branch point, all on the real axis
    # from `edge` on, lies at the distance ANGLE from real t. Steps resolve the peak, whose width is
    # that of a Gaussian with the exponent's second derivative.
    focus = (edge - saddle) / (1.0 - np.cos(ANGLE))
    centre = edge - focus
    width = float(2.0 * ((lam / (1.0 - 2.0 * lam * saddle)) ** 2).sum() + saddle**-2) ** -0.5
    step = min(0.1, 0.2 * width / (focus * np.sin(ANGLE)))
    peak = _exponent(np.array([complex(saddle)]), lam, x)[0].real
    total, start, stop = 0.0, 0, NODES
    while True:
        t = step * np.arange(start, stop) + 1j * ANGLE
        exponent = _exponent(centre + focus * np.cosh(t), lam, x) - peak
        speed = focus * np.sinh(t)
        values = (np.exp(exponent) * speed).imag
        total += float(values.sum()) - (0.5 * float(values[0]) if start == 0 else 0.0)
        start, stop = stop, 2 * stop
        if exponent[-1].real + np.log(abs(speed[-1]) / focus) < -DEPTH:
            return float(np.log(total * float(step) / np.pi) + peak)


def _exponent(z: npt.NDArray[np.complex128], lam: Floats, x: float) -> npt.NDArray[np.complex128]:
    """``K(z) - x z - log z``."""
    # log(1 - 2 lam z) stays on its principal branch: the path never meets the cut.
    logs = np.log(1.0 - 2.0 * np.multiply.outer(z, lam))
    return np.asarray(-0.5 * logs.sum(axis=1) - x * z - np.log(z))
