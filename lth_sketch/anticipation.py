"""Second moments of trained weights over labels that nobody has seen yet (E6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import filters, validation
from lth_sketch.reduction import reduce
from lth_sketch.tolerances import ROUNDING
from lth_sketch.validation import Floats

# Range of the largest entry of X, for squares of it and of its inverse to keep their digits.
SMALLEST, LARGEST = 1e-140, 1e140


@dataclass(frozen=True)
class Trained:
    """Trained weights over random labels, with the axes of the times, steps or penalties first.

    Attributes
    ----------
    norms : (d,) array
        Norms of the features.
    squares : (..., d) array
        ``E ||w_i||^2`` of each row of the trained weights.
    fitted : (...) array
        ``E ||X w||_F^2``.
    """

    norms: Floats
    squares: Floats
    fitted: Floats

    @property
    def terms(self) -> Floats:
        """``a_i m_i``, the root mean squares of the terms' norms, (..., d)."""
        return np.asarray(self.norms * np.sqrt(self.squares))


def trained(
    X: Any,
    w0: npt.ArrayLike | None,
    kind: str,
    labels: npt.ArrayLike,
    outputs: int,
    **training: Any,
) -> Trained:
    """Return the moments of the weights that training reaches, from one factorisation.

    See `probabilities.anticipated` for the arguments and what they may raise.
    """
    choose = filters.chosen(kind, **training)
    X = validation.matrix("X", X)
    start, outputs = _start(w0, X.shape[1], outputs)
    largest = float(np.abs(X.data if scipy.sparse.issparse(X) else X).max(initial=0.0))
    if largest == 0.0:
        raise ValueError("X must have an entry that is not zero; all are zero")
    if not SMALLEST <= largest <= LARGEST:
        raise ValueError(
            f"X must have its largest entry in [{SMALLEST:g}, {LARGEST:g}], for its squares to "
            f"stay in range; got {largest:g}; rescale X"
        )
    columns, mean = _labels(labels, X.shape[0])
    reduced = reduce(X, np.column_stack([columns, mean]))
    U, sigma, Vt = reduced.spectrum(reduced.R)
    g, left = choose(sigma)
    # The mean of the trained weights: what is left of w0, and what is learned of the mean label.
    along = Vt @ start
    learned = (U.T @ reduced.targets[:, -1])[:, None]
    beyond = start - Vt.T @ along if len(sigma) < len(start) else np.zeros_like(start)
    coordinates = left[..., None] * along + g[..., None] * learned
    squares = np.square(beyond + Vt.T @ coordinates).sum(axis=-1)
    fitted = np.square(sigma[:, None] * coordinates).sum(axis=(-2, -1))
    # Their covariance, that of one output times the number of outputs.
    if columns.shape[1]:
        seen = _square_root(U.T @ reduced.targets[:, :-1])
        moved = g[..., None] * seen
        squares += outputs * np.square(Vt.T @ moved).sum(axis=-1)
        fitted += outputs * np.square(sigma[:, None] * moved).sum(axis=(-2, -1))
    else:
        variance = float(np.asarray(labels))
        squares += outputs * variance * (np.square(g) @ np.square(Vt))
        fitted += outputs * variance * np.square(sigma * g).sum(axis=-1)
    return Trained(np.linalg.norm(reduced.R, axis=0), squares, fitted)


def _start(w0: npt.ArrayLike | None, d: int, outputs: int) -> tuple[Floats, int]:
    """Return the initial weights (d, outputs), and the number of outputs."""
    outputs = validation.count("outputs", outputs)
    if w0 is None:
        return np.zeros((d, outputs)), outputs
    start = validation.array("w0", w0, ndim=(1, 2)).astype(np.float64)
    if len(start) != d:
        raise ValueError(
            f"w0 must have one row for each of the {d} features of X; got shape {start.shape}"
        )
    start = start.reshape(d, -1)
    if outputs not in (1, start.shape[1]):
        raise ValueError(
            f"outputs must be the number of columns of w0, {start.shape[1]}; got {outputs}"
        )
    return start, start.shape[1]


def _labels(labels: npt.ArrayLike, n: int) -> tuple[Floats, Floats]:
    """Return columns whose products sum to the covariance of one output's labels, and their mean.

    A variance has no columns: its sum is known in closed form.
    """
    if np.ndim(labels) == 0:
        validation.number("labels", labels, low=0.0, high=np.finfo(np.float64).max)
        return np.empty((n, 0)), np.zeros(n)
    numbers = validation.array("labels", labels, ndim=(1, 2)).astype(np.float64)
    if len(numbers) != n:
        raise ValueError(
            f"labels must be a variance, an ({n}, {n}) second-moment matrix or a sample with {n} "
            f"rows, one for each row of X; got shape {numbers.shape}"
        )
    if numbers.shape == (n, n):
        return _root_of(numbers), np.zeros(n)
    columns = numbers.reshape(n, -1)
    mean = columns.mean(axis=1)
    return (columns - mean[:, None]) / np.sqrt(columns.shape[1]), mean


def _root_of(matrix: Floats) -> Floats:
    """Return a square root of a second-moment matrix of labels."""
    size = float(np.abs(matrix).max())
    if np.abs(matrix - matrix.T).max() > ROUNDING * size:
        raise ValueError(
            "labels of shape (n, n) must be a symmetric second-moment matrix; it is not symmetric; "
            "a sample of n label vectors has the second moment Y @ Y.T / n"
        )
    values, vectors = np.linalg.eigh(matrix)
    if values[0] < -ROUNDING * len(values) * size:
        raise ValueError(
            "labels must be a second-moment matrix, whose eigenvalues are >= 0; the smallest "
            f"eigenvalue is {values[0]:.6g}"
        )
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _square_root(columns: Floats) -> Floats:
    """Return at most as many columns as rows, with the same sum of products."""
    if columns.shape[1] <= columns.shape[0]:
        return columns
    return np.asarray(np.linalg.qr(columns.T, mode="r")).T
