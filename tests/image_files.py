"""Writers of tiny image files in the published formats, independent of the readers."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def images(n: int, shape: tuple[int, ...], seed: int = 0) -> tuple[Array, Array]:
    """Return random pixels (n, *shape) with 0 and 255 among them, and labels (n,), in bytes."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
    pixels.flat[:2] = 0, 255
    return pixels, rng.integers(0, 10, n, dtype=np.uint8)


def gzipped(data: bytes) -> bytes:
    """Compress as gzip does, without the time of day: the same bytes in every process."""
    return gzip.compress(data, mtime=0)


def idx(values: Array) -> bytes:
    """Encode an array of bytes as IDX."""
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    return header + values.tobytes()


def write_idx(folder: Path, prefix: str, pixels: Array, labels: Array, *, zipped: bool) -> None:
    """Write `prefix`-images-idx3-ubyte and `prefix`-labels-idx1-ubyte, with .gz when zipped."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, values in (("images-idx3-ubyte", pixels), ("labels-idx1-ubyte", labels)):
        name, data = f"{prefix}-{stem}", idx(values)
        if zipped:
            name, data = f"{name}.gz", gzipped(data)
        (folder / name).write_bytes(data)


def write_binary(folder: Path, name: str, pixels: Array, labels: Array) -> None:
    """Write a CIFAR-10 binary batch."""
    folder = folder / "cifar-10-batches-bin"
    folder.mkdir(parents=True, exist_ok=True)
    records = [bytes([y]) + x.tobytes() for x, y in zip(pixels, labels, strict=True)]
    (folder / f"{name}.bin").write_bytes(b"".join(records))


def write_python(folder: Path, name: str, content: object, protocol: int = 5) -> Path:
    """Write any object where a CIFAR-10 Python batch is expected."""
    folder = folder / "cifar-10-batches-py"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(pickle.dumps(content, protocol=protocol))
    return folder / name


def python_2_batch(pixels: Array, labels: Array) -> bytes:
    """Encode a batch by hand as Python 2 did, with 8-bit strings and the old names of numpy."""
    n, d = pixels.shape
    data = pixels.tobytes()

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    def integer(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    dtype = (
        b"cnumpy\ndtype\n" + text(b"u1") + integer(0) + integer(1) + b"\x87R"
        b"(" + integer(3) + text(b"|") + b"NNN" + integer(-1) + integer(-1) + integer(0) + b"tb"
    )
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
        + integer(0) + b"\x85" + text(b"b") + b"\x87R"
        b"(" + integer(1) + integer(n) + integer(d) + b"\x86" + dtype + b"\x89"
        b"T" + struct.pack("<i", len(data)) + data + b"tb"
    )  # fmt: skip
    numbers = b"](" + b"".join(integer(int(y)) for y in labels) + b"e"
    filenames = b"](" + text(b"camera_s_000695.png") + b"e"
    return (
        b"\x80\x02}("
        + text(b"data") + array
        + text(b"labels") + numbers
        + text(b"batch_label") + text(b"training batch 1 of 5")
        + text(b"filenames") + filenames + b"u."
    )  # fmt: skip
