"""A table of finished runs that survives interruption: written whole, under another name first."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from experiments.runs import Run
from lth_sketch.parallel.executors import spread


def key(row: dict[str, Any]) -> tuple[str, ...]:
    """Return what identifies a run, as text."""
    return tuple(str(row.get(field, Run._field_defaults.get(field))) for field in Run._fields)


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table; none if there is no such file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        # Older tables lack what had one value then.
        return [{**Run._field_defaults, **row} for row in csv.DictReader(file)]


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
) -> list[dict[str, Any]]:
    """Perform the runs that the table lacks, saving each as it ends; return the table.

    With an executor they are performed there; the table is written here, in the order of the runs.
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
    found = spread(_performed, todo, executor, common=perform, threads=1)
    for (place, run), row in zip(missing, found, strict=True):
        rows.append(row)
        write(path, rows)
        say(f"{place}/{len(wanted)} {rows[-1]['accuracy']:.3f} {run}")
    return rows


def _performed(perform: Callable[[Run], dict[str, Any]], run: Run) -> dict[str, Any]:
    return perform(run)
