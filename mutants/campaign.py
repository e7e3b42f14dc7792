"""Draw mutants, run their tests on all processors, and keep every result."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from itertools import repeat, zip_longest
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tqdm import tqdm

from mutants import faults, sample, trial
from mutants.equivalent import REASONS
from mutants.faults import Fault
from mutants.rooms import ROOT
from mutants.sample import Mutant, change

# A run may take so many times what the unchanged library takes, and so many seconds more.
SLOWER, GRACE = 4.0, 20.0

Task = Fault | Mutant


class Campaign(NamedTuple):
    """Results of the faults and of the sample; how many mutants each room has."""

    faults: dict[Fault, trial.Result]
    mutants: dict[Mutant, trial.Result]
    populations: dict[str, int]

    @property
    def living_faults(self) -> int:
        """Number of seeded faults that no test noticed."""
        return sum(result.outcome == "survived" for result in self.faults.values())

    def tally(self, room: str | None = None) -> Counter[str]:
        """Count the outcomes in a room, in all of them by default."""
        return Counter(
            result.outcome for m, result in self.mutants.items() if room in (None, m.room)
        )


def score(tally: Counter[str]) -> float:
    """Return the share of killed mutants among those that change a result."""
    return 1 - tally["survived"] / max(1, tally.total() - tally["equivalent"])


def run(rooms: list[str], size: int, seed: int, jobs: int, out: Path) -> Campaign:
    """Run the seeded faults and `size` mutants of each room."""
    with ProcessPoolExecutor(jobs) as pool:
        samples = list(pool.map(sample.draw, rooms, repeat(size), repeat(seed)))
    # Room by room in turns: what an interrupted run has done is a sample too, a smaller one.
    turns = zip_longest(*(mutants for _, mutants in samples))
    drawn = [mutant for turn in turns for mutant in turn if mutant]
    results = _results([*faults.FAULTS, *drawn], jobs, out)
    return Campaign(
        {fault: results[fault] for fault in faults.FAULTS},
        {mutant: _judged(mutant, results[mutant]) for mutant in drawn},
        {room: count for room, (count, _) in zip(rooms, samples, strict=True)},
    )


def _judged(mutant: Mutant, result: trial.Result) -> trial.Result:
    """Tell survivors that no test could kill from the others."""
    if result.outcome == "survived" and (mutant.path, *change(mutant)) in REASONS:
        return result._replace(outcome="equivalent")
    return result


def _results(tasks: list[Task], jobs: int, out: Path) -> dict[Task, trial.Result]:
    known = _known(out)
    keys = {
        task: (task.key, _digest("lth_sketch"), f"{_digest('tests')} {' '.join(task.tests)}")
        for task in tasks
    }
    # A task has one result: a kill, or what these very tests made of it.
    results = {
        task: known[each] for task, key in keys.items() for each in (key, key[:2]) if each in known
    }
    left = [task for task in tasks if task not in results]
    if not left:
        return results
    out.parent.mkdir(parents=True, exist_ok=True)
    context = get_context("fork")
    with (
        TemporaryDirectory(prefix="mutants-") as scratch,
        ProcessPoolExecutor(jobs, context, trial.copy_tree, (scratch,)) as pool,
        out.open("a") as file,
    ):
        limits = _limits(pool, left)
        futures = {
            pool.submit(trial.attempt, t.path, t.source, t.tests, limits[t.tests]): t for t in left
        }
        for future in tqdm(as_completed(futures), total=len(left), mininterval=5):
            task, result = futures[future], future.result()
            results[task] = result
            file.write(json.dumps([keys[task], result]) + "\n")
            file.flush()
    return results


def _limits(pool: ProcessPoolExecutor, tasks: Iterable[Task]) -> dict[tuple[str, ...], float]:
    """Run the tests without any change: they must pass, and they set the time limits."""
    whole = {task.tests: task.path for task in tasks}
    futures = {
        tests: pool.submit(trial.attempt, path, (ROOT / path).read_text(), tests, None)
        for tests, path in whole.items()
    }
    limits = {}
    for tests, future in futures.items():
        result = future.result()
        if result.outcome != "survived":
            raise SystemExit(f"{' '.join(tests)} fail without any change: {result.by}")
        limits[tests] = GRACE + SLOWER * result.seconds
    return limits


def _known(out: Path) -> dict[tuple[str, ...], trial.Result]:
    """Read results: kills under (task, library), survivals under (task, library, tests)."""
    known: dict[tuple[str, ...], trial.Result] = {}
    for line in out.read_text().splitlines() if out.exists() else ():
        try:
            (key, library, tests), values = json.loads(line)
        except ValueError:
            # The last line of a run that was cut off.
            continue
        result = trial.Result(*values)
        survived = result.outcome == "survived"
        known[(key, library, tests) if survived else (key, library)] = result
    return known


@cache
def _digest(folder: str) -> str:
    """Digest of the sources in a folder."""
    whole = hashlib.sha256()
    for path in sorted((ROOT / folder).rglob("*.py")):
        whole.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return whole.hexdigest()[:16]
