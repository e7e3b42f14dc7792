"""The last step of B4 and B6: from an exponential moment to a deviation, nothing relaxed."""

from __future__ import annotations

import numpy as np

from lth_sketch.validation import Floats

# Newton's method doubles its digits in each step once it is near; from above it never leaves.
STEPS = 16
# Arguments below which the inverse is its series: beyond, h keeps its digits.
SMALL = 1e-6


def excess(variance: Floats, largest: float, L: float) -> Floats:
    """Return t with P(sum >= t) <= exp(-L), for steps of mean zero at most `largest`.

    It is ``(v / m) h^{-1}(L m^2 / v)`` for the sum v of their variances and the largest m, with
    ``h(u) = (1 + u) log(1 + u) - u``: below Bernstein's ``sqrt(2 L v) + m L / 3``.
    """
    if not np.isfinite(largest):
        return np.full_like(variance, np.inf)
    if largest == 0.0:
        return np.zeros_like(variance)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        y = L * largest * (largest / variance)
        exact = variance / largest * inverse(y)
    # Where even y leaves float64 the relaxed form is a bound all the same.
    relaxed = np.sqrt(2.0 * L * variance) + largest * L / 3.0
    return np.asarray(np.fmin(np.where(np.isfinite(y), exact, relaxed), relaxed))


def inverse(y: Floats) -> Floats:
    """Return u >= 0 with ``(1 + u) log(1 + u) - u = y``.

    It is ``exp(1 + W((y - 1) / e)) - 1`` with Lambert's W, which loses half its digits for small y.

    Examples
    --------
    >>> print(inverse(np.array([0.0, 2.0 * np.log(2.0) - 1.0])))
    [0. 1.]
    """
    root = np.sqrt(2.0 * y)
    u = root + y / 3.0
    large = y > SMALL
    for _ in range(STEPS):
        logs = np.log1p(u)
        step = np.divide((1.0 + u) * logs - u - y, logs, out=np.zeros_like(u), where=large)
        u = u - step
    # The next term of the series is of the fifth power.
    small = np.minimum(root, 1.0)
    series = small + y / 3.0 - small**3 / 72.0 + small**4 / 270.0
    return np.asarray(np.where(large, u, series))
