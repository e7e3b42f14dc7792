"""The numbers of numpy's PCG64, four at a time: a step of one need not wait for that of another."""

from __future__ import annotations

import numpy as np

from lth_sketch.kernels._jit import compiled, upper_product
from lth_sketch.validation import Integers, Unsigned

LANES = 4
# The upper six bits of a state turn the word that it gives; of that a uniform has the upper 53.
TURN, WORD, LAST, DROPPED = np.uint64(58), np.uint64(64), np.uint64(63), np.uint64(11)


@compiled
def given(upper: np.uint64, lower: np.uint64) -> np.uint64:
    """Return the integer that a state gives."""
    word = upper ^ lower
    turn = upper >> TURN
    return ((word >> turn) | (word << ((WORD - turn) & LAST))) >> DROPPED


@compiled
def later(
    upper: np.uint64, lower: np.uint64, a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64
) -> tuple[np.uint64, np.uint64]:
    """Return a state times (a, b) plus (c, d), modulo 2^128, in halves."""
    low = lower * b
    last = low + d
    carry = np.uint64(last < low)
    return upper_product(lower, b) + lower * a + upper * b + c + carry, last


@compiled
def pcg64(uppers: Unsigned, lowers: Unsigned, leap: Unsigned, out: Integers) -> None:
    """Write the integers of which ``Generator.random`` makes its uniforms, by ``* 2**-53``.

    Parameters
    ----------
    uppers, lowers : (LANES,)
        Halves of the states that give the first numbers.
    leap : (4,)
        Halves of the factor, then of the term, that take a state LANES steps on.
    out : (n,)
        The integers, in [0, 2^53).
    """
    a, b, c, d = leap[0], leap[1], leap[2], leap[3]
    h0, h1, h2, h3 = uppers[0], uppers[1], uppers[2], uppers[3]
    l0, l1, l2, l3 = lowers[0], lowers[1], lowers[2], lowers[3]
    whole = len(out) - len(out) % LANES
    for k in range(0, whole, LANES):
        out[k] = given(h0, l0)
        out[k + 1] = given(h1, l1)
        out[k + 2] = given(h2, l2)
        out[k + 3] = given(h3, l3)
        h0, l0 = later(h0, l0, a, b, c, d)
        h1, l1 = later(h1, l1, a, b, c, d)
        h2, l2 = later(h2, l2, a, b, c, d)
        h3, l3 = later(h3, l3, a, b, c, d)
    if whole < len(out):
        out[whole] = given(h0, l0)
    if whole + 1 < len(out):
        out[whole + 1] = given(h1, l1)
    if whole + 2 < len(out):
        out[whole + 2] = given(h2, l2)
