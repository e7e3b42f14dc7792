"""Files .safetensors, which need the package safetensors."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lth_sketch.checkpoints.damage import broken
from lth_sketch.validation import Array

Arrays = dict[str, Array]
Chosen = Callable[[list[str]], list[str]]

WANTED = ".safetensors file of types that numpy knows"
METADATA = "__metadata__"
FOREIGN = (
    "F4",
    "F6_E2M3",
    "F6_E3M2",
    "F8_E4M3",
    "F8_E4M3FNUZ",
    "F8_E5M2",
    "F8_E5M2FNUZ",
    "F8_E8M0",
)
TYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "BF16": "<u2",
    "F32": "<f4",
    "F64": "<f8",
    "C64": "<c8",
}


class Foreign(Exception):
    """A file of another kind."""


def read(file: Path, chosen: Chosen = list) -> Arrays:
    """Read those tensors whose names are chosen; halves as float32."""
    safe = package()
    try:
        start, header = _header(file)
        shared = _shared(header)
    except Foreign as error:
        raise broken(file, WANTED, str(error)) from None
    # A damaged header can raise almost anything.
    except Exception as error:
        raise broken(file, WANTED, error) from error
    names = chosen([*header, *shared])
    for name in names:
        kind = header[shared.get(name, name)]["dtype"]
        if kind in FOREIGN:
            raise TypeError(
                f"{file}: {name} has type {kind}, which is neither a half nor a type of numpy; "
                f"convert it, for instance to F32, or leave it out (--skip {name!r})"
            )
        if kind not in TYPES:
            raise broken(file, WANTED, f"{name} has the unknown type {kind!r}")
    try:
        with safe.safe_open(file, framework="np"):
            pass
        loaded: Arrays = {}
        for name in names:
            owner = shared.get(name, name)
            if owner not in loaded:
                loaded[owner] = _tensor(file, start, header[owner])
            loaded[name] = loaded[owner]
    except Exception as error:
        raise broken(file, WANTED, error) from error
    return {name: loaded[name] for name in names}


def write(file: Path, arrays: Arrays) -> None:
    """Write the arrays under their names."""
    safe = package()
    for name, array in arrays.items():
        if name == METADATA:
            raise ValueError(
                f"a .safetensors file has {METADATA!r} for itself; rename that array, or write .npz"
            )
        if array.dtype.kind not in "biufc" or array.dtype.itemsize > 8:
            raise TypeError(
                f"{name} cannot be written to a .safetensors file, which has no type "
                f"{array.dtype}; convert it, or write .npz"
            )
    safe.save_file(arrays, file)


def _header(file: Path) -> tuple[int, dict[str, Any]]:
    """Return where the tensors begin, and what is said of each."""
    with file.open("rb") as handle:
        if handle.read(4) == b"PK\x03\x04":
            raise Foreign("it is a zip archive, as files .npz and .pt are")
        handle.seek(0)
        (length,) = struct.unpack("<Q", handle.read(8))
        if length > file.stat().st_size:
            raise ValueError("the header is longer than the file")
        header = json.loads(handle.read(length), object_pairs_hook=_unique)
    for name, entry in header.items():
        if name != METADATA and not isinstance(entry["dtype"], str):
            raise ValueError("a type is no text")
    return 8 + length, header


def _shared(header: dict[str, Any]) -> dict[str, str]:
    """Take the metadata out of a header, and return what it says of shared tensors.

    ``safetensors.torch.save_model`` writes such a tensor once, under one of its names, and the
    other names beside it.
    """
    metadata = header.pop(METADATA, None) or {}
    return {
        name: owner
        for name, owner in metadata.items()
        if owner in header and name not in header and name != "format"
    }


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise ValueError("a name stands twice in the header")
    return unique


def _tensor(file: Path, start: int, entry: dict[str, Any]) -> Array:
    first, last = entry["data_offsets"]
    dtype = np.dtype(TYPES[entry["dtype"]])
    count = (last - first) // dtype.itemsize
    flat = np.fromfile(file, dtype, count=count, offset=start + first)
    if entry["dtype"] == "BF16":
        # The upper half of a float32.
        flat = (flat.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return flat.reshape(entry["shape"])


def package() -> Any:
    """Return the package safetensors, or say how to install it."""
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "files .safetensors need the package safetensors: pip install safetensors"
        ) from error
    module: Any = safetensors.numpy
    module.safe_open = safetensors.safe_open
    return module
