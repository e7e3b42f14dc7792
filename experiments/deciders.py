"""Which quantity that is known before training tells who wins: rank correlations over cells."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import stats

from experiments.predictors import NAMES
from experiments.runs import Run
from experiments.summary import GROUP, mean
from lth_sketch.networks.advice import Tried, judge

# What belongs to the scores, and is one for both designs.
SHARED = ("coherence", "concentration")
CELL = GROUP[:-1]
# Beyond this the seeds decide: a share of the test images.
CLEAR = 0.05
# Rows by design and seed.
Designs = dict[str, dict[str, dict[str, Any]]]


def _paired(rows: list[dict[str, Any]]) -> dict[tuple[str, ...], Designs]:
    """Return the rows of both designs by seed, for each condition that has both."""
    pairs: dict[tuple[str, ...], Designs] = {}
    for row in rows:
        if row.get("concentration"):
            key = tuple(str(row.get(name, Run._field_defaults.get(name))) for name in CELL)
            pairs.setdefault(key, {}).setdefault(row["design"], {})[str(row["seed"])] = row
    return {
        key: designs
        for key, designs in pairs.items()
        if designs.get("top", {}).keys() & designs.get("priority", {}).keys()
    }


def cells(rows: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Return, for each condition that has both designs, the mean difference draw - top-k.

    Means are over the seeds that both have: of the accuracy ("gap", in points), and of each
    predictor, of which those in `SHARED` are not differences.
    """
    result = []
    for designs in _paired(rows).values():
        top, drawn = designs["top"], designs["priority"]
        seeds = sorted(top.keys() & drawn.keys())

        def average(name: str, rows: dict[str, dict[str, Any]], seeds: list[str] = seeds) -> float:
            return float(np.mean([float(rows[seed][name]) for seed in seeds]))

        cell = {"gap": 100 * (average("accuracy", drawn) - average("accuracy", top))}
        for name in NAMES:
            cell[name] = average(name, drawn) - (0.0 if name in SHARED else average(name, top))
        result.append(cell)
    return result


def correlations(rows: list[dict[str, Any]]) -> dict[str, tuple[float, float, int]]:
    """Return Spearman's correlation of each predictor with the gap, its p-value, and the cells."""
    table = cells(rows)
    correlations = {}
    for name in NAMES:
        pairs = [(cell[name], cell["gap"]) for cell in table if math.isfinite(cell[name])]
        if len(pairs) < 3:
            continue
        x, y = zip(*pairs, strict=True)
        value = stats.spearmanr(x, y)
        correlations[name] = (float(value.statistic), float(value.pvalue), len(pairs))
    return correlations


def agreement(rows: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """Return how often the rule of `networks.advise` is right, by what the seeds show.

    "decided" are cells whose interval leaves out zero by more than `CLEAR` points, and "even" those
    whose interval holds zero: how many are called so, out of how many. The rule is given the means
    over seeds of what the masks leave. Cells without paths or with a control are left out.
    """
    right = {"decided": [0, 0], "even": [0, 0]}
    for key, designs in _paired(rows).items():
        top, drawn = designs["top"], designs["priority"]
        seeds = sorted(top.keys() & drawn.keys())
        gap = mean([float(drawn[s]["accuracy"]) - float(top[s]["accuracy"]) for s in seeds])
        tried = [
            Tried(
                *(float(np.mean([float(d[s][n]) for s in seeds])) for n in ("effective", "error"))
            )
            for d in (top, drawn)
        ]
        held = float(np.mean([float(top[s]["concentration"]) for s in seeds]))
        if key[CELL.index("control")] != "none" or not math.isfinite(tried[0].effective):
            continue
        verdict = judge(tried[0], tried[1], held)[0]
        if abs(gap.value) - gap.half > CLEAR:
            kind, good = "decided", verdict == ("draw" if gap.value > 0 else "top")
        elif abs(gap.value) <= gap.half:
            kind, good = "even", verdict == "same"
        else:
            continue
        right[kind][0] += good
        right[kind][1] += 1
    return {kind: (good, total) for kind, (good, total) in right.items()}


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the correlations as a Markdown table, the strongest first."""
    lines = [
        "| known before training | rank correlation | p | cells |",
        "| --- | --- | --- | --- |",
    ]
    order = sorted(correlations(rows).items(), key=lambda item: -abs(item[1][0]))
    lines += [f"| {name} | {value:+.2f} | {p:.1g} | {n} |" for name, (value, p, n) in order]
    right = agreement(rows)
    lines += [
        "",
        *(f"The rule calls {n} of {m} {kind} cells so." for kind, (n, m) in right.items()),
    ]
    return "\n".join(lines)
