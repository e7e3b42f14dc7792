"""B1-B4, B6, B7 and A1: the error of s draws with replacement."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import probabilities, quadratic_forms, validation
from lth_sketch.bounds import _walks, bennett
from lth_sketch.product import Product
from lth_sketch.single_draw import SingleDraw
from lth_sketch.validation import Floats

_Bound = Callable[[SingleDraw, Floats, float], Floats]


def nearness(product: Product, p: npt.ArrayLike) -> float:
    """Return the largest beta <= 1 with ``p >= beta * probabilities.optimal(product)`` (B1).

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Weights >= 0, normalised here.

    Returns
    -------
    float
        beta, to be passed to `frobenius` and `dkm`.

    Examples
    --------
    >>> round(nearness(Product([[3.0, 1.0]], [1.0, 1.0]), [1, 1]), 6)
    0.666667
    """
    draw = validation.covering(p, product.term_norms)
    best = probabilities.optimal(product)
    live = best > 0
    return min(1.0, float((draw[live] / best[live]).min()))


def frobenius(product: Product, s: npt.ArrayLike, beta: float = 1.0) -> Floats:
    """Return ``(U^2 / beta - ||AB||_F^2) / s``, a bound on the second moment (B1).

    Parameters
    ----------
    product : Product
        The product AB.
    s : int or array of int
        Numbers of draws.
    beta : float
        In (0, 1]: the draw has ``p >= beta * optimal`` entrywise, see `nearness`.

    Returns
    -------
    float, or array of the shape of `s`
        Bound on ``E ||err||_F^2``; equal to it for beta = 1 and the optimal draw.

    References
    ----------
    Drineas, Kannan, Mahoney, Fast Monte Carlo Algorithms for Matrices I, SIAM J. Comput. 36
    (2006), section 4.

    Examples
    --------
    >>> print(frobenius(Product([[3.0, 4.0]], [1.0, -1.0]), [1, 12]))
    [48.  4.]
    """
    draws = validation.sizes(s)
    beta = _beta(beta)
    # The centred part and the rest by themselves: their sum is no difference.
    best = SingleDraw(product, product.term_norms)
    excess = float((np.sqrt(best.T) + best.floor) ** 2) + (1.0 / beta - 1.0)
    return excess / draws * product.total**2


def dkm(product: Product, s: npt.ArrayLike, delta: float, beta: float = 1.0) -> Floats:
    """Return the classical ``(1 + sqrt(8 L / beta)) ||A||_F ||B||_F / sqrt(beta s)`` (B2).

    Parameters
    ----------
    product : Product
        The product AB.
    s : int or array of int
        Numbers of draws.
    delta : float
        Risk, in (0, 1); L = log(1 / delta).
    beta : float
        In (0, 1]: the draw has ``p >= beta * optimal`` entrywise.

    Returns
    -------
    float, or array of the shape of `s`
        Bound on ``||err||_F`` with probability at least 1 - delta.

    References
    ----------
    Drineas, Kannan, Mahoney, Fast Monte Carlo Algorithms for Matrices I, SIAM J. Comput. 36
    (2006), Theorem 1.

    Examples
    --------
    >>> round(float(dkm(Product([[3.0, 4.0]], [1.0, -1.0]), 4, 0.05)), 6)
    20.843718
    """
    draws = validation.sizes(s)
    L, beta = _log_risk(delta), _beta(beta)
    scale = float(np.linalg.norm(product.column_norms) * np.linalg.norm(product.row_norms))
    bound: Floats = (1.0 + np.sqrt(8.0 * L / beta)) * scale / np.sqrt(beta * draws)
    return bound


def mcdiarmid(
    product: Product, p: npt.ArrayLike, s: npt.ArrayLike, delta: float, *, sharp: bool = False
) -> Floats:
    """Return ``sqrt(V) + R sqrt(2 L / s)``, R the largest norm of a drawn term (B3).

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Weights >= 0, normalised here; positive wherever the product's term is not zero.
    s : int or array of int
        Numbers of draws.
    delta : float
        Risk, in (0, 1); L = log(1 / delta).
    sharp : bool
        Put half the largest distance D <= 2 R of two drawn terms in the place of R. It needs the
        factor of S0, where R needs only norms.

    Returns
    -------
    float, or array of the shape of `s`
        Bound on ``||err||_F`` with probability at least 1 - delta.

    References
    ----------
    McDiarmid, On the method of bounded differences, Surveys in Combinatorics (1989).

    Examples
    --------
    >>> product = Product([[3.0, 4.0]], [1.0, -1.0])
    >>> round(float(mcdiarmid(product, [3, 4], 4, 0.05)), 6)
    12.031216
    """
    return _deviation(_mcdiarmid_sharp if sharp else _mcdiarmid, product, p, s, delta)


def bousquet(product: Product, p: npt.ArrayLike, s: npt.ArrayLike, delta: float) -> Floats:
    """Return ``sqrt(V) + (v / M) h^{-1}(L M^2 / (s v))`` with ``v = sigma2 + 2 M sqrt(V)`` (B4).

    ``h(u) = (1 + u) log(1 + u) - u``. It is below the form that is printed more often,
    ``sqrt(V) + sqrt(2 L v / s) + M L / (3 s)``.

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Weights >= 0, normalised here; positive wherever the product's term is not zero.
    s : int or array of int
        Numbers of draws.
    delta : float
        Risk, in (0, 1); L = log(1 / delta).

    Returns
    -------
    float, or array of the shape of `s`
        Bound on ``||err||_F`` with probability at least 1 - delta.

    References
    ----------
    Bousquet, A Bennett concentration inequality and its application to suprema of empirical
    processes, C. R. Acad. Sci. Paris 334 (2002).

    Examples
    --------
    >>> product = Product([[3.0, 4.0]], [1.0, -1.0])
    >>> round(float(bousquet(product, [3, 4], 4, 0.05)), 6)
    17.778532
    """
    return _deviation(_bousquet, product, p, s, delta)


def radial(
    product: Product, p: npt.ArrayLike, s: npt.ArrayLike, delta: float, *, centres: int = 1
) -> Floats:
    """Return the bound of the radial martingale (B6), usually far below `bousquet`.

    ``sqrt(V) + (v / M) h^{-1}(L M^2 / (s v))`` with ``v = sigma2 + omega2 H_s / (4 s T)``, the
    harmonic number H_s and ``h(u) = (1 + u) log(1 + u) - u``. It is below
    ``sqrt(V) + sqrt(2 L v / s) + M L / (3 s)``.

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Weights >= 0, normalised here; positive wherever the product's term is not zero.
    s : int or array of int
        Numbers of draws.
    delta : float
        Risk, in (0, 1); L = log(1 / delta).
    centres : {1, 2}
        2: the walk may start at two points as well, which is sharper where one direction holds much
        of the variance (B6'); never above 1.

    Returns
    -------
    float, or array of the shape of `s`
        Bound on ``||err||_F`` with probability at least 1 - delta.

    References
    ----------
    This project, docs/theory.md, B6.

    Examples
    --------
    >>> product = Product([[3.0, 4.0]], [1.0, -1.0])
    >>> round(float(radial(product, [3, 4], 4, 0.05)), 6)
    13.811855
    """
    centres = validation.count("centres", centres)
    if centres > 2:
        raise ValueError(f"centres must be 1 or 2; got {centres}")
    return _deviation(_radial if centres == 1 else _two_centres, product, p, s, delta)


def cantelli(product: Product, p: npt.ArrayLike, s: npt.ArrayLike, delta: float) -> Floats:
    """Return ``sqrt(V + sqrt(W (1 - delta) / delta))`` with the exact variance W (B7).

    Best for moderate delta: it grows like ``delta^(-1/4)``.

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

    References
    ----------
    Cantelli's inequality for ``||err||^2``; this project, docs/theory.md, B7.

    Examples
    --------
    >>> product = Product([[3.0, 4.0]], [1.0, -1.0])
    >>> round(float(cantelli(product, [3, 4], 4, 0.05)), 6)
    8.74676
    """
    return _deviation(_cantelli, product, p, s, delta)


def asymptotic_quantile(
    product: Product, p: npt.ArrayLike, s: npt.ArrayLike, delta: float
) -> Floats:
    """Return the quantile of ``||err||_F`` in the limit of many draws (A1): no bound.

    ``s ||err||^2`` is about ``sum lambda_i chi2_1`` with the eigenvalues of Sigma; the quantile is
    found once and scales as ``s^(-1/2)``.

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Weights >= 0, normalised here; positive wherever the product's term is not zero.
    s : int or array of int
        Numbers of draws; the approximation is good when terms are drawn many times over.
    delta : float
        Probability of exceeding the quantile, in (0, 1).

    Returns
    -------
    float, or array of the shape of `s`
        Approximate quantile; 0 where the error is always 0.

    References
    ----------
    The central limit theorem in R^rank; `quadratic_forms.quantile` for the quantile.

    Examples
    --------
    >>> product = Product([[3.0, 4.0]], [1.0, -1.0])
    >>> round(float(asymptotic_quantile(product, [3, 4], 4, 0.05)), 6)
    6.789514
    """
    draws = validation.sizes(s)
    delta = validation.risk("delta", delta)
    eigenvalues = SingleDraw.of(product, p).eigenvalues
    limit = quadratic_forms.quantile(delta, eigenvalues) if eigenvalues.size else 0.0
    return np.sqrt(limit / draws) * product.total


def _deviation(
    bound: _Bound, product: Product, p: npt.ArrayLike, s: npt.ArrayLike, delta: float
) -> Floats:
    draws = validation.sizes(s).astype(np.float64)
    _log_risk(delta)
    law = SingleDraw.of(product, p)
    # What rounding may have taken goes on top: a bound is never below the truth.
    floor = law.floor if bound is _mcdiarmid else law.factor_floor
    return (bound(law, draws, float(delta)) + floor) * product.total


def _mcdiarmid(draw: SingleDraw, s: Floats, delta: float) -> Floats:
    return _bounded_differences(draw.T, 2.0 * draw.R, s, delta)


def _mcdiarmid_sharp(draw: SingleDraw, s: Floats, delta: float) -> Floats:
    return _bounded_differences(draw.second, draw.D, s, delta)


def _bounded_differences(T: float, span: float, s: Floats, delta: float) -> Floats:
    bound: Floats = np.sqrt(T / s) + span * np.sqrt(-np.log(delta) / (2.0 * s))
    return bound


def _bousquet(draw: SingleDraw, s: Floats, delta: float) -> Floats:
    spread = draw.sigma2 + 2.0 * draw.M * np.sqrt(draw.second / s)
    return _bennett(draw, spread, s, delta)


def _radial(draw: SingleDraw, s: Floats, delta: float) -> Floats:
    if draw.second == 0.0:
        return np.zeros_like(s)[()]
    harmonic = scipy.special.digamma(s + 1.0) + np.euler_gamma
    spread = draw.sigma2 + draw.omega2 / draw.second * harmonic / (4.0 * s)
    return _bennett(draw, spread, s, delta)


def _two_centres(draw: SingleDraw, s: Floats, delta: float) -> Floats:
    return np.minimum(_radial(draw, s, delta), _walks.two_centres(draw, s, delta) / s)


def _bennett(draw: SingleDraw, spread: Floats, s: Floats, delta: float) -> Floats:
    tail = bennett.excess(s * spread, draw.M, -float(np.log(delta))) / s
    return np.asarray(np.sqrt(draw.second / s) + tail)[()]


def _cantelli(draw: SingleDraw, s: Floats, delta: float) -> Floats:
    bound: Floats = np.sqrt(
        draw.second / s + np.sqrt(draw.variance(s)) * (np.sqrt(1.0 - delta) / np.sqrt(delta))
    )
    return bound


def _log_risk(delta: float) -> float:
    return -float(np.log(validation.risk("delta", delta)))


def _beta(beta: float) -> float:
    beta = validation.number("beta", beta, low=0.0, high=1.0)
    if beta == 0.0:
        raise ValueError("beta must lie in (0, 1]; got 0.0: the draw misses a term, see nearness")
    return beta
