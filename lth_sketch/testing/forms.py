"""The forms in which the same numbers reach a function: dtypes, orders, strides, sparse formats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy
from hypothesis import strategies as st

from lth_sketch.validation import Array, Floats

# Powers of ten that leave entries of ordinary size normal numbers of float32.
NARROW = 30


def scaled(draw: st.DrawFn, M: Floats, max_exponent: int) -> Array:
    """Draw M times a power of ten within ``+-max_exponent``, in float64 or float32."""
    narrow = draw(_YES_OR_NO)
    reach = min(max_exponent, NARROW) if narrow else max_exponent
    power = 10.0 ** draw(st.integers(-reach, reach))
    return np.asarray((M * power).astype(np.float32 if narrow else np.float64))


def exact(draw: st.DrawFn, M: Floats) -> Array:
    """Draw M in float64, or in float32 if that has room for every digit."""
    with np.errstate(over="ignore"):
        narrow = M.astype(np.float32)
    return narrow if (narrow == M).all() and draw(_YES_OR_NO) else M


def arrays(draw: st.DrawFn, M: Array, *, sparse: bool = False) -> Any:
    """Draw M, equal in every entry, in one of the layouts, or in a sparse format."""
    forms = (*_LAYOUTS, *_SPARSE) if sparse and M.ndim == 2 else _LAYOUTS
    return forms[draw(st.integers(0, len(forms) - 1))](M)


def dense(M: Any) -> Array:
    """Return the numbers of a matrix as an array, in the dtype they have."""
    return np.asarray(M.toarray() if scipy.sparse.issparse(M) else M)


def _every_second(M: Array) -> Array:
    return np.repeat(M, 2, axis=-1)[..., ::2]


def _backwards(M: Array) -> Array:
    return M[..., ::-1].copy()[..., ::-1]


def _read_only(M: Array) -> Array:
    copy = M.copy()
    copy.flags.writeable = False
    return copy


# The plain one first: counterexamples shrink to it.
_LAYOUTS: tuple[Callable[[Array], Array], ...] = (
    np.ascontiguousarray,
    np.asfortranarray,
    _every_second,
    _backwards,
    _read_only,
)
_SPARSE = (scipy.sparse.csr_array, scipy.sparse.csc_array)
_YES_OR_NO = st.booleans()
