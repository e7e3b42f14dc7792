"""E7 and D5: what it costs to draw a mask before the labels, or before any data, are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import anticipation, validation
from lth_sketch.validation import Floats


def label_price(outputs: npt.ArrayLike) -> Floats:
    """Return the limit c_r of the price of not knowing Gaussian labels (E7).

    The draw of `probabilities.anticipated` has at most c_r times the mean of ``sum u_i^2 / p_i`` of
    the draw that has seen the trained weights.

    Parameters
    ----------
    outputs : int or array of int
        Number r of outputs.

    Returns
    -------
    float, or array of the shape of `outputs`
        ``(r/2) (Gamma(r/2) / Gamma((r+1)/2))^2``: pi/2 for one output, towards 1 for many.

    Raises
    ------
    TypeError, ValueError
        If `outputs` is not an integer, or below 1.

    References
    ----------
    This project, docs/theory.md, E7.

    Examples
    --------
    >>> print(label_price([1, 2, 3, 10]).round(3))
    [1.571 1.273 1.178 1.051]
    """
    half = validation.sizes(outputs, name="outputs") / 2.0
    ratio = scipy.special.gammaln(half) - scipy.special.gammaln(half + 0.5)
    price: Floats = half * np.exp(2.0 * ratio)
    return price


def collinearity_price(X: Any) -> float:
    """Return what the uniform draw costs at the end of training, over isotropic labels (D5).

    Parameters
    ----------
    X : (n, d) array or CSR/CSC matrix
        Data, samples in rows.

    Returns
    -------
    float
        ``d sum VIF_i / (sum sqrt(VIF_i))^2 >= 1``, the ratio of ``sum u_i^2 / p_i`` of the uniform
        draw to that of `probabilities.anticipated`, with the variance inflation factors
        ``VIF_i = ||X_i||^2 (X^T X)^{-1}_ii``. Where X is rank-deficient the inverse is the
        pseudo-inverse, which is right for training from zero weights.

    Raises
    ------
    TypeError
        If an entry is not a real number, or a sparse X is neither CSR nor CSC.
    ValueError
        If an entry is not finite, or all are zero.

    References
    ----------
    This project, docs/theory.md, D5.

    Examples
    --------
    >>> collinearity_price([[1.0, 0.0], [0.0, 5.0]])
    1.0
    >>> round(collinearity_price([[1.0, 1.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 1.0]]), 4)
    1.3679
    """
    training = {"time": None, "rate": None, "steps": None, "penalty": None}
    terms = anticipation.trained(X, None, "flow", 1.0, 1, **training).terms
    relative = terms / terms.max()
    return float(len(terms) * (relative @ relative) / relative.sum() ** 2)
