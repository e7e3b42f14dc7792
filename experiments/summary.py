"""Means over seeds with Student's intervals, and paired differences between top-k and the draw."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

CONFIDENCE = 0.95
# What seeds are averaged over.
GROUP = (
    "architecture", "dataset", "density", "score", "data", "rounds", "control", "design",
)  # fmt: skip


class Mean(NamedTuple):
    """A mean, half the width of its confidence interval, and how many seeds made it."""

    value: float
    half: float
    seeds: int


def mean(values: npt.ArrayLike) -> Mean:
    """Return the mean of a few seeds with Student's interval, infinite for a single seed.

    Examples
    --------
    >>> mean([0.7, 0.8]).seeds
    2
    """
    found = np.asarray(values, dtype=np.float64)
    n = len(found)
    if n == 1:
        return Mean(float(found[0]), np.inf, 1)
    half = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * found.std(ddof=1) / np.sqrt(n)
    return Mean(float(found.mean()), float(half), n)


def groups(rows: list[dict[str, Any]]) -> dict[tuple[str, ...], dict[str, float]]:
    """Return accuracies by seed for each condition."""
    found: dict[tuple[str, ...], dict[str, float]] = {}
    for row in rows:
        condition = tuple(str(row[name]) for name in GROUP)
        found.setdefault(condition, {})[str(row["seed"])] = float(row["accuracy"])
    return found


def differences(rows: list[dict[str, Any]]) -> dict[tuple[str, ...], Mean]:
    """Return draw minus top-k, paired by seed, for each condition that has both."""
    found = groups(rows)
    result = {}
    for condition, draws in found.items():
        tops = found.get((*condition[:-1], "top"), {})
        shared = sorted(draws.keys() & tops.keys())
        if condition[-1] != "top" and shared:
            result[condition[:-1]] = mean([draws[s] - tops[s] for s in shared])
    return result


def describe(rows: list[dict[str, Any]]) -> str:
    """Return a table of mean accuracies in per cent."""
    lines = []
    for condition, values in groups(rows).items():
        found = mean(list(values.values()))
        lines.append(
            f"{100 * found.value:6.2f} +- {100 * found.half:5.2f}  n={found.seeds}  "
            f"{' '.join(condition)}"
        )
    for condition, gap in differences(rows).items():
        lines.append(
            f"draw - top {100 * gap.value:+6.2f} +- {100 * gap.half:5.2f}  n={gap.seeds}  "
            f"{' '.join(condition)}"
        )
    return "\n".join(lines)
