"""Layer budgets that look at shapes alone, as a control."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lth_sketch import pruning
from lth_sketch.validation import Array


def erk(
    scores: Mapping[str, Array], density: float, design: str, rng: np.random.Generator
) -> dict[str, Any]:
    """Return masks with the layer densities of Erdos-Renyi-Kernel, by scores within each layer.

    The density of a layer is in proportion to the sum of its axes over their product; layers that
    would be more than full are kept whole, and the others share the rest. (Evci et al., Rigging the
    Lottery, ICML 2020, section 3.)
    """
    shapes = {name: values.shape for name, values in scores.items()}
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    raw = {name: sum(shape) / math.prod(shape) for name, shape in shapes.items()}
    total = math.floor(density * sum(sizes.values()) + 0.5)
    full: set[str] = set()
    while True:
        rest = total - sum(sizes[name] for name in full)
        scale = rest / sum(raw[n] * sizes[n] for n in scores if n not in full)
        over = {name for name in scores if name not in full and scale * raw[name] > 1}
        if not over:
            break
        full |= over
    exact = {n: sizes[n] if n in full else scale * raw[n] * sizes[n] for n in scores}
    counts = {name: max(1, math.floor(value)) for name, value in exact.items()}
    left = sorted((n for n in scores if n not in full), key=lambda n: counts[n] - exact[n])
    for name in left[: max(0, total - sum(counts.values()))]:
        counts[name] += 1
    return {
        name: pruning.select(values, counts[name] / sizes[name], design=design, rng=rng)
        for name, values in scores.items()
    }
