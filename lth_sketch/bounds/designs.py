"""S5 and D4 (d): priority and systematic samples, and the minimax Poisson design."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import validation
from lth_sketch.bounds import _floors
from lth_sketch.product import Product
from lth_sketch.systematic_draw import SystematicDraw
from lth_sketch.tolerances import EPS
from lth_sketch.validation import Floats


class PoissonMinimax(NamedTuple):
    """The Poisson design whose largest error is least, and that error."""

    worst: float
    inclusions: Floats


def priority(product: Product, s: npt.ArrayLike) -> Floats:
    """Return ``(U^2 - sum u_i^2) / (s - 1)``, a bound for priority samples with optimal p (S5).

    Parameters
    ----------
    product : Product
        The product AB.
    s : int or array of int
        Numbers of kept entries.

    Returns
    -------
    float, or array of the shape of `s`
        Bound on ``E ||err||_F^2`` of `sampling.draw` with ``p = probabilities.optimal(product)``
        and ``design="priority"``, sharper than the usual ``U^2 / (s - 1)``. Infinite for s = 1, and
        zero where s entries are all that is not zero.

    Raises
    ------
    ValueError
        If `s` is below 1.

    References
    ----------
    Szegedy, The DLT priority sampling is essentially optimal, STOC 2006, for ``U^2 / (s - 1)``;
    this project, docs/theory.md, S5.

    Examples
    --------
    >>> print(priority(Product([[1.0] * 4], [1.0] * 4), [1, 2, 3, 4]))
    [inf 12.  6.  0.]
    """
    draws = validation.sizes(s)
    relative = product.term_norms / product.total
    # What the others have, for each: no difference, for the largest term may be nearly everything.
    others = 1.0 - relative
    largest = int(relative.argmax())
    others[largest] = relative[:largest].sum() + relative[largest + 1 :].sum()
    off_diagonal = float(relative @ others)
    bound = np.full(draws.shape, np.inf)
    np.divide(off_diagonal, draws - 1.0, out=bound, where=draws > 1)
    bound[draws >= np.count_nonzero(relative)] = 0.0
    return np.asarray(bound * product.total**2)[()]


def systematic(product: Product, p: npt.ArrayLike, s: npt.ArrayLike, delta: float) -> Floats:
    """Return the quantile of ``||err||_F`` of a systematic sample, exactly (S5).

    The error has at most d + 1 values, of known probabilities: no inequality is needed.

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Weights >= 0, normalised here; positive wherever the product's term is not zero.
    s : int or array of int
        Numbers of kept entries, at most the number of nonzero `p`.
    delta : float
        Risk, in (0, 1).

    Returns
    -------
    float, or array of the shape of `s`
        The least number that the error exceeds with probability at most `delta`.

    Raises
    ------
    ValueError
        If `p` would bias the estimate or does not fit, `s` is below 1 or too large, or `delta` is
        no risk.

    References
    ----------
    This project, docs/theory.md, S5.

    Examples
    --------
    >>> product = Product([[1.0, -1.0, 1.0, -1.0]], [1.0] * 4)
    >>> print(systematic(product, [1] * 4, [1, 2], 0.1))
    [4. 4.]
    """
    draws = validation.sizes(s)
    delta = validation.risk("delta", delta)
    sizes, where = np.unique(draws, return_inverse=True)
    quantiles = np.array(
        [SystematicDraw.of(product, p, int(size)).quantile(delta) for size in sizes]
    )
    exact = quantiles[where.reshape(draws.shape)]
    return np.asarray((exact + _floors.of(product, p, draws, "systematic")) * product.total)[()]


def poisson_minimax(w: npt.ArrayLike, s: int, alpha: float = 1.0) -> PoissonMinimax:
    """Return the Poisson design of size s whose worst case over the data is least (D4 d).

    Parameters
    ----------
    w : (d,) array
        Weights of one output, not all zero.
    s : int
        Expected number of kept entries.
    alpha : float
        Size of the data X, > 0: all X with ``||X||_F <= alpha`` are allowed.

    Returns
    -------
    worst : float
        ``alpha^2 c``, the largest ``E ||X diag(m) w - X w||^2``; zero if at most s weights are not
        zero. It is attained by the data of any single feature with a nonzero weight.
    inclusions : (d,) array
        ``w_i^2 / (w_i^2 + c)``, summing to s.

    Raises
    ------
    ValueError
        If `w` is all zero, not finite or not a vector, `s` is below 1, or `alpha` is not positive.

    References
    ----------
    This project, docs/theory.md, D4.

    Examples
    --------
    >>> worst, inclusions = poisson_minimax([1.0, 1.0, 1.0, 1.0], 1)
    >>> round(worst, 6), inclusions.round(6)
    (3.0, array([0.25, 0.25, 0.25, 0.25]))
    """
    s = validation.count("s", s)
    alpha = validation.number("alpha", alpha, low=0.0, high=np.inf, closed=False)
    sizes = validation.weights("w", np.abs(validation.vector("w", w))).astype(np.float64)
    scale = float(sizes.max())
    sizes /= scale
    if np.count_nonzero(sizes) <= s:
        return PoissonMinimax(0.0, (sizes > 0).astype(np.float64))
    # The sum falls in the root of c, from above s to below it between these two.
    low = float(np.sort(sizes)[-s - 1]) / np.sqrt(s)
    high = float(np.linalg.norm(sizes)) / np.sqrt(s)

    def excess(log_root: float) -> float:
        return float(_inclusions(sizes, np.exp(log_root)).sum()) - s

    # A little further, against rounding.
    root = float(np.exp(scipy.optimize.brentq(excess, np.log(low) - 1, np.log(high) + 1, xtol=EPS)))
    return PoissonMinimax((alpha * scale * root) ** 2, _inclusions(sizes, root))


def _inclusions(sizes: Floats, root: float) -> Floats:
    with np.errstate(over="ignore", divide="ignore"):
        return np.asarray(1.0 / (1.0 + (root / sizes) ** 2))
