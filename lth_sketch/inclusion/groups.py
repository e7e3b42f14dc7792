"""S9: patterns, n kept of every M consecutive weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lth_sketch import validation
from lth_sketch.kernels import groups
from lth_sketch.validation import Array, Floats

# Largest group whose joint inclusions are added up over all sets of its entries.
LARGEST = 12


def pair(pattern: Any) -> tuple[int, int]:
    """Return the n and M of a pattern.

    Raises
    ------
    TypeError
        If the pattern is no pair of integers.
    ValueError
        If not ``1 <= n <= M``.
    """
    try:
        n, M = pattern
    except (TypeError, ValueError):
        raise TypeError(
            f"pattern must be a pair (n, M), n kept of every M, such as (2, 4); got {pattern!r}"
        ) from None
    n, M = validation.count("pattern[0]", n), validation.count("pattern[1]", M)
    if n > M:
        raise ValueError(f"pattern must keep at most as many as there are; got {n} of {M}")
    return n, M


def checked(pattern: Any, width: int, name: str, *, how: str = "") -> tuple[int, int]:
    """Return the n and M of a pattern that divides a width.

    Parameters
    ----------
    pattern : (int, int)
        n and M.
    width : int
        Length of the rows.
    name : str
        Whose rows they are, for errors.
    how : str
        How to leave that out, for errors.

    Raises
    ------
    TypeError, ValueError
        As `pair`, or if M does not divide the width; the error names what is too wide.
    """
    n, M = pair(pattern)
    if width % M:
        raise ValueError(
            f"pattern = ({n}, {M}) needs rows whose length is a multiple of {M}; {name} has rows "
            f"of {width}: leave it out{how}, or pad it to {width + M - width % M}"
        )
    return n, M


def inclusions(p: Array, n: int, M: int) -> Floats:
    """Return the inclusion probabilities of weights (d,), d a multiple of M."""
    result = np.empty(len(p))
    groups.inclusions(np.ascontiguousarray(p), n, M, result)
    return result


def between(M: int) -> Floats:
    """Return the chance that a given set of k others lies between two of M on a random circle.

    (M - 1,) array, for k from 0 to M - 2, going one way around.
    """
    factorial = math.factorial
    return np.array(
        [factorial(k) * factorial(M - 2 - k) / factorial(M - 1) for k in range(max(1, M - 1))]
        if M > 1
        else [1.0]
    )
