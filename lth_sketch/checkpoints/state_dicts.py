"""Files of PyTorch: what may be loaded without running code, as arrays that share as tensors do."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

from lth_sketch import extras
from lth_sketch.checkpoints import nesting, stand_ins
from lth_sketch.checkpoints.damage import broken
from lth_sketch.validation import Array

Arrays = dict[str, Array]
Chosen = Callable[[list[str]], list[str]]

SUFFIXES = (".bin", ".ckpt", ".pt", ".pth")
WANTED = "checkpoint of tensors alone"
MEND = "in the program that made it, save the weights alone: torch.save(model.state_dict(), path)"
# What the restricted unpickler says of a thing that it was not told to trust, in several versions.
UNTRUSTED = re.compile(r"GLOBAL ([\w.]+)|got <class '([\w.]+)'>|function <\S+ ([\w.]+)")


def read(file: Path, chosen: Chosen = list, *, key: str | None = None) -> Arrays:
    """Read those tensors and arrays whose names are chosen; halves as float32.

    Parameters
    ----------
    file : Path
        What ``torch.save`` has written.
    chosen : callable
        Returns the names to be read, given all.
    key : str or None
        The part of the checkpoint to read, where several hold weights.
    """
    torch = package()
    content = _load(torch, file)

    def axes(value: Any) -> int:
        if isinstance(value, torch.Tensor):
            return int(value.ndim)
        return stand_ins.axes(value)

    node = nesting.locate(file, content, axes, key)
    leaves = nesting.flatten(file, node, axes)
    widened: dict[tuple[int, Any], Any] = {}
    return {name: _array(torch, file, name, leaves[name], widened) for name in chosen(list(leaves))}


def write(file: Path, arrays: Arrays) -> None:
    """Write the arrays as a state_dict."""
    torch = package()
    tensors = {}
    for name, array in arrays.items():
        try:
            tensors[name] = torch.as_tensor(array)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{name} cannot be written as a tensor, which has no type {array.dtype}; convert "
                "it, or write .npz"
            ) from error
    torch.save(tensors, file)


def _load(torch: Any, file: Path) -> Any:
    try:
        _check_sums(file)
        # Warnings speak of formats of the loader's own.
        with warnings.catch_warnings(), stand_ins.trusted(torch):
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    # A damaged pickle can raise almost anything.
    except Exception as error:
        archive = _is_archive(file)
        members = _members(file) if archive else []
        if any(name.endswith("/constants.pkl") for name in members):
            raise ValueError(
                f"{file} is no {WANTED}: it is a program of TorchScript; {MEND}"
            ) from error
        if members and not any(name.endswith("/data.pkl") for name in members):
            raise broken(file, WANTED, "it is a zip archive of something else") from error
        named = UNTRUSTED.search(str(error))
        if named is None:
            raise broken(file, WANTED, error) from error
        thing = next(group for group in named.groups() if group)
        # A pickle that torch.save has not written may be anything.
        doubt = "" if archive else ", or it is truncated"
        raise ValueError(
            f"{file} is no {WANTED}{doubt}: it holds {thing}, which only code of its own can load; "
            f"{MEND}"
        ) from error


def _check_sums(file: Path) -> None:
    """Compare the checksums of an archive, which PyTorch does not."""
    if not _is_archive(file):
        return
    with ZipFile(file) as archive:
        for member in archive.infolist():
            # Files may be written without checksums, see torch.serialization.set_crc32_options.
            if member.CRC == 0:
                continue
            with archive.open(member) as handle:
                while handle.read(1 << 20):
                    pass


def _is_archive(file: Path) -> bool:
    with file.open("rb") as handle:
        return handle.read(4) == b"PK\x03\x04"


def _members(file: Path) -> list[str]:
    try:
        with ZipFile(file) as archive:
            return archive.namelist()
    except Exception:
        return []


def _array(torch: Any, file: Path, name: str, value: Any, widened: dict[Any, Any]) -> Array:
    if not isinstance(value, torch.Tensor):
        return _of_numpy(file, name, value)
    x = value.detach()
    with _refusal(file, name, x):
        if x.layout != torch.strided or x.is_quantized or type(x) is not torch.Tensor:
            raise TypeError
        if x.dtype in (torch.float16, torch.bfloat16):
            # The whole storage once, so that what shares memory goes on to do so.
            storage = x.untyped_storage()
            place = (storage.data_ptr(), x.dtype)
            if place not in widened:
                halves = torch.empty(0, dtype=x.dtype).set_(storage)
                widened[place] = halves.float()
            x = widened[place].as_strided(x.shape, x.stride(), x.storage_offset())
        return np.asarray(x.resolve_conj().resolve_neg().numpy())


def _of_numpy(file: Path, name: str, value: Any) -> Array:
    try:
        return stand_ins.array(value)
    except Exception as error:
        raise TypeError(
            f"{file}: {name} is an array of numpy that holds no plain numbers; save a tensor in "
            f"its place, or leave it out (--skip {name!r})"
        ) from error


@contextmanager
def _refusal(file: Path, name: str, x: Any) -> Iterator[None]:
    try:
        yield
    except (NotImplementedError, RuntimeError, TypeError) as error:
        layout = str(x.layout).removeprefix("torch.")
        kind = str(x.dtype).removeprefix("torch.")
        told, mend = {
            "strided": (f"has type {kind}, which numpy does not know", "convert it with .float()")
        }.get(layout, (f"is sparse ({layout})", "convert it with .to_dense()"))
        if x.is_quantized:
            told, mend = f"is quantised ({kind})", "convert it with .dequantize()"
        elif x.is_meta:
            told, mend = "has no values (device meta)", "save it from a device"
        raise TypeError(
            f"{file}: {name} {told}; {mend}, or leave it out (--skip {name!r})"
        ) from error


def package() -> Any:
    """Return PyTorch, or say how to install it."""
    try:
        import torch
    except ImportError as error:
        raise extras.missing(f"a file {', '.join(SUFFIXES)}", "networks") from error
    return torch
