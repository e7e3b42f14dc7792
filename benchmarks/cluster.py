"""`python -m benchmarks.cluster`: two workers next to two threads, and workers that are killed.

Files are made in a scratch folder (SCALE_GB gigabytes of rows, and as many of weights) and removed.
Name some of `rows`, `weights`, `sweep` and `coordinator`; `bits` compares the masks of 10^8 weights
(SCALE_BITS) in 1, 4 and 14 files with `sampling.draw`. A sweep simulates SCALE_TRIALS masks: two
million take half a minute, beside which what a cluster does once is small.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from itertools import pairwise
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
from distributed import Client
from safetensors.numpy import load_file

from benchmarks.scale import GIGABYTES, LIMITS, SHARDS, model, rows_file
from benchmarks.timing import Row, table
from lth_sketch import Product, checkpoints, montecarlo, sampling, scale

NAMES = ("rows", "weights", "sweep", "coordinator", "bits")
BITS = int(float(os.environ.get("SCALE_BITS", "1e8")))
TRIALS = int(float(os.environ.get("SCALE_TRIALS", "2e6")))
# What each ratio may be at most: of two workers to two threads, and of a run that loses a worker.
CLUSTER, KILLED = 1.3, 2.0
WORKER = (
    "from pathlib import Path; from benchmarks.cluster import prune; "
    "prune(Path({!r}), Path({!r}), None, 'systematic')"
)

Sweep = Callable[[Executor | None], bytes]


def prune(
    files: Path, out: Path, executor: Executor | None = None, design: str = "priority"
) -> bytes:
    """Draw a mask; return a digest of its files."""
    options: dict[str, Any] = {"executor": executor} if executor else {"n_jobs": 2}
    checkpoints.prune(files, out, density=0.1, design=design, rng=1, **options)
    return digest(out)


def digest(folder: Path) -> bytes:
    """Return a digest of all files of a folder."""
    state = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        with file.open("rb") as handle:
            state.update(hashlib.file_digest(handle, "sha256").digest())
    return state.digest()


def parts(n: int) -> list[range]:
    """Return the rows of each chunk: eight of them, so that a task takes about a second."""
    ends = np.linspace(0, n, SHARDS + 1).astype(int)
    return [range(low, high) for low, high in pairwise(ends.tolist())]


def read_rows(path: Path, n: int, d: int, block_info: Any = None) -> np.ndarray:
    """Read the rows of one chunk of a dask array."""
    rows = parts(n)[block_info[None]["chunk-location"][0]]
    return np.memmap(path, np.float64, "r", rows.start * d * 8, (len(rows), d))


def work(folder: Path) -> dict[str, Sweep]:
    """Rows, weights and a sweep: what each gives, as bytes."""
    path, n, d = rows_file(folder, 300)
    X = da.map_blocks(
        read_rows,
        path,
        n,
        d,
        chunks=(tuple(len(rows) for rows in parts(n)), (d,)),
        meta=np.empty((0, 0)),
    )
    files = model(folder / "model", int(GIGABYTES * 2**30 / 2), SHARDS)

    def rows(executor: Executor | None) -> bytes:
        with dask.config.set(scheduler="threads", num_workers=2):
            return scale.rows(X, executor=executor).X.tobytes()

    def weights(executor: Executor | None) -> bytes:
        out = folder / "out"
        pruned = prune(files, out, executor)
        shutil.rmtree(out)
        return pruned

    rng = np.random.default_rng(0)
    product = Product(rng.standard_normal((2000, 1000)), rng.standard_normal(1000))

    def sweep(executor: Executor | None) -> bytes:
        options: dict[str, Any] = {"executor": executor} if executor else {"n_jobs": 2}
        return montecarlo.squared_errors(
            product, np.ones(1000), [20, 50, 100], trials=TRIALS, rng=1, **options
        ).tobytes()

    return {"rows": rows, "weights": weights, "sweep": sweep}


def timed(call: Callable[..., bytes], *given: Any) -> tuple[bytes, float]:
    """Return what a call gives, and its seconds."""
    start = time.perf_counter()
    result = call(*given)
    return result, time.perf_counter() - start


def compared(folder: Path, names: Sequence[str]) -> list[Row]:
    """Compare two threads, two workers, and two of which one is killed half-way."""
    result = []
    cases = work(folder)
    for name in names:
        result += _compared(name, cases[name])
    return result


def _compared(name: str, call: Sweep) -> list[Row]:
    result = []
    # A cluster for each: what was killed in one does not trouble the next.
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        call(client.get_executor())
        start = time.process_time()
        here, alone = timed(call, None)
        threads = time.process_time() - start
        start = _spent(client)
        there, together = timed(call, client.get_executor())
        workers = _spent(client) - start
        processes = list(client.run(os.getpid).values())
        killer = threading.Timer(together / 2, os.kill, (processes[0], signal.SIGKILL))
        killer.start()
        hurt, mended = timed(call, client.get_executor())
        killer.join()
    alike = "same bytes" if here == there else "OTHER BYTES"
    still = "same bytes" if here == hurt else "OTHER BYTES"
    pairs = (
        ("two workers", "two threads, CPU", workers / threads, CLUSTER, alike, threads),
        ("two workers", "two threads", together / alone, CLUSTER, alike, alone),
        ("a worker killed", "two workers", mended / together, KILLED, still, together),
    )
    for ours, rival, ratio, limit, note, base in pairs:
        result.append(
            Row(name, ours, f"{rival}, at most {limit:g}", ratio, f"{note}, {base:.1f} s")
        )
        print(table(result[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
    return result


def _spent(client: Client) -> float:
    """Return the CPU seconds of this process and of the workers."""
    return time.process_time() + sum(client.run(time.process_time).values())


def coordinator(folder: Path) -> Row:
    """Kill a process that draws masks when some of its files are whole, and call again."""
    files, out = folder / "model", folder / "resumed"
    wanted, alone = timed(prune, files, folder / "whole", None, "systematic")
    start = time.perf_counter()
    command = [sys.executable, "-c", WORKER.format(str(files), str(out))]
    process = subprocess.Popen(command)
    while process.poll() is None and not list(out.glob("*.safetensors")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(list(out.glob("*.safetensors")))
    pruned = prune(files, out, None, "systematic")
    taken = time.perf_counter() - start
    note = "same bytes" if wanted == pruned else "OTHER BYTES"
    return Row(
        "weights",
        "killed and called again",
        "one run",
        taken / alone,
        f"{note}, {done} of {SHARDS} files were whole",
    )


def bits(folder: Path) -> list[Row]:
    """Masks of files cut in any way, on threads and on workers, next to `sampling.draw`."""
    result = []
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        cuts = {count: model(folder / f"model{count}", BITS, count) for count in (1, 4, 14)}
        weights = np.concatenate(
            [
                np.abs(array.ravel())
                for file in sorted(cuts[1].iterdir())
                for array in checkpoints.read(file).values()
            ]
        )
        for design in LIMITS:
            s = int(0.1 * weights.size + 0.5)
            child = np.random.default_rng(1).spawn(1)[0]
            wanted = np.zeros(weights.size, bool)
            wanted[sampling.draw(weights, s, design=design, rng=child)[0]] = True
            same = []
            for files in cuts.values():
                for executor in (None, client.get_executor()):
                    out = folder / "out"
                    prune(files, out, executor, design)
                    stored = [load_file(file) for file in sorted(out.glob("*.safetensors"))]
                    masks = {name: mask for part in stored for name, mask in part.items()}
                    mask = np.concatenate([masks[name].ravel() for name in sorted(masks)])
                    same.append(bool((mask == wanted).all()))
                    shutil.rmtree(out)
            note = f"{sum(same)} of {len(same)} runs: 1, 4, 14 files; threads, two workers"
            result.append(Row(f"{weights.size:.3g} bf16", design, "sampling.draw", 1.0, note))
            print(table(result[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
    return result


def main() -> None:
    """Print the table of what is named, by default of all but `bits`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("names", nargs="*", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    rows = []
    names = parser.parse_args().names or NAMES[:-1]
    with tempfile.TemporaryDirectory(prefix="lth_sketch.cluster.") as folder:
        rows += compared(Path(folder), [n for n in names if n in ("rows", "weights", "sweep")])
        if "coordinator" in names:
            rows.append(coordinator(Path(folder)))
        if "bits" in names:
            rows += bits(Path(folder))
    print(table(rows).replace("times faster", "ratio of seconds"))


if __name__ == "__main__":
    sys.exit(main())
