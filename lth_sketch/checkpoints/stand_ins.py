"""Stand-ins for what checkpoints hold beside tensors: they keep what they are given, run nothing.

PyTorch's restricted unpickler calls only what it is told to trust. These classes carry the names of
harmless things that trainers save (arrays of numpy, paths, namespaces, dates) and take their place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from lth_sketch.validation import Array

NUMPY = (
    "numpy.dtype",
    "numpy.ndarray",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
)
HARMLESS = (
    "argparse.Namespace",
    "types.SimpleNamespace",
    "_codecs.encode",
    "datetime.date",
    "datetime.datetime",
    "datetime.timedelta",
    "datetime.timezone",
    "decimal.Decimal",
    "fractions.Fraction",
    "uuid.UUID",
    *(f"builtins.{kind}" for kind in ("bool", "dict", "float", "int", "list", "str", "tuple")),
    *(
        f"{module}.{kind}"
        for module in ("pathlib", "pathlib._local")
        for kind in ("PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath", "Path")
    ),
)


class StandIn:
    """Keeps the arguments and the state of the thing whose place it takes."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _class(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return type(name, (StandIn,), {"__module__": module, "__qualname__": name})


def _empty(path: str, kind: type) -> Any:
    """Return a function under this name that makes an empty list or dict, to be filled."""

    def make(*arguments: Any) -> Any:
        return kind()

    make.__module__, _, make.__qualname__ = path.rpartition(".")
    make.__name__ = make.__qualname__
    return make


STAND_INS = (
    *(_class(path) for path in (*NUMPY, *HARMLESS)),
    _empty("collections.defaultdict", dict),
    _empty("collections.deque", list),
)


@contextmanager
def trusted(torch: Any) -> Iterator[None]:
    """Let PyTorch's restricted unpickler put the stand-ins where such things are named."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals(list(STAND_INS))
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def axes(value: Any) -> int:
    """Return the number of axes of the array of numpy that a stand-in stands for, or -1."""
    if not isinstance(value, StandIn) or type(value).__name__ != "_reconstruct":
        return -1
    state = getattr(value, "state", None)
    return len(state[1]) if isinstance(state, tuple) and len(state) == 5 else -1


def array(value: StandIn) -> Array:
    """Return the array that a stand-in stands for.

    Raises
    ------
    TypeError, ValueError
        If it holds objects, or is damaged.
    """
    _, shape, kind, fortran, content = value.state
    order = kind.state[1] if kind.state else "="
    dtype = np.dtype(kind.arguments[0]).newbyteorder("=" if order == "|" else order)
    if dtype.hasobject:
        raise TypeError("an array of objects")
    data = bytearray(_bytes(content))
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _bytes(content: Any) -> bytes:
    """Undo what becomes of bytes in the older protocols."""
    if isinstance(content, StandIn):
        text, encoding = content.arguments
        return str(text).encode("latin1" if encoding == "latin1" else "ascii")
    return bytes(content)
