"""What all families share: rows of draws, and the streams of random numbers behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from lth_sketch import validation
from lth_sketch.validation import Array, Integers

# Bytes from which numpy asks for large pages, and the least worth one.
LARGE, MANY = 1 << 22, 1 << 20


class Output(NamedTuple):
    """Where rows are written: row t from ``starts[t]`` to ``starts[t + 1]``."""

    starts: Integers
    indices: Integers
    weights: Array


# Draw rows with a Generator: write their lengths, or the rows themselves.
Rows = Callable[[np.random.Generator, Integers, Output | None], None]


def streams(rng: np.random.Generator, count: int) -> list[np.random.Generator]:
    """Return a Generator for each block; a single block needs no child."""
    return [rng] if count == 1 else validation.spawned(rng, count)


def room(most: int, dtype: np.dtype[Any]) -> tuple[Integers, Array]:
    """Return room for so many indices and weights; `trimmed` gives back what is not needed.

    What is not written costs no memory. So where many small pages would be written, enough is asked
    for to come in large ones: the small ones took a third of the time of a systematic draw.
    """
    wide = np.dtype(np.int64)
    lengths = [
        max(most, LARGE // kind.itemsize) if most * kind.itemsize >= MANY else most
        for kind in (wide, dtype)
    ]
    return np.empty(lengths[0], wide), np.empty(lengths[1], dtype)


def trimmed(length: int, indices: Integers, weights: Array) -> tuple[Integers, Array]:
    """Return the first entries in place; the memory of the others goes back."""
    indices.resize(length, refcheck=False)
    weights.resize(length, refcheck=False)
    return indices, weights


@contextmanager
def rewound(rng: np.random.Generator) -> Iterator[None]:
    """Take a Generator back to where it was: a second pass meets the same numbers, none stored."""
    state = rng.bit_generator.state
    yield
    rng.bit_generator.state = state
