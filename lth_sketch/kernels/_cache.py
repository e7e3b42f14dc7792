"""Numba's cache on disk, when there is no place for it, or when its files are spoilt.

A cache only saves time: without one, a kernel is compiled again in each process. Nothing that may
befall a cache stops an import or a call.
"""

from __future__ import annotations

import warnings
from typing import Any

VARIABLE = "NUMBA_CACHE_DIR"


class Forgiving:
    """A kernel's cache, in numba's manner, whose failures cost the compilation and no more."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def load_overload(self, *arguments: Any) -> Any:
        """Return what was compiled before, or None."""
        try:
            return self._cache.load_overload(*arguments)
        except Exception:
            # A file cut short, or of another content: unpickling may fail in any way. The index
            # goes, so that the entry is written anew after compilation.
            self.flush()
            return None

    def save_overload(self, *arguments: Any) -> None:
        """Write what was compiled, where that can be."""
        try:
            self._cache.save_overload(*arguments)
        except Exception as error:
            warn(f"{type(error).__name__}: {error}")

    def flush(self) -> None:
        """Forget what was compiled before."""
        try:
            self._cache.flush()
        except Exception as error:
            warn(f"{type(error).__name__}: {error}")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)


def cached(kernel: Any) -> Any:
    """Return a compiled kernel with a cache on disk, if there is a place for one."""
    if not hasattr(kernel, "enable_caching"):
        # Without compilation there is nothing to keep.
        return kernel
    try:
        kernel.enable_caching()
    except Exception as error:
        warn(f"{type(error).__name__}: {error}")
        return kernel
    kernel._cache = Forgiving(kernel._cache)
    return kernel


def warn(reason: str) -> None:
    """Say once in a process that compiled code is not kept, and how to mend it."""
    if not _said:
        _said.append(reason)
        warnings.warn(
            "compiled code cannot be kept on disk, so each new process compiles what it uses again "
            f"(some seconds in all); set the environment variable {VARIABLE} to a folder that can "
            f"be written to ({reason})",
            RuntimeWarning,
            stacklevel=2,
        )


_said: list[str] = []
