"""Least squares with one factorisation, which every way of training on it shares."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import conversion, display, labels, validation
from lth_sketch.reduction import Decomposition, decomposition, reduce
from lth_sketch.regression import maskfits, nested
from lth_sketch.validation import Array, Floats, Integers

# Range of the largest entry: squares, and the sums of them, keep all their digits in float64.
SMALLEST, LARGEST = 1e-140, 1e140
# Features that a notebook shows by name.
NAMED = 5


class Problem:
    """A least-squares problem whose one factorisation serves every way of training on it.

    Parameters
    ----------
    X : (n, d) array or CSR/CSC matrix
        Data, samples in rows. Never changed.
    y : (n,) or (n, r) array
        Targets, for one or for r outputs.
    w0 : (d,) or (d, r) array, optional
        Weights at initialization, of the shape that `y` asks for; zeros by default.
    n_samples : int, optional
        Rows that X stands for, where it is the triangle of `scale.rows`; by default its own. It
        decides which singular values count as zero (`tolerances.rank`).

    Raises
    ------
    TypeError
        If an entry is not a real number, or a sparse X is neither CSR nor CSC.
    ValueError
        If the shapes do not fit, X and w0 name the features differently, an entry is NaN or
        infinite, the squares of the entries leave the range of float64, or `n_samples` is below
        the rows of X.

    Notes
    -----
    X and y are rotated once to min(n, d) rows (`lth_sketch.reduction`), which costs about as much
    as one call of numpy.linalg.lstsq; what follows no longer depends on n. With a mask the same
    rows are scaled, and decomposed anew. Weights are float32 where X and w0 (if given) are, losses
    always float64; all sums are accumulated in float64.

    Examples
    --------
    >>> import numpy as np
    >>> problem = Problem([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]], [3.0, 4.0, 5.0])
    >>> problem.gradient_flow()
    array([3., 2.])
    >>> trajectory = problem.gradient_flow([0.0, 0.1, np.inf])
    >>> problem.loss(trajectory).round(3)
    array([50.   , 39.558, 25.   ])
    """

    def __init__(
        self,
        X: Any,
        y: npt.ArrayLike,
        w0: npt.ArrayLike | None = None,
        *,
        n_samples: int | None = None,
    ) -> None:
        labels.agree("X", X, "w0", w0)
        self._names = labels.names(X)
        X, targets, self._outputs = data(X, y)
        n, d = X.shape
        samples = n if n_samples is None else validation.count("n_samples", n_samples)
        if samples < n:
            raise ValueError(f"n_samples must be at least the {n} rows of X; got {samples}")
        self._dtype = X.dtype
        self._w0 = np.zeros((d, targets.shape[1]))
        if w0 is not None:
            start = validation.in_range("w0", validation.array("w0", w0, ndim=(1, 2)))
            if start.shape != (d, *self._outputs):
                raise ValueError(
                    f"w0 must have shape {(d, *self._outputs)}, one row for each of the {d} "
                    f"features of X and the outputs of y; got shape {start.shape}"
                )
            self._dtype = np.result_type(X.dtype, start.dtype)
            self._w0[:] = start.reshape(d, -1)
        self._reduced = replace(reduce(X, targets), n_samples=samples)

    def __repr__(self) -> str:
        d, r = self._w0.shape
        return f"Problem(n_samples={self._reduced.n_samples}, n_features={d}, n_outputs={r})"

    def _repr_html_(self) -> str:
        d, r = self._w0.shape
        values = self._spectrum[1]
        facts = {
            "samples": f"{self._reduced.n_samples:,}",
            "features": f"{d:,}" + (f": {', '.join(self.names[:NAMED])}" if self.names else ""),
            "outputs": f"{r:,}",
            "rank": f"{self.rank:,}",
            "singular values": f"{values[0]:.4g} to {values[-1]:.4g}" if len(values) else "none",
        }
        words = "singular values, the largest first"
        drawing = display.falling(values, words) if len(values) else ""
        return display.facts("Problem", facts, drawing)

    @property
    def names(self) -> tuple[str, ...] | None:
        """Names of the features, where X is a data frame: those of its columns; else None."""
        return self._names

    @property
    def singular_values(self) -> Floats:
        """Singular values of X that are not zero, largest first."""
        return self._spectrum.sigma.copy()

    @property
    def rank(self) -> int:
        """Number of singular values of X that are not zero."""
        return len(self._spectrum.sigma)

    def gradient_flow(
        self, time: npt.ArrayLike = np.inf, *, mask: npt.ArrayLike | None = None
    ) -> Array:
        """Return the weights of gradient flow at one time, or at each of an array of times.

        The flow descends (1/2)||X(m o v) - y||^2 from v = w0. The axes of `time` come first in the
        result. See the function `gradient_flow`.
        """
        t = validation.numbers("time", time)[..., None]

        def filters(sigma: Floats) -> Floats:
            with np.errstate(over="ignore"):
                return np.asarray(-np.expm1(-t * sigma * sigma))

        return self._trained(filters, mask)

    def gradient_descent(
        self, rate: float, steps: npt.ArrayLike, *, mask: npt.ArrayLike | None = None
    ) -> Array:
        """Return the weights after one number of steps, or after each of an array of numbers.

        Each step is v <- v - rate * gradient of (1/2)||X(m o v) - y||^2. The axes of `steps` come
        first in the result. See the function `gradient_descent`.
        """
        rate = validation.number("rate", rate, low=0.0, closed=False)
        k = validation.integers("steps", steps)[..., None]

        def filters(sigma: Floats) -> Floats:
            limit = 2.0 / sigma[0] ** 2 if sigma.size else math.inf
            if rate >= limit:
                raise ValueError(
                    f"rate must be below 2/sigma_max^2 = {limit:.6g} (sigma_max is the largest "
                    f"singular value of X diag(mask)), else descent diverges; got {rate!r}"
                )
            z = rate * sigma * sigma
            # log|1 - z|: log1p below 1, where z may be tiny; above 1 the difference is exact.
            with np.errstate(divide="ignore", invalid="ignore"):
                logs = np.where(z < 1.0, np.log1p(-np.minimum(z, 1.0)), np.log(np.abs(z - 1.0)))
                powers = np.where(k == 0, 0.0, k * logs)
            odd = (z > 1.0) & (k % 2 == 1)
            return np.where(odd, 1.0 + np.exp(powers), -np.expm1(powers))

        return self._trained(filters, mask)

    def ridge(self, penalty: npt.ArrayLike, *, mask: npt.ArrayLike | None = None) -> Array:
        """Return the ridge weights for one penalty, or for each of an array of penalties.

        They minimise ||X(m o v) - y||^2 + penalty ||v - w0||^2; penalty = 0 is the limit, least
        squares nearest to w0. The axes of `penalty` come first in the result. See the function
        `ridge`.
        """
        lam = validation.numbers("penalty", penalty)[..., None]
        return self._trained(lambda sigma: 1.0 / (1.0 + np.square(np.sqrt(lam) / sigma)), mask)

    def loss(self, w: npt.ArrayLike) -> Floats:
        """Return ||y - X w||^2 of effective weights, one sum of squares for each output.

        Parameters
        ----------
        w : (..., d) or (..., d, r) array
            Weights of the shape of w0, or a stack of them, such as a trajectory.

        Returns
        -------
        (...) or (..., r) array
            Its square root is right to about ``eps (||y|| + sum ||X_i|| |w_i|)``.

        Raises
        ------
        ValueError
            If the last axes are not those of w0, or an entry is NaN or infinite.
        """
        shape = (len(self._w0), *self._outputs)
        w = conversion.real("w", w)
        weights = validation.array("w", w, ndim=w.ndim)
        if weights.shape[-len(shape) :] != shape:
            raise ValueError(f"the last axes of w must be {shape}; got shape {weights.shape}")
        stack = weights.shape[: weights.ndim - len(shape)]
        rows = weights.reshape(*stack, *self._w0.shape).astype(np.float64).swapaxes(-1, -2)
        return np.asarray(self._reduced.loss(rows).reshape(stack + self._outputs))[()]

    def path(self, order: npt.ArrayLike) -> Floats:
        """Return the least-squares loss of every prefix of `order`; see the function `path`."""
        losses = nested.from_reduced(self._reduced, permutation(order, len(self._w0)))
        return losses.reshape(-1, *self._outputs)

    def fit_masks(
        self,
        masks: Any,
        *,
        penalty: float = 0.0,
        X_test: Any = None,
        y_test: npt.ArrayLike | None = None,
        weights: bool = False,
        n_jobs: int | None = None,
    ) -> tuple[Any, ...]:
        """Return the losses of the fit under each mask; see the function `fit_masks`."""
        penalty = validation.number("penalty", penalty, low=0.0, high=np.finfo(np.float64).max)
        threads = validation.workers(n_jobs)
        d, r = self._w0.shape
        rows = _masks(masks, d)
        if (X_test is None) != (y_test is None):
            given, missing = ("X_test", "y_test") if y_test is None else ("y_test", "X_test")
            raise ValueError(f"{missing} is missing; {given} was given, and the two go together")
        test = None
        if X_test is not None:
            held_out, targets, outputs = data(X_test, y_test, suffix="_test")
            if held_out.shape[1] != d or outputs != self._outputs:
                raise ValueError(
                    f"X_test and y_test must have the {d} features and the outputs {self._outputs} "
                    f"of X and y; got {held_out.shape[1]} and {outputs}"
                )
            test = reduce(held_out, targets)
        w = np.empty((rows.shape[0], d, r), dtype=self._dtype) if weights else None
        losses = maskfits.fit(self._reduced, rows, penalty, test=test, weights=w, threads=threads)
        return losses if w is None else (*losses, w)

    @cached_property
    def _spectrum(self) -> Decomposition:
        return decomposition(self._reduced.R, self._reduced.n_samples)

    def _trained(self, filters: Callable[[Floats], Floats], mask: npt.ArrayLike | None) -> Array:
        """Return m o (w0 + V diag(filters(sigma) / sigma) U^T r0), U, sigma, V of R diag(m)."""
        d, r = self._w0.shape
        if mask is None:
            m = np.ones(d)
        else:
            m = validation.weights("mask", mask, size=d).astype(np.float64)
            validation.in_range("mask", m)
        features = np.flatnonzero(m)
        m, start = m[features], self._w0[features]
        A = self._reduced.R[:, features] * m
        if np.abs(A).max(initial=0.0) > LARGEST:
            raise ValueError(
                f"mask must keep the entries of X diag(mask) below {LARGEST:g}, for their squares "
                f"to stay in range; got {np.abs(A).max():.3g}; rescale the mask"
            )
        parts = self._spectrum if mask is None else decomposition(A, self._reduced.n_samples)
        residual = self._reduced.targets - A @ start
        with np.errstate(over="ignore"):
            shares = filters(parts.sigma)
        step = parts.steps @ (shares[..., None] * (parts.U.T @ residual))
        w = np.zeros((*step.shape[:-2], d, r), dtype=self._dtype)
        w[..., features, :] = m[:, None] * (start + step)
        return w.reshape(*step.shape[:-2], d, *self._outputs)


def data(X: Any, y: Any, suffix: str = "") -> tuple[Any, Floats, tuple[int, ...]]:
    """Return X, the targets as (n, r) float64, and their shape without the samples."""
    names = f"X{suffix}", f"y{suffix}"
    X = validation.matrix(names[0], X)
    targets = validation.array(names[1], y, ndim=(1, 2))
    if len(targets) != X.shape[0]:
        raise ValueError(
            f"{names[1]} must have one row for each of the {X.shape[0]} rows of {names[0]}; "
            f"got shape {targets.shape}"
        )
    entries = X.data if scipy.sparse.issparse(X) else X
    for name, array in zip(names, (entries, targets), strict=True):
        largest = float(max(array.max(initial=0), -array.min(initial=0)))
        if largest > 0 and not SMALLEST <= largest <= LARGEST:
            raise ValueError(
                f"{name} must have its largest entry in [{SMALLEST:g}, {LARGEST:g}], for its "
                f"squares to stay in range; got {largest:g}; rescale {name}"
            )
    shape = targets.shape[1:]
    return X, targets.reshape(len(targets), -1).astype(np.float64), shape


def permutation(value: npt.ArrayLike, d: int) -> Integers:
    """Return a permutation of the d features."""
    result = conversion.plain("order", value)
    if result.dtype.kind not in "iu":
        raise TypeError(f"order must hold integers; got dtype {result.dtype}")
    if result.shape != (d,):
        raise ValueError(
            f"order must be a permutation of the {d} features, of shape ({d},); "
            f"got shape {result.shape}"
        )
    inside = result[(result >= 0) & (result < d)].astype(np.int64)
    wrong = np.flatnonzero(np.bincount(inside, minlength=d) != 1)
    if wrong.size:
        raise ValueError(
            f"order must hold each of 0, ..., {d - 1} once; {wrong[0]} is missing or repeated"
        )
    return result.astype(np.int64)


def _masks(masks: Any, d: int) -> Any:
    """Return masks as a CSR array of positive entries with one row for each mask."""
    if not (scipy.sparse.issparse(masks) and masks.format == "csr"):
        raise TypeError(
            f"masks must be a CSR matrix, for instance scipy.sparse.csr_array(masks); "
            f"got {type(masks).__name__}"
        )
    rows = validation.matrix("masks", masks).copy()
    if rows.shape[1] != d:
        raise ValueError(f"masks must have {d} columns, one for each feature; got {rows.shape}")
    rows.sum_duplicates()
    if (rows.data < 0).any():
        row = int(np.searchsorted(rows.indptr, int(rows.data.argmin()), side="right")) - 1
        raise ValueError(f"masks must be >= 0; got {rows.data.min()} in row {row}")
    rows.eliminate_zeros()
    validation.in_range("masks", rows.data)
    empty = np.flatnonzero(np.diff(rows.indptr) == 0)
    if empty.size:
        raise ValueError(
            f"masks must keep a feature each; row {empty[0]} keeps nothing "
            f"({empty.size} such rows); draw those again or leave them out"
        )
    return rows
