"""What all families share: rows of draws, and the streams of random numbers behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from lth_sketch import validation
from lth_sketch.validation import Array, Integers


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


@contextmanager
def rewound(rng: np.random.Generator) -> Iterator[None]:
    """Take a Generator back to where it was: a second pass meets the same numbers, none stored."""
    state = rng.bit_generator.state
    yield
    rng.bit_generator.state = state
