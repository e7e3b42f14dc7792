"""Where the probabilities of a draw come from, and what a design makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lth_sketch import anticipation, designs, validation
from lth_sketch.inclusion.designs import INCLUSIONS
from lth_sketch.product import FACTOR_ENTRIES, Product
from lth_sketch.reduction import reduce
from lth_sketch.validation import Floats


def optimal(product: Product) -> Floats:
    """Return the draw of least error, ``p_i = u_i / U`` (S3).

    Parameters
    ----------
    product : Product
        The product that is sketched.

    Returns
    -------
    (d,) array
        Probabilities, summing to 1.

    References
    ----------
    Drineas, Kannan, Mahoney, Fast Monte Carlo Algorithms for Matrices I, SIAM J. Comput. 36
    (2006), section 4.

    Examples
    --------
    >>> optimal(Product([[3.0, 1.0]], [1.0, 1.0]))
    array([0.75, 0.25])
    """
    return product.term_norms / product.total


def data_free(w: npt.ArrayLike) -> Floats:
    """Return ``p_i`` proportional to ``|w_i|``: the optimal draw where features have one norm (D1).

    Parameters
    ----------
    w : (d,) or (d, r) array
        Weights; for several outputs the norm of row i stands for ``|w_i|``.

    Returns
    -------
    (d,) array
        Probabilities.

    Raises
    ------
    ValueError
        If `w` is all zero or not finite.

    Examples
    --------
    >>> data_free([3.0, -1.0])
    array([0.75, 0.25])
    """
    return validation.probabilities("w", _sizes_of(w))


def squared(w: npt.ArrayLike) -> Floats:
    """Return ``p_i`` proportional to ``w_i^2``: minimax over data of one Frobenius norm (D4).

    Parameters
    ----------
    w : (d,) or (d, r) array
        Weights; for several outputs the norm of row i stands for ``|w_i|``.

    Returns
    -------
    (d,) array
        Probabilities.

    Raises
    ------
    ValueError
        If `w` is all zero or not finite.

    Examples
    --------
    >>> squared([3.0, -1.0])
    array([0.9, 0.1])
    """
    relative = _sizes_of(w)
    largest = relative.max()
    return validation.probabilities("w", (relative / largest) ** 2 if largest else relative)


def uniform(d: int) -> Floats:
    """Return ``p_i = 1/d``.

    Parameters
    ----------
    d : int
        Number of features.

    Returns
    -------
    (d,) array
        Probabilities.

    Examples
    --------
    >>> uniform(4)
    array([0.25, 0.25, 0.25, 0.25])
    """
    return np.full(validation.count("d", d), 1.0 / d)


def leverage(A: npt.ArrayLike, ridge: float = 0.0) -> Floats:
    """Return the ridge leverage scores of the columns of A, normalised (B5, E4).

    Parameters
    ----------
    A : (q, d) array or CSR/CSC matrix
        Data, features in columns.
    ridge : float
        lam >= 0 in ``tau_i = A_i^T (A A^T + lam I)^{-1} A_i``; for 0 the inverse on the range of A.

    Returns
    -------
    (d,) array
        ``tau_i`` divided by their sum, the effective dimension.

    Raises
    ------
    ValueError
        If `A` is all zero, not finite or needs a factor beyond 2 GiB, or `ridge` is negative.

    References
    ----------
    Alaoui, Mahoney, Fast Randomized Kernel Ridge Regression with Statistical Guarantees, NeurIPS
    2015, section 3.

    Examples
    --------
    >>> leverage([[2.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    array([0.5 , 0.25, 0.25])
    """
    checked = validation.matrix("A", A)
    ridge = validation.number("ridge", ridge, low=0.0)
    q, d = checked.shape
    if min(q, d) * d > FACTOR_ENTRIES:
        raise ValueError(
            f"A of shape {checked.shape} needs a factor of {min(q, d)} x {d} float64 entries "
            f"({min(q, d) * d / 2**27:.3g} GiB, limit {FACTOR_ENTRIES / 2**27:.3g}); cut features"
        )
    reduced = reduce(checked, np.empty((q, 0)))
    _, sigma, Vt = reduced.spectrum(reduced.R)
    if sigma.size == 0:
        raise ValueError("A must have an entry that is not zero; all are zero")
    # sigma^2 / (sigma^2 + ridge) up to a factor, without squares that leave the range of numbers.
    share = sigma / np.hypot(sigma, np.sqrt(ridge)) if ridge < np.inf else sigma
    return validation.probabilities("A", (share / share.max()) ** 2 @ Vt**2)


def from_scores(scores: npt.ArrayLike) -> Floats:
    """Return scores >= 0 (largest = most worth keeping) as probabilities.

    Parameters
    ----------
    scores : (d,) array
        Any nonnegative scores, not all zero.

    Returns
    -------
    (d,) array
        Probabilities.

    Raises
    ------
    ValueError
        If a score is negative or not finite, or all are zero.

    Examples
    --------
    >>> from_scores([1, 3])
    array([0.25, 0.75])
    """
    return validation.probabilities("scores", scores)


def mixture(p: npt.ArrayLike, q: npt.ArrayLike, alpha: float) -> Floats:
    """Return ``(1 - alpha) p + alpha q``.

    Parameters
    ----------
    p, q : (d,) array
        Weights >= 0, normalised here.
    alpha : float
        Share of `q`, in [0, 1].

    Returns
    -------
    (d,) array
        Probabilities.

    Raises
    ------
    ValueError
        If the lengths differ or `alpha` lies outside [0, 1].

    Examples
    --------
    >>> mixture([1, 0], [1, 1], 0.5)
    array([0.75, 0.25])
    """
    alpha = validation.number("alpha", alpha, low=0.0, high=1.0)
    first = validation.probabilities("p", p)
    return (1 - alpha) * first + alpha * validation.probabilities("q", q, size=len(first))


def defensive(product: Product, alpha: float) -> Floats:
    """Return the optimal draw mixed with ``a_i^2 / ||A||_F^2`` (E3).

    However small an initial weight, its probability keeps a floor, so that the error at the end of
    training has a finite mean.

    Parameters
    ----------
    product : Product
        The product at initialization, ``Product(X, w0)``.
    alpha : float
        Share of the floor, in [0, 1].

    Returns
    -------
    (d,) array
        Probabilities.

    Examples
    --------
    >>> defensive(Product([[1.0, 1.0]], [3.0, 1.0]), 0.5)
    array([0.625, 0.375])
    """
    relative = product.column_norms / product.column_norms.max()
    return mixture(optimal(product), relative**2, alpha)


def anticipated(
    X: Any,
    w0: npt.ArrayLike | None = None,
    kind: str = "flow",
    *,
    labels: npt.ArrayLike = 1.0,
    outputs: int = 1,
    time: npt.ArrayLike | None = None,
    rate: float | None = None,
    steps: npt.ArrayLike | None = None,
    penalty: npt.ArrayLike | None = None,
) -> Floats:
    """Return the best draw for the end of training that does not know the labels (E6).

    ``p_i`` is proportional to ``a_i m_i`` with the norm a_i of feature i and the root mean square
    m_i of its trained weight over the labels. Trained to the end on full column rank it is the root
    of the variance inflation factor, and neither `w0` nor the variance of the labels matters.

    Parameters
    ----------
    X : (n, d) array or CSR/CSC matrix
        Data, samples in rows.
    w0 : (d,) or (d, r) array, optional
        Weights at initialization; zeros by default.
    kind : {"flow", "descent", "ridge"}
        The training, see `bounds.displacement`.
    labels : float, (n, n) array, or (n, k) array
        What is known of the labels of one output: a variance of independent labels of mean zero, a
        second-moment matrix of labels of mean zero, or a sample of label vectors, one a column.
    outputs : int
        Number of outputs, independent of each other; that of `w0` if it has several.
    time, rate, steps, penalty
        As in `bounds.displacement`: to the end by default, except for "ridge".

    Returns
    -------
    (d,) array, or (..., d) with the axes of `time`, `steps` or `penalty` first
        Probabilities.

    Raises
    ------
    TypeError, ValueError
        As `bounds.displacement`, and if X is all zero, `labels` have a negative variance or
        eigenvalue, or every trained weight is zero.

    Examples
    --------
    >>> anticipated([[1.0, 1.0], [0.0, 0.5]])
    array([0.5, 0.5])
    >>> anticipated([[1.0, 0.0], [0.0, 2.0]], [3.0, 1.0], time=[0.0, 0.25]).round(3)
    array([[0.6  , 0.4  ],
           [0.708, 0.292]])
    """
    terms = anticipation.trained(
        X, w0, kind, labels, outputs, time=time, rate=rate, steps=steps, penalty=penalty
    ).terms
    largest = terms.max(axis=-1, keepdims=True)
    if not largest.all():
        raise ValueError(
            "every trained weight is zero: w0 is, and training has not begun or the labels are "
            "zero; pass w0, or let training go on"
        )
    relative = terms / largest
    return np.asarray(relative / relative.sum(axis=-1, keepdims=True))


def chi2(q: npt.ArrayLike, p: npt.ArrayLike) -> float:
    """Return ``chi2(q || p) = sum q_i^2 / p_i - 1``, the quality of a draw as one number (S3).

    A draw with p costs exactly ``U^2 chi2(optimal || p) / s`` more than the optimal one.

    Parameters
    ----------
    q, p : (d,) array
        Weights >= 0, normalised here.

    Returns
    -------
    float
        Zero when they agree, infinite where `p` misses the support of `q`.

    Raises
    ------
    ValueError
        If the lengths differ, or weights are negative, not finite or all zero.

    Examples
    --------
    >>> round(chi2([1, 1], [3, 1]), 6)
    0.333333
    """
    target = validation.probabilities("q", q)
    draw = validation.probabilities("p", p, size=len(target))
    live = target > 0
    if (draw[live] == 0).any():
        return np.inf
    # sum (q - p)^2 / p is the same number without the cancellation against 1.
    gap = target[live] - draw[live]
    with np.errstate(over="ignore"):
        inside = float((gap * (gap / draw[live])).sum())
    return inside + float(draw[~live].sum())


def inclusion(p: npt.ArrayLike, s: int, *, design: str = "multinomial") -> Floats:
    """Return the probability of each index to be kept at all (S2, S4, S5, S6).

    Parameters
    ----------
    p : (d,) array
        Weights >= 0, normalised here.
    s : int
        Number of draws; for "poisson" the expected number of indices.
    design : str
        - "multinomial": ``1 - (1 - p_i)^s``.
        - "poisson", "systematic": ``min(1, p_i / tau)``, summing to s (capped water filling).
        - "priority": by quadrature over a Poisson-binomial law, at a cost of some hundred times
          ``d (s + 10 sqrt(s))`` operations.
        - "top": 1 for the s largest, the lowest index first among equals, else 0.

    Returns
    -------
    (d,) array
        Inclusion probabilities. They sum to s, for "multinomial" to the expected number of
        distinct indices.

    Raises
    ------
    ValueError
        If the weights are negative, not finite or all zero; if `s` is below 1, or above the number
        of nonzero p in a design without replacement (of all p for "top"); if the design is unknown.

    References
    ----------
    Tillé, Sampling Algorithms, Springer 2006, chapter 2 (water filling); Duffield, Lund, Thorup,
    J. ACM 54 (2007), section 1 (priority).

    Examples
    --------
    >>> inclusion([1, 1, 2], 2)
    array([0.4375, 0.4375, 0.75  ])
    >>> inclusion([1, 1, 6], 2, design="poisson")
    array([0.5, 0.5, 1. ])
    """
    compute = INCLUSIONS[designs.named(design).name]
    return compute(p, validation.count("s", s))


def _sizes_of(w: npt.ArrayLike) -> Floats:
    checked = validation.array("w", w, ndim=(1, 2)).astype(np.float64)
    if checked.ndim == 1:
        return np.abs(checked)
    largest = np.abs(checked).max() or 1.0
    return np.asarray(np.linalg.norm(checked / largest, axis=1)) * largest
