"""Mean and centred moments of the squared error of a draw: what raw moments and B9 are made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lth_sketch import multigraphs
from lth_sketch.poisson_draw import PoissonDraw
from lth_sketch.product import Product
from lth_sketch.single_draw import SingleDraw
from lth_sketch.systematic_draw import SystematicDraw
from lth_sketch.validation import Floats, Integers

DESIGNS = ("multinomial", "poisson", "systematic")
# The most moments that the generated graphs serve.
MOST = 6


class Moments(NamedTuple):
    """Moments of Q = ``||err||^2``, in units of U^2, for each number of draws.

    Attributes
    ----------
    mean, deviation : (...) array
        Mean and standard deviation of Q.
    standard : (order + 1, ...) array
        ``E ((Q - mean) / deviation)^k``; zero from k = 1 on where Q is constant, infinite or NaN
        where float64 is left.
    """

    mean: Floats
    deviation: Floats
    standard: Floats


def moments(
    product: Product, p: npt.ArrayLike, s: Integers, order: int, design: str, *, exact: bool = False
) -> Moments:
    """Return the moments of the squared error of a design, for each number of draws.

    The sixth may be an upper bound, see `multigraphs.summed`.
    """
    if design == "multinomial":
        return _with_replacement(SingleDraw.of(product, p), s.astype(np.float64), order, exact)
    sizes, where = np.unique(s, return_inverse=True)
    one = _poisson if design == "poisson" else _systematic
    by_size = [one(product, p, int(size), order, exact) for size in sizes]
    place = where.reshape(s.shape)
    mean, deviation, standard = (np.stack(parts, axis=-1) for parts in zip(*by_size, strict=True))
    return Moments(mean[place], deviation[place], standard[:, place])


def _with_replacement(draw: SingleDraw, s: Floats, order: int, exact: bool) -> Moments:
    mean = draw.T / s
    with np.errstate(over="ignore", invalid="ignore"):
        if order <= 2:
            # Eigenvalues are enough.
            centred = np.stack([np.ones_like(s), np.zeros_like(s), draw.variance(s)])
            return _standard(mean, 1.0, centred[: order + 1])
        table = draw.graphs(order, exact=exact)
        return _standard(mean, table.scale, multigraphs.with_replacement(table.sums, s))


def _poisson(product: Product, p: npt.ArrayLike, s: int, order: int, exact: bool) -> Moments:
    draw = PoissonDraw.of(product, p, s)
    if order == 1:
        return _standard(np.asarray(draw.V), 1.0, np.array([1.0, 0.0]))
    table = draw.graphs(order, exact=exact)
    return _standard(np.asarray(draw.V), table.scale, multigraphs.independent(table.sums))


def _systematic(product: Product, p: npt.ArrayLike, s: int, order: int, exact: bool) -> Moments:
    draw = SystematicDraw.of(product, p, s)
    scale = float(draw.errors.max()) or 1.0
    squares = np.square(draw.errors / scale)
    mean = float(draw.chances @ squares)
    centred = [draw.chances @ (squares - mean) ** k for k in range(order + 1)]
    return _standard(np.asarray(mean * scale * scale), scale * scale, np.array(centred))


def _standard(mean: Floats, scale: float, centred: Floats) -> Moments:
    """Divide centred moments, in powers of a scale, by the deviation."""
    if len(centred) < 3:
        return Moments(mean, np.zeros_like(mean), centred)
    deviation = np.sqrt(centred[2])
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        powers = deviation ** np.arange(len(centred)).reshape(-1, *(1,) * deviation.ndim)
        standard = np.where(deviation > 0, centred / powers, 0.0)
        standard[0] = 1.0
        return Moments(mean, deviation * scale, standard)
