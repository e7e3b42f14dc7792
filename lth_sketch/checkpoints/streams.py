"""The randomness of each block of weights, as `sampling.draw` spawns it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lth_sketch.kernels import uniforms
from lth_sketch.kernels._jit import COMPILES
from lth_sketch.validation import Integers, Unsigned

# Uniforms are integers below UNIFORM times its inverse.
UNIFORM = 1 << 53
# The factor of PCG64 (O'Neill, HMC-CS-2014-0905), and the words that its states are cut into.
FACTOR = 0x2360ED051FC65DA44385DF649FCCF645
WORD = (1 << 64) - 1
STATE = (1 << 128) - 1


class Seed(NamedTuple):
    """Where the randomness of a group of weights starts; `single` for a group of one block."""

    kind: Any
    sequence: np.random.SeedSequence
    single: bool


def generator(seed: Seed, block: int) -> np.random.Generator:
    """Return the Generator of one block."""
    kind, sequence, single = seed
    if block or not single:
        sequence = np.random.SeedSequence(
            sequence.entropy, spawn_key=(*sequence.spawn_key, block), pool_size=sequence.pool_size
        )
    return np.random.Generator(kind(sequence))


def integers(seed: Seed, block: int, out: Integers) -> None:
    """Write the uniforms of a block, times 2^53.

    The bits are those of ``Generator.random``, for PCG64 in half the time.
    """
    rng = generator(seed, block)
    if COMPILES and seed.kind is np.random.PCG64:
        uniforms.pcg64(*lanes(rng.bit_generator.state["state"]), out)
    else:
        out[:] = rng.random(len(out)) * UNIFORM


def lanes(state: dict[str, int]) -> tuple[Unsigned, Unsigned, Unsigned]:
    """Return the next states of PCG64, one a lane, and the step of all lanes, in halves."""
    current, term = state["state"], state["inc"]
    states = []
    factor, shift = 1, 0
    for _ in range(uniforms.LANES):
        current = (current * FACTOR + term) & STATE
        states.append(current)
        factor, shift = factor * FACTOR & STATE, (shift * FACTOR + term) & STATE
    halves = np.array([[x >> 64 for x in states], [x & WORD for x in states]], np.uint64)
    leap = np.array([factor >> 64, factor & WORD, shift >> 64, shift & WORD], np.uint64)
    return halves[0], halves[1], leap
