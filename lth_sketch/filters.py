"""The kinds of training in closed form, as functions of the singular values (C2).

``w = w0 + V diag(g(sigma)) U^T (y - X w0)``, so that ``1 - sigma g(sigma)`` of w0 is left along a
right singular vector.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lth_sketch import validation
from lth_sketch.validation import Floats

# Arguments that each kind of training reads.
KINDS = {"flow": ("time",), "descent": ("rate", "steps"), "ridge": ("penalty",)}

# Singular values (k,) -> g and what is left of w0, each (..., k) with the axes of the argument.
Filter = Callable[[Floats], tuple[Floats, Floats]]


def chosen(kind: str, *, time: Any, rate: Any, steps: Any, penalty: Any) -> Filter:
    """Return the filter of a kind of training, its arguments checked.

    Raises
    ------
    TypeError
        If an argument is not a number.
    ValueError
        If an argument is negative, missing or of another kind of training. The filter itself
        refuses a rate that lets descent diverge.
    """
    arguments = {"time": time, "rate": rate, "steps": steps, "penalty": penalty}
    needed = KINDS[validation.choice("kind", kind, KINDS)]
    for name, value in arguments.items():
        if value is not None and name not in needed:
            raise ValueError(f"{name} is not for kind {kind!r}, which reads {' and '.join(needed)}")
        if value is None and name in needed and name in ("rate", "penalty"):
            raise ValueError(f"{name} is missing: kind {kind!r} needs it")
    if kind == "flow":
        return _flow(validation.numbers("time", np.inf if time is None else time)[..., None])
    if kind == "ridge":
        return _ridge(validation.numbers("penalty", penalty)[..., None])
    k = None if steps is None else validation.sizes(steps, name="steps", minimum=0)[..., None]
    return _descent(validation.number("rate", rate, low=0.0, closed=False), k)


def _flow(t: Floats) -> Filter:
    def of(sigma: Floats) -> tuple[Floats, Floats]:
        with np.errstate(over="ignore"):
            spent = -t * sigma * sigma
        return -np.expm1(spent) / sigma, np.exp(spent)

    return of


def _ridge(lam: Floats) -> Filter:
    def of(sigma: Floats) -> tuple[Floats, Floats]:
        with np.errstate(divide="ignore", over="ignore"):
            ratio = lam / sigma
            return 1.0 / (sigma + ratio), 1.0 / (1.0 + sigma / ratio)

    return of


def _descent(eta: float, k: Any) -> Filter:
    def of(sigma: Floats) -> tuple[Floats, Floats]:
        with np.errstate(over="ignore", divide="ignore"):
            limit = 2.0 / sigma.max(initial=0.0) ** 2 if sigma.size else np.inf
        if eta >= limit:
            raise ValueError(
                f"rate must be below 2/sigma_max^2 = {limit:.6g}, else descent diverges; "
                f"got {eta!r}"
            )
        if k is None:
            return 1.0 / sigma, np.zeros_like(sigma)
        z = eta * sigma * sigma
        # 1 - (1 - z)^k: without cancellation where z is small.
        small = k * np.log1p(-np.minimum(z, 0.5))
        left = np.where(z < 0.5, np.exp(small), (1.0 - z) ** k)
        return np.where(z < 0.5, -np.expm1(small), 1.0 - left) / sigma, left

    return of
