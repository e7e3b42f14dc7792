"""D1-D3: what it costs never to look at the data."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lth_sketch import probabilities, validation
from lth_sketch.validation import Floats


def price(a: npt.ArrayLike, w: npt.ArrayLike, *, other: npt.ArrayLike | None = None) -> float:
    """Return the price of a draw that never looked at the data, ``G(q) / U^2 = 1 + CV^2`` (D2).

    The draw is ``q = probabilities.data_free(w)``; CV is the coefficient of variation of the
    feature norms under it. The second moment of s draws exceeds that of the optimal draw by
    ``U^2 (price - 1) / s``. It is 1 where all features have one norm (D1).

    Parameters
    ----------
    a : (d,) array
        Feature norms >= 0 of the data, ``product.column_norms``.
    w : (d,) or (d, r) array
        Weights; for several outputs the norm of row i stands for ``|w_i|``.
    other : (d,) array, optional
        Feature norms of the data that the draw did look at: it is then in proportion to
        ``other * |w|``, and the price is that of the transfer.

    Returns
    -------
    float
        Ratio of uncentred second moments, at least 1.

    Raises
    ------
    ValueError
        If a length does not fit, a norm is negative, every ``a_i w_i`` is zero, or `other` is zero
        where ``a_i w_i`` is not: the estimate would be biased.

    References
    ----------
    This project, docs/theory.md, D1 and D2.

    Examples
    --------
    >>> price([1.0, 1.0], [3.0, 2.0])
    1.0
    >>> price([1.0, 3.0], [1.0, 1.0])
    1.25
    >>> price([1.0, 3.0], [1.0, 1.0], other=[2.0, 6.0])
    1.0
    """
    q = probabilities.data_free(w)
    ratio = validation.weights("a", a, size=len(q)).astype(np.float64)
    ratio /= ratio.max()
    if not (ratio * q).any():
        raise ValueError(
            "a and w give a product of zeros (a[i] w[i] = 0 for every i): it has no price"
        )
    if other is not None:
        seen = validation.weights("other", other, size=len(q)).astype(np.float64)
        missed = np.flatnonzero((seen == 0) & (ratio * q > 0))
        if missed.size:
            raise ValueError(
                f"other[{missed[0]}] = 0, but a and w are not zero there: the estimate would be "
                f"biased ({missed.size} such entries); give every such feature a positive norm"
            )
        seen /= seen.max()
        q = validation.probabilities("other", seen * q)
        ratio = np.divide(ratio, seen, out=np.zeros_like(seen), where=q > 0)
        ratio /= ratio.max()
    mean = float(q @ ratio)
    gap = ratio - mean
    return 1.0 + float(q @ (gap * gap)) / mean**2


def price_limit(kappa: float) -> float:
    """Return ``(kappa + 1)^2 / (4 kappa)``, the largest price of not looking (D3).

    Parameters
    ----------
    kappa : float
        Largest over smallest norm of the features with nonzero weight (constant features left
        out: a norm of zero makes kappa infinite), or of the ratios ``a_i / a'_i`` of a transfer.

    Returns
    -------
    float
        Bound on `price`, attained by the weights of `price_witness`.

    Raises
    ------
    ValueError
        If `kappa` is below 1.

    References
    ----------
    Kantorovich's inequality; this project, docs/theory.md, D3.

    Examples
    --------
    >>> price_limit(1.0), price_limit(4.0)
    (1.0, 1.5625)
    """
    kappa = validation.number("kappa", kappa, low=1.0)
    return 0.5 + 0.25 * (kappa + 1.0 / kappa)


def price_witness(a: npt.ArrayLike, *, other: npt.ArrayLike | None = None) -> Floats:
    """Return weights w for which `price` attains `price_limit` (D3).

    Parameters
    ----------
    a : (d,) array
        Feature norms > 0.
    other : (d,) array, optional
        Feature norms > 0 of the data that the draw looked at.

    Returns
    -------
    (d,) array
        Two nonzero weights (one where all ratios are equal).

    Raises
    ------
    ValueError
        If a norm is zero or negative, or the lengths differ.

    Examples
    --------
    >>> w = price_witness([1.0, 2.0, 3.0])
    >>> w
    array([0.75, 0.  , 0.25])
    >>> round(price([1.0, 2.0, 3.0], w), 6)
    1.333333
    """
    ratio = _positive("a", a)
    seen = np.ones_like(ratio) if other is None else _positive("other", other, size=len(ratio))
    ratio = ratio / seen
    low, high = int(ratio.argmin()), int(ratio.argmax())
    w = np.zeros(len(ratio))
    w[low] += ratio[high] / (ratio[low] + ratio[high]) / seen[low]
    w[high] += ratio[low] / (ratio[low] + ratio[high]) / seen[high]
    return w


def _positive(name: str, value: npt.ArrayLike, *, size: int | None = None) -> Floats:
    result = validation.weights(name, value, size=size).astype(np.float64)
    zero = np.flatnonzero(result == 0)
    if zero.size:
        raise ValueError(
            f"{name} must be > 0; got {name}[{zero[0]}] = 0: the price has no limit there; leave "
            "constant features out"
        )
    return np.asarray(result / result.max())
