"""The one room where what a caller hands in becomes a plain array of real numbers, or is refused.

Accepted is what can mean one array of numbers only: nested lists, arrays of any byte order and any
subclass that adds no meaning (np.matrix, np.memmap), objects that are numbers, frames of numbers,
tensors. What would lose its meaning (a mask, a missing value, a category, a date) is refused with
the argument, the place and the mend; no message of numpy or of another library gets out.
"""

from __future__ import annotations

import itertools
import numbers
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

Array = npt.NDArray[Any]

# Rows of a float32 matrix that are widened to float64 at a time.
ROWS = 4096

# Kinds of numpy's dtypes that are no numbers, and what to do about them.
_MEND = {
    "c": "complex numbers; take their real part or absolute value",
    "U": "text; convert it, for instance with .astype(float)",
    "S": "bytes; convert them, for instance with .astype(float)",
    "T": "text; convert it, for instance with .astype(float)",
    "M": "dates; subtract a date and divide by a unit of time",
    "m": "durations; divide them by a unit of time",
    "V": "records; name a field, or numpy.lib.recfunctions.structured_to_unstructured",
}


def plain(name: str, value: Any) -> Array:
    """Return a plain array of native numbers: float32, float64, integers or booleans.

    float16, extended precision and objects become float64; nothing is copied that need not be.

    Raises
    ------
    TypeError
        If the entries are not real numbers, or the container means more than an array.
    ValueError
        If rows have several lengths, or a value leaves float64.
    """
    if type(value) is np.ndarray:
        return _native(name, value)
    if scipy.sparse.issparse(value):
        raise TypeError(f"{name} is sparse; pass a dense array, for instance {name}.toarray()")
    _refuse_containers(name, value)
    tensor = _tensor(name, value)
    if tensor is not None:
        return _native(name, tensor)
    if is_frame(value):
        return _frame(name, value)
    if isinstance(value, list | tuple):
        return _sequence(name, value)
    return _native(name, _read(name, value))


def real(name: str, value: Any) -> Array:
    """Return a plain array of float32 or float64; integers and booleans become float64."""
    result = plain(name, value)
    return result if result.dtype.kind == "f" else result.astype(np.float64)


def dense(M: Any) -> npt.NDArray[np.float64]:
    """Return a plain array or a sparse one as a dense one of float64."""
    return np.asarray(M.toarray() if scipy.sparse.issparse(M) else M, dtype=np.float64)


def widened(X: Any) -> Iterator[tuple[slice, Any]]:
    """Yield (rows, X[rows] in float64), in blocks where a copy of all would take much memory."""
    if scipy.sparse.issparse(X) or X.dtype == np.float64:
        yield slice(None), X.astype(np.float64, copy=False)
        return
    for start in range(0, len(X), ROWS):
        rows = slice(start, start + ROWS)
        yield rows, X[rows].astype(np.float64)


def _native(name: str, value: Array) -> Array:
    kind, size = value.dtype.kind, value.dtype.itemsize
    if kind in "iub" or (kind == "f" and size in (4, 8)):
        return value if value.dtype.isnative else value.astype(value.dtype.newbyteorder("="))
    if kind == "f":
        # Half and extended precision: float64 is the working precision here.
        with np.errstate(over="ignore"):
            result = value.astype(np.float64)
        lost = np.isinf(result) & np.isfinite(value)
        if lost.any():
            where = _where(np.argwhere(lost)[0])
            raise ValueError(f"{name}{where} is too large for float64; rescale {name}")
        return result
    if kind == "O":
        return _objects(name, value)
    raise TypeError(
        f"{name} must hold real numbers; got dtype {value.dtype}: "
        f"{_MEND.get(kind, 'convert it to float64')}"
    )


def is_dask(value: Any) -> bool:
    """Whether a value is a collection of dask; no import is needed to tell."""
    return type(value).__module__.split(".")[0] in ("dask", "dask_expr")


def _refuse_containers(name: str, value: Any) -> None:
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array, whose masked entries have no value here; fill them, for "
            f"instance {name}.filled(0.0), or leave them out"
        )
    if is_dask(value) or is_dask(getattr(value, "data", None)):
        raise TypeError(
            f"{name} is a {type(value).__name__} of dask, which would be loaded whole; reduce its "
            "rows first, data = lth_sketch.scale.rows(X, y), and pass data.X and data.y with "
            f"n_samples=data.n_samples, or load it yourself: {name}.compute()"
        )
    unit = getattr(value, "unit", None) if isinstance(value, np.ndarray) else None
    if unit is not None or _from(value, "pint"):
        raise TypeError(f"{name} has a unit, which would be lost; pass its numbers in that unit")
    if isinstance(value, str | bytes | bytearray):
        raise TypeError(f"{name} must hold real numbers; got text: {value!r:.40}")
    if isinstance(value, dict | set | frozenset) or hasattr(value, "__next__"):
        raise TypeError(f"{name} must be an array of numbers; got {_kind(value)}; pass a list")


def _tensor(name: str, value: Any) -> Array | None:
    """Return the numbers of a PyTorch tensor, without its history; None for anything else."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not isinstance(value, torch.Tensor):
        return None
    if value.is_quantized:
        raise TypeError(f"{name} is a quantised tensor; pass {name}.dequantize()")
    if value.layout != torch.strided:
        raise TypeError(f"{name} is a sparse tensor; pass {name}.to_dense()")
    if value.is_complex():
        raise TypeError(f"{name} must hold real numbers; got {value.dtype}; take {name}.abs()")
    if value.device.type == "meta":
        raise TypeError(f"{name} is a tensor on the device 'meta', which has no values")
    try:
        tensor = value.detach().cpu().resolve_neg()
        if tensor.is_floating_point() and tensor.dtype not in (torch.float32, torch.float64):
            tensor = tensor.double()
        return np.asarray(tensor.numpy())
    except (RuntimeError, TypeError, NotImplementedError):
        raise TypeError(
            f"{name} is a tensor of type {value.dtype} that cannot be read; pass {name}.double()"
        ) from None


def is_frame(value: Any) -> bool:
    """Whether a value is a data frame, of pandas or of polars; no import is needed to tell."""
    return hasattr(value, "columns") and hasattr(value, "to_numpy") and not callable(value.columns)


def _frame(name: str, value: Any) -> Array:
    """Return the columns of a frame (pandas, polars) side by side."""
    labels = list(value.columns)
    if not labels:
        return np.empty(value.shape)
    at = value.iloc if hasattr(value, "iloc") else None
    columns = []
    for j, label in enumerate(labels):
        column = at[:, j] if at is not None else value[label]
        part = f"{name}[{label!r}]"
        if str(getattr(column, "dtype", "")).lower().startswith(("category", "categorical")):
            raise TypeError(
                f"{part} is a column of categories; convert it to numbers, or drop the column"
            )
        try:
            columns.append(plain(part, column.to_numpy()))
        except TypeError as error:
            raise TypeError(f"{error}, or drop the column") from None
    return np.column_stack(columns)


def _sequence(name: str, value: Sequence[Any]) -> Array:
    """Return a list, of lists or of arrays, as an array of one more axis."""
    if all(type(entry) in (int, float, bool) for entry in value):
        return _native(name, _read(name, value))
    if not any(_has_entries(entry) for entry in value):
        return _native(name, _read(name, list(value)))
    parts = [plain(f"{name}[{k}]", entry) for k, entry in enumerate(value)]
    for k, part in enumerate(parts):
        if part.shape != parts[0].shape:
            raise ValueError(
                f"{name} must have entries of one shape; {name}[0] has shape {parts[0].shape}, and "
                f"{name}[{k}] has shape {part.shape}"
            )
    return np.stack(parts)


def _has_entries(entry: Any) -> bool:
    """Whether an entry of a list is no single number."""
    if isinstance(entry, list | tuple | np.ma.MaskedArray) or scipy.sparse.issparse(entry):
        return True
    # A tensor may hold one number, and still have a history that numpy does not take.
    tensor = not isinstance(entry, np.generic) and hasattr(entry, "ndim")
    return tensor or bool(getattr(entry, "ndim", 0)) or is_frame(entry)


def _read(name: str, value: Any) -> Array:
    """Return what numpy makes of an object, without its messages."""
    try:
        return np.asarray(value)
    except Exception:
        raise TypeError(
            f"{name} cannot be read as an array of numbers (it is {_kind(value)}); pass a numpy "
            "array"
        ) from None


def _objects(name: str, value: Array) -> Array:
    """Return objects that are real numbers as float64."""
    result = np.empty(value.shape)
    for place in itertools.product(*map(range, value.shape)):
        entry = value[place]
        where = _where(place)
        if isinstance(entry, np.ndarray) and entry.ndim == 0:
            entry = entry[()]
        if entry is None or entry is np.ma.masked or type(entry).__name__ in ("NAType", "NaTType"):
            raise TypeError(
                f"{name} must hold real numbers; got dtype object, and {name}{where} is missing "
                f"({entry}); remove or impute such entries"
            )
        number = isinstance(entry, numbers.Real | np.bool_) or _from(entry, "decimal")
        tensor = None if number else _tensor(f"{name}{where}", entry)
        if not number and (tensor is None or tensor.ndim):
            raise TypeError(
                f"{name} must hold real numbers; got dtype object, and {name}{where} is "
                f"{_kind(entry)}: {entry!r:.40}; convert it"
            )
        try:
            result[place] = float(entry)
        except OverflowError:
            raise ValueError(f"{name}{where} is too large for float64; rescale {name}") from None
    return result


def _where(place: Any) -> str:
    entry = ", ".join(str(int(i)) for i in place)
    return f"[{entry}]" if entry else ""


def _from(value: Any, package: str) -> bool:
    return type(value).__module__.partition(".")[0].lstrip("_") == package


def _kind(value: Any) -> str:
    return f"of type {type(value).__name__}"
