"""Masks of 10^8 weights: seconds, and resident memory above the weights (Linux); patterns."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.timing import Row, peak_bytes, seconds
from lth_sketch import pruning, sampling

WEIGHTS = 10**8
DENSITY = 0.1
DESIGNS = ("top", "priority")


def run() -> list[Row]:
    """Return a row for each design, and for patterns; one that says why not, without PyTorch."""
    return patterns(WEIGHTS) + modules()


def patterns(weights: int) -> list[Row]:
    """Compare masks of 2 of 4 with one priority draw that keeps as many."""
    p = np.abs(np.random.default_rng(0).standard_normal(weights, dtype=np.float32))
    draw = seconds(lambda: sampling.draw(p, weights // 2, design="priority", rng=1), repeats=3)
    rows = []
    for label, call in (
        ("2:4, drawn", lambda: sampling.grouped(p, (2, 4), rng=1)),
        ("2:4, top", lambda: pruning.select(p, pattern=(2, 4))),
    ):
        taken = seconds(call, repeats=3)
        exact = bool((np.count_nonzero(call().reshape(-1, 4), axis=1) == 2).all())
        note = f"{taken:.2f} s next to {draw:.2f} s; 2 in every group: {exact}"
        rows.append(Row(f"{weights:.3g} weights", label, "one priority draw", draw / taken, note))
    return rows


def modules() -> list[Row]:
    """Return a row for each design of masks for a module; one that says why not without PyTorch."""
    if importlib.util.find_spec("torch") is None:
        return [Row("masks of a module", "networks.find", "30 s", np.nan, "needs PyTorch")]
    rows = []
    for design in DESIGNS:
        cost = measure(WEIGHTS, design)
        note = f"{cost['seconds']:.1f} s, peak +{cost['bytes'] / 2**30:.2f} GiB above the weights"
        task = f"module of {WEIGHTS:.3g} weights, {DENSITY:.0%}, magnitude"
        rows.append(Row(task, design, "30 s", 30 / cost["seconds"], note))
    return rows


def measure(weights: int, design: str) -> dict[str, float]:
    """Find masks in a process of its own: seconds, bytes above the weights, how many are kept."""
    command = [sys.executable, "-m", "benchmarks.masks", str(weights), design]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    cost: dict[str, float] = json.loads(done.stdout)
    return cost


def _find(weights: int, design: str) -> None:
    import torch
    from torch import nn

    from lth_sketch import networks

    def module(size: int) -> nn.Module:
        # Two layers, so that they compete.
        return nn.Sequential(*(nn.Linear(size // 2000, 1000, bias=False) for _ in range(2)))

    # Compiled code and threads are there before the count starts.
    networks.find(module(10**6), DENSITY, design=design, rng=0)
    torch.manual_seed(0)
    net, kept, seconds = module(weights), 0, 0.0

    def call() -> None:
        nonlocal kept, seconds
        start = time.perf_counter()
        masks = networks.find(net, DENSITY, design=design, rng=0)
        seconds = time.perf_counter() - start
        kept = sum(layer.kept for layer in networks.kept(masks).values())

    cost = {"bytes": peak_bytes(call), "seconds": seconds, "kept": kept}
    print(json.dumps(cost))


if __name__ == "__main__":
    _find(int(sys.argv[1]), sys.argv[2])
