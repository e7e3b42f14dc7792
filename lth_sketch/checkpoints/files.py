"""Whole files in, whole files out: the suffix names the format."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from lth_sketch.checkpoints import npz, state_dicts, tensors
from lth_sketch.validation import Array

Arrays = dict[str, Array]


def read(path: str | os.PathLike[str]) -> Arrays:
    """Read the arrays of a checkpoint, by name. No code of the file is executed.

    Parameters
    ----------
    path : path
        An ``.npz`` file; ``.safetensors`` (needs the package safetensors); or ``.pt``, ``.pth``,
        ``.bin``, ``.ckpt`` with a state_dict, alone or under the key "state_dict",
        "model_state_dict" or "model" (needs PyTorch; loaded with ``weights_only``).

    Returns
    -------
    dict of arrays
        Half precisions as float32.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If the package that reads this format is missing.
    ValueError
        If the suffix is none of these, or the file is truncated or no such checkpoint.

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
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}; pass the path of a checkpoint")
    return _format(file)[0](file)


def write(path: str | os.PathLike[str], arrays: Mapping[str, Array]) -> None:
    """Write arrays to a file whose suffix names the format, see `read`; whole or not at all.

    Parameters
    ----------
    path : path
        An existing file is replaced.
    arrays : mapping from name to array
        What is written.

    Raises
    ------
    ImportError
        If the package that writes this format is missing.
    ValueError
        If the suffix is unknown.
    """
    file = Path(path)
    _, save = _format(file)
    handle, partial = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    os.close(handle)
    try:
        save(Path(partial), dict(arrays))
        # mkstemp lets nobody else read; give the file the usual permissions.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(partial, 0o666 & ~mask)
        os.replace(partial, file)
    except BaseException:
        os.unlink(partial)
        raise


def check_suffix(path: str | os.PathLike[str]) -> None:
    """Refuse a file name whose suffix names no format, before any work is done."""
    _format(Path(path))


def _format(file: Path) -> tuple[Callable[[Path], Arrays], Callable[[Path, Arrays], None]]:
    suffix = file.suffix.lower()
    if suffix == ".npz":
        return npz.read, npz.write
    if suffix == ".safetensors":
        return tensors.read, tensors.write
    if suffix in state_dicts.SUFFIXES:
        return state_dicts.read, state_dicts.write
    known = ", ".join((".npz", ".safetensors", *state_dicts.SUFFIXES))
    raise ValueError(f"the suffix of {file.name!r} must be one of {known}; got {suffix!r}")
