"""S2, S3, S6 and the W of B7: draws with replacement, and the mask that is not drawn at all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lth_sketch import validation
from lth_sketch.designs import DESIGNS
from lth_sketch.inclusion.designs import repeated
from lth_sketch.product import Product
from lth_sketch.single_draw import SingleDraw
from lth_sketch.validation import Floats

# Chances that are held at a time.
ENTRIES = 1 << 20


def multinomial(product: Product, p: npt.ArrayLike, s: npt.ArrayLike) -> Floats:
    """Return ``E ||A diag(m) B - AB||_F^2`` for s draws with replacement (S2).

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Weights >= 0, normalised here; positive wherever the product's term is not zero.
    s : int or array of int
        Numbers of draws.

    Returns
    -------
    float, or array of the shape of `s`
        ``(sum u_i^2 / p_i - ||AB||_F^2) / s``.

    Raises
    ------
    ValueError
        If `p` would bias the estimate or does not fit, or `s` is below 1.

    References
    ----------
    Drineas, Kannan, Mahoney, Fast Monte Carlo Algorithms for Matrices I, SIAM J. Comput. 36
    (2006), section 4.

    Examples
    --------
    >>> product = Product([[3.0, 4.0]], [1.0, 1.0])
    >>> print(multinomial(product, [1, 1], [2, 4]).round(6))
    [0.5  0.25]
    """
    draws = validation.sizes(s)
    return _square(product, SingleDraw.of(product, p).T / draws)


def optimal(product: Product, s: npt.ArrayLike) -> Floats:
    """Return the least second moment of s draws with replacement, ``(U^2 - ||AB||^2) / s`` (S3).

    Parameters
    ----------
    product : Product
        The product AB.
    s : int or array of int
        Numbers of draws.

    Returns
    -------
    float, or array of the shape of `s`
        The second moment at ``p = probabilities.optimal(product)``; any other p costs
        ``U^2 chi2(optimal || p) / s`` more.

    Examples
    --------
    >>> print(optimal(Product([[3.0, 4.0]], [1.0, -1.0]), [1, 12]))
    [48.  4.]
    """
    draws = validation.sizes(s)
    return _square(product, SingleDraw(product, product.term_norms).T / draws)


def top(product: Product, p: npt.ArrayLike, s: npt.ArrayLike) -> Floats:
    """Return ``||A_R B_R||_F^2``, the error of keeping the s largest p with weight 1 (S6).

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Scores >= 0; ties go to the lower index. Zeros may be kept and lost like any other.
    s : int or array of int
        Numbers of kept entries, at most d.

    Returns
    -------
    float, or array of the shape of `s`
        Squared error, zero at s = d. There is no guarantee of any decay in s.

    Raises
    ------
    ValueError
        If `s` exceeds d, or `p` does not fit.

    Examples
    --------
    >>> print(top(Product([[3.0, 4.0, 5.0]], [1.0, 1.0, 1.0]), [1, 1, 2], [1, 2, 3]))
    [49. 16.  0.]
    """
    draws = validation.sizes(s)
    scores = validation.weights("p", p, size=product.d)
    DESIGNS["top"].check(int(draws.max()), scores)
    order = np.argsort(-scores, kind="stable")
    removed = np.zeros(product.unit_factor.shape[1])
    stop, errors = product.d, {product.d: 0.0}
    for kept in np.unique(draws)[::-1]:
        removed += product.unit_factor[order[kept:stop]].sum(axis=0)
        stop = int(kept)
        errors[stop] = float(removed @ removed)
    return _square(product, np.array([errors[int(k)] for k in draws.flat]).reshape(draws.shape)[()])


def distinct(p: npt.ArrayLike, s: npt.ArrayLike) -> Floats:
    """Return the expected number of distinct entries among s draws with replacement (S2).

    Parameters
    ----------
    p : (d,) array
        Weights >= 0, normalised here.
    s : int or array of int
        Numbers of draws; more than d are allowed.

    Returns
    -------
    float, or array of the shape of `s`
        ``sum 1 - (1 - p_i)^s``: compare designs at equal kept fractions, not at equal s.

    Examples
    --------
    >>> print(distinct([1, 1], [1, 2]))
    [1.  1.5]
    """
    weights, sizes = validation.probabilities("p", p), validation.sizes(s)
    result = np.zeros(sizes.shape)
    # Blocks of entries: of many sizes and many entries together the chances would fill the memory.
    width = max(1, ENTRIES // sizes.size)
    for start in range(0, len(weights), width):
        result += repeated(weights[start : start + width], sizes).sum(axis=-1)
    return result[()]


def variance(product: Product, p: npt.ArrayLike, s: npt.ArrayLike) -> Floats:
    """Return ``Var ||A diag(m) B - AB||_F^2`` for s draws with replacement (W of B7).

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Weights >= 0, normalised here; positive wherever the product's term is not zero.
    s : int or array of int
        Numbers of draws.

    Returns
    -------
    float, or array of the shape of `s`
        ``(E ||Y||^4 - T^2 + 2 (s - 1) ||Sigma||_F^2) / s^3``, in the units of ``||AB||^4``:
        infinite or zero where a fourth power leaves float64.

    Examples
    --------
    >>> product = Product([[3.0, 4.0]], [1.0, 1.0])
    >>> print(variance(product, [1, 1], [1, 2]).round(6))
    [0.   0.25]
    """
    draws = validation.sizes(s).astype(np.float64)
    scale = product.total
    with np.errstate(over="ignore"):
        return SingleDraw.of(product, p).variance(draws) * scale * scale * scale * scale


def _square(product: Product, relative: Floats) -> Floats:
    return relative * product.total**2
