"""What rounding may take from a bound, for every design: it goes on top."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lth_sketch import probabilities, validation
from lth_sketch.product import Product
from lth_sketch.single_draw import ROUNDED, SingleDraw
from lth_sketch.validation import Floats


def of(product: Product, p: npt.ArrayLike, s: npt.ArrayLike, design: str) -> Floats:
    """Return how far ``||err||`` may lie above what is read off the factor of S0, in units of U.

    Errors are off by `Product.unit_error`, and what is made of them by some epsilon, of
    ``sum u_i |m_i - 1|``. Entries that are kept surely have no part in it.
    """
    draws = validation.sizes(s)
    if design == "multinomial":
        return np.full(draws.shape, SingleDraw.of(product, p).factor_floor)
    rounded = ROUNDED + product.unit_error
    u = product.term_norms / product.total
    if design == "top":
        return np.full(draws.shape, rounded)
    weights = validation.covering(p, product.term_norms)
    floors = np.empty(draws.shape)
    for size in np.unique(draws):
        pi = probabilities.inclusion(weights, int(size), design=design)
        loose = (u > 0) & (pi < 1)
        with np.errstate(over="ignore"):
            kept = np.sort(u[loose] / pi[loose])
        most = None if design == "poisson" else -int(size)
        floors[draws == size] = u[loose].sum() + kept[most:].sum()
    return rounded * floors
