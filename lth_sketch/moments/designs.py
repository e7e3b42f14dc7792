"""S4 and S5: Poisson, systematic and priority samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import probabilities, validation
from lth_sketch.designs import DESIGNS
from lth_sketch.kernels import moments as kernels
from lth_sketch.product import Product
from lth_sketch.validation import Floats

# Every float64 is a multiple of 1 / UNIT.
UNIT = 1 << 1074
# Laws are taken for settled where Bernstein's inequality leaves less than exp(-40) of the other
# outcome above, exp(-80) below: small errors of entries that are almost surely kept count there.
BELOW, ABOVE = -80.0, 40.0
# Gauss-Legendre nodes for a panel of at most so much of the width over which the law changes.
WIDTHS = (1 / 256, 1 / 32, 1 / 8, 3 / 8)
NODES = (2, 3, 4, 6, 12)
# End of the first panel, where the mean number of events is the same or lower.
FIRST = 0.25
# Variance below which a law changes no faster all the same: it counts whole events.
SPREAD = 0.25


def poisson(product: Product, p: npt.ArrayLike, s: npt.ArrayLike) -> Floats:
    """Return ``E ||A diag(m) B - AB||_F^2`` for independent inclusions (S4).

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Weights >= 0, normalised here; positive wherever the product's term is not zero.
    s : int or array of int
        Expected numbers of kept entries, at most the number of nonzero `p`.

    Returns
    -------
    float, or array of the shape of `s`
        ``sum u_i^2 (1 / pi_i - 1)`` with the inclusion probabilities pi. For the optimal `p` this
        is the least of all Poisson designs of that expected size.

    Raises
    ------
    ValueError
        If `p` would bias the estimate or does not fit, or `s` is below 1 or too large.

    References
    ----------
    Tillé, Sampling Algorithms, Springer 2006, section 5.4.

    Examples
    --------
    >>> product = Product([[1.0, 1.0, 6.0]], [1.0, 1.0, 1.0])
    >>> print(poisson(product, probabilities.optimal(product), [1, 2, 3]))
    [26.  2.  0.]
    """
    return _each_size("poisson", _poisson, product, p, s)


def systematic(product: Product, p: npt.ArrayLike, s: npt.ArrayLike) -> Floats:
    """Return ``E ||A diag(m) B - AB||_F^2`` for a systematic sample (S5).

    The sample changes at d starts at most: the error is averaged over the intervals between them.
    It depends on the order of the features.

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Weights >= 0, normalised here; positive wherever the product's term is not zero.
    s : int or array of int
        Numbers of kept entries, at most the number of nonzero `p`.

    Returns
    -------
    float, or array of the shape of `s`
        ``sum_ij H_ij (pi_ij / (pi_i pi_j) - 1)``, from the factor of S0.

    Raises
    ------
    ValueError
        If `p` would bias the estimate or does not fit, `s` is below 1 or too large, or the factor
        of S0 does not fit into memory.

    References
    ----------
    Tillé, Sampling Algorithms, Springer 2006, section 7.1.

    Examples
    --------
    The error knows how terms cancel, and in which order they come:

    >>> print(systematic(Product([[1.0, 1.0, -1.0, -1.0]], [1.0] * 4), [1] * 4, 2))
    0.0
    >>> print(systematic(Product([[1.0, -1.0, 1.0, -1.0]], [1.0] * 4), [1] * 4, 2).round(6))
    16.0
    """
    return _each_size("systematic", _systematic, product, p, s)


def priority(product: Product, p: npt.ArrayLike, s: npt.ArrayLike) -> Floats:
    """Return ``E ||A diag(m) B - AB||_F^2`` for a priority sample (S5), by quadrature.

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Weights >= 0, normalised here; positive wherever the product's term is not zero.
    s : int or array of int
        Numbers of kept entries, at most the number of nonzero `p`.

    Returns
    -------
    float, or array of the shape of `s`
        ``sum u_i^2 / p_i int_{p_i}^inf P(at least s of the others have p_j / v_j > x) dx``, to
        better than 1e-9 of it: zero when everything is kept, otherwise infinite for s = 1.

    Raises
    ------
    ValueError
        If `p` would bias the estimate or does not fit, or `s` is below 1 or too large.

    Notes
    -----
    The cost is that of some hundred laws of d independent events, d (s + 10 sqrt(s)) operations
    each, and of a few more for every entry that is likely to be kept: below 0.3 s for d = 784, half
    a minute for d = 10,000 and s = 5000.

    References
    ----------
    Duffield, Lund, Thorup, Priority sampling for estimation of arbitrary subset sums, J. ACM 54
    (2007), section 1.2; this project, docs/theory.md, S5.

    Examples
    --------
    With d equal terms the integral can be done by hand, d (d - s) / (s - 1):

    >>> print(priority(Product([[1.0] * 4], [1.0] * 4), [1] * 4, [1, 2, 3, 4]).round(6))
    [inf  8.  2.  0.]
    """
    return _each_size("priority", _priority, product, p, s)


def _each_size(
    design: str,
    moment: Callable[[Product, Floats, int], float],
    product: Product,
    p: npt.ArrayLike,
    s: npt.ArrayLike,
) -> Floats:
    """Return the moment, which is relative to ``U^2``, for each size."""
    draws = validation.sizes(s)
    weights = validation.covering(p, product.term_norms)
    DESIGNS[design].check(int(draws.max()), weights)
    sizes, where = np.unique(draws, return_inverse=True)
    found = np.array([moment(product, weights, int(size)) for size in sizes])
    return np.asarray(found[where.reshape(draws.shape)] * product.total**2)[()]


def _poisson(product: Product, p: Floats, s: int) -> float:
    pi = probabilities.inclusion(p, s, design="poisson")
    kept = pi > 0
    u = product.term_norms[kept] / product.total
    with np.errstate(over="ignore"):
        return float((u * (u / pi[kept] * (1.0 - pi[kept]))).sum())


def _systematic(product: Product, p: Floats, s: int) -> float:
    pi = probabilities.inclusion(p, s, design="systematic")
    live = np.flatnonzero(pi)
    pi = pi[live]
    # In integers, for the length of an interval can be far below the rounding of its ends.
    steps = [top * (UNIT // bottom) for top, bottom in map(float.as_integer_ratio, pi)]
    # What rounding leaves goes to the largest that is not sure, unless all of these are nothing.
    loose = np.where(pi < 1.0, pi, 0.0)
    largest = int((loose if loose.sum() > 0.5 else pi).argmax())
    steps[largest] += s * UNIT - sum(steps)
    ends = list(accumulate(steps))
    # An entry is in the first sample when a multiple of the unit is in [start, end) of its step. It
    # may be so twice: a sure one, longer than the unit by rounding.
    first = np.diff(np.array([(end - 1) // UNIT for end in [0, *ends]]))
    leaving = sorted((end % UNIT, i) for i, end in enumerate(ends) if end % UNIT)
    places = [0, *(place for place, _ in leaving), UNIT]
    lengths = [(b - a) / UNIT for a, b in pairwise(places)]
    order = np.array([i for _, i in leaving], dtype=np.int64)
    C = np.ascontiguousarray(product.unit_factor[live])
    return kernels.systematic(C, 1.0 / pi, first, order, np.array(lengths))


def _priority(product: Product, p: Floats, s: int) -> float:
    order = np.argsort(-p, kind="stable")[: np.count_nonzero(p)]
    if s == len(order):
        return 0.0
    if s == 1:
        return np.inf
    q = p[order]
    u = product.term_norms[order] / product.total
    with np.errstate(over="ignore"):
        gains = u * (u / q)
    stop, z, shares = _quadrature(q, s)
    integrand = np.empty(len(z))
    kernels.priority(q, gains, s, z, integrand)
    # Beyond the last panel the chances are one.
    return float(shares @ integrand + gains @ np.maximum(0.0, 1.0 / stop - q))


def _quadrature(q: Floats, s: int) -> tuple[float, Floats, Floats]:
    """Return where the law of S5 (c) is settled, and nodes and weights in z = 1 / x up to there.

    The integrand is smooth between kinks at ``1 / q_i``, and no law of independent events changes
    over less than its standard deviation: panels end at both.
    """
    kinks = 1.0 / np.maximum(q, np.finfo(np.float64).tiny)
    # Sums of q and of q^2 from each entry on.
    sums, squares = (np.append(np.cumsum(x[::-1])[::-1], 0.0) for x in (q, q * q))

    def law(z: Floats | float) -> tuple[Floats, Floats]:
        """Return mean and variance of the number of events."""
        sure = np.searchsorted(kinks, z, side="right")
        mean = sums[sure] * z
        return sure + mean, np.maximum(0.0, mean - squares[sure] * z * z)

    def width(z: Floats | float) -> Floats:
        sure = np.searchsorted(kinks, z, side="right")
        spread = np.sqrt(np.maximum(SPREAD, law(z)[1]))
        return np.asarray(np.minimum(z, spread / sums[sure]))

    def settled(z: float) -> float:
        """Bernstein's exponent, negative where fewer than s is the likely outcome."""
        mean, variance = law(z)
        gap = float(mean) - s
        return math.copysign(gap * gap / (2.0 * (float(variance) + abs(gap) / 3.0)), gap)

    # With s + 1 sure entries everyone has s others.
    start = _crossing(settled, BELOW, FIRST, kinks[s])
    stop = _crossing(settled, ABOVE, FIRST, kinks[s])
    edges = [0.0, FIRST] if start == FIRST else [start]
    while edges[-1] < stop:
        edges.append(edges[-1] + float(width(edges[-1])))
    edges[-1] = stop
    inner = kinks[(kinks > edges[0]) & (kinks < stop)]
    panels = np.unique(np.concatenate([edges, inner]))
    middle, half = (panels[1:] + panels[:-1]) / 2, np.diff(panels) / 2
    rule = np.searchsorted(WIDTHS, 2.0 * half / width(middle))
    nodes, shares = [], []
    for k, count in enumerate(NODES):
        places, parts = np.polynomial.legendre.leggauss(count)
        nodes.append((middle[rule == k, None] + half[rule == k, None] * places).ravel())
        shares.append((half[rule == k, None] * parts).ravel())
    z = np.concatenate(nodes)
    order = np.argsort(z)
    return stop, z[order], np.concatenate(shares)[order]


def _crossing(rising: Callable[[float], float], level: float, low: float, high: float) -> float:
    """Return where a function reaches a level: an end of the interval if it does so nowhere."""
    if rising(low) >= level:
        return low
    if rising(high) <= level:
        return high
    return math.exp(
        scipy.optimize.bisect(lambda t: rising(math.exp(t)) - level, math.log(low), math.log(high))
    )
