"""Files of PyTorch with a state_dict."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lth_sketch.checkpoints.damage import broken
from lth_sketch.validation import Array

Arrays = dict[str, Array]

SUFFIXES = (".bin", ".ckpt", ".pt", ".pth")
# Where trainers put the weights among other things.
NESTS = ("state_dict", "model_state_dict", "model")


def read(file: Path) -> Arrays:
    """Read a state_dict."""
    torch = _torch()
    try:
        with warnings.catch_warnings():
            # Said of plain pickles, which are then refused in our own words.
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
            content = torch.load(file, map_location="cpu", weights_only=True)
    except (EOFError, KeyError, OSError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise broken(file, "checkpoint of tensors alone", error) from error
    for nest in NESTS:
        if isinstance(content, Mapping) and isinstance(content.get(nest), Mapping):
            content = content[nest]
    if not isinstance(content, Mapping):
        raise ValueError(
            f"{file} holds a {type(content).__name__}, no state_dict: save model.state_dict()"
        )
    tensors = {str(name): x for name, x in content.items() if isinstance(x, torch.Tensor)}
    found: Arrays = {}
    # Tensors that share their memory must still do so when they are widened.
    widened: dict[tuple[int, tuple[int, ...]], Array] = {}
    for name, x in tensors.items():
        if x.layout == torch.strided and x.dtype in (torch.float16, torch.bfloat16):
            place = (x.data_ptr(), tuple(x.shape))
            found[name] = widened.setdefault(place, x.detach().float().numpy())
        elif x.layout == torch.strided:
            found[name] = x.detach().numpy()
    return found


def write(file: Path, arrays: Arrays) -> None:
    """Write a state_dict."""
    torch = _torch()
    torch.save({name: torch.as_tensor(array) for name, array in arrays.items()}, file)


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"files {', '.join(SUFFIXES)} need PyTorch: pip install 'lth_sketch[networks]'"
        ) from error
    return torch
