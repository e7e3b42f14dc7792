"""A table of finished runs that survives interruption: written whole, under another name first."""

from __future__ import annotations

import csv
import io
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, get_type_hints

from experiments.runs import Run
from lth_sketch.parallel.executors import spread


def key(row: dict[str, Any]) -> tuple[str, ...]:
    """Return what identifies a run, as text."""
    return tuple(str(row.get(field, Run._field_defaults.get(field))) for field in Run._fields)


def run(row: Mapping[str, Any]) -> Run:
    """Return the run of a row, its fields in their own types."""
    kinds = get_type_hints(Run)
    texts = zip(Run._fields, key(dict(row)), strict=True)
    return Run(**{name: kinds[name](text) for name, text in texts})


def read(path: Path, defaults: Mapping[str, Any] = Run._field_defaults) -> list[dict[str, str]]:
    """Return the rows of a table; none if there is no such file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        # Older tables lack what had one value then.
        return [
            {**row, **{n: v for n, v in defaults.items() if n not in row}}
            for row in csv.DictReader(file)
        ]


def table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table that must be there, and hold finished runs."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; name a table that an experiment wrote")
    rows = read(path)
    missing = [name for name in (*Run._fields, "accuracy") if not rows or rows[0].get(name) is None]
    if missing:
        raise ValueError(f"{path} is no table of runs: it lacks {', '.join(missing)}")
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Replace a table: a reader, or a crash, finds the old one or the new one, never a part."""
    buffer = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(buffer.getvalue())
    partial.replace(path)


def complete(
    runs: Iterable[Run],
    path: Path,
    perform: Callable[[Run], dict[str, Any]],
    say: Callable[[str], None],
    executor: Executor | None = None,
    until: float = math.inf,
) -> list[dict[str, Any]]:
    """Perform the runs that the table lacks, saving each as it ends; return the table.

    With an executor they are performed there; the table is written here, in the order of the runs.
    No run starts after the time `until` (that of `time.time`): what is left is for the next call.
    """
    rows: list[dict[str, Any]] = list(read(path))
    done = {key(row) for row in rows}
    wanted = list(runs)
    missing = []
    for place, run in enumerate(wanted, 1):
        if key(run._asdict()) not in done:
            done.add(key(run._asdict()))
            missing.append((place, run))
    todo = (run for _, run in missing)
    fresh = spread(_performed, todo, executor, common=(perform, until), threads=1)
    left = 0
    for (place, run), row in zip(missing, fresh, strict=True):
        if row is None:
            left += 1
            continue
        rows.append(row)
        write(path, rows)
        say(f"{place}/{len(wanted)} {rows[-1]['accuracy']:.3f} {run}")
    if left:
        say(f"the time is over: {left} of {len(wanted)} runs are left; the same command goes on")
    return rows


def _performed(
    common: tuple[Callable[[Run], dict[str, Any]], float], run: Run
) -> dict[str, Any] | None:
    perform, until = common
    return perform(run) if time.time() < until else None
