"""S11: methods whose estimate of AB is biased; mean square errors in two parts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import validation
from lth_sketch.product import Product
from lth_sketch.validation import Floats

# From so large a c on the hypergeometric series needs no more than so many terms.
FAST, TERMS = 50.0, 24
# From so large an argument on the asymptotic series of the gamma function is exact.
LARGE = 1000.0


class MeanSquare(NamedTuple):
    """A mean square error, ``E ||estimate - AB||_F^2``, in its two parts.

    Attributes
    ----------
    bias2 : float or array
        ``||E estimate - AB||_F^2``, which no averaging of estimates reduces.
    variance : float or array
        ``E ||estimate - E estimate||_F^2``.
    """

    bias2: Floats
    variance: Floats

    @property
    def total(self) -> Floats:
        """The mean square error itself."""
        return self.bias2 + self.variance


def norm_corrected(product: Product, s: npt.ArrayLike) -> MeanSquare:
    """Return the mean square error of a Gaussian sketch with true norms, in two parts (S11).

    Entry (j, k) of the estimate is ``||a_j|| ||b_k||`` times the empirical correlation r of s
    Gaussian pairs whose correlation is the cosine rho of row j of A and column k of B.

    Parameters
    ----------
    product : Product
        The product AB; AB itself is formed.
    s : int or array of int
        Numbers of columns of the sketch.

    Returns
    -------
    MeanSquare
        Each part a float, or an array of the shape of `s`, right to a few eps of
        ``||A||_F^2 ||B||_F^2``. The bias is ``O(1 / s)`` of each entry, towards zero.

    Raises
    ------
    ValueError
        If `s` is below 1.

    References
    ----------
    Hotelling, New Light on the Correlation Coefficient and its Transforms, J. R. Stat. Soc. B 15
    (1953), section 6, for the moments of r; this project, docs/theory.md, S11.

    Examples
    --------
    With a single column the estimate is a sign times the norms:

    >>> split = norm_corrected(Product([[1.0, 0.0]], [1.0, 1.0]), 1)
    >>> print(round(float(split.bias2), 6), round(float(split.variance), 6))
    0.085786 1.5
    """
    sizes = validation.sizes(s)
    norms2 = np.multiply.outer(_row_squares(product.A), _row_squares(product.B.T))
    norms2 = np.reshape(norms2, np.shape(product.value)) / product.total**2
    value = product.value.astype(np.float64) / product.total
    rho2 = np.divide(value * value, norms2, out=np.zeros_like(value), where=norms2 > 0)
    rho2 = np.minimum(rho2, 1.0)
    parts = np.array([_correlation(value, norms2, rho2, float(size)) for size in sizes.flat])
    bias2, variance = (parts * product.total**2).T.reshape(2, *sizes.shape)
    return MeanSquare(np.asarray(bias2)[()], np.asarray(variance)[()])


def _correlation(value: Floats, norms2: Floats, rho2: Floats, s: float) -> tuple[float, float]:
    """Return squared bias and variance of all entries, for correlations of s pairs."""
    # E r / rho and E r^2, by Hotelling's series with s degrees of freedom, the means being known.
    shrink = _gamma_ratio(s / 2) * _hypergeometric(0.5, s / 2 + 1, rho2)
    square = 1.0 - (s - 1.0) / s * _vanishing(s, rho2)
    bias = value * (1.0 - shrink)
    spread = norms2 * square - (value * shrink) ** 2
    return float((bias * bias).sum()), max(0.0, float(spread.sum()))


def _vanishing(s: float, x: Floats) -> Floats:
    """Return ``(1 - x) 2F1(1, 1; s/2 + 1; x)`` for x in [0, 1], where it falls to 0.

    For one and two pairs the series itself grows without limit towards 1.
    """
    if s == 1.0:
        # Euler's transformation.
        return np.asarray(np.sqrt(1.0 - x) * scipy.special.hyp2f1(0.5, 0.5, 1.5, x))
    if s == 2.0:
        inside = np.where((x > 0.0) & (x < 1.0), x, 0.5)
        logarithm = -(1.0 - inside) * np.log1p(-inside) / inside
        return np.where(x >= 1.0, 0.0, np.where(x > 0.0, logarithm, 1.0))
    return np.asarray((1.0 - x) * _hypergeometric(1.0, s / 2 + 1, x))


def _gamma_ratio(x: float) -> float:
    """Return ``(Gamma(x + 1/2) / Gamma(x))^2 / x``."""
    if x < LARGE:
        difference = scipy.special.gammaln(x + 0.5) - scipy.special.gammaln(x)
        return float(np.exp(2.0 * difference)) / x
    # The asymptotic series: differences of logarithms of large numbers lose digits.
    inverse = 1.0 / x
    rest = 1.0 / 32 + inverse * (1.0 / 128 - inverse * 5.0 / 2048)
    return 1.0 + inverse * (-0.25 + inverse * rest)


def _hypergeometric(a: float, c: float, x: Floats) -> Floats:
    """Return ``2F1(a, a; c; x)`` for x in [0, 1] and a <= 1."""
    if c < FAST:
        return np.asarray(scipy.special.hyp2f1(a, a, c, x))
    # The gamma functions of scipy's formula overflow; the series falls off as 1 / binom(c + n, n).
    term = np.ones_like(x)
    total = term.copy()
    for n in range(TERMS):
        term = term * ((a + n) ** 2 / ((c + n) * (n + 1.0))) * x
        total += term
    return total


def _row_squares(A: Any) -> Floats:
    """Return the squared norms of the rows of a matrix; of a vector, its own."""
    if scipy.sparse.issparse(A):
        wide = A.astype(np.float64)
        return np.asarray(wide.multiply(wide).sum(axis=1)).ravel()
    rows = np.atleast_2d(np.asarray(A, dtype=np.float64))
    return np.asarray(np.einsum("ji,ji->j", rows, rows))


def truncated(product: Product, s: npt.ArrayLike) -> Floats:
    """Return ``||AB - (AB)_s||_F^2``, the error of the best product of rank s (S11).

    No method of inner dimension s has a smaller one. It is no random error: all of it is bias.

    Parameters
    ----------
    product : Product
        The product AB; AB itself is formed and decomposed.
    s : int or array of int
        Ranks.

    Returns
    -------
    float, or array of the shape of `s`
        Sum of the squared singular values of AB beyond the s largest.

    Raises
    ------
    ValueError
        If `s` is below 1.

    References
    ----------
    Eckart, Young, The Approximation of One Matrix by Another of Lower Rank, Psychometrika 1 (1936).

    Examples
    --------
    >>> print(truncated(Product(np.diag([3.0, 2.0, 1.0]), np.eye(3)), [1, 2, 3]).round(6))
    [5. 1. 0.]
    """
    sizes = validation.sizes(s)
    value = product.value.astype(np.float64) / product.total
    sigma = np.linalg.svd(value.reshape(product.q, product.r), compute_uv=False)
    beyond = np.append(np.cumsum(np.square(sigma)[::-1])[::-1], 0.0)
    return np.asarray(beyond[np.minimum(sizes, len(sigma))] * product.total**2)[()]
