"""P1: how far a given approximation is from a product that is never formed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import validation
from lth_sketch.validation import Floats

# Probes that are multiplied together.
TOGETHER = 32


class Probe(NamedTuple):
    """An estimate of a Frobenius norm, and an upper confidence limit on it."""

    estimate: float
    limit: float


def probe(
    A: Any,
    B: Any,
    approximation: Any = None,
    *,
    probes: int = 32,
    delta: float = 0.05,
    rng: np.random.Generator | int | None = None,
    mask: npt.ArrayLike | None = None,
) -> Probe:
    """Estimate ``||approximation - AB||_F`` from products with random vectors (P1).

    For one approximation, however it came about, or for one drawn mask; AB is never formed.

    Parameters
    ----------
    A : (q, d) array, sparse matrix or LinearOperator
        Left matrix.
    B : (d,) or (d, r) array, sparse matrix or LinearOperator
        Right matrix.
    approximation : (q,) or (q, r) array, sparse matrix or LinearOperator, optional
        What stands for AB; left out with `mask`.
    probes : int
        Number k of Gaussian vectors; the cost is k products with each of the three.
    delta : float
        Risk of the limit, in (0, 1).
    rng : Generator, int or None
        Source of randomness.
    mask : (d,) array, optional
        Weights of the features: the approximation is ``A diag(mask) B``.

    Returns
    -------
    estimate : float
        Root of the mean of ``||(approximation - AB) z||^2`` over the probes z, whose expectation is
        the squared norm.
    limit : float
        At least the norm with probability 1 - delta over the probes, whatever the spectrum. It is
        ``estimate / sqrt(1 - eps)`` with ``(e^eps (1 - eps))^(k / 2) = delta``: 1.41 times the
        estimate for 32 probes and delta = 0.05.

    Raises
    ------
    TypeError
        If entries are not real numbers, or neither or both of `approximation` and `mask` are given.
    ValueError
        If shapes do not fit, `probes` is below 1, `delta` lies outside (0, 1), or a product is not
        finite.

    References
    ----------
    This project, docs/theory.md, P1; the estimate is the trace estimator of Hutchinson, Comm.
    Statist. Simulation Comput. 19 (1990), with Gaussian vectors.

    Examples
    --------
    >>> A, B = np.array([[3.0, 4.0]]), np.array([1.0, -1.0])
    >>> exact = probe(A, B, mask=[1.0, 1.0], rng=0)
    >>> print(exact.estimate, exact.limit)
    0.0 0.0
    >>> certificate = probe(np.eye(100), np.eye(100), np.zeros((100, 100)), probes=50, rng=0)
    >>> print(round(certificate.estimate, 2), round(certificate.limit, 2))
    9.95 12.99
    """
    count = validation.count("probes", probes)
    shrink = _shrink(count, validation.risk("delta", delta))
    generator = validation.generator(rng)
    if (approximation is None) == (mask is None):
        raise TypeError("pass either an approximation or a mask, and not both")
    left, right = _operator("A", A), _operator("B", B)
    if left.shape[1] != right.shape[0]:
        raise ValueError(
            f"A and B must share the inner dimension; got shapes {left.shape} and {right.shape}"
        )
    weights: Floats | None = None
    other: Any = None
    if mask is not None:
        weights = validation.vector("mask", mask, size=left.shape[1]).astype(np.float64) - 1.0
    else:
        other = _operator("approximation", approximation)
        if other.shape != (left.shape[0], right.shape[1]):
            raise ValueError(
                f"approximation must have the shape {(left.shape[0], right.shape[1])} of AB; got "
                f"{other.shape}"
            )
    total = 0.0
    for start in range(0, count, TOGETHER):
        z = generator.normal(size=(right.shape[1], min(TOGETHER, count - start)))
        inner = np.asarray(right @ z, dtype=np.float64)
        if weights is None:
            gap = np.asarray(left @ inner, dtype=np.float64) - np.asarray(other @ z)
        else:
            gap = np.asarray(left @ (weights[:, None] * inner), dtype=np.float64)
        total += float(np.square(gap).sum())
    if not np.isfinite(total):
        raise ValueError(
            "A, B and the approximation must give products whose squares are finite; an entry is "
            "NaN, infinite or too large; clean or rescale them"
        )
    estimate = float(np.sqrt(total / count))
    return Probe(estimate, estimate / shrink)


def _shrink(probes: int, delta: float) -> float:
    """Return ``sqrt(1 - eps)`` with ``eps + ln(1 - eps) = 2 ln(delta) / probes``.

    With x = 1 - eps it is ``x e^(-x) = e^(2 ln(delta) / probes - 1)``: Lambert's W.
    """
    x = -np.real(scipy.special.lambertw(-np.exp(2.0 * np.log(delta) / probes - 1.0)))
    return float(np.sqrt(x))


def _operator(name: str, value: Any) -> Any:
    """Return something with a shape of two axes and a product with matrices."""
    if scipy.sparse.issparse(value):
        return validation.matrix(name, value.tocsr())
    if isinstance(value, scipy.sparse.linalg.LinearOperator):
        if value.dtype is not None and value.dtype.kind == "c":
            raise TypeError(f"{name} must hold real numbers; got dtype {value.dtype}")
        return value
    matrix = validation.array(name, value, ndim=(1, 2))
    return matrix if matrix.ndim == 2 else matrix[:, None]
