"""Checks of what a caller hands in: each error names the argument, its value and the mend."""

from __future__ import annotations

import operator
import os
from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import conversion

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Unsigned = npt.NDArray[np.uint64]

LARGEST_INTEGER = 2**63 - 1
# Entries whose squares, and sums of them, stay in range.
LARGEST_ENTRY = 1e140
TINY = float(np.finfo(np.float64).tiny)
# The least number above zero.
LEAST = float(np.nextafter(0.0, 1.0))


def array(
    name: str, value: npt.ArrayLike, *, ndim: int | tuple[int, ...], finite: bool = True
) -> Array:
    """Return a real, finite, nonempty float32 or float64 array with one of the `ndim` given.

    Integers and booleans become float64; float32 and float64 are returned as they are (no copy).
    With `finite` false the entries are not looked at.

    Raises
    ------
    TypeError
        If the entries are complex, objects or text, the matrix is sparse, or a collection of dask.
    ValueError
        If the number of axes is another, there is no entry, or an entry is NaN or infinite.
    """
    result = conversion.real(name, value)
    shapes = (ndim,) if isinstance(ndim, int) else ndim
    if result.ndim not in shapes:
        axes = " or ".join(str(n) for n in shapes)
        raise ValueError(f"{name} must have {axes} axes; got shape {result.shape}")
    if result.size == 0:
        raise ValueError(f"{name} must not be empty; got shape {result.shape}")
    if finite:
        _finite(name, result)
    return result


def matrix(name: str, value: Any, *, ndim: int | tuple[int, ...] = 2, finite: bool = True) -> Any:
    """Return a real, finite array as `array` does, or a CSR/CSC matrix as a CSR/CSC array.

    Raises
    ------
    TypeError
        If the entries are not real numbers, or the sparse format is neither CSR nor CSC.
    ValueError
        If the shape does not fit, or an entry is NaN or infinite.
    """
    if not scipy.sparse.issparse(value):
        return array(name, value, ndim=ndim, finite=finite)
    if value.format not in ("csr", "csc"):
        raise TypeError(
            f"{name} is sparse in format {value.format!r}; convert it, for instance {name}.tocsr()"
        )
    if len(value.shape) != 2:
        raise ValueError(f"{name} must have 2 axes; got shape {value.shape}")
    if 0 in value.shape:
        raise ValueError(f"{name} must not be empty; got shape {value.shape}")
    data = conversion.real(name, value.data)
    if finite:
        _finite(f"{name}.data", data)
    kind = scipy.sparse.csr_array if value.format == "csr" else scipy.sparse.csc_array
    return kind((data, value.indices, value.indptr), shape=value.shape)


def in_range(name: str, values: Array, limit: float = LARGEST_ENTRY) -> Array:
    """Refuse entries whose size is beyond a limit."""
    largest = float(max(values.max(initial=0), -values.min(initial=0)))
    if largest > limit:
        raise ValueError(
            f"{name} must have entries of size at most {limit:g}, for squares to stay in range; "
            f"got {largest:g}; rescale {name}"
        )
    return values


def single(name: str, result: Floats) -> Array:
    """Return a result of float32 matrices, summed in float64, in float32.

    Raises
    ------
    ValueError
        If an entry is too large for float32.
    """
    largest, limit = float(np.abs(result).max(initial=0.0)), float(np.finfo(np.float32).max)
    if largest > limit:
        raise ValueError(
            f"{name} has an entry of size {largest:.3g}, which leaves float32 (at most "
            f"{limit:.3g}); pass a matrix in float64, and the result is float64"
        )
    return result.astype(np.float32)


def vector(name: str, value: npt.ArrayLike, *, size: int | None = None) -> Array:
    """Return a real, finite vector of `size` entries (any, but at least one, by default)."""
    result = array(name, value, ndim=1)
    if size is not None and len(result) != size:
        raise ValueError(f"{name} must have length {size}; got length {len(result)}")
    return result


def weights(name: str, value: npt.ArrayLike, *, size: int | None = None) -> Array:
    """Return a vector of weights that are >= 0 and not all zero (not normalised)."""
    result = vector(name, value, size=size)
    smallest = result.min()
    if smallest < 0:
        raise ValueError(
            f"{name} must be >= 0; got {name}[{int(result.argmin())}] = {smallest}; "
            "take absolute values or shift the scores"
        )
    if not result.any():
        raise ValueError(f"{name} must have an entry > 0; all {len(result)} are zero")
    return result


def probabilities(name: str, value: npt.ArrayLike, *, size: int | None = None) -> Floats:
    """Return weights normalised to sum 1, in float64."""
    given = weights(name, value, size=size)
    raw = given.astype(np.float64)
    # Dividing by the largest first keeps the sum of huge or tiny weights in range.
    raw /= raw.max()
    raw /= raw.sum()
    if raw.min() < TINY:
        # What is positive stays so, however small beside the largest.
        raw[(given > 0) & (raw == 0)] = LEAST
    return raw


def covering(p: npt.ArrayLike, term_norms: Floats, *, name: str = "p") -> Floats:
    """Return normalised probabilities that are positive wherever a term is not zero.

    Raises
    ------
    ValueError
        If some `p` is zero where its term norm is not: the estimate would be biased.
    """
    result = probabilities(name, p, size=len(term_norms))
    missed = np.flatnonzero((result == 0) & (term_norms > 0))
    if missed.size:
        i = int(missed[0])
        raise ValueError(
            f"{name}[{i}] = 0, but the term norm there is {term_norms[i]}: the estimate would be "
            f"biased ({missed.size} such entries); give every nonzero term a positive probability, "
            "for instance with probabilities.defensive"
        )
    return result


def count(name: str, value: Any, *, minimum: int = 1, maximum: int = LARGEST_INTEGER) -> int:
    """Return an integer in [minimum, maximum], at most 2^63 - 1."""
    if type(value) is int and minimum <= value <= maximum:
        return value
    if isinstance(value, bool | np.bool_ | np.ma.MaskedArray) or getattr(value, "ndim", 0) != 0:
        raise TypeError(f"{name} must be an integer; got {value!r}")
    try:
        result = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {value!r}") from None
    if result < minimum:
        raise ValueError(f"{name} must be at least {minimum}; got {result}")
    if result > maximum:
        raise ValueError(f"{name} must be at most {maximum}; got {result}")
    return result


def integers(name: str, value: Any, *, minimum: int = 0) -> Integers:
    """Return an integer, or an array of integers, in [minimum, 2^63 - 1], as int64.

    Raises
    ------
    TypeError
        If they are not integers.
    ValueError
        If there is none, or one is out of range.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return np.array(count(name, value, minimum=minimum), dtype=np.int64)
    if isinstance(value, range):
        value = list(value)
    if isinstance(value, list | tuple) and all(type(entry) is int for entry in value):
        # numpy makes numbers of 64 bits and of more floats, or objects.
        counts = [count(f"{name}[{k}]", entry, minimum=minimum) for k, entry in enumerate(value)]
        result = np.array(counts, dtype=np.int64)
    else:
        try:
            result = conversion.plain(name, value)
        except TypeError:
            raise TypeError(f"{name} must be an integer or integers; got {value!r}") from None
    if result.size == 0:
        raise ValueError(f"{name} must hold at least one number; got {value!r}")
    if result.dtype.kind not in "iu":
        raise TypeError(f"{name} must be an integer or integers; got {value!r}")
    if result.min() < minimum:
        raise ValueError(f"{name} must be at least {minimum}; got {result.min()}")
    if result.max() > LARGEST_INTEGER:
        raise ValueError(f"{name} must be at most {LARGEST_INTEGER}; got {result.max()}")
    return result.astype(np.int64)


def sizes(value: Any, *, name: str = "s", minimum: int = 1) -> Integers:
    """Return the numbers of draws as int64, of shape () for one number.

    Raises
    ------
    TypeError
        If they are not integers.
    ValueError
        If there is none, or one is below `minimum` or above 2^63 - 1.
    """
    return integers(name, value, minimum=minimum)


def numbers(name: str, value: Any, *, low: float = 0.0) -> Floats:
    """Return one number or an array of numbers >= `low`, infinity included, as float64."""
    try:
        result = conversion.plain(name, value)
    except TypeError:
        raise TypeError(f"{name} must be a number or numbers; got {value!r}") from None
    if result.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be a number or numbers; got {value!r}")
    if result.size == 0:
        raise ValueError(f"{name} must hold at least one number; got {value!r}")
    refused = ~(result >= low)
    if refused.any():
        raise ValueError(f"{name} must be >= {low:g}; got {result[refused][0]}")
    return result.astype(np.float64)


def number(
    name: str,
    value: Any,
    *,
    low: float = -np.inf,
    high: float = np.inf,
    closed: bool = True,
) -> float:
    """Return a float in [low, high], or strictly inside when `closed` is false.

    NaN is refused; an infinite value passes only where an end of the closed interval is infinite.
    """
    if isinstance(value, float):
        result = float(value)
    else:
        try:
            plain = conversion.plain(name, value)
        except (TypeError, ValueError):
            raise TypeError(f"{name} must be a number; got {value!r}") from None
        if plain.ndim or plain.dtype.kind == "b":
            raise TypeError(f"{name} must be a number; got {value!r}")
        result = float(plain)
    inside = low <= result <= high if closed else low < result < high
    if not inside:
        ends = f"[{low:g}, {high:g}]" if closed else f"({low:g}, {high:g})"
        raise ValueError(f"{name} must lie in {ends}; got {result!r}")
    return result


def risk(name: str, value: Any) -> float:
    """Return a probability strictly between 0 and 1."""
    return number(name, value, low=0.0, high=1.0, closed=False)


def share(name: str, value: Any) -> float:
    """Return a share of the whole, in (0, 1]; NaN is refused."""
    try:
        result = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number; got {value!r}") from None
    if not 0.0 < result <= 1.0:
        raise ValueError(f"{name} must lie in (0, 1], a share of the entries; got {result!r}")
    return result


def choice(name: str, value: str, allowed: Collection[str]) -> str:
    """Return `value` if it is one of the names allowed."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(sorted(allowed))}; got {value!r}")
    return value


def generator(rng: Any) -> np.random.Generator:
    """Return the Generator that `rng` stands for: itself, a seed, or fresh entropy for None."""
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is None:
        return np.random.default_rng()
    if isinstance(rng, bool | np.bool_) or not isinstance(rng, int | np.integer):
        raise TypeError(
            f"rng must be a numpy.random.Generator, an integer seed or None; got {rng!r}"
        )
    if rng < 0:
        raise ValueError(f"rng as a seed must be >= 0; got {rng}")
    return np.random.default_rng(int(rng))


def spawned(rng: np.random.Generator, count: int) -> list[np.random.Generator]:
    """Return children of a Generator, one for each part of the work.

    Raises
    ------
    TypeError
        If it cannot have any.
    """
    try:
        return rng.spawn(count)
    except TypeError:
        raise TypeError(
            "rng cannot spawn children for parts of the work, for its bit generator has no seed "
            "sequence; pass numpy.random.default_rng(seed), or a seed"
        ) from None


def workers(n_jobs: int | None) -> int:
    """Return a number of threads: the one given, or that of the processors at hand."""
    if n_jobs is not None:
        return count("n_jobs", n_jobs)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _finite(name: str, value: Array) -> None:
    # min and max propagate NaN, and need no temporary of the array's size.
    if value.size == 0 or (np.isfinite(value.min()) and np.isfinite(value.max())):
        return
    position = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
    where = ", ".join(str(i) for i in position)
    raise ValueError(
        f"{name} must be finite; got {name}[{where}] = {value[position]}; "
        "remove or impute such entries"
    )
