"""`python -m benchmarks.scale`: what does not fit, on two cores, in ratios of CPU time.

Files are made in a scratch folder (SCALE_GB gigabytes of rows, and as many of weights) and removed.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import dask.array as da
import numpy as np

from benchmarks.timing import Row, peak_bytes, table
from lth_sketch import checkpoints, reduction, scale
from lth_sketch.checkpoints.shards import header

GIGABYTES = float(os.environ.get("SCALE_GB", "1"))
SHARDS = 8
# What each ratio may be at most.
LIMITS = {"top": 3.0, "poisson": 5.0, "systematic": 5.0, "priority": 5.5}


def run() -> list[Row]:
    """Return a row for each pass over rows, and for each design over weights."""
    with tempfile.TemporaryDirectory(prefix="lth_sketch.scale.") as folder:
        return [*_rows(Path(folder)), *_weights(Path(folder))]


def seconds(call: Callable[[], object]) -> float:
    """CPU seconds of this process."""
    start = time.process_time()
    call()
    return time.process_time() - start


def forgotten(*files: Path) -> None:
    """Take files out of memory, so that the next read is a cold one."""
    for file in files:
        handle = os.open(file, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def _row(task: str, ours: str, rival: str, ratio: float, limit: float, note: str) -> Row:
    return Row(task, ours, f"{rival}, at most {limit:g}", ratio, note)


def _rows(folder: Path) -> list[Row]:
    found = []
    for d, limit in ((50, 5.0), (300, 12.0)):
        n = int(GIGABYTES * 2**30 / 8 / d)
        path = folder / "rows.dat"
        X = np.memmap(path, np.float64, "w+", shape=(n, d))
        rng = np.random.default_rng(d)
        for start in range(0, n, 2**16):
            X[start : start + 2**16] = rng.standard_normal((min(2**16, n - start), d))
        X.flush()
        X = np.memmap(path, np.float64, "r", shape=(n, d))
        lazy = da.from_array(X, chunks=(2**24 // d, d))
        scale.rows(X[:10_000])
        scale.norms(X[:10_000])
        forgotten(path)
        added = seconds(lambda lazy=lazy: lazy.sum(axis=0).compute())
        forgotten(path)
        normed = seconds(lambda X=X: scale.norms(X))
        forgotten(path)
        triangle = seconds(lambda X=X: scale.rows(X))
        part = np.array(X[: min(n, 2**27 // d)])
        plain = seconds(lambda part=part: reduction.factor(part, np.empty((len(part), 0))))
        plain *= n / len(part)
        peak = peak_bytes(lambda X=X: scale.rows(X)) / 2**20
        task = f"{GIGABYTES:g} GB of rows, d = {d}"
        note = f"{added:.2f} s for the sum"
        found += [
            _row(task, "norms", "dask sum", normed / added, 1.5, note),
            _row(task, "rows", "dask sum", triangle / added, limit, f"peak +{peak:.0f} MB"),
            _row(task, "rows", "factor in memory", triangle / plain, 1.2, f"{plain:.2f} s"),
        ]
        del X, lazy
        path.unlink()
    return found


def _weights(folder: Path) -> list[Row]:
    count = int(GIGABYTES * 2**30 / 2 / SHARDS)
    model = folder / "model"
    model.mkdir()
    rng = np.random.default_rng(0)
    files = []
    for shard in range(SHARDS):
        file = model / f"model-{shard + 1:05}-of-{SHARDS:05}.safetensors"
        files.append(file)
        with file.open("wb") as handle:
            shape = (count // 1024, 1024)
            handle.write(header({f"layer{shard}.weight": ("BF16", shape)}, {}))
            left = shape[0] * shape[1]
            while left:
                part = rng.standard_normal(min(left, 2**22), dtype=np.float32)
                handle.write((part.view(np.uint32) >> 16).astype(np.uint16).tobytes())
                left -= len(part)
    total = count // 1024 * 1024 * SHARDS

    def read() -> None:
        buffer = bytearray(2**20)
        for file in files:
            with file.open("rb", buffering=0) as handle:
                while handle.readinto(buffer):
                    pass

    found = []
    small = model / "small.safetensors"
    small.write_bytes(header({"w": ("BF16", (2, 4))}, {}) + bytes(range(1, 17)))
    for design in LIMITS:
        checkpoints.prune(small, folder / "small.safetensors", density=0.5, design=design, rng=0)
    small.unlink()
    for design, limit in LIMITS.items():
        forgotten(*files)
        once = seconds(read)
        forgotten(*files)
        out = folder / design
        result = None

        def draw(design: str = design, out: Path = out) -> None:
            nonlocal result
            result = checkpoints.prune(model, out, density=0.1, design=design, rng=1)

        start = time.process_time()
        peak = peak_bytes(draw) / 2**20
        taken = time.process_time() - start
        assert result is not None
        for file in out.iterdir():
            file.unlink()
        note = f"{result.read / (2 * total):g} reads, {once:.2f} s each, peak +{peak:.0f} MB"
        task = f"{total:.3g} bf16 weights in {SHARDS} files"
        found.append(_row(task, design, "one cold read", taken / once, limit, note))
    return found


def main() -> None:
    """Print the table; the ratio is ours over the other."""
    print(table(run()).replace("times faster", "ratio of CPU time"))
    print(
        f"peak of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"
    )


if __name__ == "__main__":
    sys.exit(main())
