"""Masks for checkpoints that are read whole: other formats than .safetensors, and float64."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lth_sketch import sampling, validation
from lth_sketch.checkpoints import files, plans, semi_structured
from lth_sketch.checkpoints.weights import prunable
from lth_sketch.named import Kept
from lth_sketch.validation import Array


def prune(
    model: Path, out: Path, asked: Mapping[str, Any], rng: Any
) -> tuple[dict[str, Kept], int, tuple[Path, ...]]:
    """Draw a mask as `checkpoints.prune` does, by `sampling.draw` itself."""
    files.check_suffix(out)
    if out.resolve() == Path(model).resolve():
        raise ValueError(f"out must differ from the checkpoint; got {out} for both")
    arrays = files.read(model)
    weights = prunable(arrays, skip=asked["skip"])
    names = sorted(weights)
    generator = validation.generator(rng)
    weights = {name: weights[name] for name in names}
    if asked["pattern"] is None:
        masks = _competing(weights, asked, generator)
    else:
        masks = semi_structured.masks(
            weights,
            tuple(asked["pattern"]),
            alike=asked["score"] == "random",
            design=asked["design"],
            binary=False,
            rng=generator,
        )
    counts = {name: Kept(int(np.count_nonzero(masks[name])), masks[name].size) for name in names}
    rescale, result = asked["rescale"], dict(arrays)
    for name in names:
        chosen = masks[name] if rescale else (masks[name] != 0)
        result[name] = (weights[name] * chosen).astype(arrays[name].dtype)
        masks[name] = chosen.astype(np.float32) if rescale else chosen
    files.write(out, result if asked["apply"] else masks)
    return counts, sum(weights[name].nbytes for name in names), (out,)


def _competing(
    weights: dict[str, Array], asked: Mapping[str, Any], rng: np.random.Generator
) -> dict[str, Array]:
    """Return the masks of weights that compete, as the scope says."""
    names, sizes = list(weights), [array.size for array in weights.values()]
    floor = asked["floor"]
    groups = plans.grouped(names, sizes, asked["density"], asked["scope"], floor)
    alike, design = asked["score"] == "random", asked["design"]
    design = "priority" if alike and design == "top" else design
    masks: dict[str, Array] = {}
    children = rng.spawn(len(groups))
    for group, child in zip(groups, children, strict=True):
        parts = [np.abs(weights[names[t]]).ravel() for t in group.tensors]
        marks = _drawn(parts, group.kept, design, alike, floor, child)
        for t in group.tensors:
            masks[names[t]], marks = np.split(marks, [sizes[t]])
            masks[names[t]] = masks[names[t]].reshape(weights[names[t]].shape)
    return masks


def _drawn(
    parts: list[Array], kept: int, design: str, alike: bool, floor: int, rng: np.random.Generator
) -> Array:
    """Return the weights of the mask of one group."""
    p = np.concatenate(parts)
    if alike:
        p = np.ones_like(p)
    saved = np.zeros(len(p), bool)
    first = 0
    for part in parts:
        if floor:
            order = np.argsort(-part, kind="stable")[:floor]
            saved[first + order] = True
        first += len(part)
    p[saved] = 0
    result = saved.astype(np.float64)
    s = kept - floor * len(parts)
    if s == 0:
        return result
    if design == "multinomial":
        raise ValueError(
            "design 'multinomial' needs a .safetensors file of 16 or 32 bits here; use 'poisson'"
        )
    result += sampling.mask(p, s, design=design, rng=rng)
    return result
