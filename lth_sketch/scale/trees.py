"""A fixed tree over consecutive parts: the same merges for any number of workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np

from lth_sketch.parallel.executors import is_dask_executor

Node = TypeVar("Node")

# Nodes that are merged at a time, in order.
TOGETHER = 8


def gathered(nodes: Iterable[Node], merge: Callable[..., Node]) -> Node | None:
    """Merge nodes as they come, `TOGETHER` at a time; few of them are ever held."""
    levels: list[list[Node]] = []
    for node in nodes:
        level = 0
        while True:
            if level == len(levels):
                levels.append([])
            levels[level].append(node)
            if len(levels[level]) < TOGETHER:
                break
            node = merge(*levels[level])
            levels[level] = []
            level += 1
    last: list[Node] = []
    for waiting in levels:
        # What is left of a level follows what came before, which is higher up.
        last = [*waiting, *last]
        if len(last) > 1:
            last = [merge(*last)]
    return last[0] if last else None


def computed(
    X: Any, y: Any, leaf: Callable[..., Any], merge: Callable[..., Any], executor: Any
) -> Any:
    """Let dask compute the leaves of its chunks, of columns side by side, and merge them."""
    import dask
    import dask.array

    arguments = [X, "ij"] if y is None else [X, "ij", y, "i" if y.ndim == 1 else "ir"]
    tree = dask.array.blockwise(
        leaf,
        "i",
        *arguments,
        dtype=object,
        meta=np.empty((0,), object),
        align_arrays=False,
        concatenate=False,
    )
    nodes = list(tree.to_delayed().ravel())
    merged = dask.delayed(merge, pure=False)
    while len(nodes) > 1:
        groups = [nodes[i : i + TOGETHER] for i in range(0, len(nodes), TOGETHER)]
        nodes = [group[0] if len(group) == 1 else merged(*group) for group in groups]
    scheduler = {}
    if executor is not None:
        scheduler["scheduler"] = executor._client if is_dask_executor(executor) else executor
    return dask.compute(nodes[0], **scheduler)[0]
