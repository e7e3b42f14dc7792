"""Checkpoints of one or of many .safetensors files, read from their headers alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

INDEX = ".safetensors.index.json"
# Bytes of an entry of each type that the format knows.
WIDTHS = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1, "I16": 2, "U16": 2,
    "F16": 2, "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8, "C64": 8,
}  # fmt: skip
# A header is no longer: the format says so.
LONGEST = 100_000_000

Model = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class Tensor(NamedTuple):
    """Where a tensor lies: in which shard, and from which byte of the file on."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    shard: int
    start: int

    @property
    def size(self) -> int:
        """Number of entries."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Number of bytes."""
        return self.size * WIDTHS[self.dtype]


class Shards(NamedTuple):
    """The files of a checkpoint and the tensors in them, ordered by name.

    `listing` is the name of the index file, None where there is none; `metadata` that of each file.
    """

    files: tuple[Path, ...]
    tensors: tuple[Tensor, ...]
    listing: str | None
    metadata: tuple[dict[str, str], ...]


def single_file(model: Model) -> Path | None:
    """Return the path of a checkpoint in one file; None for a folder, a list of files, an index."""
    if not isinstance(model, str | os.PathLike):
        return None
    path = Path(model)
    return None if path.is_dir() or path.name.endswith(".json") else path


def opened(model: Model) -> Shards:
    """Read the headers of a checkpoint.

    Parameters
    ----------
    model : path, or sequence of paths
        A ``.safetensors`` file, an index file, a folder that holds one of these, or a list of
        ``.safetensors`` files.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or an index names one that is missing.
    ValueError
        If a file is truncated or no ``.safetensors`` file; tensors overlap, or lie beyond the end;
        an index leaves its folder or does not fit its files; two files hold tensors of one name.
    """
    files, weights, index = _files(model)
    tensors: dict[str, Tensor] = {}
    metadata = []
    for number, file in enumerate(files):
        own, about = _header(file, number)
        metadata.append(about)
        for tensor in own:
            if tensor.name in tensors:
                other = files[tensors[tensor.name].shard]
                raise ValueError(
                    f"{other} and {file} both hold {tensor.name}; name the files of one checkpoint"
                )
            tensors[tensor.name] = tensor
    for name, listed in (weights or {}).items():
        if name not in tensors or files[tensors[name].shard] != listed:
            raise ValueError(f"{index} says that {name} lies in {listed.name}, but it does not")
    if weights is not None:
        extra = sorted(set(tensors) - set(weights))
        if extra:
            raise ValueError(f"{index} does not list {extra[0]}, which {len(files)} files hold")
    ordered = tuple(tensors[name] for name in sorted(tensors))
    return Shards(files, ordered, index, tuple(metadata))


def _files(model: Model) -> tuple[tuple[Path, ...], dict[str, Path] | None, str | None]:
    if not isinstance(model, str | os.PathLike):
        files = [Path(file) for file in model]
        if not files:
            raise ValueError("model must name at least one file; got an empty list")
        names = [file.name for file in files]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"model names two files {twice[0]}; their masks would be one file")
        return tuple(files), None, None
    path = Path(model)
    if path.is_dir():
        indices = sorted(path.glob(f"*{INDEX}"))
        if len(indices) > 1:
            listed = ", ".join(file.name for file in indices)
            raise ValueError(f"{path} holds several indices ({listed}); name one of them")
        if not indices:
            files = sorted(path.glob("*.safetensors"))
            if not files:
                raise FileNotFoundError(f"there is no .safetensors file in the folder {path}")
            return tuple(files), None, None
        path = indices[0]
    if not path.name.endswith(".json"):
        return (path,), None, None
    return _indexed(path)


def _indexed(path: Path) -> tuple[tuple[Path, ...], dict[str, Path], str]:
    try:
        content: Any = json.loads(path.read_bytes())
        listed = dict(content["weight_map"])
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}; name an index of shards") from None
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'{path} is no index of a model in several files (a JSON object with "weight_map"); '
            "name another file"
        ) from error
    weights: dict[str, Path] = {}
    for name, file in listed.items():
        if not isinstance(file, str) or Path(file).name != file or file in ("", ".", ".."):
            raise ValueError(
                f"{path} names the shard {file!r}, which is no file of its folder; shards lie "
                "beside their index"
            )
        weights[name] = path.parent / file
    files = sorted(set(weights.values()))
    if not files:
        raise ValueError(f"{path} lists no weights")
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(f"{path} names the shard {file.name}, which is missing")
    return tuple(files), weights, path.name


def _header(file: Path, shard: int) -> tuple[list[Tensor], dict[str, str]]:
    """Read and check what a file says of its tensors."""
    try:
        length = file.stat().st_size
        with file.open("rb") as handle:
            first = handle.read(8)
            size = int.from_bytes(first, "little")
            if len(first) < 8 or size > min(LONGEST, length - 8):
                raise ValueError("its header is longer than the file")
            content = json.loads(handle.read(size))
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {file}; pass the path of a checkpoint") from None
    except IsADirectoryError:
        raise ValueError(f"{file} is a folder; name a .safetensors file") from None
    except ValueError as error:
        raise _bad(file, str(error).splitlines()[0]) from error
    if not isinstance(content, dict):
        raise _bad(file, "its header is no list of tensors")
    about = content.pop("__metadata__", None)
    tensors = [
        _tensor(file, shard, name, entry, 8 + size, length) for name, entry in content.items()
    ]
    end, before = 8 + size, "the header"
    for tensor in sorted(tensors, key=lambda t: (t.start, t.nbytes)):
        if tensor.start < end and tensor.nbytes:
            raise _bad(file, f"{tensor.name} overlaps {before}")
        if tensor.nbytes:
            end, before = tensor.start + tensor.nbytes, tensor.name
    kept = {str(k): str(v) for k, v in about.items()} if isinstance(about, dict) else {}
    return tensors, kept


def _tensor(file: Path, shard: int, name: str, entry: Any, first: int, length: int) -> Tensor:
    try:
        dtype, shape = entry["dtype"], tuple(entry["shape"])
        low, high = entry["data_offsets"]
        whole = all(isinstance(n, int) and n >= 0 for n in (*shape, low, high))
        width = WIDTHS[dtype]
    except (KeyError, TypeError, ValueError) as error:
        raise _bad(file, f"the header does not tell the type and place of {name}") from error
    if not whole or high - low != prod(shape) * width:
        raise _bad(file, f"{name} of shape {shape} takes {high - low} bytes")
    if first + high > length:
        raise _bad(file, f"{name} lies beyond the end of the file")
    return Tensor(name, dtype, shape, shard, first + low)


def _bad(file: Path, reason: str) -> ValueError:
    return ValueError(
        f"{file} is no .safetensors file, or it is truncated: {reason}; save it again, or name "
        "another file"
    )


# --- what is written ------------------------------------------------------------------------------


def header(entries: Mapping[str, tuple[str, tuple[int, ...]]], about: Mapping[str, str]) -> bytes:
    """Return the first bytes of a file of tensors (dtype, shape), which follow in this order."""
    content: dict[str, Any] = {"__metadata__": dict(about)} if about else {}
    place = 0
    for name, (dtype, shape) in entries.items():
        end = place + prod(shape) * WIDTHS[dtype]
        content[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [place, end]}
        place = end
    text = json.dumps(content, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
