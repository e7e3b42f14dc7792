"""One round of selection: which weights are left, which of them compete, and what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lth_sketch import named, pruning
from lth_sketch.networks.layers import Site, rows, unrows
from lth_sketch.validation import Array

SCOPES = ("global", "layer", "row")


def select_round(
    scores: Mapping[str, Array],
    masks: Mapping[str, Array] | None,
    share: float,
    sites: Mapping[str, Site],
    *,
    signed: str,
    scope: str,
    pattern: tuple[int, int] | None,
    **options: Any,
) -> dict[str, Array]:
    """Select a share of all weights among those that are left; see `find` for the options."""
    if pattern is not None:
        return _patterned(scores, masks, sites, pattern, signed, options)
    units = _units(scores, sites, scope)
    alive = None if masks is None else _units(masks, sites, scope)
    left = units if alive is None else {name: units[name][alive[name] != 0] for name in units}
    left = {name: values for name, values in left.items() if values.size}
    if options["design"] != "top" and any((values < 0).any() for values in left.values()):
        left = dict(zip(left, pruning.nonnegative(list(left.values()), signed), strict=True))
    total = sum(values.size for values in scores.values())
    # A random number of weights may be left, and fewer than the schedule allows.
    rest = min(1.0, share * total / sum(values.size for values in left.values()))
    if options["design"] != "top":
        left = _drawable(left, share * total)
    if scope != "global":
        # A dead input, or a layer that earlier rounds cut off, tells nothing: all alike.
        left = {n: v if np.any(v) else np.ones_like(v) for n, v in left.items()}
    within = "global" if scope == "global" else "layer"
    chosen = named.select(left, rest, scope=within, **options)
    result = {}
    for name, values in units.items():
        mask = np.zeros_like(values)
        if name in chosen and alive is not None:
            mask[alive[name] != 0] = chosen[name]
        elif name in chosen:
            mask = chosen[name]
        result[name] = mask
    return _joined(result, scores, sites, scope)


def _patterned(
    scores: Mapping[str, Array],
    masks: Mapping[str, Array] | None,
    sites: Mapping[str, Site],
    pattern: tuple[int, int],
    signed: str,
    options: dict[str, Any],
) -> dict[str, Array]:
    """Keep n of each m consecutive inputs, row by row of each layer as a matrix."""
    kept, group = pattern
    alive = {name: np.ones_like(v) if masks is None else masks[name] for name, v in scores.items()}
    matrices = {
        name: rows(sites[name], np.where(alive[name] != 0, values, 0.0))
        for name, values in scores.items()
    }
    for name, matrix in matrices.items():
        if matrix.shape[1] % group:
            raise ValueError(
                f"pattern = {pattern} needs a multiple of {group} inputs; {name} has "
                f"{matrix.shape[1]}: leave it out with exclude={name!r}"
            )
    if options["design"] != "top":
        layers = pruning.nonnegative(list(matrices.values()), signed)
        matrices = dict(zip(matrices, layers, strict=True))
    select: Any = pruning.select
    chosen = select(
        [np.ascontiguousarray(matrix) for matrix in matrices.values()],
        kept / group,
        design=options["design"],
        binary=options["binary"],
        rng=options["rng"],
        pattern=pattern,
    )
    return {
        name: unrows(sites[name], mask, scores[name].shape) * (alive[name] != 0)
        for name, mask in zip(matrices, chosen, strict=True)
    }


def _units(arrays: Mapping[str, Array], sites: Mapping[str, Site], scope: str) -> dict[str, Array]:
    """Return what competes: whole layers, or each of their rows."""
    if scope != "row":
        return dict(arrays)
    return {
        f"{name}[{place}]": row
        for name, values in arrays.items()
        for place, row in enumerate(rows(sites[name], np.asarray(values)))
    }


def _joined(
    units: dict[str, Array], arrays: Mapping[str, Array], sites: Mapping[str, Site], scope: str
) -> dict[str, Array]:
    if scope != "row":
        return units
    parts = iter(units.values())
    result = {}
    for name, values in arrays.items():
        count = len(rows(sites[name], np.empty(values.shape, np.bool_)))
        result[name] = unrows(
            sites[name], np.stack([next(parts) for _ in range(count)]), values.shape
        )
    return result


def _drawable(scores: dict[str, Array], wanted: float) -> dict[str, Array]:
    """Return scores of which a draw can keep that many."""
    above = [values[values > 0] for values in scores.values()]
    if not any(part.size for part in above) or sum(part.size for part in above) >= wanted + 0.5:
        return scores
    least = min(part.min() for part in above if part.size)
    return {name: np.maximum(values, least) for name, values in scores.items()}
