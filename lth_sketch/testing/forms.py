"""The forms in which the same numbers reach a function: dtypes, orders, strides, sparse formats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
from hypothesis import strategies as st

from lth_sketch.validation import Array, Floats

# Powers of ten that leave entries of ordinary size normal numbers of float32.
NARROW = 30


def scaled(M: Floats, max_exponent: int) -> st.SearchStrategy[Array]:
    """Return M times a power of ten within ``+-max_exponent``, in float64 or float32."""

    def within(exponent: int, dtype: type) -> st.SearchStrategy[Array]:
        return st.integers(-exponent, exponent).map(lambda e: (M * 10.0**e).astype(dtype))

    return st.one_of(
        within(max_exponent, np.float64), within(min(max_exponent, NARROW), np.float32)
    )


def exact(M: Floats) -> st.SearchStrategy[Array]:
    """Return M in float64, or in float32 if that has room for every digit."""
    with np.errstate(over="ignore"):
        narrow = M.astype(np.float32)
    return st.sampled_from([M, narrow] if (narrow == M).all() else [M])


def arrays(M: Array, *, sparse: bool = False) -> st.SearchStrategy[Any]:
    """Return M, equal in every entry, in one of the layouts, or in a sparse format."""
    formats = _SPARSE if sparse and M.ndim == 2 else ()
    return st.sampled_from([*_LAYOUTS, *formats]).map(lambda form: form(M))


def dense(M: Any) -> Array:
    """Return the numbers of a factor as an array, in the dtype they have."""
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
