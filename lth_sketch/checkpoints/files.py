"""Whole files in, whole files out: the suffix names the format."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lth_sketch.checkpoints import npz, state_dicts, tensors
from lth_sketch.checkpoints.damage import cannot_open
from lth_sketch.checkpoints.patterns import remaining
from lth_sketch.validation import Array

Arrays = dict[str, Array]

# As the tools of Hugging Face name the parts of a model.
SHARD = re.compile(r".*-(\d{5})-of-(\d{5})\.\w+")


def read(
    path: str | os.PathLike[str], *, key: str | None = None, skip: str | Sequence[str] = ()
) -> Arrays:
    """Read the arrays of a checkpoint, by name. No code of the file is executed.

    Parameters
    ----------
    path : path
        An ``.npz`` file; ``.safetensors`` (needs the package safetensors); or ``.pt``, ``.pth``,
        ``.bin``, ``.ckpt``, where the state_dict is found among whatever else a trainer has saved
        (needs PyTorch; loaded with ``weights_only``). Arrays in dictionaries or lists inside of it
        are called by the keys that lead to them, joined by dots.
    key : str, optional
        Which part to read of a file of PyTorch that holds several sets of weights: the keys that
        lead to it, joined by dots, for instance "generator"; "." for all.
    skip : str or sequence of str
        Patterns as of a shell, or names, of arrays that are not read; whatever their types are.

    Returns
    -------
    dict of arrays
        Half precisions as float32. Tensors that share memory are arrays that share memory.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If the package that reads this format is missing.
    TypeError
        If a tensor is sparse, quantised or of a type that numpy does not know (fp8).
    ValueError
        If the suffix is none of these; the file is damaged, no such checkpoint, or one of several
        files of a model; it holds several sets of weights and `key` picks none; or a pattern of
        `skip` matches no name.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> path = Path(tempfile.mkdtemp()) / "weights.npz"
    >>> write(path, {"fc.weight": np.ones((2, 3))})
    >>> {name: array.shape for name, array in read(path).items()}
    {'fc.weight': (2, 3)}
    """
    file = Path(path)
    check_weights(file)
    load, _ = _format(file)
    options: dict[str, Any] = {}
    if load is state_dicts.read:
        options["key"] = key
    elif key is not None:
        raise ValueError(
            f"key picks a part of a file of PyTorch, and {file} has no parts; got {key!r}: leave "
            "it out"
        )

    def chosen(names: list[str]) -> list[str]:
        return remaining(names, skip, file)

    arrays = load(file, chosen, **options)
    return {
        name: array.astype(np.float32) if array.dtype == np.float16 else array
        for name, array in arrays.items()
    }


def write(path: str | os.PathLike[str], arrays: Mapping[str, Array]) -> None:
    """Write arrays to a file whose suffix names the format, see `read`; whole or not at all.

    What was written is read back and compared before it takes the place of an existing file.

    Parameters
    ----------
    path : path
        An existing file is replaced.
    arrays : mapping from name to array
        What is written, under any names that the format can hold.

    Raises
    ------
    ImportError
        If the package that writes this format is missing.
    OSError
        If the folder is missing, `path` is a folder, or the file cannot be written.
    TypeError
        If a name is no text, or the format has no type for an array.
    ValueError
        If the suffix is unknown, or the format cannot hold a name.
    """
    file = Path(path)
    check_output(file)
    load, save = _format(file)
    plain = {_checked(name): _plain(name, array) for name, array in arrays.items()}
    try:
        handle, partial = tempfile.mkstemp(dir=file.parent, prefix=".lth_sketch.")
        os.close(handle)
    except OSError as error:
        raise _unwritten(file, error) from error
    try:
        save(Path(partial), plain)
        _compare(file, plain, load(Path(partial)))
        # mkstemp lets nobody else read; give the file the usual permissions.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(partial, 0o666 & ~mask)
        os.replace(partial, file)
    except BaseException as error:
        os.unlink(partial)
        if isinstance(error, OSError):
            raise _unwritten(file, error) from error
        if isinstance(error, TypeError | ValueError | MemoryError) or not isinstance(
            error, Exception
        ):
            raise
        raise ValueError(
            f"{file} cannot be written: its format does not hold these arrays "
            f"({type(error).__name__}); shorten their names, or write another format"
        ) from error


def check_suffix(path: str | os.PathLike[str]) -> None:
    """Refuse a file name whose suffix names no format, before any work is done.

    Parameters
    ----------
    path : path
        The name; there need be no such file.

    Raises
    ------
    ValueError
        If the suffix names no format.
    """
    _format(Path(path))


def check_weights(path: str | os.PathLike[str]) -> None:
    """Refuse, before any work is done, a path that names no checkpoint.

    Parameters
    ----------
    path : path
        The file.

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    OSError
        If it is a folder, or may not be read.
    ValueError
        If the suffix names no format, or the file is one of several of a model.
    """
    file = Path(path)
    if file.is_dir():
        raise IsADirectoryError(f"{file} is a folder; pass the path of a checkpoint in it")
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}; pass the path of a checkpoint")
    _format(file)
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        raise cannot_open(file, error) from error
    part = _part(file)
    if part is not None:
        raise ValueError(
            f"{file} is {part} of a model, and a mask is selected among the weights of all; join "
            "the parts in one file, or give this one another name to prune it by itself"
        )


def check_output(
    path: str | os.PathLike[str], *, weights: str | os.PathLike[str] | None = None
) -> None:
    """Refuse, before any work is done, a path that cannot be written to.

    Parameters
    ----------
    path : path
        Where a file is to be written.
    weights : path, optional
        A file that it must not replace.

    Raises
    ------
    ImportError
        If the package that writes this format is missing.
    OSError
        If the folder is missing, `path` is a folder, or may not be written.
    ValueError
        If the suffix names no format, or the two paths name one file.
    """
    file = Path(path)
    if file.is_dir():
        raise IsADirectoryError(f"{file} is a folder; name a file in it")
    _format(file)
    if not file.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {file.parent} for {file.name}; make it first")
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise PermissionError(f"the folder {file.parent} may not be written; name another one")
    if weights is not None and file.exists() and file.samefile(weights):
        raise ValueError(f"--out must differ from the weights; got {file} for both")
    if file.suffix.lower() in state_dicts.SUFFIXES:
        state_dicts.package()
    elif file.suffix.lower() == ".safetensors":
        tensors.package()


def _format(file: Path) -> tuple[Callable[..., Arrays], Callable[[Path, Arrays], None]]:
    suffix = file.suffix.lower()
    if suffix == ".npz":
        return npz.read, npz.write
    if suffix == ".safetensors":
        return tensors.read, tensors.write
    if suffix in state_dicts.SUFFIXES:
        return state_dicts.read, state_dicts.write
    known = ", ".join((".npz", ".safetensors", *state_dicts.SUFFIXES))
    inner = Path(file.stem)
    mend = ""
    if suffix == ".json" and inner.suffix == ".index":
        mend = "; it is the index of a model in several files: join them in one file"
    elif suffix == ".tar" and inner.suffix.lower() in state_dicts.SUFFIXES:
        mend = f"; if torch.save has written it, rename it to {inner.name}"
    elif suffix == ".npy":
        mend = "; save arrays by name with numpy.savez"
    elif suffix in (".gz", ".zip", ".tar", ".tgz", ".xz", ".bz2"):
        mend = "; unpack it first"
    raise ValueError(f"the suffix of {file.name!r} must be one of {known}; got {suffix!r}{mend}")


def _part(file: Path) -> str | None:
    """Return which of several files of a model this is, by its name or the index beside it."""
    match = SHARD.fullmatch(file.name)
    if match and int(match[2]) > 1:
        return f"part {int(match[1])} of {int(match[2])}"
    for index in sorted(file.parent.glob("*.index.json")):
        try:
            parts = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (AttributeError, KeyError, OSError, RecursionError, TypeError, ValueError):
            continue
        if len(parts) > 1 and file.name in parts:
            return f"one of the {len(parts)} parts that {index.name} names"
    return None


def _checked(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"names of arrays must be text; got {name!r}")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"names of arrays must be text that UTF-8 can encode; got {name!r}"
        ) from None
    return name


def _plain(name: str, value: Any) -> Array:
    """Return an array in one piece and in the machine's byte order."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, and a file has no place for its mask; fill it")
    array = np.asarray(value)
    # Not `ascontiguousarray`, which makes a vector of a number.
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")


def _compare(file: Path, asked: Arrays, stored: Arrays) -> None:
    """Refuse what was not written as it was asked."""
    for name, array in asked.items():
        wanted = array.astype(np.float32) if array.dtype == np.float16 else array
        back = stored.get(name)
        if back is not None and back.dtype == np.float16:
            back = back.astype(np.float32)
        if (
            back is None
            or (back.shape, back.dtype) != (wanted.shape, wanted.dtype)
            or not np.array_equal(back, wanted, equal_nan=wanted.dtype.kind in "fc")
        ):
            raise ValueError(
                f"{name!r} does not come back from {file.name} as it was written; rename it, or "
                "write another format"
            )
    if len(stored) != len(asked):
        (other, *_) = set(stored) - set(asked)
        raise ValueError(f"{file.name} would hold {other!r}, which was not written; rename arrays")


def _unwritten(file: Path, error: OSError) -> OSError:
    return OSError(
        f"{file} cannot be written ({error.strerror or error}); make room, or name another folder"
    )
