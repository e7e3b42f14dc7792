"""Fair timing of rivals in one process, and the table that comes of it."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Seconds after which the threads of BLAS are asleep.
REST = 0.5


@dataclass(frozen=True)
class Row:
    """One comparison: how many times faster `ours` is than `rival` at the same task."""

    task: str
    ours: str
    rival: str
    ratio: float
    note: str = ""


def seconds(call: Callable[[], object], repeats: int = 5) -> float:
    """Median wall-clock seconds of `call`, after one call that is not counted.

    Calls follow one another, as in a user's loop. The first begins at rest: for a while after a
    matrix product the threads of BLAS keep turning, and the rival before shall not be in the way.
    """
    time.sleep(REST)
    call()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def table(rows: list[Row]) -> str:
    """Format rows as a Markdown table."""
    lines = ["| task | ours | next to | times faster | note |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {r.task} | {r.ours} | {r.rival} | {r.ratio:.3g} | {r.note} |" for r in rows]
    return "\n".join(lines)


def peak_bytes(call: Callable[[], object]) -> int:
    """Bytes by which the resident memory of this process rises at most during `call` (Linux).

    The kernel's high-water mark is set back first, so earlier peaks do not hide this one.
    """
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    call()
    return max(0, _resident("VmHWM") - before)


def _resident(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {field} in /proc/self/status")
