"""S5 and S8: pivotal and conditional Poisson samples, and hybrid draws."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lth_sketch import probabilities
from lth_sketch.inclusion import hybrid as hybrids
from lth_sketch.inclusion.conditional import nodes
from lth_sketch.kernels import moments as kernels
from lth_sketch.moments.designs import each_size
from lth_sketch.product import Product
from lth_sketch.single_draw import SingleDraw
from lth_sketch.validation import Floats


def hybrid(product: Product, p: npt.ArrayLike, s: npt.ArrayLike) -> Floats:
    """Return ``E ||A diag(m) B - AB||_F^2`` for a hybrid draw (S8).

    The c largest `p` are kept surely, the rest R is drawn from s - c times with replacement: the
    error is that of the product of the rest alone.

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Weights >= 0, normalised here; positive wherever the product's term is not zero.
    s : int or array of int
        Sizes, the sure ones included.

    Returns
    -------
    float, or array of the shape of `s`
        ``(sum_R u_i^2 / q_i - ||A_R B_R||_F^2) / (s - c)``, q the probabilities within R; zero
        where s is as many as are not zero.

    Raises
    ------
    ValueError
        If `p` would bias the estimate or does not fit, or `s` is below 1.

    References
    ----------
    Liu, Wang, Zhong, Xu, Zha, Tang, Jiang, Zhou, Chaudhary, Xu, Hu, Winner-Take-All Column Row
    Sampling for Memory Efficient Adaptation of Language Model, NeurIPS 2023, for the draw; this
    project, docs/theory.md, S8.

    Examples
    --------
    >>> product = Product([[6.0, 1.0, -1.0]], [1.0, 1.0, 1.0])
    >>> print(hybrid(product, [6, 1, 1], [1, 2, 3]).round(6))
    [28.  4.  0.]
    """
    return each_size("hybrid", _hybrid, product, p, s)


def pivotal(product: Product, p: npt.ArrayLike, s: npt.ArrayLike) -> Floats:
    """Return ``E ||A diag(m) B - AB||_F^2`` for an ordered pivotal sample (S5).

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Weights >= 0, normalised here; positive wherever the product's term is not zero.
    s : int or array of int
        Numbers of kept entries, at most the number of nonzero `p`.

    Returns
    -------
    float, or array of the shape of `s`
        The sum over all duels of what each adds, from the factor of S0. It depends on the order of
        the features, less than that of a systematic sample.

    Raises
    ------
    ValueError
        If `p` would bias the estimate or does not fit, `s` is below 1 or too large, or the factor
        of S0 does not fit into memory.

    References
    ----------
    Deville, Tillé, Unequal probability sampling without replacement through a splitting method,
    Biometrika 85 (1998), for the draw; this project, docs/theory.md, S5, for the moment.

    Examples
    --------
    Neighbours are seldom kept both:

    >>> print(pivotal(Product([[1.0, 1.0, -1.0, -1.0]], [1.0] * 4), [1] * 4, 2).round(6))
    0.0
    >>> print(pivotal(Product([[1.0, -1.0, 1.0, -1.0]], [1.0] * 4), [1] * 4, 2).round(6))
    8.0
    """
    return each_size("pivotal", _pivotal, product, p, s)


def conditional(product: Product, p: npt.ArrayLike, s: npt.ArrayLike) -> Floats:
    """Return ``E ||A diag(m) B - AB||_F^2`` for a conditional Poisson sample (S5).

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Weights >= 0, normalised here; positive wherever the product's term is not zero.
    s : int or array of int
        Numbers of kept entries, at most the number of nonzero `p`.

    Returns
    -------
    float, or array of the shape of `s`
        ``sum_ij H_ij (pi_ij / (pi_i pi_j) - 1)`` with the exact joint probabilities, from the
        factor of S0.

    Raises
    ------
    ValueError
        If `p` would bias the estimate or does not fit, `s` is below 1 or too large, or the factor
        of S0 does not fit into memory.

    References
    ----------
    Hájek, Asymptotic Theory of Rejective Sampling with Varying Probabilities from a Finite
    Population, Ann. Math. Statist. 35 (1964), for the draw; this project, docs/theory.md, S5.

    Examples
    --------
    Two of four alike are as likely as any other two:

    >>> print(conditional(Product([[1.0, -1.0, 1.0, -1.0]], [1.0] * 4), [1] * 4, 2).round(6))
    5.333333
    """
    return each_size("conditional", _conditional, product, p, s)


class Drawn(NamedTuple):
    """What a hybrid draw leaves to chance: a product, its probabilities, and the number of draws.

    The error of the hybrid draw is that of these draws with replacement.
    """

    product: Product
    p: Floats
    s: int


def drawn(product: Product, p: Floats, s: int) -> Drawn | None:
    """Return what a hybrid draw of size s leaves to chance (S8), None where that has no error.

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Weights >= 0 that cover it.
    s : int
        Size, the sure ones included.
    """
    kept = hybrids.sure(p, s)
    rest = np.setdiff1d(np.flatnonzero(p), kept)
    if not product.term_norms[rest].any():
        return None
    return Drawn(Product(product.A[:, rest], product.B[rest]), p[rest], s - len(kept))


def _hybrid(product: Product, p: Floats, s: int) -> float:
    rest = drawn(product, p, s)
    if rest is None:
        return 0.0
    scale = (rest.product.total / product.total) ** 2
    return SingleDraw(rest.product, rest.p).T / rest.s * scale


def _pivotal(product: Product, p: Floats, s: int) -> float:
    pi = probabilities.inclusion(p, s, design="pivotal")
    loose = np.flatnonzero((pi > 0) & (pi < 1))
    return float(kernels.pivotal(product.unit_factor[loose] / pi[loose, None], pi[loose]))


def _conditional(product: Product, p: Floats, s: int) -> float:
    poisson = probabilities.inclusion(p, s, design="poisson")
    loose = np.flatnonzero((poisson > 0) & (poisson < 1))
    rest = s - int(np.count_nonzero(poisson == 1))
    if rest in (0, len(loose)):
        return 0.0
    pi = probabilities.inclusion(p, s, design="conditional")[loose]
    y = product.unit_factor[loose] / pi[:, None]
    # So many are kept whatever they are: no common part of y has a variance.
    spread = pi * (1.0 - pi)
    y -= spread @ y / spread.sum()
    squares = np.einsum("ik,ik->i", y, y)
    moment = float(pi @ squares)
    for weight, u in nodes(poisson[loose], rest):
        centred = u - pi
        # Real and imaginary part of sum_i (u_i - pi_i) y_i.
        real, imaginary = centred.real @ y, centred.imag @ y
        pairs = complex(real @ real - imaginary @ imaginary, 2.0 * (real @ imaginary))
        moment += (weight * (pairs - (u * u) @ squares)).real
    return max(0.0, moment)
