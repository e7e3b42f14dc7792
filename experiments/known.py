"""What is known before training of masks that were trained earlier: found again, not trained."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments import predictors, runs, store
from experiments.architectures import build
from experiments.runs import JACOBIAN, Run

# Rounds cost as much as training, and differ from one shot in no decided cell.
ROUNDS = 1


def wanted(rows: list[dict[str, str]], seeds: int) -> list[Run]:
    """Return the runs of a table whose masks are looked at: one-shot scores without a control."""
    chosen = [store.run(row) for row in rows if int(row["seed"]) < seeds]
    return [
        run for run in chosen if run.density < 1 and run.control == "none" and run.rounds <= ROUNDS
    ]


def look(run: Run) -> dict[str, Any]:
    """Return what is known of the mask of a run, as a row without an accuracy."""
    images = runs.images(run.dataset, run.n_train, run.n_test)
    module = build(run.architecture, tuple(images.X.shape[1:]), run.width, run.seed, run.init)
    masks, scores = runs.scored(module, run, images)
    known = predictors.known(module, masks, images.X[:JACOBIAN])
    known["concentration"] = predictors.concentration(scores, run.density)
    return {**run._asdict(), **{name: float(f"{value:.5g}") for name, value in known.items()}}


def complete(
    table: Path, out: Path, seeds: int, say: Callable[[str], None], until: float = math.inf
) -> list[dict[str, Any]]:
    """Look at the masks that `out` lacks, saving each; return its rows."""
    rows: list[dict[str, Any]] = list(store.read(out))
    done = {store.key(row) for row in rows}
    for run in wanted(store.table(table), seeds):
        if store.key(run._asdict()) in done or time.time() > until:
            continue
        rows.append(look(run))
        store.write(out, rows)
        say(f"{rows[-1]['log_strength']:+.2f} {run}")
    return rows


def joined(rows: list[dict[str, Any]], known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with what is known of their masks, where it is stored apart."""
    apart = {store.key(row): row for row in known}
    names = ("concentration", *predictors.NAMES)
    return [
        {**row, **{n: stored[n] for n in names if n in stored}}
        if (stored := apart.get(store.key(row)))
        else row
        for row in rows
    ]
