"""The table by room, and every survivor with its line before and after."""

from __future__ import annotations

from collections import Counter

from mutants.campaign import Campaign, score
from mutants.equivalent import REASONS
from mutants.sample import Mutant, change

COLUMNS = ("room", "mutants", "drawn", "killed", "timed out", "equivalent", "survived", "score")


def summary(campaign: Campaign, seed: int) -> str:
    """Return the report as Markdown."""
    killed = len(campaign.faults) - campaign.living_faults
    lines = [f"Seeded faults: {killed} of {len(campaign.faults)} killed.", ""]
    for fault, result in campaign.faults.items():
        if result.outcome == "survived":
            lines.append(f"- survived: {fault.name}")
    lines += [f"Sample, seed {seed}:", "", _cells(COLUMNS), "|---" + "|---:" * 7 + "|"]
    for room, population in campaign.populations.items():
        lines.append(_row(room, population, campaign.tally(room)))
    lines.append(_row("all", sum(campaign.populations.values()), campaign.tally()))
    for outcome in ("survived", "equivalent"):
        lines += ["", f"{outcome.capitalize()}:", ""]
        for mutant, result in campaign.mutants.items():
            if result.outcome == outcome:
                lines.append(_described(mutant))
    return "\n".join(lines)


def _described(mutant: Mutant) -> str:
    before, after = change(mutant)
    reason = REASONS.get((mutant.path, before, after))
    text = f"- `{mutant.path}:{mutant.line}`: `{before}` becomes `{after}`"
    return f"{text}: {reason}" if reason else text


def _row(room: str, population: int, tally: Counter[str]) -> str:
    counts = (tally[outcome] for outcome in COLUMNS[3:7])
    return _cells((room, population, tally.total(), *counts, f"{score(tally):.1%}"))


def _cells(values: tuple[object, ...]) -> str:
    return f"| {' | '.join(map(str, values))} |"
