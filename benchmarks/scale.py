"""`python -m benchmarks.scale`: what does not fit, on two cores, in ratios of CPU time.

Files are made in a scratch folder (SCALE_GB gigabytes of rows, and as many of weights) and removed.
Name `rows` or `weights` for one of the two.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import dask.array as da
import numpy as np

from benchmarks.timing import Row, peak_bytes, table
from lth_sketch import checkpoints, reduction, scale
from lth_sketch.checkpoints.shards import header

GIGABYTES = float(os.environ.get("SCALE_GB", "1"))
PARTS = ("rows", "weights")
SHARDS, TENSORS = 8, 28
# What each ratio may be at most.
LIMITS = {"top": 3.0, "poisson": 5.0, "systematic": 5.0, "priority": 5.5}


def run(parts: Sequence[str] = PARTS) -> list[Row]:
    """Return a row for each pass over rows, and for each design over weights."""
    rows = []
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="lth_sketch.scale.") as folder:
            rows += {"rows": _rows, "weights": _weights}[part](Path(folder))
    return rows


def seconds(call: Callable[[], object]) -> float:
    """CPU seconds of this process, those of the system for it included."""
    start = time.process_time()
    call()
    return time.process_time() - start


def forgotten(*files: Path) -> None:
    """Take files out of memory, so that the next read is a cold one; no map may hold them."""
    for file in files:
        handle = os.open(file, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def own_peak(call: Callable[[], object]) -> int:
    """Bytes by which the memory of this process rises, pages of mapped files left out."""
    done, sizes = threading.Event(), [_own()]

    def watch() -> None:
        while not done.wait(0.005):
            sizes.append(_own())

    watcher = threading.Thread(target=watch)
    watcher.start()
    call()
    done.set()
    watcher.join()
    return max(sizes) - sizes[0]


def _own() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


class Cold:
    """CPU seconds, seconds and bytes from the disk of a call that meets its files on disk alone."""

    def __init__(self, call: Callable[[], object], *files: Path) -> None:
        forgotten(*files)
        before, start = _from_disk(), time.perf_counter()
        self.cpu = seconds(call)
        self.wall = time.perf_counter() - start
        self.share = (_from_disk() - before) / sum(file.stat().st_size for file in files)


def _from_disk() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes"))


def _row(task: str, ours: str, rival: str, ratio: float, limit: float, note: str) -> Row:
    return Row(task, ours, f"{rival}, at most {limit:g}", ratio, note)


def rows_file(folder: Path, d: int) -> tuple[Path, int, int]:
    """Write rows of d normal numbers; return the file, and their shape."""
    n = int(GIGABYTES * 2**30 / 8 / d)
    path, rng = folder / "rows.dat", np.random.default_rng(d)
    with path.open("wb") as file:
        for start in range(0, n, 2**16):
            file.write(rng.standard_normal((min(2**16, n - start), d)).tobytes())
    return path, n, d


def model(folder: Path, count: int, shards: int) -> Path:
    """Write about so many bf16 weights in `TENSORS` of unequal sizes, dealt out to files."""
    folder.mkdir()
    tensors = [
        (f"layer{i:02}.weight", (max(1, int(count * share) // 1024), 1024))
        for i, share in enumerate(np.linspace(0.5, 1.5, TENSORS) / TENSORS)
    ]
    for shard in range(shards):
        held = range(shard * TENSORS // shards, (shard + 1) * TENSORS // shards)
        file = folder / f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        with file.open("wb") as handle:
            handle.write(header({tensors[i][0]: ("BF16", tensors[i][1]) for i in held}, {}))
            for i in held:
                rng = np.random.default_rng(i)
                left = tensors[i][1][0] * 1024
                while left:
                    part = rng.standard_normal(min(left, 2**22), dtype=np.float32)
                    handle.write((part.view(np.uint32) >> 16).astype(np.uint16).tobytes())
                    left -= len(part)
    return folder


def _rows(folder: Path) -> list[Row]:
    rows = []
    for d, limit in ((50, 5.0), (300, 12.0)):
        path, n, _ = rows_file(folder, d)

        def opened(n: int = n, d: int = d, path: Path = path) -> np.memmap:
            return np.memmap(path, np.float64, "r", shape=(n, d))

        def lazy(opened: Callable[[], np.memmap] = opened, d: int = d) -> da.Array:
            # Without a name, which dask would make by reading all rows.
            return da.from_array(opened(), chunks=(2**24 // d, d), name=False)

        def added(lazy: Callable[[], da.Array] = lazy) -> None:
            lazy().sum(axis=0).compute()

        scale.rows(opened()[:10_000])
        scale.norms(opened()[:10_000])
        peak = own_peak(lambda opened=opened: scale.rows(opened())) / 2**20
        held = lazy()
        held.sum(axis=0).compute()
        warm = seconds(lambda held=held: held.sum(axis=0).compute())
        del held
        sums = Cold(added, path)
        norms = Cold(lambda opened=opened: scale.norms(opened()), path)
        triangle = Cold(lambda opened=opened: scale.rows(opened()), path)
        again = seconds(lambda opened=opened: scale.rows(opened()))
        part = np.array(opened()[: min(n, 2**27 // d)])
        plain = seconds(lambda part=part: reduction.reduce(part, np.empty((len(part), 0))))
        plain *= n / len(part)
        task = f"{GIGABYTES:g} GB of rows, d = {d}"
        note = f"{sums.cpu:.2f} s for the sum, {sums.share:.0%} of it from the disk"
        bound = 2 * d * n * d / (_peak() * warm)
        rows += [
            _row(task, "norms", "dask sum", norms.cpu / sums.cpu, 1.5, note),
            _row(task, "rows", "dask sum", triangle.cpu / sums.cpu, limit, f"peak +{peak:.0f} MB"),
            _row(
                task,
                "rows",
                "dask sum, rows in memory",
                again / warm,
                limit,
                f"flops of QR at the speed of a product: {bound:.1f}",
            ),
            _row(task, "rows", "factor in memory", again / plain, 1.2, f"{plain:.2f} s"),
        ]
        path.unlink()
    return rows


def _peak() -> float:
    """Floating-point operations a CPU second of a product of matrices."""
    A = np.random.default_rng(0).standard_normal((1000, 1000))
    return max(2e9 / seconds(lambda: A @ A) for _ in range(5))


def _weights(folder: Path) -> list[Row]:
    files = sorted(model(folder / "model", int(GIGABYTES * 2**30 / 2), SHARDS).iterdir())

    def read() -> None:
        buffer = bytearray(2**20)
        for file in files:
            with file.open("rb", buffering=0) as handle:
                while handle.readinto(buffer):
                    pass

    rows = []
    small = folder / "small.safetensors"
    # Enough for the compiled loops that many weights take.
    size = 2**20
    codes = np.arange(size, dtype=np.uint16) % 0x7F80
    small.write_bytes(header({"w": ("BF16", (2, size // 2))}, {}) + codes.tobytes())
    for design in LIMITS:
        checkpoints.prune(
            small, folder / "small.out.safetensors", density=0.5, design=design, rng=0
        )
    small.unlink()
    for design, limit in LIMITS.items():
        cold = Cold(read, *files)
        forgotten(*files)
        out = folder / design
        result = None

        def draw(design: str = design, out: Path = out) -> None:
            nonlocal result
            result = checkpoints.prune(folder / "model", out, density=0.1, design=design, rng=1)

        peak = 0.0

        def measured(draw: Callable[[], None] = draw) -> None:
            nonlocal peak
            peak = peak_bytes(draw) / 2**20

        taken = seconds(measured)
        assert result is not None
        total = sum(kept.size for kept in result.kept.values())
        shutil.rmtree(out)
        note = (
            f"{result.read / (2 * total):g} reads, {taken / total * 1e9:.1f} ns a weight, "
            f"peak +{peak:.0f} MB"
        )
        task = f"{total:.3g} bf16 weights in {SHARDS} files"
        source = f"{cold.share:.0%} from the disk"
        rows += [
            _row(task, design, "seconds of one cold read", taken / cold.wall, limit, note),
            _row(
                task,
                design,
                "CPU of one cold read",
                taken / cold.cpu,
                limit,
                f"{cold.cpu:.2f} of {cold.wall:.2f} s, {source}",
            ),
        ]
        print("\n".join(table(rows[-2:]).splitlines()[-2:]), file=sys.stderr, flush=True)
    return rows


def main() -> None:
    """Print the table; the ratio is ours over the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    parts = parser.parse_args().parts or PARTS
    print(table(run(parts)).replace("times faster", "ratio of CPU time"))
    print(
        f"peak of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"
    )


if __name__ == "__main__":
    sys.exit(main())
