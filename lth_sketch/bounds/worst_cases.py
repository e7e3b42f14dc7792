"""D4 and S6: the worst case over the data, and the draw for which it is least."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import probabilities, validation
from lth_sketch.designs import DESIGNS
from lth_sketch.product import LARGEST, SMALLEST
from lth_sketch.validation import Floats

NORMS = ("columns", "frobenius")


class WorstCase(NamedTuple):
    """The largest error over a set of data sets, and a data set that attains it."""

    worst: float
    witness: Floats


class Minimax(NamedTuple):
    """The draw whose largest error is least, that error, and a data set that attains it."""

    worst: float
    p: Floats
    witness: Floats


def minimax(w: npt.ArrayLike, alpha: float = 1.0, *, norm: str = "frobenius") -> Minimax:
    """Return the draw with replacement whose worst case over the data is least (D4 a-c).

    Parameters
    ----------
    w : (d,) array
        Weights of one output, not all zero.
    alpha : float
        Size of the data X, > 0.
    norm : {"frobenius", "columns"}
        The data sets allowed: ``||X||_F <= alpha``, or every feature norm at most alpha.

    Returns
    -------
    worst : float
        ``s E ||X diag(m) w - X w||^2`` for the worst X allowed. "frobenius": ``alpha^2 ||w||^2`` if
        no ``w_i^2`` exceeds half of ``||w||^2``, else ``2 alpha^2 |w_1| ||w_-||`` with the large
        w_1 and the rest ``w_-``. "columns":
        ``alpha^2 (||w||_1^2 - (2 max |w_i| - ||w||_1)_+^2)``.
    p : (d,) array
        The draw: `probabilities.squared` in the first case of "frobenius",
        `probabilities.data_free` for "columns".
    witness : (2, d) array
        Data X on which p attains `worst`, and every other p has at least that.

    Raises
    ------
    ValueError
        If `w` is all zero, not finite or not a vector (see `worst_case` for several outputs),
        `alpha` is not positive, or `norm` is another.

    References
    ----------
    This project, docs/theory.md, D4.

    Examples
    --------
    >>> worst, p, X = minimax([1.0, 1.0, 1.0, 1.0])
    >>> print(worst, p)
    4.0 [0.25 0.25 0.25 0.25]
    >>> worst, p, X = minimax([3.0, 1.0])
    >>> print(worst, p, X[0].round(3))
    6.0 [0.75 0.25] [ 0.707 -0.707]
    >>> minimax([3.0, 1.0], norm="columns").worst
    12.0
    """
    validation.choice("norm", norm, NORMS)
    relative, scale = _scaled("w", validation.vector("w", w), alpha)
    sizes = np.abs(relative)
    large = int(sizes.argmax())
    rest = sizes.copy()
    rest[large] = 0.0
    # The largest is 1. The others are summed by themselves: a difference would lose them.
    if norm == "columns":
        total = float(rest.sum())
        worst = 4.0 * total if total < 1.0 else (1.0 + total) ** 2
        p = probabilities.data_free(relative)
        norms = np.ones_like(sizes)
    else:
        eta = float(np.sqrt(rest @ rest))
        if eta < 1.0:
            worst = 2.0 * eta
            norms = np.divide(rest, eta, out=rest.copy(), where=rest > 0)
            norms[large] = 1.0
            norms /= np.sqrt(2.0)
            p = rest * np.divide(rest, eta, out=rest.copy(), where=rest > 0)
            p[large] = 1.0
            p /= 1.0 + eta
        else:
            worst = 1.0 + float(rest @ rest)
            norms = sizes / np.sqrt(worst)
            p = probabilities.squared(relative)
    witness = alpha * np.sign(relative) * norms * _closing(norms * sizes)
    return Minimax(worst * scale * scale, p, witness)


def worst_case(
    p: npt.ArrayLike, w: npt.ArrayLike, alpha: float = 1.0, *, norm: str = "frobenius"
) -> WorstCase:
    """Return the worst case over the data of any draw with replacement (D4 e, f).

    Parameters
    ----------
    p : (d,) array
        Weights >= 0, normalised here; positive wherever a row of `w` is not zero.
    w : (d,) array, or (d, r) array for "frobenius"
        Weights of the model, not all zero.
    alpha : float
        Size of the data X, > 0.
    norm : {"frobenius", "columns"}
        The data sets allowed: ``||X||_F <= alpha``, or every feature norm at most alpha.

    Returns
    -------
    worst : float
        ``s E ||X diag(m) w - X w||_F^2`` for the worst X allowed. "frobenius": alpha^2 times the
        largest eigenvalue of ``diag(||w_i||^2 / p_i) - w w^T`` over the nonzero rows. "columns":
        ``alpha^2 (sum w_i^2 / p_i - (2 max |w_i| - ||w||_1)_+^2)``.
    witness : (1, d) or (2, d) array
        Data X on which the draw attains it.

    Raises
    ------
    ValueError
        If `p` would bias the estimate or does not fit, `w` is all zero or not finite, `alpha` is
        not positive, or `norm` is another or asks for a vector.

    References
    ----------
    This project, docs/theory.md, D4.

    Examples
    --------
    >>> worst, X = worst_case([1, 1], [3.0, 1.0])
    >>> print(round(worst, 6), abs(X).round(3))
    10.0 [[0.949 0.316]]
    >>> round(worst_case([1, 1], [3.0, 1.0], norm="columns").worst, 6)
    16.0
    """
    validation.choice("norm", norm, NORMS)
    axes = 1 if norm == "columns" else (1, 2)
    relative, scale = _scaled("w", validation.array("w", w, ndim=axes), alpha)
    rows = relative.reshape(len(relative), -1)
    sizes = np.linalg.norm(rows, axis=1)
    draw = validation.covering(p, sizes)
    live = np.flatnonzero(sizes)
    terms = sizes[live] * (sizes[live] / draw[live])
    if norm == "columns":
        worst = _beyond_closing(sizes[draw > 0], draw[draw > 0])
        witness = alpha * np.sign(relative) * _closing(sizes)
    else:
        Q = np.diag(terms) - rows[live] @ rows[live].T
        # All eigenvalues: the search for one may come back empty where the largest is multiple.
        values, vectors = np.linalg.eigh(Q)
        worst = max(0.0, float(values[-1]))
        witness = np.zeros((1, len(rows)))
        witness[0, live] = alpha * vectors[:, -1]
    return WorstCase(worst * scale * scale, witness)


def top(B: npt.ArrayLike, p: npt.ArrayLike, s: int, alpha: float = 1.0) -> WorstCase:
    """Return the worst case of keeping the s largest p with weight 1, ``alpha^2 ||B_R||_2^2`` (S6).

    It does not fall like 1/s: a mask that is not drawn has no defence against the worst data.

    Parameters
    ----------
    B : (d,) or (d, r) array
        Right matrix of the product, for instance the weights.
    p : (d,) array
        Scores >= 0, not taken from the data; ties go to the lower index.
    s : int
        Number of kept entries, at most d.
    alpha : float
        Size of the data, > 0: all A with ``||A||_F <= alpha`` are allowed.

    Returns
    -------
    worst : float
        ``||A diag(m) B - AB||_F^2`` for the worst A allowed, the unit of `moments.top`. B_R has the
        removed rows, and the norm is spectral.
    witness : (1, d) array
        Data A that attains it; zeros for s = d.

    Raises
    ------
    ValueError
        If `s` exceeds d, `p` does not fit, `B` is all zero or not finite, or `alpha` is not
        positive.

    References
    ----------
    This project, docs/theory.md, S6.

    Examples
    --------
    >>> worst, A = top([3.0, 2.0, 1.0], [3, 2, 1], 1)
    >>> print(round(worst, 6), A.round(3))
    5.0 [[0.    0.894 0.447]]
    """
    relative, scale = _scaled("B", validation.array("B", B, ndim=(1, 2)), alpha)
    rows = relative.reshape(len(relative), -1)
    scores = validation.weights("p", p, size=len(rows))
    kept = validation.count("s", s)
    DESIGNS["top"].check(kept, scores)
    removed = np.argsort(-scores, kind="stable")[kept:]
    witness = np.zeros((1, len(rows)))
    if not removed.size:
        return WorstCase(0.0, witness)
    U, sigma, _ = scipy.linalg.svd(rows[removed], full_matrices=False)
    witness[0, removed] = alpha * U[:, 0]
    return WorstCase(float(sigma[0] * scale) ** 2, witness)


def _beyond_closing(sizes: Floats, draw: Floats) -> float:
    """``sum w_i^2 / p_i - (2 max w_i - sum w_i)_+^2`` for w >= 0 and p > 0, as a sum of squares."""
    large = int(sizes.argmax())
    rest = float(np.delete(sizes, large).sum())
    if sizes[large] <= rest:
        return float((sizes * (sizes / draw)).sum())
    # sum w_i^2 / p_i - (sum w_i)^2 is the first sum, and the square of the sum exceeds that of the
    # difference by the second.
    gaps = sizes - draw * float(sizes.sum())
    return float((gaps * (gaps / draw)).sum()) + 4.0 * float(sizes[large]) * rest


def _closing(lengths: Floats) -> Floats:
    """Return unit vectors e_i in the plane, (2, d), with the least ``||sum lengths_i e_i||``.

    Zero if no length exceeds the sum of the others: then three sides made of them in descending
    order, as many as fit into half of the total, the next one, and the rest, close to a triangle.
    """
    order = np.argsort(-lengths, kind="stable")
    sums = np.cumsum(lengths[order])
    half = sums[-1] / 2.0
    vectors = np.zeros((2, len(lengths)))
    if sums[0] > half:
        vectors[0] = -1.0
        vectors[0, order[0]] = 1.0
        return vectors
    first = int(np.searchsorted(sums, half, side="right"))
    sides = sums[first - 1], lengths[order[first]], float(lengths[order[first + 1 :]].sum())
    cosine = (sides[2] ** 2 - sides[0] ** 2 - sides[1] ** 2) / (2.0 * sides[0] * sides[1])
    cosine = min(1.0, max(-1.0, float(cosine)))
    second = np.array([cosine, np.sqrt((1.0 - cosine) * (1.0 + cosine))])
    third = -(np.array([sides[0], 0.0]) + sides[1] * second)
    length = float(np.hypot(*third))
    vectors[0, order[:first]] = 1.0
    vectors[:, order[first]] = second
    vectors[:, order[first + 1 :]] = (third / length if length else np.array([1.0, 0.0]))[:, None]
    return vectors


def _scaled(name: str, w: npt.ArrayLike, alpha: float) -> tuple[Floats, float]:
    """Return the weights divided by their largest entry, and alpha times that entry."""
    alpha = validation.number("alpha", alpha, low=0.0, high=LARGEST, closed=False)
    weights = np.asarray(w, dtype=np.float64)
    largest = float(np.abs(weights).max())
    if largest == 0.0:
        raise ValueError(f"{name} must have an entry that is not zero; all are zero")
    scale = alpha * largest
    if not SMALLEST < scale < LARGEST:
        raise ValueError(
            f"alpha times the largest entry of {name} is {scale:.3g}, whose square leaves float64 "
            f"(allowed: {SMALLEST:.0e} to {LARGEST:.0e}); rescale {name} or alpha: errors scale "
            "with both"
        )
    return weights / largest, scale
