"""Means over seeds with Student's intervals, and paired differences between top-k and the draw."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from experiments.runs import Run

CONFIDENCE = 0.95
# What runs of one table share: network, images and training.
SETTING = (
    *("architecture", "dataset", "width", "n_train", "n_test", "epochs", "rate", "init", "batch"),
)
# What seeds are averaged over.
GROUP = (*SETTING, "density", "score", "data", "rounds", "control", "design")
HEAD = (
    "| kept | score | data | control | seeds | top-k | draw | draw - top-k |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
)
# Accuracies by seed.
Seeds = dict[str, float]


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
    sample = np.asarray(values, dtype=np.float64)
    n = len(sample)
    if n == 1:
        return Mean(float(sample[0]), np.inf, 1)
    half = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * sample.std(ddof=1) / np.sqrt(n)
    return Mean(float(sample.mean()), float(half), n)


def groups(rows: list[dict[str, Any]]) -> dict[tuple[str, ...], Seeds]:
    """Return accuracies by seed for each condition."""
    seeds: dict[tuple[str, ...], Seeds] = {}
    for row in rows:
        condition = tuple(str(row.get(name, Run._field_defaults.get(name))) for name in GROUP)
        seeds.setdefault(condition, {})[str(row["seed"])] = float(row["accuracy"])
    return seeds


def differences(rows: list[dict[str, Any]]) -> dict[tuple[str, ...], Mean]:
    """Return draw minus top-k, paired by seed, for each condition that has both."""
    accuracies = groups(rows)
    result = {}
    for condition, draws in accuracies.items():
        tops = accuracies.get((*condition[:-1], "top"), {})
        shared = sorted(draws.keys() & tops.keys())
        if condition[-1] != "top" and shared:
            result[condition[:-1]] = mean([draws[s] - tops[s] for s in shared])
    return result


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return a Markdown table for each setting: means in per cent with Student's 95% intervals.

    The difference is paired by seed, and bold where its interval leaves out zero; a single seed has
    no interval. Where a mean has other seeds than the difference, their number is in brackets.
    """
    conditions: dict[tuple[str, ...], dict[str, Seeds]] = {}
    for condition, values in groups(rows).items():
        conditions.setdefault(condition[:-1], {})[condition[-1]] = values
    gaps, parts, n = differences(rows), [], len(SETTING)
    for setting in dict.fromkeys(condition[:n] for condition in conditions):
        wanted = [condition for condition in conditions if condition[:n] == setting]
        # Dense to sparse, and controls last; otherwise as in the file.
        wanted.sort(key=lambda c: (c[-1] != "none", -float(c[n])))
        parts.append("\n".join([_title(setting), "", *HEAD]))
        for condition in wanted:
            density, score, data, rounds, control = condition[n:]
            gap = gaps.get(condition)
            designs = conditions[condition]
            means = {name: mean(list(values.values())) for name, values in designs.items()}
            seeds = gap.seeds if gap else max(entry.seeds for entry in means.values())
            drawn = next((means[name] for name in means if name != "top"), None)
            cells = [
                f"{100 * float(density):g}%",
                score if rounds == "1" else f"{score}, {rounds} rounds",
                data,
                "" if control == "none" else control,
                str(seeds),
                *(_cell(entry, seeds) for entry in (means.get("top"), drawn)),
                _gap(gap),
            ]
            parts[-1] += f"\n| {' | '.join(cells)} |"
    return "\n\n".join(parts)


def _title(setting: tuple[str, ...]) -> str:
    architecture, dataset, width, n_train, n_test, epochs, rate, init, batch = setting
    other = "" if init == "he" else f", initial weights: {init}"
    other += "" if batch == str(Run._field_defaults["batch"]) else f", batches of {batch}"
    return (
        f"**{architecture}, {dataset}**: width {width}, {n_train} training and {n_test} test "
        f"images, {epochs} epochs, rate {rate}{other}"
    )


def _cell(mean: Mean | None, seeds: int) -> str:
    if mean is None:
        return ""
    other = f" ({mean.seeds})" if mean.seeds != seeds else ""
    return _interval(f"{100 * mean.value:.1f}", mean) + other


def _gap(gap: Mean | None) -> str:
    if gap is None:
        return ""
    text = _interval(f"{100 * gap.value:+.1f}", gap)
    return f"**{text}**" if abs(gap.value) > gap.half else text


def _interval(value: str, mean: Mean) -> str:
    return f"{value} +- {100 * mean.half:.1f}" if np.isfinite(mean.half) else value


def describe(rows: list[dict[str, Any]]) -> str:
    """Return a table of mean accuracies in per cent."""
    lines = []
    for condition, values in groups(rows).items():
        average = mean(list(values.values()))
        lines.append(
            f"{100 * average.value:6.2f} +- {100 * average.half:5.2f}  n={average.seeds}  "
            f"{' '.join(condition)}"
        )
    for condition, gap in differences(rows).items():
        lines.append(
            f"draw - top {100 * gap.value:+6.2f} +- {100 * gap.half:5.2f}  n={gap.seeds}  "
            f"{' '.join(condition)}"
        )
    return "\n".join(lines)
