"""Scores of the features of a linear model ``f = X w``, loss ``||X w - y||^2 / 2``.

A mask entry multiplies a row of w, so with several outputs a score is that of a whole row: where
an algorithm differentiates by the mask, ``d/dm_i = sum_k w_ik d/dw_ik``.

Scores of a data frame of pandas, or of labelled weights, are a series with the names of features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lth_sketch import conversion, labels, probabilities, validation
from lth_sketch.product import Product
from lth_sketch.tolerances import EPS
from lth_sketch.validation import Floats


def magnitude(w: npt.ArrayLike) -> Floats:
    """Return ``|w_i|``: the data-free draw of D1.

    Parameters
    ----------
    w : (d,) or (d, r) array
        Weights; for several outputs the norm of row i stands for ``|w_i|``.

    Returns
    -------
    (d,) array
        Scores.

    Raises
    ------
    TypeError, ValueError
        If `w` is not real and finite.

    References
    ----------
    Han, Pool, Tran, Dally, Learning both Weights and Connections for Efficient Neural Networks,
    NeurIPS 2015, section 3.

    Examples
    --------
    >>> magnitude([[3.0, -4.0], [0.0, 2.0]])
    array([5., 2.])
    """
    # hypot neither overflows nor underflows, unlike a sum of squares.
    scores = np.asarray(np.hypot.reduce(np.abs(_columns(_weights(w))), axis=1))
    return labels.over(scores, None, w)


def synflow(w: npt.ArrayLike) -> Floats:
    """Return ``sum_k |w_ik|``: SynFlow of one linear layer, whose input is all ones.

    It is the mask entry's derivative of ``R = 1^T |w| 1``. For more layers: `deep.log_synflow`.

    Parameters
    ----------
    w : (d,) or (d, r) array
        Weights.

    Returns
    -------
    (d,) array
        Scores; ``|w_i|`` for one output.

    Raises
    ------
    TypeError, ValueError
        If `w` is not real and finite.

    References
    ----------
    Tanaka, Kunin, Yamins, Ganguli, Pruning neural networks without any data by iteratively
    conserving synaptic flow, NeurIPS 2020, section 6.

    Examples
    --------
    >>> synflow([[3.0, -4.0], [0.0, 2.0]])
    array([7., 2.])
    """
    return labels.over(np.asarray(np.abs(_columns(_weights(w))).sum(axis=1)), None, w)


def snip(X: npt.ArrayLike, y: npt.ArrayLike, w: npt.ArrayLike) -> Floats:
    """Return ``|w_i x_i^T (X w - y)|``, the size of the loss's derivative by mask entry i.

    Parameters
    ----------
    X : (n, d) array or CSR/CSC matrix
        Data, features x_i in columns; see `source`.
    y : (n,) or (n, r) array
        Targets.
    w : (d,) or (d, r) array
        Weights; for several outputs ``|sum_k w_ik x_i^T (X w - y)_k|``.

    Returns
    -------
    (d,) array
        Scores (SNIP divides them by their sum, which changes no selection).

    Raises
    ------
    TypeError, ValueError
        If the arrays are not real and finite, or their shapes do not fit.

    References
    ----------
    Lee, Ajanthan, Torr, SNIP: Single-shot network pruning based on connection sensitivity,
    ICLR 2019, section 4.

    Examples
    --------
    >>> snip([[1.0, 2.0]], [1.0], [1.0, 1.0])
    array([2., 4.])
    """
    data, weights = _model(X, w)
    gradient = _normal(data, weights, _targets(y, data, weights))
    return labels.over(np.abs(_by_mask(weights, gradient)), X, w)


def snip_rms(X: npt.ArrayLike, w: npt.ArrayLike, noise: float) -> Floats:
    """Return the root mean square of `snip` over random labels (SNIP limit).

    Labels are independent, of mean zero and variance ``noise^2``. Then it is
    ``sqrt(w_i^2 (x_i^T X w)^2 + noise^2 u_i^2)``, with ``u_i = ||x_i|| ||w_i||`` the scores of
    `sketch`: as the noise grows, SNIP on average becomes the optimal draw. One set of labels does
    not: its score keeps the random factor ``|x_i^T y| / (noise ||x_i||)``.

    Parameters
    ----------
    X : (n, d) array or CSR/CSC matrix
        Data, features in columns.
    w : (d,) or (d, r) array
        Weights; for several outputs the labels of each have this noise.
    noise : float
        Standard deviation tau of a label, finite and >= 0.

    Returns
    -------
    (d,) array
        Scores; normalised, entry i is within a factor ``1 +- (||X w||_F / noise)^2 / 2`` of
        the optimal probability.

    Raises
    ------
    TypeError, ValueError
        If the arrays or `noise` do not fit, or every ``u_i`` is zero.

    Examples
    --------
    >>> X, w = [[1.0, 2.0]], [1.0, 1.0]
    >>> snip_rms(X, w, noise=0.0), snip_rms(X, w, noise=4.0)
    (array([3., 6.]), array([ 5., 10.]))
    """
    data, weights = _model(X, w)
    tau = validation.number("noise", noise, low=0.0, high=float(np.finfo(np.float64).max))
    signal = _by_mask(weights, _normal(data, weights))
    return labels.over(np.hypot(signal, tau * Product(data, weights).term_norms), X, w)


def grasp(X: npt.ArrayLike, y: npt.ArrayLike, w: npt.ArrayLike) -> Floats:
    """Return ``+ w_i x_i^T X X^T (X w - y)``, GraSP with its sign turned: the largest are kept.

    With g the gradient of the loss and H its Hessian, scaling row i of w by ``1 - eps`` lowers
    ``||g||^2`` by ``2 eps`` times this score, to first order. The published score ``-w o H g`` has
    its largest entries removed. The score is signed: a draw needs `nonnegative`.

    Parameters
    ----------
    X : (n, d) array or CSR/CSC matrix
        Data, features x_i in columns; see `source`.
    y : (n,) or (n, r) array
        Targets.
    w : (d,) or (d, r) array
        Weights; for several outputs the sum over them.

    Returns
    -------
    (d,) array
        Scores of either sign.

    Raises
    ------
    TypeError, ValueError
        If the arrays are not real and finite, or their shapes do not fit.

    References
    ----------
    Wang, Zhang, Grosse, Picking winning tickets before training by preserving gradient flow,
    ICLR 2020, section 3.

    Examples
    --------
    >>> grasp([[1.0, 2.0]], [1.0], [1.0, -0.5])
    array([-5.,  5.])
    """
    data, weights = _model(X, w)
    gradient = _normal(data, weights, _targets(y, data, weights))
    return labels.over(_by_mask(weights, _normal(data, gradient)), X, w)


def sketch(X: npt.ArrayLike, w: npt.ArrayLike) -> Floats:
    """Return ``u_i = ||x_i|| ||w_i||``: normalised, the optimal draw (S3).

    Parameters
    ----------
    X : (n, d) array or CSR/CSC matrix
        Data, features x_i in columns; see `source`.
    w : (d,) or (d, r) array
        Weights, features in rows.

    Returns
    -------
    (d,) array
        Scores, ``Product(X, w).term_norms``.

    Raises
    ------
    TypeError, ValueError
        If the arrays do not fit or every score is zero; `Product` calls them A and B.

    References
    ----------
    Drineas, Kannan, Mahoney, Fast Monte Carlo Algorithms for Matrices I, SIAM J. Comput. 36
    (2006), section 4.

    Examples
    --------
    >>> sketch([[3.0, 0.0], [4.0, 1.0]], [1.0, -2.0])
    array([5., 2.])
    """
    return labels.over(Product(*_model(X, w)).term_norms, X, w)


def leverage(X: npt.ArrayLike, ridge: float = 0.0) -> Floats:
    """Return the ridge leverage scores of the features, divided by their sum (B5, E4).

    Parameters
    ----------
    X : (n, d) array or CSR/CSC matrix
        Data, features x_i in columns; see `source`.
    ridge : float
        lam >= 0 in ``x_i^T (X X^T + lam I)^{-1} x_i``; for 0 the inverse on the range of X.

    Returns
    -------
    (d,) array
        Scores, ``probabilities.leverage(X, ridge)``.

    Raises
    ------
    TypeError, ValueError
        If `X` is not real and finite or all zero, or `ridge` is negative.

    References
    ----------
    Alaoui, Mahoney, Fast Randomized Kernel Ridge Regression with Statistical Guarantees, NeurIPS
    2015, section 3.

    Examples
    --------
    >>> leverage([[2.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    array([0.5 , 0.25, 0.25])
    """
    return labels.over(probabilities.leverage(validation.matrix("X", X), ridge), X)


def random(d: int, rng: np.random.Generator | int | None = None) -> Floats:
    """Return 1 for every feature, with a random order in the last digits.

    A draw in proportion to it is the uniform one, and the features with the largest scores are a
    uniformly random subset.

    Parameters
    ----------
    d : int
        Number of features.
    rng : Generator, int or None
        Source of randomness.

    Returns
    -------
    (d,) array
        ``1 + eps pi(i)``, pi a random permutation and eps the machine epsilon.

    Raises
    ------
    TypeError, ValueError
        If `d` is no integer >= 1, or `rng` none of the above.

    Examples
    --------
    >>> scores = random(4, rng=0)
    >>> scores.round(9), len(set(scores))
    (array([1., 1., 1., 1.]), 4)
    """
    count = validation.count("d", d)
    return np.asarray(1.0 + EPS * validation.generator(rng).permutation(count))


def excess(product: Product, scores: npt.ArrayLike, s: npt.ArrayLike) -> Floats:
    """Return what a draw in proportion to the scores costs beyond the optimal one (S3).

    Parameters
    ----------
    product : Product
        The product that is sketched, ``Product(X, w)``.
    scores : (d,) array
        Scores >= 0, not all zero.
    s : int or array of int
        Numbers of draws with replacement.

    Returns
    -------
    float, or array of the shape of `s`
        ``U^2 chi2(optimal || p) / s``; infinite where a nonzero term has the score zero.

    Raises
    ------
    TypeError, ValueError
        If the scores are signed, not finite, all zero or not d, or `s` is below 1.

    Examples
    --------
    >>> product = Product([[1.0, 3.0]], [1.0, 1.0])
    >>> print(excess(product, magnitude(product.B), [1, 4]))
    [4. 1.]
    """
    draws = validation.sizes(s)
    p = validation.probabilities("scores", scores, size=product.d)
    chi2 = probabilities.chi2(probabilities.optimal(product), p)
    return np.asarray(product.total**2 * chi2 / draws)[()]


def _weights(w: npt.ArrayLike) -> Floats:
    return validation.array("w", w, ndim=(1, 2)).astype(np.float64)


def _columns(w: Floats) -> Floats:
    return w.reshape(len(w), -1)


def _model(X: npt.ArrayLike, w: npt.ArrayLike) -> tuple[Any, Floats]:
    labels.agree("X", X, "w", w)
    data, weights = validation.matrix("X", X), _weights(w)
    if data.shape[1] != len(weights):
        raise ValueError(
            f"X and w must agree on the features; got shapes {data.shape} and {weights.shape}: the "
            "columns of X must be as many as the rows of w"
        )
    return data, weights


def _targets(y: npt.ArrayLike, X: Any, w: Floats) -> Floats:
    targets = validation.array("y", y, ndim=w.ndim)
    if targets.shape != (X.shape[0], *w.shape[1:]):
        raise ValueError(
            f"y must have shape {(X.shape[0], *w.shape[1:])}, a row for each sample of X and a "
            f"column for each output of w; got {targets.shape}"
        )
    return targets.astype(np.float64)


def _normal(X: Any, v: Floats, y: Floats | None = None) -> Floats:
    """Return ``X^T (X v - y)`` in float64."""
    result = np.zeros_like(v)
    for rows, part in conversion.widened(X):
        result += part.T @ (part @ v - (0.0 if y is None else y[rows]))
    return result


def _by_mask(w: Floats, gradient: Floats) -> Floats:
    """Return the derivative by each mask entry from that by the weights."""
    return np.asarray(_columns(w * gradient).sum(axis=1))
