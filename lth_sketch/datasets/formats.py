"""Image files in their published formats: IDX, and CIFAR-10's binary and Python batches.

Every file is checked against its format before it is used; an error names the file and says what
was expected. Nothing that a file names is run, also not in a pickle.
"""

from __future__ import annotations

import gzip
import io
import math
import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

CLASSES = 10
IDX_SIDES = (28, 28)
CIFAR_PIXELS = 3 * 32 * 32

IDX_FILES = {
    "train": "train-images-idx3-ubyte and train-labels-idx1-ubyte (or .idx, or with .gz)",
    "test": "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte (or .idx, or with .gz)",
}
CIFAR_FILES = {
    "train": "cifar-10-batches-bin/data_batch_1.bin to 5 or cifar-10-batches-py/data_batch_1 to 5",
    "test": "cifar-10-batches-bin/test_batch.bin or cifar-10-batches-py/test_batch",
}


def find_idx(folder: Path, split: str) -> list[Path]:
    """Return those of the split's images and labels that exist, as they are before gzipped.

    Both spellings are in use, ``train-images-idx3-ubyte`` (the original) before
    ``train-images.idx3-ubyte``.
    """
    prefix = {"train": "train", "test": "t10k"}[split]
    files = []
    for part, axes in (("images", 3), ("labels", 1)):
        stems = [f"{prefix}-{part}{mark}idx{axes}-ubyte" for mark in "-."]
        names = [f"{stem}{end}" for end in ("", ".gz") for stem in stems]
        files += [folder / name for name in names if (folder / name).is_file()][:1]
    return files


def find_cifar(folder: Path, split: str) -> list[Path]:
    """Return the split's batches that exist, all of one kind, binary before Python."""
    stems = {"train": [f"data_batch_{k}" for k in range(1, 6)], "test": ["test_batch"]}[split]
    for kind, suffix in (("bin", ".bin"), ("py", "")):
        paths = [folder / f"cifar-10-batches-{kind}" / f"{stem}{suffix}" for stem in stems]
        if present := [path for path in paths if path.is_file()]:
            return present
    return []


def read_idx(paths: list[Path]) -> tuple[Bytes, Bytes]:
    """Return pixels (n, 784) and labels (n,) of one file of images and one of labels.

    Raises
    ------
    FileNotFoundError
        If one of the two is missing.
    ValueError
        If a file is damaged or something else, or the two do not belong together.
    """
    if len(paths) != 2:
        raise FileNotFoundError(
            f"{paths[0]} is there, but images and labels come in two files: put the other beside it"
        )
    images = _idx(paths[0], IDX_SIDES)
    labels = class_labels(paths[1], _idx(paths[1], ()))
    if len(images) != len(labels):
        raise ValueError(
            f"{paths[0]} holds {len(images)} images, but {paths[1]} holds {len(labels)} labels: "
            "they must be of one split"
        )
    return images.reshape(len(images), -1), labels


def read_cifar(paths: list[Path]) -> tuple[Bytes, Bytes]:
    """Return pixels (n, 3072) and labels (n,) of batches, one after the other.

    Raises
    ------
    ValueError
        If a file is damaged or something else, or a pickle names what is no array.
    """
    parts = [(_binary_batch if path.suffix == ".bin" else _python_batch)(path) for path in paths]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([pixels for pixels, _ in parts]), np.concatenate([y for _, y in parts])


def class_labels(source: object, labels: npt.NDArray[Any]) -> Bytes:
    """Return labels as bytes after a check that each is a class."""
    wrong = np.flatnonzero((labels < 0) | (labels >= CLASSES))
    if wrong.size:
        raise ValueError(
            f"{source}: labels must be 0 to {CLASSES - 1}; got {labels[wrong[0]]} "
            f"in record {wrong[0]}"
        )
    return labels.astype(np.uint8)


def _idx(path: Path, sides: tuple[int, ...]) -> Bytes:
    data = path.read_bytes()
    # An IDX file begins with two zero bytes, so the content tells what the name may not.
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is damaged, fetch it again: gzip says {error}") from error
    axes = 1 + len(sides)
    magic = bytes((0, 0, 8, axes))
    if data[:4] != magic:
        raise ValueError(
            f"{path} must begin with the magic number 0x{magic.hex()} (IDX, unsigned bytes, "
            f"axes: {axes}); got 0x{data[:4].hex()}"
        )
    start = 4 + 4 * axes
    dimensions = tuple(int(n) for n in np.frombuffer(data[4:start].ljust(4 * axes, b"\0"), ">u4"))
    if dimensions[0] == 0 or dimensions[1:] != sides or len(data) != start + math.prod(dimensions):
        raise ValueError(
            f"{path} must have dimensions {('n', *sides)}, n > 0, and {start} + their product "
            f"bytes; got dimensions {dimensions} and {len(data)} bytes"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(dimensions)


def _binary_batch(path: Path) -> tuple[Bytes, Bytes]:
    data = np.fromfile(path, np.uint8)
    if data.size == 0 or data.size % (1 + CIFAR_PIXELS):
        raise ValueError(
            f"{path} must hold records of 1 label byte and {CIFAR_PIXELS} pixel bytes, at least "
            f"one; got {data.size} bytes"
        )
    records = data.reshape(-1, 1 + CIFAR_PIXELS)
    return records[:, 1:], class_labels(path, records[:, 0])


class _Named:
    """Stands in a pickle for whatever it names: keeps the arguments and the state, runs nothing."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    """Reads numbers, text, lists, dictionaries and the parts of an array; refuses all else."""

    allowed = frozenset(
        {
            ("_codecs", "encode"),
            ("numpy", "dtype"),
            ("numpy", "ndarray"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy.core.numeric", "_frombuffer"),
            ("numpy._core.numeric", "_frombuffer"),
        }
    )

    def find_class(self, module: str, name: str) -> type[_Named]:
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is refused")
        return _Named


def _python_batch(path: Path) -> tuple[Bytes, Bytes]:
    file = io.BytesIO(path.read_bytes())
    try:
        batch = _Unpickler(file, encoding="bytes").load()
        content = {_bytes(key): value for key, value in batch.items()}
        pixels, labels = _array(content[b"data"]), content[b"labels"]
        if not isinstance(labels, list) or not all(type(label) is int for label in labels):
            raise ValueError("its labels are not a list of integers")
        if not labels or pixels.shape != (len(labels), CIFAR_PIXELS):
            raise ValueError(f"it has data of shape {pixels.shape} and {len(labels)} labels")
    # A damaged pickle can raise almost anything.
    except Exception as error:
        raise ValueError(
            f"{path} must be a pickled dictionary of data (n, {CIFAR_PIXELS}), an array of bytes, "
            f"and labels, a list of n > 0 integers; {type(error).__name__}: {error}"
        ) from error
    return pixels, class_labels(path, np.array(labels))


def _array(value: Any) -> Bytes:
    """Rebuild an array of bytes from what numpy pickles of it."""
    if value.state is None:
        buffer, dtype, shape, order = value.arguments
    else:
        _, shape, dtype, fortran, buffer = value.state
        order = "F" if fortran else "C"
    if dtype.arguments[0] not in ("u1", b"u1"):
        raise ValueError(f"its data have type {dtype.arguments[0]!r}, not 'u1'")
    return np.frombuffer(_bytes(buffer), np.uint8).reshape(shape, order=order)


def _bytes(value: Any) -> bytes:
    """Undo what becomes of bytes in the older protocols."""
    if isinstance(value, _Named):
        text, encoding = value.arguments
        if encoding not in ("latin1", b"latin1"):
            raise ValueError(f"it has text in the encoding {encoding!r}, not latin1")
        value = text
    if isinstance(value, str):
        return value.encode("latin1")
    if not isinstance(value, bytes | bytearray):
        raise ValueError(f"it has {type(value).__name__} where text or bytes should be")
    return bytes(value)
