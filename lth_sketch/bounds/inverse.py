"""How many draws a bound asks for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from lth_sketch import validation

# Parts of an interval of draws that a bound is asked for at a time.
PARTS = 32


def draws_needed(
    bound: Callable[..., Any],
    error: float,
    product: Any,
    p: npt.ArrayLike | None = None,
    *,
    delta: float | None = None,
    max_draws: int = 2**53,
    **options: Any,
) -> int:
    """Return the smallest number of draws for which a bound is at most a wanted error.

    Parameters
    ----------
    bound : callable
        Any of `bounds` or `moments`, or one of yours: `product` is its first argument, ``p`` and
        ``delta`` go to it by these names, and ``s`` takes an array of numbers of draws. It must not
        rise with s, save from s = 1 to 2 (as `cantelli` may).
    error : float
        Wanted error >= 0, in the bound's own unit: ``||err||``, or its square for a second moment.
    product : Product
        First argument of `bound`; the matrix A for `spectral`.
    p : (d,) array, optional
        Draw; left out exactly where `bound` has no such argument.
    delta : float, optional
        Risk; left out exactly where `bound` has no such argument.
    max_draws : int
        Largest number of draws to try, for instance d for a design without replacement.
    **options
        Further arguments of `bound`, by name, such as ``design``.

    Returns
    -------
    int
        Number of draws s, in [1, max_draws].

    Raises
    ------
    TypeError
        If `bound` has no argument ``s``.
    ValueError
        If `error` is negative, `p` or `delta` is missing or not an argument of `bound`, or the
        bound does not come down to `error` within `max_draws`.

    Examples
    --------
    >>> from lth_sketch import Product, bounds, moments
    >>> product = Product([[3.0, 4.0]], [1.0, -1.0])
    >>> draws_needed(moments.optimal, 1.0, product)
    48
    >>> draws_needed(bounds.cantelli, 1.0, product, [3, 4], delta=0.05)
    344
    """
    name = getattr(bound, "__name__", repr(bound))
    arguments = inspect.signature(bound).parameters
    if "s" not in arguments:
        raise TypeError(f"bound must have an argument s, the number of draws; {name} has none")
    error = validation.number("error", error, low=0.0)
    most = validation.count("max_draws", max_draws)
    given = {next(iter(arguments)): product, **options}
    for key, value in (("p", p), ("delta", delta)):
        if (value is None) == (key in arguments):
            verb = "is missing" if value is None else "was given"
            has = "depends on it" if value is None else "has no such argument"
            raise ValueError(f"{key} {verb}: {name} {has}")
        if value is not None:
            given[key] = value
    # Other designs begin anew with every s: few are asked for, one after another.
    together = options.get("design", "multinomial") == "multinomial"
    low, grid = 0, np.append(2 ** np.arange((most - 1).bit_length(), dtype=np.int64), most)
    high = None
    for part in [grid] if together else np.split(grid, len(grid)):
        reached = np.flatnonzero(np.asarray(bound(s=part, **given)) <= error)
        if reached.size:
            first = int(reached[0])
            low, high = int(part[first - 1]) if first else low, int(part[first])
            break
        low = int(part[-1])
    if high is None:
        raise ValueError(
            f"error = {error} is not reached by {name} with up to {most} draws; ask for a "
            "larger error"
        )
    while high - low > 1:
        # The ends are known.
        # In integers: numbers beyond 2^53 are too coarse to part them.
        parts = PARTS if together else 2
        inner = {low + (high - low) * k // parts for k in range(1, parts)} - {low, high}
        grid = np.array(sorted(inner or {low + 1}), dtype=np.int64)
        reached = np.flatnonzero(np.asarray(bound(s=grid, **given)) <= error)
        first = int(reached[0]) if reached.size else len(grid)
        ends = [low, *map(int, grid), high]
        low, high = ends[first], ends[first + 1]
    return high
