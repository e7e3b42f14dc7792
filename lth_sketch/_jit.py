"""The only place where numba's options are set.

Kernels are compiled on first use for the types they meet, cached on disk, and release the GIL, so
that blocks of trials run on threads. There is no global fastmath: NaN and infinity keep their
meaning. A pure reduction may be reordered and contracted (`reduction`), nothing else. Division
follows numpy (x / 0 is infinite or NaN): an exception in a loop would keep it from vectorising.

Numba's cache sees a change in a kernel's own file only: a kernel calls no compiled function of
another file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a loop that must keep the order of its floating-point operations."""
    return cast("Callable[P, R]", numba.njit(nogil=True, cache=True, error_model="numpy")(function))


def reduction(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a sum whose terms may be added in any order (vectorised, fused multiply-add)."""
    return cast(
        "Callable[P, R]",
        numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract"})(
            function
        ),
    )
