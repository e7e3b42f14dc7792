"""Passes over long weights: blocks on threads, the check of the weights, capped water filling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from threading import Event
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from lth_sketch import validation
from lth_sketch.kernels import filling
from lth_sketch.validation import Array, Floats

T = TypeVar("T")
# An array, and what is to be done until it holds what it shall.
Unfilled = tuple[Any, list[Callable[[], None]]]

# Weights in a block, or in the trials that share one child Generator. Fixed, so that no number of
# threads changes a bit; a block of weights and one of uniforms stay in a core's own cache.
BLOCK = 1 << 17
# Entries that one thread reads as fast as two threads start.
SMALL = 1 << 18
# Largest weights outside of these bounds are scaled: sums and ranks p_i / v_i must not overflow.
LARGEST, SMALLEST = 2.0**512, 2.0**-512
# A threshold below every positive number: all nonzero weights reach it.
ALL = float(np.nextafter(0.0, 1.0))


class Survey(NamedTuple):
    """Checked weights and what one pass tells of them."""

    p: Array
    sums: Floats
    total: float
    largest: float
    nonzero: int


def spans(length: int, size: int | None = None) -> list[slice]:
    """Cut ``range(length)`` into slices of `size` (BLOCK) entries."""
    size = size or BLOCK
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


def run(jobs: Sequence[Callable[[], T]], threads: int) -> list[T]:
    """Call every job, the first ones first, and return what they return.

    A job sees the context of the caller, `numpy.errstate` with it, on any thread.
    """
    if threads == 1 or len(jobs) == 1:
        return [job() for job in jobs]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda run: run(), [partial(copy_context().run, job) for job in jobs]))


def filled(found: list[Unfilled], entries: int) -> list[Any]:
    """Do what is to be done for all arrays at once and return them.

    On all processors, unless so few entries are read that starting threads would take longer.
    """
    threads = 1 if entries < SMALL else validation.workers(None)
    run([job for _, jobs in found for job in jobs], threads)
    return [array for array, _ in found]


def share(work: Callable[[range], T], count: int, threads: int) -> list[T]:
    """Run `work` on shares of the blocks ``range(count)``, several for each thread."""
    parts = 1 if threads == 1 else min(count, 4 * threads)
    return run([partial(work, range(part, count, parts)) for part in range(parts)], threads)


def chain(work: Callable[[int, Callable[[int], slice]], None], count: int, threads: int) -> int:
    """Run `work` on blocks that follow one another, of lengths not known before.

    ``work(b, place)`` calls ``place(length)`` once: it waits for the length of the block before,
    and returns where block b lies, as a slice. The result is the length of all.
    """
    ends = [0] * (count + 1)
    known = [Event() for _ in ends]
    known[0].set()

    def place(b: int, length: int) -> slice:
        known[b].wait()
        ends[b + 1] = ends[b] + length
        known[b + 1].set()
        return slice(ends[b], ends[b + 1])

    def follow(part: range) -> None:
        try:
            for b in part:
                work(b, partial(place, b))
        except BaseException:
            # Nobody shall wait for a block that does not come.
            for event in known:
                event.set()
            raise

    # Each share has a thread of its own and takes its blocks in order: the block that is waited
    # for is at work, or done.
    threads = min(threads, count)
    run([partial(follow, range(first, count, threads)) for first in range(threads)], threads)
    return ends[-1]


def survey(p: npt.ArrayLike, threads: int = 1) -> Survey:
    """Check weights, as `validation.weights` does, and add them up in the same pass.

    Raises
    ------
    TypeError
        If the entries are not real numbers.
    ValueError
        If `p` is not a vector, or has an entry that is negative or not finite, or none above zero.
    """
    if (
        isinstance(p, np.ndarray)
        and p.dtype in (np.float64, np.float32)
        and p.ndim == 1
        and len(p) > 0
    ):
        checked: Array = p
    else:
        checked = validation.weights("p", p)
    single = checked.dtype.itemsize == 4
    values = np.ascontiguousarray(checked, dtype=np.float32 if single else np.float64)
    found = _survey(values, threads)
    if found.nonzero and SMALLEST <= found.largest <= LARGEST:
        return found
    # The exact error, or weights that are sound and only need another form: negative zeros, sizes
    # whose sum would overflow.
    validation.weights("p", values)
    values = np.abs(values)
    largest = float(values.max())
    if not SMALLEST <= largest <= LARGEST:
        values = np.ldexp(values, -int(np.frexp(largest)[1]))
    return _survey(values, threads)


def check_size(found: Survey, s: int, design: str) -> None:
    """Refuse more draws without replacement than there are nonzero weights.

    Raises
    ------
    ValueError
        If `s` is above the number of nonzero weights.
    """
    if s > found.nonzero:
        raise ValueError(
            f"s must be at most {found.nonzero}, the number of nonzero p, for design {design!r}; "
            f"got {s}; only 'multinomial' draws with replacement and allows more"
        )


def threshold(found: Survey, s: float, threads: int = 1) -> float:
    """Return the tau with ``sum_i min(1, p_i / tau) = s`` (S4), capped water filling.

    Newton's iteration for the concave function of 1 / tau: it starts where nothing is capped, caps
    too few at every step, and ends when a step caps no more, mostly after one to three passes.

    Parameters
    ----------
    found : Survey
        The weights.
    s : float
        Sum of the inclusion probabilities, at most the number of nonzero weights.
    threads : int
        Number of threads.

    Returns
    -------
    float
        The threshold, in units of `found.p`.

    Raises
    ------
    ValueError
        If the threshold is too small a fraction of the largest weight for float64.
    """
    if s == found.nonzero:
        return ALL
    blocks = spans(len(found.p))
    rests = np.empty(len(blocks))
    counts = np.empty(len(blocks), np.int64)

    def cap(part: range) -> None:
        for b in part:
            rests[b], counts[b] = filling.capped(found.p[blocks[b]], tau)

    tau = found.total / s
    known = 0
    while found.largest >= tau:
        share(cap, len(blocks), threads)
        count = int(counts.sum())
        # Rounding may cap all s, when the rest is nothing beside them.
        if count <= known or count >= s:
            break
        known = count
        tau = float(rests.sum()) / (s - count)
    check_span(tau, s)
    return tau


def check_span(smallest: float, s: float) -> None:
    """Refuse weights whose inclusion probabilities hang on numbers too small for float64.

    Raises
    ------
    ValueError
        If `smallest` is below the normal numbers.
    """
    if smallest < np.finfo(np.float64).tiny:
        raise ValueError(
            f"p spans too many orders of magnitude for s = {s}: its inclusion probabilities hang "
            f"on weights of about {smallest}; raise the smallest ones, or choose a smaller s"
        )


def _survey(p: Array, threads: int) -> Survey:
    blocks = spans(len(p))
    bits = p.view(np.uint32 if p.dtype.itemsize == 4 else np.uint64)
    sums = np.empty(len(blocks))
    largest = np.empty(len(blocks), bits.dtype)
    nonzero = np.empty(len(blocks), np.int64)

    def look(part: range) -> None:
        for b in part:
            sums[b], largest[b], nonzero[b] = filling.survey(p[blocks[b]], bits[blocks[b]])

    share(look, len(blocks), threads)
    top = float(largest.max(keepdims=True).view(p.dtype)[0])
    return Survey(p, sums, float(sums.sum()), top, int(nonzero.sum()))
