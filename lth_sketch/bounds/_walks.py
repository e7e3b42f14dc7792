"""Exponential bounds on the walk of s steps from two centres: B6' and form S of B10.

Everything is in units of the product's total, and of s err rather than err.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy

from lth_sketch.bounds import bennett
from lth_sketch.bounds._steps import WEIGHTS, Step, Steps
from lth_sketch.single_draw import SingleDraw
from lth_sketch.tolerances import ROUNDING
from lth_sketch.validation import Floats

Number = Floats | float

# Reserves h that are tried, as shares of the square of the bound that h = 0 gives.
RESERVES = (0.015, 0.04, 0.1, 0.25)
# Weights about the best one of h = 0 for which they are tried.
NEAR = (-1, 0, 1, 2)
# The last steps count one by one; earlier ones in blocks that grow by a ratio, each with the
# largest growth in it, which is that of its last step.
ONE_BY_ONE, RATIO = 24, 1.04
# Angles at which a cubic form is looked at, on a quarter of the circle.
ANGLES = np.linspace(0.0, np.pi / 2, 49)
# Rates that are tried, as multiples of Bernstein's, and how often and finely the best is refined.
RATES = np.geomspace(0.25, 6.0, 14)
PASSES, POINTS = 3, 7
# Terms of the series of `remainder` up to z = 1: the next one is 1e-24.
TERMS = 20


def two_centres(draw: SingleDraw, s: Floats, delta: float) -> Floats:
    """Return B6' on ``s ||err||``: the least over the weights b > 1."""
    steps = Steps.of(draw) if draw.M > 0.0 else None
    if steps is None:
        return np.full(np.shape(s), np.inf if draw.M > 0.0 else 0.0)
    return np.asarray(np.min([_radial(steps, b, s, delta) for b in WEIGHTS[1:]], axis=0))


def form_s(draw: SingleDraw, s: Floats, delta: float) -> Floats:
    """Return B10 in form S on ``s ||err||``, infinite where it cannot be computed."""
    steps = Steps.of(draw) if draw.M > 0.0 else None
    if steps is None:
        return np.full(np.shape(s), np.inf if draw.M > 0.0 else 0.0)
    sizes, where = np.unique(s, return_inverse=True)
    limits = np.array([_form_s(steps, int(size), delta) for size in sizes])
    return np.asarray(limits[where].reshape(np.shape(s)))


def _form_s(steps: Steps, s: int, delta: float) -> float:
    weights: Sequence[float] = WEIGHTS
    if not steps.thrifty:
        # One weight: that next to the best of B6', which is usually right.
        radial = [float(_radial(steps, b, np.array(float(s)), delta)) for b in WEIGHTS]
        weights = (WEIGHTS[min(int(np.argmin(radial)) + 1, len(WEIGHTS) - 1)],)
    left, counts = _blocks(s)
    tried = steps.steps(weights)
    plain = _walks(tried, left, counts, np.zeros(len(tried)), delta)
    best, lowest = int(plain.argmin()), float(plain.min())
    if not np.isfinite(lowest):
        return np.inf
    around = [tried[best + k] for k in NEAR if 0 <= best + k < len(tried)]
    pairs = list(itertools.product(around, RESERVES))
    h = lowest**2 * np.array([share for _, share in pairs])
    reserved = _walks([step for step, _ in pairs], left, counts, h, delta)
    return min(lowest, float(reserved.min())) * (1.0 + ROUNDING)


def _radial(steps: Steps, b: float, s: Floats, delta: float) -> Floats:
    """B6 (b = 1) or B6' for one weight."""
    radius = steps.radius(b)
    harmonic = scipy.special.digamma(s + 1.0) + np.euler_gamma
    v = s * radius.sigma2 + radius.variance / radius.T * harmonic / 4.0
    D = bennett.excess(v, radius.m, _log_risk(b, delta))
    return reach(b, s * radius.T, 0.0, D)


def _walks(steps: Sequence[Step], left: Floats, counts: Floats, h: Floats, delta: float) -> Floats:
    """Return the bounds of some walks, each with its weight and its reserve h."""
    b, T = np.array([(step.radius.b, step.radius.T) for step in steps]).T
    L = np.array([_log_risk(weight, delta) for weight in b])
    D = _deviations(steps, h[:, None] + left * T[:, None], counts, L)
    return reach(b, counts.sum() * T, h, D)


def reach(b: Number, sT: Number, h: Number, D: Number) -> Floats:
    """Return t with ``sqrt((t + a)^2 + h) - sqrt(a^2 + h + sT) = D``, ``a = (b - 1) t / 2``."""
    c = D * D + sT
    g = (b - 1.0) ** 2 / 4.0
    root = np.sqrt(b * c * g + (D * g) ** 2 + b * b * (h + sT))
    distance: Floats = np.sqrt(b * c + 2.0 * D * D * g + 2.0 * D * root) / b
    return distance


def _deviations(steps: Sequence[Step], r: Floats, counts: Floats, L: Floats) -> Floats:
    """Return the least ``(L + sum log(1 + P)) / eta`` over rates eta, for each walk."""
    forms = coefficients(steps, r)
    m = np.array([step.radius.m for step in steps])
    walks = np.arange(len(steps))

    def of(eta: Floats) -> Floats:
        deviations = (L + np.log1p(_growth(forms, m, eta)) @ counts) / eta
        return np.where(np.isnan(deviations), np.inf, deviations)

    with np.errstate(over="ignore", invalid="ignore"):
        rate = np.sqrt(2.0 * L / (forms[0][:, 0, 1] @ counts))
        eta = RATES[:, None] * (rate / (1.0 + rate * m / 3.0))
        deviations = of(eta)
        for _ in range(PASSES):
            k = deviations.argmin(axis=0)
            low, high = np.maximum(k - 1, 0), np.minimum(k + 1, len(eta) - 1)
            eta = np.linspace(eta[low, walks], eta[high, walks], POINTS)
            deviations = of(eta)
    return np.asarray(deviations.min(axis=0))


def growth(step: Step, r: Floats, eta: Floats) -> Floats:
    """Return P (len(eta), len(r)): ``E e^(eta (N' - N)) <= 1 + P`` for a step of reserve r."""
    m = np.array([step.radius.m])
    return np.asarray(_growth(coefficients([step], r[None]), m, eta[:, None])[:, 0])


def _growth(forms: tuple[Floats, Floats, Floats], m: Floats, eta: Floats) -> Floats:
    """Return P (rates, walks, reserves) for rates (rates, walks)."""
    x = eta[:, :, None, None, None]
    Q2, Q3, Q4 = forms
    P = x**2 * (Q2 / 2.0 + x * (Q3 / 6.0 + x * remainder(eta * m)[:, :, None, None, None] * Q4))
    # The worse end of <v, y>^2, the better share: each share gives a bound of its own.
    return np.asarray(P.max(axis=3).min(axis=2))


def coefficients(steps: Sequence[Step], r: Floats) -> tuple[Floats, Floats, Floats]:
    """Return Q2, Q3, Q4 of B10, each (walks, shares, 2 ends of E<v, y>^2, reserves)."""

    def each(values: Any) -> Floats:
        return np.array(values, dtype=np.float64)[..., None, None]

    r = r[:, None, None, :]
    variance = each([[step.radius.variance] for step in steps]) / (4.0 * r)
    linear = each([[step.linear] for step in steps]) / (2.0 * np.sqrt(r))
    square = each([[step.square] for step in steps]) / (4.0 * r)
    cube = each([[step.cube] for step in steps]) / (8.0 * r**1.5)
    root = np.sqrt(each([[step.fourth] for step in steps])) / (4.0 * r)
    # At one end <v, y> has no variance and all of v is kept, at the other it has the largest.
    ends = np.array([0.0, 1.0])[:, None]
    q = each([[step.radius.sigma2] for step in steps]) * ends
    f = 1.0 - each([[kept.share for kept in step.whitened] for step in steps]) * ends
    fourth = each([[kept.fourth for kept in step.whitened] for step in steps])
    third = each([[kept.third for kept in step.whitened] for step in steps])
    mixed = each([[kept.mixed for kept in step.whitened] for step in steps]) / (2.0 * np.sqrt(r))
    Q2 = (q + variance) / 2.0 + np.hypot((q - variance) / 2.0, linear)
    Q3 = _largest_cubic(third * f**1.5, 3.0 * mixed * f, 3.0 * square, cube)
    Q4 = (np.hypot(q, np.sqrt(fourth) * f) + root) ** 2
    return Q2, Q3, Q4


def _largest_cubic(*terms: Floats) -> Floats:
    """Return a bound on the cubic form with the coefficients >= 0 of l^3, l^2 u, l u^2, u^3.

    On the circle it is a trigonometric polynomial of degree 3, whose maximum is at most that over
    equal angles divided by the cosine of three half steps (H. Ehlich, K. Zeller, Math. Z. 86
    (1964)); with such coefficients the maximum lies in the first quarter.
    """
    powers = [np.cos(ANGLES) ** (3 - k) * np.sin(ANGLES) ** k for k in range(4)]
    values = np.stack(np.broadcast_arrays(*terms), axis=-1) @ np.stack(powers)
    return np.asarray(values.max(axis=-1) / np.cos(1.5 * ANGLES[1]))


def remainder(z: Floats) -> Floats:
    """Return ``R(z) = (e^z - 1 - z - z^2/2 - z^3/6) / z^4``, increasing; by its series up to 1."""
    series = np.polynomial.polynomial.polyval(
        np.minimum(z, 1.0), 1.0 / scipy.special.factorial(np.arange(4, 4 + TERMS))
    )
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        direct = (np.expm1(z) - z - z * z / 2.0 - z**3 / 6.0) / z**4
    return np.where(z < 1.0, series, direct)


def _blocks(s: int) -> tuple[Floats, Floats]:
    """Return steps left at the end of each block of steps, and how many steps each holds."""
    ends = list(range(1, min(s, ONE_BY_ONE) + 1))
    while ends[-1] < s:
        ends.append(min(s + 1, max(ends[-1] + 1, int(ends[-1] * RATIO))))
    first = np.array([end for end in ends if end <= s])
    return first.astype(np.float64), np.diff([*first, s + 1]).astype(np.float64)


def _log_risk(b: float, delta: float) -> float:
    """``ln(1 / delta)``, with ln 2 more where there are two centres."""
    return float((np.log(2.0) if b > 1.0 else 0.0) - np.log(delta))
