"""Pivotal and conditional Poisson draws: exactly s entries, by passes over the weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lth_sketch.inclusion import checked
from lth_sketch.inclusion.checked import CheckedWeights
from lth_sketch.inclusion.conditional import inclusions
from lth_sketch.kernels import draws, fixed
from lth_sketch.sampling._rows import Output, Rows
from lth_sketch.validation import Array, Floats, Integers

# Entries looked at between two chances to interrupt.
WORK = 1 << 24

# Marks the entries that one draw keeps.
_Mark = Callable[[np.random.Generator, fixed.Mask], None]


def pivotal(
    given: CheckedWeights, s: int, rng: np.random.Generator, threads: int
) -> tuple[Integers, Array]:
    """Draw once, see `sampling.draw`."""
    return _listed(given, s, rng, *_pivotal(given, s, threads))


def pivotal_rows(given: CheckedWeights, s: int, threads: int) -> Rows:
    """Return what draws rows, see `sampling.masks`."""
    return _rows(given, s, *_pivotal(given, s, threads))


def conditional(
    given: CheckedWeights, s: int, rng: np.random.Generator, threads: int
) -> tuple[Integers, Array]:
    """Draw once, see `sampling.draw`."""
    return _listed(given, s, rng, *_conditional(given, s, threads))


def conditional_rows(given: CheckedWeights, s: int, threads: int) -> Rows:
    """Return what draws rows, see `sampling.masks`."""
    return _rows(given, s, *_conditional(given, s, threads))


def _pivotal(given: CheckedWeights, s: int, threads: int) -> tuple[_Mark, Array]:
    """Return what marks a draw, and the weight of each entry that it keeps."""
    pi = _inclusions(given, s, threads)

    def mark(rng: np.random.Generator, out: fixed.Mask) -> None:
        if s == given.nonzero:
            np.greater(given.p, 0, out=out)
        else:
            fixed.pivotal(pi, s, rng, out)

    return mark, _inverse(pi, given)


def _conditional(given: CheckedWeights, s: int, threads: int) -> tuple[_Mark, Array]:
    pi = _inclusions(given, s, threads)
    trials = max(1, WORK // len(pi))

    def mark(rng: np.random.Generator, out: fixed.Mask) -> None:
        if s == given.nonzero:
            np.greater(given.p, 0, out=out)
            return
        while not fixed.conditional(pi, s, trials, rng, out):
            # About one trial in 2.5 standard deviations of the size has the right one.
            pass

    return mark, _inverse(inclusions(pi, s), given)


def _inclusions(given: CheckedWeights, s: int, threads: int) -> Floats:
    """Return the inclusion probabilities of a Poisson draw, which sum to s."""
    tau = checked.threshold(given, s, threads)
    with np.errstate(over="ignore"):
        return np.minimum(1.0, given.p.astype(np.float64) / tau)


def _inverse(pi: Floats, given: CheckedWeights) -> Array:
    """Return ``1 / pi`` in the dtype of the weights, one where nothing is ever kept."""
    result = np.ones(len(pi))
    np.divide(1.0, pi, out=result, where=pi > 0)
    return result.astype(given.p.dtype)


def _listed(
    given: CheckedWeights, s: int, rng: np.random.Generator, mark: _Mark, weights: Array
) -> tuple[Integers, Array]:
    keep = np.empty(len(given.p), np.bool_)
    mark(rng, keep)
    indices = np.empty(s, np.int64)
    draws.listed(keep, 0, indices)
    return indices, weights[indices]


def _rows(given: CheckedWeights, s: int, mark: _Mark, weights: Array) -> Rows:
    def rows(rng: np.random.Generator, counts: Integers, output: Output | None) -> None:
        assert output is not None
        keep = np.empty(len(given.p), np.bool_)
        for t in range(len(counts)):
            mark(rng, keep)
            place = slice(output.starts[t], output.starts[t + 1])
            draws.listed(keep, 0, output.indices[place])
            output.weights[place] = weights[output.indices[place]]

    return rows
