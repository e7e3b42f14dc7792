"""Pure tasks on threads, processes or a cluster: one loop, whatever the engine."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from lth_sketch import validation

T = TypeVar("T")
Task = TypeVar("Task")

# Tasks at work or waiting, for each worker: enough that none is idle, few enough that arguments and
# results stay small beside the work.
AHEAD = 3
# How often a task is handed out at most: a task that ends so many workers would end them all.
ATTEMPTS = 4
# Workers of an executor that does not tell.
UNKNOWN = 16
# Seconds that a scheduler has to answer.
PATIENCE = 10


def spread(
    function: Callable[..., T],
    tasks: Iterable[Task],
    executor: Executor | None = None,
    *,
    common: Any = None,
    threads: int | None = None,
) -> Iterator[T]:
    """Yield ``function(common, task)`` for each task, in the order of the tasks.

    A bounded window of tasks is at work at any time. What a task raises is raised in its turn: of
    several faults the first by position is seen, whichever came first. A worker that dies costs
    its own tasks, which run again; so a task must give the same when it runs twice.

    Parameters
    ----------
    function : callable
        A function of a module, without state of its own.
    tasks : iterable
        What tells the tasks apart; read no further ahead than the window.
    executor : concurrent.futures.Executor, optional
        Where they run; by default threads of this process.
    common : object
        What all tasks share. It is sent to each worker once, where the engine can do that.
    threads : int, optional
        Number of local threads without an executor; by default all processors. One thread runs the
        tasks here.

    Yields
    ------
    object
        Results, in order.

    Raises
    ------
    RuntimeError
        If the workers at a task died `ATTEMPTS` times.
    """
    if executor is not None:
        check(executor)
        with _broadcast(executor, common) as handed:
            yield from _window(_Engine(executor, function, handed), tasks)
        return
    threads = validation.workers(threads)
    if threads == 1:
        for task in tasks:
            yield function(common, task)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from _window(_Engine(pool, function, common), tasks)


def check(executor: Any) -> None:
    """Refuse what is no executor, before any work.

    Raises
    ------
    TypeError
        If it cannot take tasks as `concurrent.futures.Executor` does.
    """
    if hasattr(executor, "get_executor"):
        raise TypeError(
            f"executor must be a concurrent.futures.Executor; got a {type(executor).__name__}; "
            "pass its client.get_executor()"
        )
    if not isinstance(executor, Executor):
        raise TypeError(
            "executor must be a concurrent.futures.Executor (a pool of processes, dask's "
            f"client.get_executor(), mpi4py's MPIPoolExecutor) or None; got {executor!r}"
        )


@contextmanager
def connected(address: str | None) -> Iterator[Executor | None]:
    """Give the executor of a dask scheduler at `address`; None for None.

    Raises
    ------
    ImportError
        If the package distributed is missing.
    OSError
        If no scheduler answers there.
    ValueError
        If the address is none.
    """
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError(
            "--scheduler needs dask: pip install 'lth_sketch[scale]', or leave it out"
        ) from error
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        kind = ValueError if isinstance(error, ValueError) else OSError
        raise kind(
            f"no scheduler answers at {address!r}; start one with `dask scheduler` and name it, "
            "for instance tcp://127.0.0.1:8786"
        ) from error
    with client:
        yield client.get_executor()


# --- one engine -----------------------------------------------------------------------------------


@dataclass
class _Engine:
    """An executor, and the function that it runs."""

    pool: Executor
    function: Callable[..., Any]
    common: Any

    def submit(self, task: Any) -> Future[Any]:
        if isinstance(self.pool, ThreadPoolExecutor):
            # Threads see the context of the caller, numpy.errstate with it.
            return self.pool.submit(copy_context().run, self.function, self.common, task)
        # dask would take two equal tasks for one, and not run the second.
        keywords: dict[str, Any] = {"pure": False} if is_dask_executor(self.pool) else {}
        call: tuple[Any, ...] = (self.function, self.common, task)
        if isinstance(self.common, _Filed):
            call = (_run, *call)
        return self.pool.submit(*call, **keywords)

    def width(self) -> int:
        """Return the number of tasks that run at once, as far as it can be told."""
        if is_dask_executor(self.pool):
            return max(1, int(sum(_client(self.pool).nthreads().values())))
        for name in ("_max_workers", "num_workers"):
            workers = getattr(self.pool, name, None)
            if isinstance(workers, int) and workers > 0:
                return workers
        return UNKNOWN

    def mend(self) -> None:
        """Take a new pool of processes in the place of a broken one."""
        if isinstance(self.pool, ProcessPoolExecutor):
            old: Any = self.pool
            self.pool = ProcessPoolExecutor(
                old._max_workers,
                mp_context=old._mp_context,
                initializer=old._initializer,
                initargs=old._initargs,
            )


def _window(engine: _Engine, tasks: Iterable[Any]) -> Iterator[Any]:
    given = engine.pool
    waiting: deque[tuple[Any, Future[Any]]] = deque()
    todo = iter(tasks)
    ended = False
    try:
        while True:
            while not ended and len(waiting) < AHEAD * engine.width():
                try:
                    task = next(todo)
                except StopIteration:
                    ended = True
                else:
                    waiting.append((task, _submitted(engine, task)))
            if not waiting:
                return
            yield _result(engine, waiting)
    finally:
        for _, future in waiting:
            future.cancel()
        if engine.pool is not given:
            engine.pool.shutdown(cancel_futures=True)


def _submitted(engine: _Engine, task: Any) -> Future[Any]:
    try:
        return engine.submit(task)
    except BrokenExecutor as error:
        # The pool broke after the last result; the loop meets the error in the task's turn.
        failed: Future[Any] = Future()
        failed.set_exception(error)
        return failed


def _result(engine: _Engine, waiting: deque[tuple[Any, Future[Any]]]) -> Any:
    """Return the result of the first task; tasks that a worker took with it run again."""
    for _ in range(ATTEMPTS):
        future = waiting[0][1]
        try:
            answer = future.result()
        except (BrokenExecutor, CancelledError) as error:
            broken = isinstance(error, BrokenExecutor)
            if broken:
                engine.mend()
            for _ in range(len(waiting)):
                again, old = waiting.popleft()
                future = _submitted(engine, again) if _lost(old, broken) else old
                waiting.append((again, future))
            continue
        except Exception as error:
            if type(error).__name__ != "KilledWorker":
                raise
            break
        waiting.popleft()
        return answer
    raise RuntimeError(
        "the workers died at one task, time after time; give them more memory (at most about 512 "
        "MB are needed for each), or look into their logs"
    )


def _lost(future: Future[Any], broken: bool) -> bool:
    """Whether a task has to run again: in a broken pool, whatever has not ended by itself."""
    if future.cancelled() or (broken and not future.done()):
        return True
    return future.done() and isinstance(future.exception(), BrokenExecutor)


# --- what all tasks share -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Filed:
    """Where the processes of a pool find what all tasks share."""

    path: str


@lru_cache(maxsize=2)
def _opened(filed: _Filed) -> Any:
    with Path(filed.path).open("rb") as file:
        return pickle.load(file)


def _run(function: Callable[..., T], filed: _Filed, task: Any) -> T:
    return function(_opened(filed), task)


@contextmanager
def _broadcast(executor: Executor, common: Any) -> Iterator[Any]:
    """Give what stands for `common` in the arguments of a task."""
    if common is None or isinstance(executor, ThreadPoolExecutor):
        yield common
    elif is_dask_executor(executor):
        yield _client(executor).scatter(common, broadcast=True, hash=False)
    elif isinstance(executor, ProcessPoolExecutor):
        handle, path = tempfile.mkstemp(prefix="lth_sketch.", suffix=".pickle")
        try:
            with os.fdopen(handle, "wb") as file:
                pickle.dump(common, file, protocol=pickle.HIGHEST_PROTOCOL)
            yield _Filed(path)
        finally:
            os.unlink(path)
    else:
        yield common


def is_dask_executor(executor: Any) -> bool:
    """Whether an executor is a dask client's; no import is needed to tell."""
    return type(executor).__module__.split(".")[0] == "distributed"


def _client(executor: Any) -> Any:
    return executor._client
