"""The only place where numba's options are set.

Kernels are compiled on first use for the types they meet, cached on disk, and release the GIL, so
that blocks of trials run on threads. There is no global fastmath: NaN and infinity keep their
meaning. A pure reduction may be reordered and contracted (`reduction`), nothing else. Division
follows numpy (x / 0 is infinite or NaN): an exception in a loop would keep it from vectorising.

Numba's cache sees a change in a kernel's own file only: a kernel calls no compiled function of
another file, but for `prefetch` and `upper_product`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba
import numba.extending
import numpy as np
from llvmlite import ir
from numba.core import cgutils

from lth_sketch.kernels._cache import cached
from lth_sketch.validation import Array

P = ParamSpec("P")
R = TypeVar("R")
# Whether kernels are compiled, not interpreted (NUMBA_DISABLE_JIT).
COMPILES = not vars(numba.config)["DISABLE_JIT"]


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a loop that must keep the order of its floating-point operations."""
    return cast("Callable[P, R]", cached(numba.njit(nogil=True, error_model="numpy")(function)))


def reduction(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a sum whose terms may be added in any order (vectorised, fused multiply-add)."""
    return cast(
        "Callable[P, R]",
        cached(
            numba.njit(nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})(function)
        ),
    )


def prefetch(A: Array, j: int, i: int) -> None:
    """Ask memory for the line of ``A[j, i]``, which may lie beyond the end, ahead of its use.

    Processors foresee a stream to the end of its page, no further: the column norms of 800 MB took
    27 ms with it and 33 without, on two cores. Without compilation, or with a numba whose internals
    are others, it does nothing.
    """


def _emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    tools: Any = cgutils
    kind = signature.args[0]
    array = context.make_array(kind)(context, builder, arguments[0])
    entry = tools.get_item_pointer(context, builder, kind, array, arguments[1:], wraparound=False)
    byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
    hint = tools.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), [byte, word, word, word]), "llvm.prefetch.p0"
    )
    # To read (0), into every cache (3), data (1).
    options = [ir.Constant(word, option) for option in (0, 3, 1)]
    builder.call(hint, [builder.bitcast(entry, byte), *options])
    return context.get_dummy_value()


def _instruction(context: Any, A: Any, j: Any, i: Any) -> Any:
    return numba.types.void(A, j, i), _emit


def _nothing(A: Array, j: int, i: int) -> None:
    """Stand in for the hint where it cannot be given."""


if hasattr(cgutils, "get_item_pointer") and hasattr(cgutils, "get_or_insert_function"):
    _prefetch: Any = numba.extending.intrinsic(_instruction)
    numba.extending.overload(prefetch)(lambda A, j, i: lambda A, j, i: _prefetch(A, j, i))
else:
    numba.extending.overload(prefetch)(lambda A, j, i: _nothing)


def upper_product(a: np.uint64, b: np.uint64) -> np.uint64:
    """Return the upper 64 bits of the product of two numbers of 64 bits.

    Compiled, it is one instruction.
    """
    return np.uint64((int(a) * int(b)) >> 64)


def _product(typing: Any, a: Any, b: Any) -> Any:
    return numba.types.uint64(numba.types.uint64, numba.types.uint64), _emit_product


def _emit_product(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    wide = ir.IntType(128)
    one, other = (builder.zext(argument, wide) for argument in arguments)
    upper = builder.lshr(builder.mul(one, other), ir.Constant(wide, 64))
    return builder.trunc(upper, ir.IntType(64))


_multiplied: Any = numba.extending.intrinsic(_product)
numba.extending.overload(upper_product)(lambda a, b: lambda a, b: _multiplied(a, b))
