"""B9: the moments of the squared error, one order above another."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from lth_sketch import squared_error, validation
from lth_sketch.product import Product
from lth_sketch.validation import Floats


def raw(
    product: Product,
    p: npt.ArrayLike,
    s: npt.ArrayLike,
    order: int,
    *,
    design: str = "multinomial",
    exact: bool = False,
) -> Floats:
    """Return ``E ||err||_F^(2 k)`` for k = 1 .. order (B9).

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Weights >= 0, normalised here; positive wherever the product's term is not zero.
    s : int or array of int
        Numbers of draws; for "poisson" and "systematic" at most the number of nonzero `p`.
    order : int
        Number of moments, from 1 to 6.
    design : {"multinomial", "poisson", "systematic"}
        How masks are drawn, see `sampling.draw`.
    exact : bool
        Of order 6, "multinomial" and "poisson" take one sum over four entries at a time. Where more
        than 152 entries can be drawn it is replaced by an upper bound, and with it the sixth moment
        (all others are exact); `exact` has it computed, at the cost of d products of d x d
        matrices.

    Returns
    -------
    (order,) + shape of `s` array
        Moments in the units of ``||AB||^(2 k)``: infinite or zero where these leave float64. The
        centred moments ``E (||err||^2 - E ||err||^2)^k`` that they are made of have about 13
        digits.

    Raises
    ------
    ValueError
        If `p` would bias the estimate or does not fit, `s` is below 1 or too large, `order` is not
        in 1 .. 6, the design has no moments, d x d matrices do not fit into memory (2 GiB each), or
        `exact` would take minutes.

    Notes
    -----
    With replacement d x d products of matrices are taken once for a product and a `p`, whatever the
    `s`: one for order 3 and 4, five for order 6. "poisson" takes them for each `s`.

    References
    ----------
    This project, docs/theory.md, B9.

    Examples
    --------
    Two terms that cancel, one draw: ``||err||`` is 8 or 6, with probabilities 3/7 and 4/7:

    >>> product = Product([[3.0, 4.0]], [1.0, -1.0])
    >>> print(raw(product, [3, 4], 1, 2).round(6))
    [  48. 2496.]
    """
    draws = validation.sizes(s)
    order = moment_order(order)
    design = validation.choice("design", design, squared_error.DESIGNS)
    law = squared_error.moments(product, p, draws, order, design, exact=exact)
    unit = np.float64(product.total)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        centred = [law.standard[k] * law.deviation**k for k in range(order + 1)]
        # Q >= 0: no term is much larger than the sum. The first centred moment is zero.
        result = np.array(
            [
                sum(math.comb(k, j) * law.mean ** (k - j) * centred[j] for j in _but_one(k))
                * unit**k
                * unit**k
                for k in range(1, order + 1)
            ]
        )
    # What is infinite less what is infinite was too large.
    return np.where(np.isnan(result), np.inf, result)


def _but_one(k: int) -> list[int]:
    return [j for j in range(k + 1) if j != 1]


def moment_order(order: int) -> int:
    """Return a number of moments from 1 to 6."""
    order = validation.count("order", order)
    if order > squared_error.MOST:
        raise ValueError(
            f"order must be at most {squared_error.MOST}; got {order}: the graphs of more edges "
            "are not reduced here"
        )
    return order
