"""Draws of a mask next to numpy's and torch's: speed, and memory beside input and output."""

from __future__ import annotations

import functools
import importlib.util
import pathlib
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from benchmarks.timing import Row, seconds
from lth_sketch.sampling import draw

SIZES = (10**6, 10**7, 25 * 10**6, 10**8)
DENSITIES = (0.01, 0.1, 0.5)
DESIGNS = ("multinomial", "systematic", "poisson", "priority")
# Sizes of notebooks, where what a call costs beside its work shows.
SMALL = (64, 784, 10**4, 10**6)
# Rivals that need seconds at a size are timed once there; beyond `LIMIT` they are left out.
LIMIT = 25 * 10**6
SLOW = 10**7


def run() -> list[Row]:
    """Compare at every size and density; the notes hold the peaks of memory."""
    rows = [row for d in SMALL for row in _calls(d)]
    rows += [row for d in SIZES for row in _compare(d)]
    for dtype in ("float64", "float32"):
        rows += [_resident(LIMIT, dtype, design) for design in DESIGNS]
    return rows


def _calls(d: int) -> list[Row]:
    """Compare single calls where they are short, each in turn with numpy's: medians."""
    rng = np.random.default_rng(0)
    p = rng.random(d)
    p /= p.sum()
    s, rows = max(1, d // 10), []
    calls = 300 if d < 10**5 else 20
    for design in DESIGNS:
        taken: dict[str, list[float]] = {"ours": [], "numpy": []}
        for _ in range(calls):
            start = time.perf_counter()
            draw(p, s, design=design, rng=rng)
            middle = time.perf_counter()
            rng.choice(d, s, p=p)
            taken["ours"].append(middle - start)
            taken["numpy"].append(time.perf_counter() - middle)
        ours, numpys = (float(np.median(times)) for times in taken.values())
        note = f"{ours * 1e6:.0f} microseconds a call"
        rows.append(Row(f"d = {d:.3g}, 10%", design, "Generator.choice", numpys / ours, note))
    return rows


def _compare(d: int) -> list[Row]:
    p = np.random.default_rng(0).random(d)
    p /= p.sum()
    floor = seconds(p.sum)
    rows = []
    for density in DENSITIES:
        s = int(density * d)
        task = f"d = {d:.3g}, {density:.0%}"
        taken = {}
        for design in DESIGNS:
            call = functools.partial(draw, p, s, design=design, rng=1)
            taken[design] = seconds(call, repeats=3)
            note = f"{taken[design] / d * 1e9:.2f} ns a weight, {_traced(call, p)}"
            rows.append(Row(task, design, "p.sum(), the floor", floor / taken[design], note))
        rows += _rivals(p, s, task, taken)
    return rows


def _rivals(p: np.ndarray, s: int, task: str, taken: dict[str, float]) -> list[Row]:
    d = len(p)
    rng = np.random.default_rng(2)
    rivals: dict[str, Callable[[], object]] = {
        "Generator.multinomial": lambda: rng.multinomial(s, p)
    }
    # One density is enough for the slowest rival.
    if d <= LIMIT and s == d // 10:
        rivals["Generator.choice"] = lambda: rng.choice(d, s, replace=True, p=p, shuffle=False)
    rows = []
    for rival, call in rivals.items():
        lasted = seconds(call, 3) if d < SLOW else _once(call)
        rows += [
            Row(task, design, rival, lasted / taken[design], f"rival {lasted:.3g} s")
            for design in (DESIGNS if rival == "Generator.choice" else DESIGNS[:1])
        ]
    if importlib.util.find_spec("torch") is not None:
        rows.append(_torch(p, s, task, taken["multinomial"]))
    return rows


def _torch(p: np.ndarray, s: int, task: str, ours: float) -> Row:
    import torch

    weights = torch.from_numpy(p)
    try:
        lasted = _once(lambda: torch.multinomial(weights, s, replacement=True))
    except RuntimeError as error:
        return Row(task, "multinomial", "torch.multinomial", np.inf, f"refuses: {error}")
    return Row(task, "multinomial", "torch.multinomial", lasted / ours, f"rival {lasted:.3g} s")


def _once(call: Callable[[], object]) -> float:
    """Seconds of a single call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _traced(call: Callable[[], tuple[np.ndarray, np.ndarray]], p: np.ndarray) -> str:
    """Peak of one draw beside input and output, as tracemalloc counts it."""
    tracemalloc.start()
    indices, weights = call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return f"peak +{(peak - indices.nbytes - weights.nbytes) / p.nbytes:.1%} of the input"


def _resident(d: int, dtype: str, design: str) -> Row:
    """Peak of the resident set beside input and output, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.draws", str(d), dtype, design]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    share = float(done.stdout)
    note = f"resident peak +{share:.1%} of the input"
    return Row(f"memory, d = {d:.3g}, {dtype}, 10%", design, "the input", np.nan, note)


def _measure(d: int, dtype: str, design: str) -> None:
    rng = np.random.default_rng(0)
    # Compiled code and threads are there before the count starts.
    draw(rng.random(10**6).astype(dtype), 10**5, design=design, rng=1)
    p = rng.random(d, dtype=dtype)
    before = _memory("VmRSS")
    indices, weights = draw(p, d // 10, design=design, rng=1)
    print((_memory("VmHWM") - before - indices.nbytes - weights.nbytes) / p.nbytes)


def _memory(name: str) -> int:
    """Bytes of the resident set, now (VmRSS) or at its peak (VmHWM); Linux only."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


if __name__ == "__main__":
    _measure(int(sys.argv[1]), sys.argv[2], sys.argv[3])
