"""One call for each way of training: the functions of `lth_sketch.regression`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lth_sketch.reduction import reduce
from lth_sketch.regression import nested
from lth_sketch.regression.problem import Problem, data, permutation
from lth_sketch.validation import Array, Floats


def gradient_flow(
    X: Any,
    y: npt.ArrayLike,
    w0: npt.ArrayLike | None = None,
    *,
    time: npt.ArrayLike = np.inf,
    mask: npt.ArrayLike | None = None,
) -> Array:
    """Train by gradient flow for a given time: the effective weights in closed form.

    Parameters
    ----------
    X : (n, d) array or CSR/CSC matrix
        Data, samples in rows.
    y : (n,) or (n, r) array
        Targets.
    w0 : (d,) or (d, r) array, optional
        Weights at initialization; zeros by default.
    time : float or array, optional
        Training time, >= 0; the default, infinity, is least squares nearest to w0.
    mask : (d,) array, optional
        Weights >= 0 of the features, not all zero; all ones by default.

    Returns
    -------
    (d,) or (d, r) array
        Effective weights m o (w0 + Delta), Delta = V diag((1 - e^(-t sigma^2))/sigma) U^T r0, where
        X diag(m) = U diag(sigma) V^T and r0 = y - X(m o w0). Axes of `time`, if any, come first.

    Raises
    ------
    TypeError
        If an entry is not a real number, or a sparse X is neither CSR nor CSC.
    ValueError
        If the shapes do not fit, an entry is NaN or infinite, `time` is negative, or the mask has
        a negative entry or keeps nothing.

    See Also
    --------
    Problem : the same, with the factorisation kept for further calls.

    Notes
    -----
    The trained weights of theory section "End of training" (C2), of which E1-E3 speak. Source:
    A. Ali, J. Z. Kolter, R. J. Tibshirani, "A continuous-time view of early stopping for least
    squares", AISTATS 2019, section 2.

    Examples
    --------
    >>> gradient_flow([[1.0, 0.0], [0.0, 2.0]], [3.0, 4.0])
    array([3., 2.])
    >>> gradient_flow([[1.0, 0.0], [0.0, 2.0]], [3.0, 4.0], time=0.25).round(4)
    array([0.6636, 1.2642])
    >>> gradient_flow([[1.0, 0.0], [0.0, 2.0]], [3.0, 4.0], mask=[0, 1])
    array([0., 2.])
    """
    return Problem(X, y, w0).gradient_flow(time, mask=mask)


def gradient_descent(
    X: Any,
    y: npt.ArrayLike,
    w0: npt.ArrayLike | None = None,
    *,
    rate: float,
    steps: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
) -> Array:
    """Train by gradient descent for a number of steps: the effective weights in closed form.

    Parameters
    ----------
    X, y, w0, mask
        As in `gradient_flow`.
    rate : float
        Step size for the loss (1/2)||X(m o v) - y||^2, in (0, 2/sigma_max^2), sigma_max the largest
        singular value of X diag(m).
    steps : int or array of int
        Number of steps, >= 0. It costs nothing.

    Returns
    -------
    (d,) or (d, r) array
        Effective weights m o (w0 + Delta), Delta = V diag((1 - (1 - rate sigma^2)^steps)/sigma)
        U^T r0. Axes of `steps`, if any, come first.

    Raises
    ------
    TypeError
        As in `gradient_flow`, or if `steps` is not an integer.
    ValueError
        As in `gradient_flow`, or if the rate lets descent diverge.

    Notes
    -----
    Theory section "End of training" (C2).

    Examples
    --------
    >>> X, y = [[1.0, 0.0], [0.0, 2.0]], [3.0, 4.0]
    >>> gradient_descent(X, y, rate=0.25, steps=1)
    array([0.75, 2.  ])
    >>> gradient_descent(X, y, rate=0.25, steps=[0, 10, 10**9]).round(3)
    array([[0.   , 0.   ],
           [2.831, 2.   ],
           [3.   , 2.   ]])
    """
    return Problem(X, y, w0).gradient_descent(rate, steps, mask=mask)


def ridge(
    X: Any,
    y: npt.ArrayLike,
    w0: npt.ArrayLike | None = None,
    *,
    penalty: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
) -> Array:
    """Train by ridge regression around w0: the effective weights in closed form.

    Parameters
    ----------
    X, y, w0, mask
        As in `gradient_flow`. For the kernel X diag(m) X^T of E4 pass ``mask=np.sqrt(m)``.
    penalty : float or array
        lam >= 0 in ||X(m o v) - y||^2 + lam ||v - w0||^2; 0 is least squares nearest to w0.

    Returns
    -------
    (d,) or (d, r) array
        Effective weights m o (w0 + Delta), Delta = (X_m^T X_m + lam I)^(-1) X_m^T r0 with
        X_m = X diag(m). Axes of `penalty`, if any, come first.

    Raises
    ------
    TypeError
        As in `gradient_flow`.
    ValueError
        As in `gradient_flow`, or if `penalty` is negative.

    Notes
    -----
    Theory section "End of training" (C2), and E4.

    Examples
    --------
    >>> ridge([[1.0, 0.0], [0.0, 2.0]], [3.0, 4.0], penalty=1.0)
    array([1.5, 1.6])
    """
    return Problem(X, y, w0).ridge(penalty, mask=mask)


def path(X: Any, y: npt.ArrayLike, order: npt.ArrayLike) -> Floats:
    """Return the least-squares loss of every prefix of an order of the features.

    Parameters
    ----------
    X : (n, d) array or CSR/CSC matrix
        Data, samples in rows.
    y : (n,) or (n, r) array
        Targets.
    order : (d,) array of int
        A permutation of the features. (The losses of a shorter list lead those of any permutation
        that continues it.)

    Returns
    -------
    (d,) or (d, r) array
        Entry t is min ||y - X w||^2 over weights w on order[0], ..., order[t].

    Raises
    ------
    TypeError
        If an entry is not a real number, or a sparse X is neither CSR nor CSC.
    ValueError
        If the shapes do not fit, an entry is NaN or infinite, or `order` is no permutation.

    See Also
    --------
    Problem.path : for several orders of the same features.

    Notes
    -----
    Statement E5. A feature depends on its predecessors when its residual is at most
    ``tolerances.rank`` times its norm, whatever the scale of the features; it changes no loss.
    Tall data are reduced to a Gram matrix, which is used if a bound of each loss's rounding error
    allows it (relative 1e-10), else by a QR factorisation. From that one the square root of a loss
    is right to about eps ||y|| times the condition number of the features in unit norm, so that an
    exact fit leaves about eps^2 ||y||^2, not eps ||y||^2.

    Examples
    --------
    The second feature repeats the first, and changes nothing:

    >>> import numpy as np
    >>> X = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> path(X, [1.0, 2.0, 3.0, 4.0], [0, 1, 2])
    array([29., 29., 25.])
    """
    X, targets, outputs = data(X, y)
    n, d = X.shape
    features = permutation(order, d)
    losses = nested.from_gram(X, targets, features) if n >= 2 * d else None
    if losses is None:
        losses = nested.from_reduced(reduce(X, targets), features)
    return losses.reshape(d, *outputs)


def fit_masks(
    X: Any,
    y: npt.ArrayLike,
    masks: Any,
    *,
    penalty: float = 0.0,
    X_test: Any = None,
    y_test: npt.ArrayLike | None = None,
    weights: bool = False,
    n_jobs: int | None = None,
) -> tuple[Any, ...]:
    """Fit the model under each of many masks, and return its losses on train and test data.

    Parameters
    ----------
    X : (n, d) array or CSR/CSC matrix
        Data, samples in rows.
    y : (n,) or (n, r) array
        Targets.
    masks : (n_masks, d) CSR matrix
        Weights >= 0 of the features, one mask a row, as `lth_sketch.sampling.masks` draws them.
    penalty : float, optional
        lam >= 0 in ||X(m o v) - y||^2 + lam ||v||^2, from zero. With 0, the default, the fit is the
        least squares of minimum ||v||, and its train loss depends only on which features are kept.
    X_test, y_test : (n_test, d) and (n_test,) or (n_test, r), optional
        Held-out data, reduced by a rotation of their own: no predictions are formed.
    weights : bool, optional
        Whether to return the effective weights as well.
    n_jobs : int or None, optional
        Threads; by default as many as there are processors. The result does not depend on it.

    Returns
    -------
    train : (n_masks, r) array
        Sum of squares of each output, without the penalty; r = 1 for a vector y.
    test : (n_masks, r) array or None
        The same on the held-out data; None without them.
    weights : (n_masks, d, r) array
        Effective weights m o v, only if asked for; float32 if X is.

    Raises
    ------
    TypeError
        If an entry is not a real number, a sparse X is neither CSR nor CSC, `masks` is not CSR, or
        `n_jobs` is not an integer.
    ValueError
        If the shapes do not fit, an entry is NaN or infinite, `penalty` is negative, a mask has a
        negative weight or keeps nothing, or only one of `X_test` and `y_test` is given.

    Notes
    -----
    Statements E1 and E4, for many masks. Needs about d^2 float64 entries beside the data when
    n >= d. Where the features of a mask are too ill-conditioned for the fast route, or n < d, a
    singular value decomposition of R diag(m) takes its place for that mask.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> X = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> masks = csr_array([[1.0, 0.0, 0.0], [2.0, 2.0, 0.0], [0.5, 0.5, 3.0]])
    >>> train, test, w = fit_masks(X, [1.0, 2.0, 3.0, 4.0], masks, weights=True)
    >>> train[:, 0]
    array([29., 29., 25.])
    >>> w[1, :, 0]
    array([0.5, 0.5, 0. ])
    """
    return Problem(X, y).fit_masks(
        masks, penalty=penalty, X_test=X_test, y_test=y_test, weights=weights, n_jobs=n_jobs
    )
