"""One pass over rows: parts of them to nodes, nodes to one, on threads, an executor or dask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import Any, Protocol, TypeVar

from lth_sketch import conversion, validation
from lth_sketch.parallel.executors import check, spread
from lth_sketch.scale import parts, trees
from lth_sketch.scale.parts import Fault, Part


class Reduced(Protocol):
    """What stands for `n` rows, or what is wrong with them."""

    @property
    def n(self) -> int:
        """Number of rows."""

    @property
    def fault(self) -> Fault | None:
        """The first fault by position."""


Node = TypeVar("Node", bound=Reduced)


def reduced(
    X: Any,
    y: Any,
    leaf: Callable[[Any, Any], Node],
    merge: Callable[..., Node],
    *,
    executor: Executor | None,
    n_jobs: int | None,
) -> Node:
    """Reduce all rows to one node, by a fixed tree.

    Raises
    ------
    TypeError, ValueError
        The first fault by position; if X is none of the forms of `scale.rows`, or has no rows.
    """
    if executor is not None:
        check(executor)
    threads = validation.workers(n_jobs)
    if conversion.is_dask(X) or conversion.is_dask(y):
        X, y = _chunked(X, y)
        root: Node | None = trees.computed(X, y, leaf, merge, executor)
    else:
        nodes = spread(_leaf, _parts(X, y), executor, common=leaf, threads=threads)
        root = trees.gathered(nodes, merge)
    if root is not None and root.fault is not None:
        raise root.fault.error()
    if root is None or root.n == 0:
        raise ValueError("X must not be empty; got no rows")
    return root


def _leaf(leaf: Callable[[Any, Any], Node], part: Part) -> Node:
    return leaf(part.X, part.y)


def _parts(X: Any, y: Any) -> Iterator[Part]:
    if isinstance(X, Iterator):
        targets = None if y is None else validation.array("y", y, ndim=(1, 2))
        return parts.blocks(X, targets)
    engine = type(X).__module__.split(".")[0]
    if engine in ("h5py", "zarr"):
        raise TypeError(
            f"X is a {type(X).__name__} of {engine}, which is read in chunks by dask: pass "
            "dask.array.from_array(X), or an iterator of blocks"
        )
    X = validation.matrix("X", X, finite=False)
    width = X.shape[1]
    if y is not None:
        y = validation.array("y", y, ndim=(1, 2), finite=False)
        if len(y) != X.shape[0]:
            raise ValueError(
                f"y must have one row for each of the {X.shape[0]} rows of X; got shape {y.shape}"
            )
        width += y.reshape(len(y), -1).shape[1]
    return parts.cut(X, y, width)


def _chunked(X: Any, y: Any) -> tuple[Any, Any]:
    """Return dask arrays whose chunks of rows belong together."""
    for name, value in (("X", X), ("y", y)):
        if value is not None and not hasattr(value, "chunks"):
            if conversion.is_dask(value):
                raise TypeError(
                    f"{name} is a {type(value).__name__} of dask; pass {name}.to_dask_array()"
                )
            if name == "X":
                raise TypeError("y is a dask array and X is not; pass y.compute()")
    if X.ndim != 2:
        raise ValueError(f"X must have 2 axes; got shape {X.shape}")
    if X.shape[1] != X.shape[1]:
        raise ValueError("X has an unknown number of columns; call X.compute_chunk_sizes() before")
    heights = X.chunks[0]
    unknown = any(height != height for height in heights)
    if y is None:
        return X, None
    if not conversion.is_dask(y):
        import dask.array

        y = validation.array("y", y, ndim=(1, 2), finite=False)
        if unknown:
            raise ValueError(
                "y must be a dask array with the chunks of X, whose lengths are unknown; or call "
                "X.compute_chunk_sizes() before"
            )
        if len(y) == X.shape[0]:
            y = dask.array.from_array(y, chunks=(heights, *y.shape[1:]))
    if y.ndim not in (1, 2):
        raise ValueError(f"y must have 1 or 2 axes; got shape {y.shape}")
    if unknown or y.shape[0] != y.shape[0]:
        if len(y.chunks[0]) != len(heights):
            raise ValueError(
                f"y must have a chunk for each of the {len(heights)} chunks of rows of X, whose "
                f"lengths are unknown; got {len(y.chunks[0])}"
            )
    elif y.shape[0] != X.shape[0]:
        raise ValueError(
            f"y must have one row for each of the {X.shape[0]} rows of X; got shape {y.shape}"
        )
    elif y.chunks[0] != heights:
        y = y.rechunk({0: heights})
    return X, y
