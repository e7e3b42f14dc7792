"""The table by room, and every survivor with its line before and after."""

from __future__ import annotations

import difflib
from collections import Counter

from mutants.campaign import Campaign
from mutants.rooms import ROOT
from mutants.sample import Mutant


def summary(found: Campaign, seed: int) -> str:
    """Return the report as Markdown."""
    killed = len(found.faults) - found.living_faults
    lines = [f"Seeded faults: {killed} of {len(found.faults)} killed.", ""]
    for fault, result in found.faults.items():
        if result.outcome == "survived":
            lines.append(f"- survived: {fault.name}")
    lines += [f"Sample, seed {seed}:", "", "| room | mutants | drawn | killed | timed out |"]
    lines[-1] += " survived | score |"
    lines.append("|---|---:|---:|---:|---:|---:|---:|")
    for room, population in found.populations.items():
        part = Counter(r.outcome for m, r in found.mutants.items() if m.room == room)
        lines.append(_row(room, population, part))
    total = Counter(result.outcome for result in found.mutants.values())
    lines.append(_row("all", sum(found.populations.values()), total))
    lines += ["", "Survivors:", ""]
    for mutant, result in found.mutants.items():
        if result.outcome == "survived":
            lines.append(f"- {mutant.key}: {change(mutant)}")
    return "\n".join(lines)


def change(mutant: Mutant) -> str:
    """Return the lines that a mutant changes, before and after."""
    before, after = (ROOT / mutant.path).read_text().splitlines(), mutant.source.splitlines()
    lines = list(difflib.ndiff(before, after))
    old, new = (" ".join(x[2:].strip() for x in lines if x[0] == sign) for sign in "-+")
    return f"`{old}` -> `{new}`"


def _row(room: str, population: int, part: Counter[str]) -> str:
    drawn = part.total()
    score = 1 - part["survived"] / drawn
    cells = (room, population, drawn, part["killed"], part["timed out"], part["survived"])
    return f"| {' | '.join(map(str, cells))} | {score:.1%} |"
