"""Work cut into blocks of fixed sizes, and done on threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from threading import Event
from typing import Any, NamedTuple, TypeVar

from lth_sketch import validation

T = TypeVar("T")

# Weights in a block, or in the trials that share one child Generator. Fixed, so that no number of
# threads changes a bit; a block of weights and one of uniforms stay in a core's own cache.
BLOCK = 1 << 17
# Entries that one thread reads as fast as two threads start.
SMALL = 1 << 18
# Blocks in a part of the work.
LONGEST = 64


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
    with team(threads) as runs:
        return runs(jobs)


@contextmanager
def team(threads: int) -> Iterator[Callable[[Sequence[Callable[[], Any]]], list[Any]]]:
    """Give a `run` whose threads wait for its next call: for many calls of little work each."""
    with ThreadPoolExecutor(threads) as pool:

        def runs(jobs: Sequence[Callable[[], Any]]) -> list[Any]:
            if threads == 1 or len(jobs) == 1:
                return [job() for job in jobs]
            inside = [partial(copy_context().run, job) for job in jobs]
            return list(pool.map(lambda job: job(), inside))

        yield runs


class Filling(NamedTuple):
    """An array that is not written yet, and the jobs that write it, none if it is."""

    array: Any
    jobs: Sequence[Callable[[], None]]


def filled(fillings: list[Filling], entries: int) -> list[Any]:
    """Do the jobs of all fillings at once and return their arrays.

    On all processors, unless so few entries are read that starting threads would take longer.
    """
    threads = 1 if entries < SMALL else validation.workers(None)
    run([job for filling in fillings for job in filling.jobs], threads)
    return [filling.array for filling in fillings]


def share(work: Callable[[range], T], count: int, threads: int) -> list[T]:
    """Run `work` on shares of the blocks ``range(count)``, several for each thread."""
    # At an interrupt the parts at work are done, and no other is begun: none takes a second.
    parts = 1 if threads == 1 else min(count, max(4 * threads, count // LONGEST))
    return run([partial(work, range(part, count, parts)) for part in range(parts)], threads)


def chain(work: Callable[[int, Callable[[int], slice]], None], count: int, threads: int) -> int:
    """Run `work` on blocks that follow one another, of lengths not known before.

    ``work(b, place)`` calls ``place(length)`` once: it waits for the length of the block before,
    and returns where block b lies, as a slice. The result is the length of all.
    """
    if count == 1:
        length = 0

        def alone(count: int) -> slice:
            nonlocal length
            length = count
            return slice(0, count)

        work(0, alone)
        return length
    ends = [0] * (count + 1)
    known = [Event() for _ in ends]
    known[0].set()
    stopped = Event()

    def place(b: int, length: int) -> slice:
        known[b].wait()
        ends[b + 1] = ends[b] + length
        known[b + 1].set()
        return slice(ends[b], ends[b + 1])

    def release() -> None:
        # Nobody shall wait for a block that does not come.
        stopped.set()
        for event in known:
            event.set()

    def follow(part: range) -> None:
        try:
            for b in part:
                if stopped.is_set():
                    return
                work(b, partial(place, b))
        except BaseException:
            release()
            raise

    # Each share has a thread of its own and takes its blocks in order: the block that is waited
    # for is at work, or done.
    threads = min(threads, count)
    jobs = [partial(follow, range(first, count, threads)) for first in range(threads)]
    with team(threads) as runs:
        try:
            runs(jobs)
        except BaseException:
            # An interrupt comes to the thread that waits: the others are to stop as well.
            release()
            raise
    return ends[-1]
