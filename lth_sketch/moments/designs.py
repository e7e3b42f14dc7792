"""S4 and S5: Poisson, systematic and priority samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from lth_sketch import probabilities, validation
from lth_sketch.designs import DESIGNS
from lth_sketch.inclusion import quadrature
from lth_sketch.kernels import moments as kernels
from lth_sketch.product import Product
from lth_sketch.systematic_draw import SystematicDraw
from lth_sketch.validation import Floats


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
    return each_size("poisson", _poisson, product, p, s)


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
    return each_size("systematic", _systematic, product, p, s)


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
    return each_size("priority", _priority, product, p, s)


def each_size(
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
    values = np.array([moment(product, weights, int(size)) for size in sizes])
    return np.asarray(values[where.reshape(draws.shape)] * product.total**2)[()]


def _poisson(product: Product, p: Floats, s: int) -> float:
    pi = probabilities.inclusion(p, s, design="poisson")
    kept = pi > 0
    u = product.term_norms[kept] / product.total
    with np.errstate(over="ignore"):
        return float((u * (u / pi[kept] * (1.0 - pi[kept]))).sum())


def _systematic(product: Product, p: Floats, s: int) -> float:
    law = SystematicDraw.of(product, p, s)
    return float(np.square(np.sqrt(law.chances) * law.errors).sum())


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
    rule = quadrature.rule(q, s)
    integrand = np.empty(len(rule.nodes))
    kernels.priority(q, gains, s, rule.nodes, integrand)
    # Beyond the last panel the chances are one.
    return float(rule.shares @ integrand + gains @ np.maximum(0.0, 1.0 / rule.stop - q))
