"""Which arrays share memory: by the bytes that they touch, whatever their shapes and strides."""

from __future__ import annotations

from collections.abc import Container, Mapping

import numpy as np

from lth_sketch.validation import Array

# Work that is spent on telling interleaved slices apart; beyond it they count as shared.
WORK = 1_000_000


def shared(arrays: Mapping[str, Array], among: Container[str]) -> tuple[str, str] | None:
    """Return the first two arrays that have an entry in common, one of them among some names.

    Parameters
    ----------
    arrays : mapping from name to array
        Views, transposes and slices of one another among them.
    among : container of str
        Two arrays outside of it may share what they like.

    Returns
    -------
    pair of str, or None
        Names in the order of the mapping.
    """
    order = {name: place for place, name in enumerate(arrays)}
    extents = sorted(
        (*np.lib.array_utils.byte_bounds(array), name)
        for name, array in arrays.items()
        if array.size
    )
    pairs: list[tuple[str, str]] = []
    open_: list[tuple[int, str]] = []
    for low, high, name in extents:
        open_ = [(end, other) for end, other in open_ if end > low]
        for _, other in open_:
            if (name in among or other in among) and _overlap(arrays[name], arrays[other]):
                one, two = sorted((name, other), key=order.__getitem__)
                pairs.append((one, two))
        open_.append((high, name))
    return min(pairs, key=lambda pair: (order[pair[0]], order[pair[1]]), default=None)


def repeats(array: Array) -> bool:
    """Return whether several entries of an array are one place in memory, as `expand` makes them.

    Told by its strides: a stride of zero, or axes that run into each other.
    """
    steps = sorted(
        (abs(stride), size)
        for stride, size in zip(array.strides, array.shape, strict=True)
        if size > 1
    )
    reach = 0
    for step, size in steps:
        if step <= reach or step < array.itemsize:
            return True
        reach += step * (size - 1)
    return False


def _overlap(one: Array, other: Array) -> bool:
    try:
        # The stubs of numpy know two special values alone.
        return bool(np.shares_memory(one, other, max_work=WORK))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True
