"""Files .npz of plain arrays."""

from __future__ import annotations

import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from lth_sketch.checkpoints.damage import broken
from lth_sketch.validation import Array

Arrays = dict[str, Array]


def read(file: Path) -> Arrays:
    """Read an ``.npz`` file of plain arrays."""
    try:
        # Opened here: numpy leaves a broken file open.
        with file.open("rb") as handle:
            content = np.load(handle, allow_pickle=False)
            return {name: content[name] for name in content.files}
    except (AttributeError, EOFError, OSError, ValueError, BadZipFile, zlib.error) as error:
        raise broken(file, ".npz file of plain arrays", error) from error


def write(file: Path, arrays: Arrays) -> None:
    """Write an ``.npz`` file of plain arrays."""
    # A file handle, because a name without .npz would get it appended.
    with file.open("wb") as handle:
        np.savez_compressed(handle, **arrays)  # type: ignore[arg-type]
