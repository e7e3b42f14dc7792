"""Run the tests against a mutant, in a scratch copy of the tree and a process of its own."""

from __future__ import annotations

import compileall
import contextlib
import multiprocessing
import os
import py_compile
import resource
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import hypothesis.strategies  # noqa: F401  what every test imports is imported once, here
import numba  # noqa: F401
import pytest
import scipy.linalg
import scipy.optimize
import scipy.sparse
import scipy.stats  # noqa: F401

from mutants.rooms import ROOT

COPIED = ("lth_sketch", "tests", "pyproject.toml", "setup.cfg")
# A mutant that asks for more gets a MemoryError: the other processes stay alive.
MEMORY = 8 << 30
# That a test fails is all that is asked: no values of its assertion, no smaller example.
FLAGS = (
    *("-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-m", "not large"),
    *("--assert=plain", "--hypothesis-profile=unshrunk"),
)
_FORK = multiprocessing.get_context("fork")


class Result(NamedTuple):
    """How a run of the tests ended."""

    outcome: str
    seconds: float
    by: str


def copy_tree(folder: str) -> None:
    """Make a scratch copy of the tree, and work there from now on."""
    scratch = Path(tempfile.mkdtemp(dir=folder))
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, scratch / name, ignore=ignored)
        else:
            shutil.copy(source, scratch / name)
    os.chdir(scratch)
    # A mutant may have the size and the second of its original: only its text tells them apart.
    mode = py_compile.PycInvalidationMode.CHECKED_HASH
    for name in ("lth_sketch", "tests"):
        compileall.compile_dir(name, quiet=2, invalidation_mode=mode)


def attempt(path: str, source: str, tests: tuple[str, ...], limit: float | None) -> Result:
    """Run the tests with another text for one file of the scratch copy."""
    file = Path(path)
    original = file.read_bytes()
    try:
        file.write_text(source)
        return _run(tests, limit)
    finally:
        file.write_bytes(original)


def _run(tests: tuple[str, ...], limit: float | None) -> Result:
    log = Path("log.txt")
    start = time.perf_counter()
    process = _FORK.Process(target=_pytest, args=(tests, log))
    process.start()
    process.join(limit)
    seconds = time.perf_counter() - start
    if process.exitcode is None:
        # It leads its own group: what it started goes with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid or 0, signal.SIGKILL)
        process.join()
        return Result("timed out", seconds, "")
    if process.exitcode == 0:
        return Result("survived", seconds, "")
    lines = log.read_text(errors="replace").splitlines()
    failures = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return Result("killed", seconds, failures[0] if failures else "\n".join(lines[-3:]))


def _pytest(tests: tuple[str, ...], log: Path) -> None:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.dont_write_bytecode = True
    # The library of the scratch copy, never that of the working tree.
    sys.path[:] = [os.getcwd(), *(each for each in sys.path if Path(each or ".") != ROOT)]
    os._exit(int(pytest.main([*FLAGS, *tests])))
