"""Masks with a pattern that hardware multiplies fast: n of every M consecutive weights of a row."""

from __future__ import annotations

from typing import Any

import numpy as np

from lth_sketch import sampling, validation
from lth_sketch.inclusion import groups as inclusions
from lth_sketch.kernels import groups
from lth_sketch.pruning.layers import split
from lth_sketch.validation import Array

DESIGNS = ("systematic", "top")


def agreed(pattern: Any, density: float | None, design: str) -> tuple[int, int]:
    """Return n and M, where density and design go with them.

    Raises
    ------
    TypeError
        If the pattern is no pair of integers.
    ValueError
        If it does not keep 1 to M, the density is another than n / M, or the design is neither
        "top" nor "systematic".
    """
    if design not in DESIGNS:
        raise ValueError(
            f"design must be 'top' or 'systematic' with a pattern (systematic within each group, "
            f"in a random order); got {design!r}"
        )
    n, M = inclusions.pair(pattern)
    if density is not None and validation.number("density", density) != n / M:
        raise ValueError(
            f"density must be {n / M:g}, or None, with pattern = ({n}, {M}); got {density!r}"
        )
    return n, M


def patterned(
    scores: Any,
    density: float | None,
    pattern: Any,
    *,
    design: str,
    binary: bool,
    log: bool,
    rng: np.random.Generator | int | None,
) -> Any:
    """Return masks that keep n of every M entries along the rows of each layer (S9).

    A row is a vector, or all that belongs to one entry of the first axis: the inputs of one output
    of a linear layer, of a convolution its channels and window. Each layer has a child of `rng` of
    its own, so that layers can be drawn apart.

    Raises
    ------
    TypeError, ValueError
        As `pruning.select` and `agreed`; also if M does not divide the rows of a layer, which is
        named.
    """
    n, M = agreed(pattern, density, design)
    given = split(scores, log=log)
    for name, layer in zip(given.titles, given.layers, strict=True):
        inclusions.checked((n, M), layer[0].size if layer.ndim > 1 else layer.size, name)
    generator = validation.generator(rng)
    children = [] if design == "top" else validation.spawned(generator, len(given.layers))
    masks = []
    for i, (name, layer) in enumerate(zip(given.titles, given.layers, strict=True)):
        values: Array = np.ascontiguousarray(layer).ravel()
        if design == "top":
            mask = np.empty_like(values)
            groups.largest(values, n, M, mask)
        else:
            if log:
                # The largest of each group at one: a group knows no other scale than its own.
                grouped = values.reshape(-1, M)
                top = grouped.max(axis=1, keepdims=True)
                values = np.exp(grouped - np.where(np.isfinite(top), top, 0.0)).ravel()
            if values.min() < 0:
                raise ValueError(
                    f"{name} has an entry below zero ({values.min()}), which is no weight of a "
                    "draw; pass pruning.nonnegative(scores, 'shift') or (scores, 'absolute'), or "
                    "use design='top'"
                )
            if not values.any():
                raise ValueError(
                    f"{name} are all zero: they do not tell what to keep; leave such a layer out, "
                    "or score it otherwise"
                )
            mask = sampling.grouped(values, (n, M), binary=binary, rng=children[i])
        masks.append(mask.reshape(layer.shape).astype(layer.dtype))
    return given.join(masks)
