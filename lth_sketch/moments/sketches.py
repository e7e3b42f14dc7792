"""S7: dense sketches of the same size, a yardstick for what s numbers can carry."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import methods, validation
from lth_sketch.product import Product
from lth_sketch.reduction import blocks
from lth_sketch.single_draw import CANCELLED
from lth_sketch.tolerances import EPS
from lth_sketch.validation import Floats


def gaussian(product: Product, s: npt.ArrayLike) -> Floats:
    """Return ``E ||A S S^T B - AB||_F^2`` for S (d, s) of independent N(0, 1/s) (S7).

    Parameters
    ----------
    product : Product
        The product AB.
    s : int or array of int
        Numbers of columns of S.

    Returns
    -------
    float, or array of the shape of `s`
        ``(||A||_F^2 ||B||_F^2 + ||AB||_F^2) / s``.

    Raises
    ------
    ValueError
        If `s` is below 1.

    References
    ----------
    This project, docs/theory.md, S7.

    Examples
    --------
    >>> print(gaussian(Product([[3.0, 4.0]], [1.0, 0.0]), [1, 2]))
    [34. 17.]
    """
    draws = validation.sizes(s)
    return _square(product, (_norms(product) + _value(product)) / draws)


def rademacher(product: Product, s: npt.ArrayLike) -> Floats:
    """Return ``E ||A S S^T B - AB||_F^2`` for S (d, s) of independent signs over sqrt(s) (S7).

    Parameters
    ----------
    product : Product
        The product AB.
    s : int or array of int
        Numbers of columns of S.

    Returns
    -------
    float, or array of the shape of `s`
        ``(||A||_F^2 ||B||_F^2 + ||AB||_F^2 - 2 sum u_i^2) / s``.

    Raises
    ------
    ValueError
        If `s` is below 1.

    References
    ----------
    This project, docs/theory.md, S7.

    Examples
    --------
    >>> print(rademacher(Product([[3.0, 4.0]], [1.0, 0.0]), [1, 2]))
    [16.  8.]
    """
    draws = validation.sizes(s)
    return _square(product, _signs(product) / draws)


def countsketch(product: Product, s: npt.ArrayLike) -> Floats:
    """Return ``E ||A S S^T B - AB||_F^2`` for the CountSketch (S7).

    Every row of S (d, s) has one entry, a fair sign, in a uniform column.

    Parameters
    ----------
    product : Product
        The product AB.
    s : int or array of int
        Numbers of columns of S.

    Returns
    -------
    float, or array of the shape of `s`
        The second moment, that of `rademacher`.

    Raises
    ------
    ValueError
        If `s` is below 1.

    References
    ----------
    Clarkson, Woodruff, Low-Rank Approximation and Regression in Input Sparsity Time, J. ACM 63
    (2017), for the sketch; this project, docs/theory.md, S7, for the moment.

    Examples
    --------
    >>> print(countsketch(Product([[3.0, 4.0]], [1.0, 0.0]), [1, 2]))
    [16.  8.]
    """
    return rademacher(product, s)


def sparse_signs(product: Product, s: npt.ArrayLike) -> Floats:
    """Return ``E ||A S S^T B - AB||_F^2`` for sparse signs, however many (S10).

    Every row of S (d, s) has k entries, fair signs over sqrt(k), in distinct uniform columns, or
    one in each of k blocks. For i != j ``E (S S^T)_ij^2 = 1/s`` whatever k is: more of them buy
    thinner tails, and nothing on average.

    Parameters
    ----------
    product : Product
        The product AB.
    s : int or array of int
        Numbers of columns of S.

    Returns
    -------
    float, or array of the shape of `s`
        The second moment, that of `countsketch` and of `rademacher`.

    Raises
    ------
    ValueError
        If `s` is below 1.

    References
    ----------
    Kane, Nelson, Sparser Johnson-Lindenstrauss Transforms, J. ACM 61 (2014), and Nelson, Nguyen,
    OSNAP, FOCS 2013, for the sketch; this project, docs/theory.md, S10, for the moment.

    Examples
    --------
    >>> print(sparse_signs(Product([[3.0, 4.0]], [1.0, 0.0]), [1, 2]))
    [16.  8.]
    """
    return rademacher(product, s)


def srht(product: Product, s: npt.ArrayLike, replace: bool = False) -> Floats:
    """Return ``E ||A S S^T B - AB||_F^2`` for the subsampled Hadamard transform (S7).

    Random signs, a Hadamard matrix of order D, the power of two from d (and 2) on, and s of its
    rows.

    Parameters
    ----------
    product : Product
        The product AB.
    s : int or array of int
        Numbers of rows drawn.
    replace : bool
        Draw the rows with replacement.

    Returns
    -------
    float, or array of the shape of `s`
        The second moment of `rademacher` with replacement; without, ``(D - s) / (D - 1)`` times
        that. Padding A and B with zeros changes nothing else.

    Raises
    ------
    ValueError
        If `s` is below 1, or above D without replacement.

    References
    ----------
    Ailon, Chazelle, The Fast Johnson-Lindenstrauss Transform and Approximate Nearest Neighbors,
    SIAM J. Comput. 39 (2009), for the transform; this project, docs/theory.md, S7.

    Examples
    --------
    >>> product = Product([[3.0, 4.0, 0.0]], [1.0, 0.0, 0.0])
    >>> print(srht(product, [1, 2, 4]).round(6), srht(product, 4, replace=True).round(6))
    [16.      5.333333  0.      ] 4.0
    """
    draws = validation.sizes(s)
    if replace:
        return _square(product, _signs(product) / draws)
    order = methods.hadamard_order(product.d)
    if draws.max() > order:
        raise ValueError(
            f"s must be at most {order}, the order of the Hadamard matrix for d = {product.d}; got "
            f"{draws.max()}; use replace=True to draw its rows with replacement"
        )
    return _square(product, _signs(product) / draws * ((order - draws) / (order - 1)))


def _norms(product: Product) -> float:
    """``||A||_F^2 ||B||_F^2`` in units of U^2."""
    left = np.linalg.norm(product.column_norms) / product.total
    return float(left * np.linalg.norm(product.row_norms)) ** 2


def _value(product: Product) -> float:
    return product.norm2 / product.total**2


def _signs(product: Product) -> float:
    """``sum over i < j of ||A_i B_j + A_j B_i||^2`` in units of U^2.

    It is a difference of three sums, unless one or two terms are nearly everything: what is left of
    these sums is then rounding. Then the pairs of the largest term are summed by themselves, and
    the rest is a smaller case.
    """
    total, unit = 0.0, product.total
    while True:
        relative = product.term_norms / product.total
        own = 2.0 * float(relative @ relative)
        plain = _norms(product) + _value(product)
        share = (product.total / unit) ** 2
        lost = CANCELLED * share * (plain + own)
        if plain - own >= CANCELLED * (plain + own) or lost < EPS * total:
            return total + max(0.0, plain - own) * share
        largest = int(relative.argmax())
        total += _pairs(product, largest) * share
        rest = np.arange(product.d) != largest
        if not product.term_norms[rest].any():
            sizes = (product.column_norms[rest], product.row_norms[rest])
            return total + float(np.linalg.norm(sizes[0]) / unit * np.linalg.norm(sizes[1])) ** 2
        product = Product(product.A[:, rest], product.B[rest])


def _pairs(product: Product, k: int) -> float:
    """``sum over j != k of ||A_k B_j + A_j B_k||^2`` in units of U^2: a sum of squares."""
    rows = product.B if product.B.ndim == 2 else product.B[:, None]
    along_a, across_a = _projected(product.A, k, product.column_norms[k])
    along_b, across_b = _projected(rows.T, k, product.row_norms[k])
    each = (product.term_norms[k] / product.total * (along_a + along_b)) ** 2
    each += (product.column_norms[k] / product.total) ** 2 * across_b
    each += (product.row_norms[k] / product.total) ** 2 * across_a
    each[k] = 0.0
    return float(each.sum())


def _projected(M: Any, k: int, norm: float) -> tuple[Floats, Floats]:
    """Return the columns of M by column k: multiples of it, and squared lengths across it."""
    column = M[:, [k]]
    direction = (column.toarray() if scipy.sparse.issparse(column) else column).ravel() / norm
    along = np.asarray(M.T @ direction)
    across = np.zeros(M.shape[1])
    for at, block in blocks(M):
        across += np.square(block - np.outer(direction[at], along)).sum(axis=0)
    return along / norm, across


def _square(product: Product, relative: Floats) -> Floats:
    return np.asarray(relative * product.total**2)[()]
