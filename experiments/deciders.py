"""Which quantity that is known before training tells who wins: rank correlations over cells."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from experiments import store
from experiments.predictors import NAMES
from experiments.runs import Run
from experiments.summary import GROUP, Mean, mean
from lth_sketch.networks.advice import DEAD, WHOLE, Tried, judge

# What belongs to the scores, and is one for both designs.
SHARED = ("coherence", "concentration")
CELL = GROUP[:-1]
# What makes a run of a cell, where any will do.
ANY = {"design": "top", "seed": 0}
# Beyond this the seeds decide: a share of the test images.
CLEAR = 0.05
# Rows by design and seed.
Designs = dict[str, dict[str, dict[str, Any]]]


def _paired(rows: list[dict[str, Any]]) -> dict[tuple[str, ...], Designs]:
    """Return the rows of both designs by seed, for each condition that has both."""
    pairs: dict[tuple[str, ...], Designs] = {}
    for row in rows:
        key = tuple(str(row.get(name, Run._field_defaults.get(name))) for name in CELL)
        pairs.setdefault(key, {}).setdefault(row["design"], {})[str(row["seed"])] = row
    return {
        key: designs
        for key, designs in pairs.items()
        if designs.get("top", {}).keys() & designs.get("priority", {}).keys()
    }


def _mean(designs: Designs, design: str, name: str) -> float:
    """Return the mean of a number over the seeds that both designs have, where it is known."""
    seeds = designs["top"].keys() & designs["priority"].keys()
    values = [designs[design][seed].get(name) for seed in sorted(seeds)]
    numbers = [float(value) for value in values if value not in (None, "")]
    return float(np.mean(numbers)) if numbers else math.nan


def cells(rows: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Return, for each condition that has both designs, the mean difference draw - top-k.

    Means are over the seeds that both have: of the accuracy ("gap", in points), and of each
    predictor, of which those in `SHARED` are not differences.
    """
    result = []
    for designs in _paired(rows).values():
        cell = {"gap": 100 * _difference(designs, "accuracy")}
        for name in NAMES:
            shared = name in SHARED
            cell[name] = _mean(designs, "priority", name) if shared else _difference(designs, name)
        result.append(cell)
    return result


def _difference(designs: Designs, name: str) -> float:
    return _mean(designs, "priority", name) - _mean(designs, "top", name)


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


class Cell(NamedTuple):
    """One condition: the difference that its seeds show, and what the rule foresees."""

    condition: tuple[str, ...]
    gap: Mean
    top: Tried
    draw: Tried
    verdict: str

    @property
    def kind(self) -> str:
        """What the seeds show: "decided" beyond `CLEAR`, "even", or in between."""
        if abs(self.gap.value) - self.gap.half > CLEAR:
            return "decided"
        return "even" if abs(self.gap.value) <= self.gap.half else "between"

    @property
    def right(self) -> bool:
        """Whether the rule calls the winner of a decided cell, and none in an even one."""
        if self.kind == "decided":
            return self.verdict == ("draw" if self.gap.value > 0 else "top")
        return self.verdict == "same"


def _tried(designs: Designs, design: str) -> Tried:
    strength = 10 ** _mean(designs, design, "log_strength")
    return Tried(strength, _mean(designs, design, "error"), _mean(designs, design, "effective"))


def called(rows: list[dict[str, Any]]) -> list[Cell]:
    """Return the cells of which it is known what their masks leave, without controls."""
    result = []
    for key, designs in _paired(rows).items():
        top, drawn = designs["top"], designs["priority"]
        seeds = sorted(top.keys() & drawn.keys())
        gap = mean([float(drawn[s]["accuracy"]) - float(top[s]["accuracy"]) for s in seeds])
        left, drawn_left = (_tried(designs, design) for design in ("top", "priority"))
        seen = math.isfinite(left.strength) and math.isfinite(drawn_left.strength)
        if seen and key[CELL.index("control")] == "none":
            verdict, _ = judge(left, drawn_left, store.run(top[seeds[0]]).steps)
            result.append(Cell(key, gap, left, drawn_left, verdict))
    return result


def agreement(rows: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """Return how often the rule of `networks.advise` is right, by what the seeds show.

    "decided" are cells whose interval leaves out zero by more than `CLEAR` points, and "even" those
    whose interval holds zero: how many are called so, out of how many. The rule is given the means
    over seeds of what the masks leave.
    """
    judged = called(rows)
    kinds = {kind: [c for c in judged if c.kind == kind] for kind in ("decided", "even")}
    return {kind: (sum(c.right for c in part), len(part)) for kind, part in kinds.items()}


def of_the_rule(rows: list[dict[str, Any]]) -> tuple[float, int]:
    """Return Spearman's correlation of the rule's own quantity with the gap, and the cells.

    It is the logarithm of strength times steps, held within `DEAD` and `WHOLE`, draw minus top-k.
    """
    cells = called(rows)
    steps = [store.run({**dict(zip(CELL, c.condition, strict=True)), **ANY}).steps for c in cells]
    ratios = [
        np.log(np.clip([c.draw.strength * n, c.top.strength * n], DEAD, WHOLE))
        for c, n in zip(cells, steps, strict=True)
    ]
    gaps = [cell.gap.value for cell in cells]
    value = stats.spearmanr([drawn - top for drawn, top in ratios], gaps)
    return float(value.statistic), len(cells)


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the correlations as a Markdown table, the strongest first."""
    lines = [
        "| known before training | rank correlation | p | cells |",
        "| --- | --- | --- | --- |",
    ]
    order = sorted(correlations(rows).items(), key=lambda item: -abs(item[1][0]))
    lines += [f"| {name} | {value:+.2f} | {p:.1g} | {n} |" for name, (value, p, n) in order]
    value, n = of_the_rule(rows)
    right = agreement(rows)
    lines += [
        f"| strength times steps, held within {DEAD:g} and {WHOLE:g} | {value:+.2f} | | {n} |",
        "",
        *(f"The rule calls {n} of {m} {kind} cells so." for kind, (n, m) in right.items()),
    ]
    return "\n".join(lines)
