"""B5 and E4: the kernel in the spectral norm, and the model retrained under the mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import validation
from lth_sketch.product import LARGEST, Product
from lth_sketch.reduction import reduce
from lth_sketch.tolerances import EPS
from lth_sketch.validation import Floats


def spectral(
    A: Any, p: npt.ArrayLike, s: npt.ArrayLike, delta: float, *, ridge: float = 0.0
) -> Floats:
    """Bound ``||A diag(m) A^T - A A^T||_2`` by matrix Bernstein, whitened if ridge > 0 (B5).

    Parameters
    ----------
    A : (q, d) array or CSR/CSC matrix
        Data, features in columns; the kernel is K = A A^T.
    p : (d,) array
        Weights >= 0, normalised here; positive wherever the column of A is not zero.
    s : int or array of int
        Numbers of draws.
    delta : float
        Risk, in (0, 1).
    ridge : float
        lam >= 0. If positive the bound is on
        ``||K_lam^{-1/2} (A diag(m) A^T - K) K_lam^{-1/2}||_2`` with K_lam = K + lam I: the eps of
        `retrained`. `probabilities.leverage` is the draw for it.

    Returns
    -------
    float, or array of the shape of `s`
        ``l L / (3 s) + sqrt((l L / (3 s))^2 + 2 v l / s)`` with ``l = log(2 rank(A) / delta)``,
        the largest ``L = max ||A_i||^2 / p_i`` and the exact variance
        ``v = ||sum ||A_i||^2 A_i A_i^T / p_i - K^2||_2``, all whitened if ridge > 0. It holds with
        probability at least 1 - delta.

    Raises
    ------
    ValueError
        If `A` is all zero or not finite, `p` would bias the estimate or does not fit, `s` is below
        1, `delta` is no risk, or `ridge` is negative or infinite.

    References
    ----------
    Tropp, An Introduction to Matrix Concentration Inequalities, Found. Trends Mach. Learn. 8
    (2015), chapter 6; docs/theory.md, B5.

    Examples
    --------
    >>> A = np.eye(2)
    >>> print(spectral(A, [1, 1], [10, 1000], 0.05).round(3))
    [1.273 0.097]
    """
    draws = validation.sizes(s).astype(np.float64)
    risk = validation.risk("delta", delta)
    lam = validation.number("ridge", ridge, low=0.0, high=np.finfo(np.float64).max)
    A = validation.matrix("A", A)
    norms = Product(A, np.ones(A.shape[1])).column_norms
    draw = validation.covering(p, norms)
    # The kernel acts on the range of A: everything below is in the basis of left singular vectors.
    reduced = reduce(A, np.empty((A.shape[0], 0)))
    _, sigma, Vt = reduced.spectrum(reduced.R)
    if lam > 0:
        gains, unit = 1.0 / np.sqrt(1.0 + lam / sigma**2), 1.0
        terms = gains[:, None] * Vt
        squares = (terms * terms).sum(axis=0)
    else:
        gains, unit = sigma / sigma[0], float(sigma[0]) ** 2
        terms = gains[:, None] * Vt
        squares = (norms / sigma[0]) ** 2
    live = norms > 0
    with np.errstate(over="ignore"):
        ratios = np.divide(squares, draw, out=np.zeros_like(draw), where=live)
    L = float(ratios.max())
    if not L < LARGEST:
        return np.full_like(draws, np.inf)[()]
    second = (terms * ratios) @ terms.T
    np.fill_diagonal(second, second.diagonal() - gains**4)
    last = len(sigma) - 1
    v = max(0.0, float(scipy.linalg.eigvalsh(second, subset_by_index=[last, last])[0]))
    # What rounding may have taken from a difference as large as L goes on top.
    v += 4.0 * EPS * L
    log = np.log(2.0 * len(sigma) / risk)
    linear = log * L / (3.0 * draws)
    bound: Floats = linear + np.hypot(linear, np.sqrt(2.0 * v * log / draws))
    return bound * unit


def retrained(eps: npt.ArrayLike, X: Any, y: npt.ArrayLike, *, penalty: float) -> Floats:
    """Bound ``||f_m - f||``, what training under the mask changes in the fit of ridge (E4).

    f is the fit ``X w`` of ridge from w0 = 0, and f_m that on the features ``X diag(sqrt(m))``:
    in `regression.ridge` pass ``mask=np.sqrt(m)``.

    Parameters
    ----------
    eps : float or array
        Bound >= 0 on ``||K_lam^{-1/2} (X diag(m) X^T - K) K_lam^{-1/2}||_2`` with K = X X^T and lam
        the penalty, for instance ``spectral(X, p, s, delta, ridge=penalty)``.
    X : (n, d) array or CSR/CSC matrix
        Data, samples in rows.
    y : (n,) or (n, r) array
        Targets.
    penalty : float
        Penalty lam > 0 on ``||w||^2`` beside ``||X w - y||^2``.

    Returns
    -------
    float, or array of the shape of `eps`
        ``eps / (1 - eps) sqrt(lam tr(y^T K_lam^{-1} y))``, infinite for eps >= 1. A value above
        ``||y||_F`` is vacuous: the fit of no features does about as well.

    Raises
    ------
    ValueError
        If `eps` is negative, `penalty` is not positive, or the shapes do not fit.

    References
    ----------
    This project, docs/theory.md, E4.

    Examples
    --------
    >>> print(retrained([0.5, 1.0], [[1.0], [0.0]], [2.0, 0.0], penalty=3.0).round(4))
    [1.7321    inf]
    """
    gap = validation.numbers("eps", eps)
    lam = validation.number("penalty", penalty, low=0.0, high=np.inf, closed=False)
    X = validation.matrix("X", X)
    targets = validation.array("y", y, ndim=(1, 2)).astype(np.float64)
    if len(targets) != X.shape[0]:
        raise ValueError(
            f"y must have one row for each of the {X.shape[0]} rows of X; got shape {targets.shape}"
        )
    validation.in_range("X", X.data if scipy.sparse.issparse(X) else X)
    validation.in_range("y", targets)
    reduced = reduce(X, targets.reshape(len(targets), -1))
    U, sigma, _ = reduced.spectrum(reduced.R)
    inside = U.T @ reduced.targets
    outside = reduced.targets - U @ inside
    # The residual of ridge, weighted: lam / (sigma^2 + lam) in the range of X and 1 outside.
    shrunk = inside / np.hypot(1.0, sigma / np.sqrt(lam))[:, None]
    square = (shrunk * shrunk).sum() + (outside * outside).sum() + reduced.rest.sum()
    factors = np.divide(gap, 1.0 - gap, out=np.full_like(gap, np.inf), where=gap < 1.0)
    return np.asarray(factors * np.sqrt(square))[()]
