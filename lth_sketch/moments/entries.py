"""S11: matrices whose entries are sampled one by one, or held in eight bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import methods, probabilities, validation
from lth_sketch.conversion import dense
from lth_sketch.product import Product
from lth_sketch.validation import Floats


def elementwise(product: Product, s: npt.ArrayLike) -> Floats:
    """Return ``E ||A~ B~ - AB||_F^2`` for matrices of which single entries are kept (S11).

    Parameters
    ----------
    product : Product
        The product AB.
    s : int or array of int
        Entries kept in each row of A and in each column of B, on average over all of them.

    Returns
    -------
    float, or array of the shape of `s`
        With the variances ``v_ji = A_ji^2 (1 / pi_ji - 1)``, added up over j to ``v_i``, likewise
        ``w_i`` for row i of B: ``sum_i v_i b_i^2 + a_i^2 w_i + v_i w_i``.

    Raises
    ------
    ValueError
        If `s` is below 1.

    References
    ----------
    Achlioptas, McSherry, Fast Computation of Low-Rank Matrix Approximations, J. ACM 54 (2007), for
    the sketch; this project, docs/theory.md, S11, for the moment.

    Examples
    --------
    >>> print(elementwise(Product([[3.0, 1.0]], [1.0, 1.0]), [1, 2]))
    [22.  0.]
    """
    sizes = validation.sizes(s)
    left, right = _operands(product)
    spread = [
        (_dropped(left, int(size) * product.q), _dropped(right, int(size) * product.r))
        for size in sizes.flat
    ]
    moments = np.array([_square(product, v, w) for v, w in spread])
    return np.asarray(moments.reshape(sizes.shape))[()]


def int8(product: Product, s: int = methods.LEVELS, *, stochastic: bool = False) -> float:
    """Return the mean square error of matrices in eight bits (S11).

    Every row of A and column of B is held as integers from -s to s times a scale of its own.

    Parameters
    ----------
    product : Product
        The product AB.
    s : int
        Levels of each sign, at most 127.
    stochastic : bool
        Rounded at random, without bias, and exact on average over roundings; otherwise to the
        nearest, and the result is the squared error itself, all of it bias.

    Returns
    -------
    float
        ``E ||A~ B~ - AB||_F^2``.

    Raises
    ------
    ValueError
        If `s` is below 1 or above 127.

    References
    ----------
    This project, docs/theory.md, S11.

    Examples
    --------
    >>> product = Product([[2.0, 1.0]], [1.0, 1.0])
    >>> print(int8(product, 1), int8(product, 1, stochastic=True))
    1.0 1.0
    """
    s = validation.count("s", s)
    if s > methods.LEVELS:
        raise ValueError(f"s must be at most {methods.LEVELS}, the levels of eight bits; got {s}")
    B = product.B if product.B.ndim == 2 else product.B[:, None]
    operands = [dense(product.A), dense(B.T)]
    scales = [np.abs(M).max(axis=1, keepdims=True) / s for M in operands]
    # Whoever is half-way between two levels goes where the quotient of the very entries goes.
    levels = [
        np.divide(M, scale, out=np.zeros_like(M), where=scale > 0)
        for M, scale in zip(operands, scales, strict=True)
    ]
    # A in units of U, as below.
    operands[0] = operands[0] / product.total
    scales[0] = scales[0] / product.total
    if stochastic:
        spread = []
        for level, scale in zip(levels, scales, strict=True):
            part = level - np.floor(level)
            spread.append((part * (1.0 - part) * scale**2).sum(axis=0))
        return _square(product, *spread)
    left, right = operands
    rounded = [np.rint(level) * scale for level, scale in zip(levels, scales, strict=True)]
    gap = rounded[0] @ (rounded[1] - right).T + (rounded[0] - left) @ right.T
    return float(np.einsum("jk,jk->", gap, gap)) * product.total**2


def _operands(product: Product) -> tuple[Any, Any]:
    """Return A / U and B^T, whose product is in units of U, as sparse arrays."""
    A = scipy.sparse.csr_array(product.A, dtype=np.float64) / product.total
    B = product.B if product.B.ndim == 2 else product.B[:, None]
    return A, scipy.sparse.csr_array(B.T, dtype=np.float64)


def _dropped(M: Any, size: int) -> Floats:
    """Return the variances of the entries kept, `size` on average, added up over each column."""
    compressed = M.tocsc()
    compressed.eliminate_zeros()
    if size >= compressed.nnz:
        return np.zeros(M.shape[1])
    pi = probabilities.inclusion(abs(compressed.data), size, design="poisson")
    variances = compressed.copy()
    variances.data = compressed.data * (compressed.data / pi * (1.0 - pi))
    return np.asarray(variances.sum(axis=0)).ravel()


def _square(product: Product, left: Floats, right: Floats) -> float:
    """Return the moment of independent entries with these variances, of A / U and of B."""
    a2 = (product.column_norms / product.total) ** 2
    b2 = product.row_norms**2
    return float((left * b2 + a2 * right + left * right).sum()) * product.total**2
