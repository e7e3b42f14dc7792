"""Semi-structured masks of a checkpoint: n of every M weights along the rows of each (S9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lth_sketch.inclusion import groups
from lth_sketch.pruning import patterns, select
from lth_sketch.validation import Array


def agreed(pattern: Any, density: float | None, design: str, floor: int) -> tuple[int, int]:
    """Return n and M, where the other arguments go with them.

    Raises
    ------
    TypeError, ValueError
        As `pruning.patterns.agreed`, or if there is a floor.
    """
    pair = patterns.agreed(pattern, density, design)
    if floor:
        raise ValueError(
            f"floor must be 0 with a pattern, which keeps as much of every layer; got {floor}"
        )
    return pair


def parsed_pattern(text: str) -> tuple[int, int]:
    """Return the two numbers of a pattern in the words of the command, such as 2:4.

    Parameters
    ----------
    text : str
        n and M with a colon between them.

    Raises
    ------
    ValueError
        If it is anything else.

    Examples
    --------
    >>> parsed_pattern("2:4")
    (2, 4)
    """
    kept, _, group = text.partition(":")
    try:
        return int(kept), int(group)
    except ValueError:
        raise ValueError(
            f"--pattern must be two numbers with a colon, as 2:4; got {text!r}"
        ) from None


def check_rows(n: int, M: int, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse weights whose rows are no multiple of M.

    Raises
    ------
    ValueError
        If there is one; it is named, and how to leave it out.
    """
    for name, shape in shapes.items():
        width = 1
        for length in shape[1:]:
            width *= length
        groups.checked((n, M), width, name, how=f" (--skip {name!r})")


def masks(
    weights: Mapping[str, Array],
    pattern: tuple[int, int],
    *,
    alike: bool,
    design: str,
    binary: bool,
    rng: np.random.Generator,
) -> dict[str, Array]:
    """Return the masks of weights in memory, in their order.

    Parameters
    ----------
    weights : mapping from name to array
        All finite.
    pattern : (int, int)
        n and M, as `agreed` has them.
    alike : bool
        Whether every weight counts alike, whatever its size ("top" is a draw then).
    design, binary, rng
        As in `pruning.select`.

    Raises
    ------
    ValueError
        As `check_rows` and `all_zero`.
    """
    check_rows(*pattern, {name: array.shape for name, array in weights.items()})
    drawn = "systematic" if alike else design
    for name, array in weights.items():
        if drawn != "top" and not alike and not array.any():
            raise all_zero(name)
    sizes: Any = {n: np.ones_like(w) if alike else np.abs(w) for n, w in weights.items()}
    chosen: dict[str, Array] = select(sizes, design=drawn, binary=binary, pattern=pattern, rng=rng)
    return chosen


def all_zero(name: str) -> ValueError:
    """Return the error for a tensor of zeros, which are no weights of a draw."""
    return ValueError(
        f"the weights of {name} are all zero: they do not tell what to keep; leave it out (--skip "
        f"{name!r}), or use design='top'"
    )
