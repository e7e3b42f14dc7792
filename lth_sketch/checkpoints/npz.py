"""Files .npz of plain arrays: every member is an array, and every name finds its own."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np

from lth_sketch.checkpoints.damage import broken
from lth_sketch.validation import Array

Arrays = dict[str, Array]
Chosen = Callable[[list[str]], list[str]]

WANTED = ".npz file of plain arrays"
# Arguments of numpy's own writer, which takes the names of arrays as arguments too.
RESERVED = ("allow_pickle", "file")
# Bytes in the name of a member of an archive, at most.
LONGEST = 0xFFFF


def read(file: Path, chosen: Chosen = list) -> Arrays:
    """Read those arrays whose names are chosen; halves as float32."""
    with _told(file):
        archive = ZipFile(file)
    with archive:
        with _told(file):
            members = {_name(member): member for member in archive.namelist()}
            if len(members) < len(archive.namelist()):
                raise _Damaged("two of its members have one name")
        names = chosen(list(members))
        with _told(file):
            # Read whole, so that its checksum is compared before its header is believed.
            return {name: _array(name, archive.read(members[name])) for name in names}


def write(file: Path, arrays: Arrays) -> None:
    """Write the arrays, under any names."""
    for name in arrays:
        if "\0" in name:
            raise ValueError(f"a name in an .npz file must not hold a zero byte; got {name!r}")
        if f"{name}.npy" in arrays:
            raise ValueError(
                f"numpy takes {name!r} and {name + '.npy'!r} of an .npz file for one; rename one, "
                "or write .safetensors"
            )
        if len(f"{name}.npy".encode(errors="surrogatepass")) > LONGEST:
            raise ValueError(
                f"{name[:20]!r}... cannot be written as a name in an .npz file, which has at most "
                f"{LONGEST:,} bytes; shorten it"
            )
        if arrays[name].dtype.hasobject:
            raise TypeError(f"{name} must hold numbers to be written; got objects")
    ordinary = {name: array for name, array in arrays.items() if name not in RESERVED}
    # A file handle, because a name without .npz would get it appended.
    with file.open("w+b") as handle:
        np.savez_compressed(handle, **ordinary)  # type: ignore[arg-type]
        with ZipFile(handle, "a", ZIP_DEFLATED) as archive:
            for name in (name for name in RESERVED if name in arrays):
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, arrays[name], allow_pickle=False)


class _Damaged(Exception):
    """Damage that can be told in words of ours."""


@contextmanager
def _told(file: Path) -> Iterator[None]:
    try:
        yield
    except _Damaged as error:
        raise broken(file, WANTED, str(error)) from None
    # A damaged archive can raise almost anything.
    except Exception as error:
        raise broken(file, WANTED, error) from error


def _name(member: str) -> str:
    if not member.endswith(".npy"):
        raise _Damaged(f"it holds {member!r}, which is no array")
    return member.removesuffix(".npy")


def _array(name: str, content: bytes) -> Array:
    handle = io.BytesIO(content)
    version = np.lib.format.read_magic(handle)
    header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if header is None:
        return np.asarray(np.lib.format.read_array(io.BytesIO(content), allow_pickle=False))
    shape, fortran, dtype = header(handle)
    if dtype.hasobject:
        raise _Damaged(f"{name} holds objects, which only code of their own can load")
    size = math.prod(shape)
    if len(content) - handle.tell() != size * dtype.itemsize:
        raise _Damaged(f"{name} is not as long as its shape says")
    flat = np.frombuffer(bytearray(content), dtype, count=size, offset=handle.tell())
    return flat.reshape(shape, order="F" if fortran else "C")
