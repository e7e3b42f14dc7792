"""B10: an exponential bound for tiny risks, from a walk with two centres."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lth_sketch import validation
from lth_sketch.bounds import _walks
from lth_sketch.bounds.draws import radial
from lth_sketch.product import Product
from lth_sketch.single_draw import SingleDraw
from lth_sketch.validation import Floats


def centred(product: Product, p: npt.ArrayLike, s: npt.ArrayLike, delta: float) -> Floats:
    """Return the exponential bound with two centres and exact fourth moments (B10).

    For tiny risks: over the quantile of the limit law it is about 1.15 at ``delta = 1e-9``, where
    `radial` is 1.4. It is the least of form S of B10, of B6', of `radial`, and of the largest error
    that s draws can make at all.

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Weights >= 0, normalised here; positive wherever the product's term is not zero.
    s : int or array of int
        Numbers of draws.
    delta : float
        Risk, in (0, 1).

    Returns
    -------
    float, or array of the shape of `s`
        Bound on ``||err||_F`` with probability at least 1 - delta.

    Notes
    -----
    Moments of one draw are computed once for each product and p, which takes about three seconds
    for 784 terms in general position; every further s and delta costs less than 0.2 s. Above 1024
    such terms fewer forms are tried, above 4096 bounds take the place of the fourth moments.

    References
    ----------
    This project, docs/theory.md, B10.

    Examples
    --------
    >>> product = Product([[3.0, 4.0]], [1.0, -1.0])
    >>> round(float(centred(product, [3, 4], 400, 1e-9)), 4)
    2.2938
    >>> round(float(radial(product, [3, 4], 400, 1e-9)), 4)
    2.7112
    """
    draws = validation.sizes(s).astype(np.float64)
    delta = validation.risk("delta", delta)
    draw = SingleDraw.of(product, p)
    each = [
        (_walks.form_s(draw, draws, delta) / draws + draw.factor_floor) * product.total,
        radial(product, p, s, delta, centres=2),
        np.full(draws.shape, (draw.M + draw.factor_floor) * product.total),
    ]
    return np.asarray(np.min(each, axis=0))[()]
