"""Which quantity that is known before training tells who wins: rank correlations over cells."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import stats

from experiments.predictors import NAMES
from experiments.summary import GROUP

# What belongs to the scores, and is one for both designs.
SHARED = ("coherence", "concentration")
CELL = GROUP[:-1]


def cells(rows: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Return, for each condition that has both designs, the mean difference draw - top-k.

    Means are over the seeds that both have: of the accuracy ("gap", in points), and of each
    predictor, of which those in `SHARED` are not differences.
    """
    found: dict[tuple[str, ...], dict[str, dict[str, dict[str, Any]]]] = {}
    for row in rows:
        if row.get("concentration"):
            key = tuple(str(row.get(name, "he")) for name in CELL)
            found.setdefault(key, {}).setdefault(row["design"], {})[str(row["seed"])] = row
    result = []
    for designs in found.values():
        top, drawn = designs.get("top", {}), designs.get("priority", {})
        seeds = sorted(top.keys() & drawn.keys())
        if not seeds:
            continue

        def mean(name: str, rows: dict[str, dict[str, Any]], seeds: list[str] = seeds) -> float:
            return float(np.mean([float(rows[seed][name]) for seed in seeds]))

        cell = {"gap": 100 * (mean("accuracy", drawn) - mean("accuracy", top))}
        for name in NAMES:
            cell[name] = mean(name, drawn) - (0.0 if name in SHARED else mean(name, top))
        result.append(cell)
    return result


def correlations(rows: list[dict[str, Any]]) -> dict[str, tuple[float, float, int]]:
    """Return Spearman's correlation of each predictor with the gap, its p-value, and the cells."""
    table = cells(rows)
    found = {}
    for name in NAMES:
        pairs = [(cell[name], cell["gap"]) for cell in table if math.isfinite(cell[name])]
        if len(pairs) < 3:
            continue
        x, y = zip(*pairs, strict=True)
        value = stats.spearmanr(x, y)
        found[name] = (float(value.statistic), float(value.pvalue), len(pairs))
    return found


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the correlations as a Markdown table, the strongest first."""
    lines = [
        "| known before training | rank correlation | p | cells |",
        "| --- | --- | --- | --- |",
    ]
    order = sorted(correlations(rows).items(), key=lambda item: -abs(item[1][0]))
    lines += [f"| {name} | {value:+.2f} | {p:.1g} | {n} |" for name, (value, p, n) in order]
    return "\n".join(lines)
