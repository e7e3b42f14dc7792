"""LAPACK's tpqrt without the lock of the interpreter, so that leaves run on threads."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from lth_sketch.validation import Floats

# Reflectors that LAPACK applies together, for few columns and for more, and how many are few.
PANELS, FEW = (16, 24), 128


def fold(triangle: Floats, block: Floats, *, upper: bool = False) -> None:
    """Fold rows into a triangle: R of a QR factorisation of the two, in the triangle's place.

    Parameters
    ----------
    triangle : (w, w) array, in columns
        An upper triangle, zeros at first. Overwritten.
    block : (m, w) array, in columns
        Rows. Overwritten.
    upper : bool
        Whether `block` is an upper triangle too, which saves two thirds of the work.
    """
    m, w = block.shape
    if m == 0:
        return
    panel = min(PANELS[w > FEW], w)
    pointer = _pointer()
    if pointer is None:
        import scipy.linalg.lapack

        outputs = scipy.linalg.lapack.dtpqrt(
            m if upper else 0, panel, triangle, block, overwrite_a=True, overwrite_b=True
        )
        triangle[:] = outputs[0]
        return
    factors, work = np.empty(panel * w), np.empty(panel * w)
    sizes = [ctypes.c_int(n) for n in (m, w, m if upper else 0, panel)]
    # Of a single column numpy's second stride says nothing.
    leading = max(m, block.strides[1] // 8)
    lda, ldb, ldt, info = (ctypes.c_int(n) for n in (w, leading, panel, 0))
    ref = ctypes.byref
    pointer(
        *(ref(n) for n in sizes),
        triangle.ctypes.data,
        ref(lda),
        block.ctypes.data,
        ref(ldb),
        factors.ctypes.data,
        ref(ldt),
        work.ctypes.data,
        ref(info),
    )


@cache
def _pointer() -> Callable[..., None] | None:
    """Return the routine that scipy's own wrapper calls; None where its integers are not C's.

    ctypes releases the lock of the interpreter for a call, scipy's wrapper keeps it.
    """
    import scipy.linalg.cython_lapack

    capsule = scipy.linalg.cython_lapack.__pyx_capi__.get("dtpqrt")
    api: Any = ctypes.pythonapi
    name_of, address_of = api.PyCapsule_GetName, api.PyCapsule_GetPointer
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    address_of.restype, address_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    if capsule is None:
        return None
    signature = name_of(capsule)
    if signature.count(b"int *") != 8:
        return None
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 12)
    function: Callable[..., None] = kind(address_of(capsule, signature))
    return function


# --- one thread of BLAS in each leaf ----------------------------------------------------------

_LOCK = Lock()
_inside = 0
_limit: Any = None


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS to one thread while any caller is inside: leaves run side by side already.

    The number of its threads belongs to the process, and may change the last digits.
    """
    global _inside, _limit
    with _LOCK:
        if _inside == 0:
            _limit = _controller().limit(limits=1, user_api="blas")
        _inside += 1
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if _inside == 0:
                _limit.restore_original_limits()


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
