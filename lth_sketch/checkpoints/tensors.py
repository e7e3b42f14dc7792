"""Files .safetensors, which need the package safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lth_sketch.checkpoints.damage import broken
from lth_sketch.validation import Array

Arrays = dict[str, Array]


def read(file: Path) -> Arrays:
    """Read a ``.safetensors`` file."""
    package = _package()
    try:
        return dict(package.load_file(file))
    except (package.SafetensorError, KeyError, OSError, TypeError) as error:
        raise broken(file, ".safetensors file of types that numpy knows", error) from error


def write(file: Path, arrays: Arrays) -> None:
    """Write a ``.safetensors`` file."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    _package().save_file(contiguous, file)


def _package() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "files .safetensors need the package safetensors: pip install safetensors"
        ) from error
    package: Any = safetensors.numpy
    package.SafetensorError = safetensors.SafetensorError
    return package
