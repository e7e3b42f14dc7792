"""Rows in parts: from whatever holds them to blocks that a task can take."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np
import scipy

from lth_sketch.validation import Array, Floats

# Entries of a part: enough that starting it costs nothing, few enough that many fit into memory.
ENTRIES = 1 << 22
# Rows of a part, at least so many times the columns: merging triangles then costs little.
TALL = 8


class Fault(NamedTuple):
    """What is wrong with the rows: the first row of it, counted from those of the part."""

    row: int
    kind: type[Exception]
    text: str

    def error(self) -> Exception:
        """Return what is raised; ``{row}`` in the text is the row among all."""
        return self.kind(self.text.replace("{row}", str(self.row)))


class Part(NamedTuple):
    """Consecutive rows: a block or the blocks of columns side by side, and the targets."""

    X: Any
    y: Any = None


@dataclass(frozen=True)
class Mapped:
    """Rows of a file, opened where they are read and given back at once."""

    path: str
    dtype: str
    shape: tuple[int, ...]
    offset: int

    def open(self) -> Array:
        """Return the rows, read as they are used."""
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape)


def cut(X: Any, y: Any, width: int) -> Iterator[Part]:
    """Cut arrays, sparse matrices and memory maps into parts of so many rows as fit `width`."""
    height = max(ENTRIES // max(1, X.shape[1]), TALL * width, 1)
    if scipy.sparse.issparse(X):
        X = X.tocsr()
    take = _mapped(X)
    for start in range(0, X.shape[0], height):
        rows = slice(start, min(start + height, X.shape[0]))
        yield Part(take(rows), None if y is None else y[rows])


def _mapped(X: Any) -> Any:
    """Return what takes rows of X: descriptions of them if X is a map of a file, else views."""
    mapping = getattr(X, "_mmap", None)
    if (
        not isinstance(X, np.memmap)
        or mapping is None
        or X.filename is None
        or X.mode == "c"
        or not X.flags.c_contiguous
    ):
        return lambda rows: X[rows]
    if X.mode != "r":
        X.flush()
    first = np.frombuffer(mapping, np.uint8).ctypes.data
    start = X.offset - X.offset % mmap.ALLOCATIONGRANULARITY + (X.ctypes.data - first)
    row = X.strides[0]

    def take(rows: slice) -> Mapped:
        shape = (rows.stop - rows.start, *X.shape[1:])
        return Mapped(str(X.filename), X.dtype.str, shape, start + rows.start * row)

    return take


def blocks(source: Iterator[Any], y: Any) -> Iterator[Part]:
    """Take the blocks of an iterator: arrays, or pairs (X, y); or arrays beside a whole `y`."""
    position = 0
    for block in source:
        if isinstance(block, tuple):
            if y is not None or len(block) != 2:
                raise TypeError(
                    "the blocks of an iterator must be arrays, or pairs (X, y) without the "
                    f"argument y; got a tuple of {len(block)}"
                )
            yield Part(*block)
            continue
        part = block if hasattr(block, "shape") else np.asarray(block)
        if y is None:
            yield Part(part)
            continue
        end = position + part.shape[0]
        yield Part(part, y[position:end])
        position = end
    if y is not None and position != len(y):
        raise ValueError(f"y must have one row for each of the {position} rows of X; got {len(y)}")


def dense(block: Any) -> Array:
    """Return a block as a dense array, whatever form it has."""
    if isinstance(block, Mapped):
        return block.open()
    if scipy.sparse.issparse(block):
        return np.asarray(block.toarray())
    if hasattr(block, "todense"):
        return np.asarray(block.todense())
    return np.asarray(block)


def opened(part: Part) -> Part:
    """Open the rows of a file; put blocks of columns side by side where they are dense."""
    X, y = part
    if isinstance(X, Mapped):
        X = X.open()
    if isinstance(y, Mapped):
        y = y.open()
    return Part(_joined(X), None if y is None else dense(_joined(y)))


def _joined(block: Any) -> Any:
    if not isinstance(block, list | tuple):
        return block
    parts = list(block)
    if parts and isinstance(parts[0], list | tuple):
        parts = list(parts[0])
    if len(parts) == 1:
        return parts[0]
    if all(scipy.sparse.issparse(b) for b in parts):
        return scipy.sparse.hstack(parts, format="csr")
    return np.concatenate([dense(b) for b in parts], axis=-1)


def shapes(part: Part) -> Fault | None:
    """Return what is wrong with the shapes and the types of a part, if anything."""
    X, y = part
    if X.ndim != 2:
        text = f"X must have 2 axes; the block from row {{row}} on has shape {X.shape}"
        return Fault(0, ValueError, text)
    if y is not None and (y.ndim not in (1, 2) or len(y) != X.shape[0]):
        text = (
            f"y must have one row for each row of X; the blocks from row {{row}} on have shapes "
            f"{y.shape} and {X.shape}"
        )
        return Fault(0, ValueError, text)
    for name, block in (("X", X), ("y", y)):
        if block is not None and block.dtype.kind not in "iubf":
            text = f"{name} must hold real numbers; got dtype {block.dtype}"
            return Fault(0, TypeError, text)
    return None


def widened(part: Part, rows: slice, out: Floats) -> None:
    """Write rows of [X y] as dense float64."""
    X, y = part
    d = X.shape[1]
    out[:, :d] = dense(X[rows])
    if y is not None:
        out[:, d:] = y[rows].reshape(out.shape[0], out.shape[1] - d)


def fault(part: Part) -> Fault | None:
    """Return the first row that is not finite, if any."""
    faults = [
        _not_finite(name, block)
        for name, block in (("X", part.X), ("y", part.y))
        if block is not None
    ]
    return min((f for f in faults if f is not None), key=lambda f: f.row, default=None)


def _not_finite(name: str, block: Any) -> Fault | None:
    values = block.data if scipy.sparse.issparse(block) else block
    if np.isfinite(values).all():
        return None
    wide = dense(block)
    wide = wide.reshape(block.shape[0], prod(block.shape[1:]))
    row, column = (int(i) for i in np.argwhere(~np.isfinite(wide))[0])
    where = "{row}" if block.ndim == 1 else f"{{row}}, {column}"
    return Fault(
        row,
        ValueError,
        f"{name} must be finite; got {name}[{where}] = {wide[row, column]}; "
        "remove or impute such entries",
    )
