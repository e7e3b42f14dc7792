"""E3 and the table of ``||Delta||``: the trained model under a mask found at initialization."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import filters, validation
from lth_sketch.product import Product
from lth_sketch.reduction import reduce
from lth_sketch.single_draw import ROUNDED
from lth_sketch.tolerances import SINGLE
from lth_sketch.validation import Floats


def end_of_training(
    product0: Product,
    delta_norm: float,
    s: npt.ArrayLike,
    *,
    alpha: float | None = None,
    data_free: bool = False,
    trained_norm2: float = 0.0,
) -> Floats:
    """Bound the second moment at the end of training of a defensive mask from its start (E3).

    The mask is drawn with ``p = probabilities.defensive(product0, alpha)`` while the weights are
    still w0; training without a mask moves them by Delta. Then
    ``E ||X diag(m) w - X w||_F^2`` for the trained weights w is at most
    ``((U0 / sqrt(1 - alpha) + ||X||_F ||Delta|| / sqrt(alpha))^2 - ||X w||_F^2) / s``.

    Parameters
    ----------
    product0 : Product
        The product at initialization, ``Product(X, w0)``.
    delta_norm : float
        ``||Delta||_F``, or a bound on it from `displacement`.
    s : int or array of int
        Numbers of draws.
    alpha : float, optional
        Share of the floor in the mixture, in [0, 1]; by default the best, `best_alpha`.
    data_free : bool
        The draw is ``mixture(squared(w0), uniform(d), alpha)`` instead, which never looks at X;
        the bound has ``||X||_F ||w0||`` for U0 and ``max_i a_i sqrt(d)`` for ``||X||_F``.
    trained_norm2 : float
        ``||X w||_F^2`` of the trained weights, or a lower bound on it; 0 is always one.

    Returns
    -------
    float, or array of the shape of `s`
        Bound on the second moment; infinite at alpha = 0 when the weights move, and at alpha = 1.

    Raises
    ------
    ValueError
        If `delta_norm` or `trained_norm2` is negative, `alpha` lies outside [0, 1], `s` is below
        1, or `trained_norm2` is more than a move by `delta_norm` allows.

    References
    ----------
    This project, docs/theory.md, E3.

    Examples
    --------
    >>> product0 = Product([[3.0, 4.0]], [1.0, -1.0])
    >>> print(end_of_training(product0, 0.2, [1, 10], alpha=0.5))
    [128.   12.8]
    >>> print(end_of_training(product0, 0.2, 1).round(3))
    101.149
    """
    draws = validation.sizes(s)
    start, moved = _parts(product0, delta_norm, data_free)
    trained = validation.number("trained_norm2", trained_norm2, low=0.0)
    ceiling, reach = _parts(product0, delta_norm, False)
    if np.sqrt(trained) > (ceiling + reach) * (1.0 + SINGLE):
        raise ValueError(
            f"trained_norm2 must be at most (U0 + ||X||_F delta_norm)^2 = "
            f"{(ceiling + reach) ** 2:.6g}; got {trained!r}: delta_norm is too small for it"
        )
    with np.errstate(over="ignore"):
        if alpha is None:
            root = (start ** (2 / 3) + moved ** (2 / 3)) ** 1.5
        else:
            alpha = validation.number("alpha", alpha, low=0.0, high=1.0)
            root = _over_root(start, 1.0 - alpha) + _over_root(moved, alpha)
        # What rounding may have taken from either square goes on top.
        excess = np.maximum(root * root - trained, 0.0) + ROUNDED * root * root
        bound: Floats = excess / draws
    return bound


def best_alpha(product0: Product, delta_norm: float, *, data_free: bool = False) -> float:
    """Return the share of the floor for which `end_of_training` is least (E3).

    Parameters
    ----------
    product0 : Product
        The product at initialization, ``Product(X, w0)``.
    delta_norm : float
        ``||Delta||_F``, or a bound on it.
    data_free : bool
        For the draw that never looks at X.

    Returns
    -------
    float
        alpha with ``alpha / (1 - alpha) = (||X||_F ||Delta|| / U0)^(2/3)``; 0 for
        ``delta_norm = 0``.

    Raises
    ------
    ValueError
        If `delta_norm` is negative.

    References
    ----------
    This project, docs/theory.md, E3.

    Examples
    --------
    >>> round(best_alpha(Product([[3.0, 4.0]], [1.0, -1.0]), 1.4), 6)
    0.5
    """
    start, moved = _parts(product0, delta_norm, data_free)
    if moved == 0.0:
        return 0.0
    with np.errstate(over="ignore"):
        return float(1.0 / (1.0 + (start / moved) ** (2 / 3)))


def displacement(
    X: Any,
    r0: npt.ArrayLike,
    kind: str = "flow",
    *,
    time: npt.ArrayLike | None = None,
    rate: float | None = None,
    steps: npt.ArrayLike | None = None,
    penalty: npt.ArrayLike | None = None,
) -> Floats:
    """Bound ``||Delta||_F``, the way of the weights in training: ``||r0||_F max |g(sigma)|``.

    The maximum is over the nonzero singular values sigma of X, of the spectral function g by which
    training acts.

    Parameters
    ----------
    X : (n, d) array or CSR/CSC matrix
        Data, samples in rows.
    r0 : (n,) or (n, r) array
        Residual at initialization, ``y - X w0``.
    kind : {"flow", "descent", "ridge"}
        Gradient flow on ``||X w - y||^2 / 2``, ``g = (1 - exp(-t sigma^2)) / sigma``; descent on
        it, ``g = (1 - (1 - rate sigma^2)^steps) / sigma``; or ridge around w0,
        ``g = sigma / (sigma^2 + penalty)``.
    time : float or array, optional
        For "flow": training time, >= 0; to the end by default, ``g = 1 / sigma``. For any X the
        bound is at most ``0.6382 sqrt(time) ||r0||``.
    rate : float
        For "descent": below ``2 / sigma_max^2``.
    steps : int or array of int, optional
        For "descent": number of steps; to the end by default, ``g = 1 / sigma``.
    penalty : float or array
        For "ridge": penalty on ``||w - w0||^2`` beside ``||X w - y||^2``. For any X the bound is at
        most ``||r0|| / (2 sqrt(penalty))``.

    Returns
    -------
    float, or array of the shape of `time`, `steps` or `penalty`
        Bound on ``||Delta||_F``, attained when r0 lies along one left singular vector.

    Raises
    ------
    TypeError
        If an argument is not a number.
    ValueError
        If shapes do not fit, an entry is not finite, an argument is negative, missing or of
        another kind of training, or `rate` is ``2 / sigma_max^2`` or more.

    References
    ----------
    This project, docs/theory.md, "End of training".

    Examples
    --------
    >>> X, r0 = [[2.0, 0.0], [0.0, 0.5]], [0.0, 3.0]
    >>> print(displacement(X, r0), displacement(X, r0, "ridge", penalty=0.25))
    6.0 3.0
    >>> print(displacement(X, r0, time=[0.0, 1.0]).round(4))
    [0.     1.4725]
    """
    choose = filters.chosen(kind, time=time, rate=rate, steps=steps, penalty=penalty)
    X = validation.matrix("X", X)
    residual = validation.array("r0", r0, ndim=(1, 2)).astype(np.float64)
    if len(residual) != X.shape[0]:
        raise ValueError(
            f"r0 must have one row for each of the {X.shape[0]} rows of X; got shape "
            f"{residual.shape}"
        )
    validation.in_range("X", X.data if scipy.sparse.issparse(X) else X)
    validation.in_range("r0", residual)
    reduced = reduce(X, np.empty((X.shape[0], 0)))
    g = choose(reduced.spectrum(reduced.R)[1])[0]
    largest = np.abs(g).max(axis=-1, initial=0.0)
    bound: Floats = largest * scipy.linalg.norm(residual.ravel())
    return bound


def _parts(product0: Product, delta_norm: float, data_free: bool) -> tuple[Any, Any]:
    """Return the two terms of the square of E3, without alpha."""
    moved = validation.number("delta_norm", delta_norm, low=0.0)
    size = np.linalg.norm(product0.column_norms)
    with np.errstate(over="ignore"):
        if data_free:
            floor = product0.column_norms.max() * np.sqrt(product0.d)
            return size * np.linalg.norm(product0.row_norms), floor * moved
        return np.float64(product0.total), size * moved


def _over_root(term: Any, share: float) -> Any:
    """Return ``term / sqrt(share)``, 0 where the term is."""
    if term == 0.0:
        return term
    return term / np.sqrt(share) if share > 0 else np.inf
