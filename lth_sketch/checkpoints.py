"""Weights and masks in files (.npz, .safetensors, state_dict), without code of a network."""

from __future__ import annotations

import fnmatch
import os
import pickle
import tempfile
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from lth_sketch import named, pruning, validation
from lth_sketch.validation import Array

Arrays = dict[str, Array]

TORCH = (".bin", ".ckpt", ".pt", ".pth")
SCORES = ("magnitude", "random")
# Where trainers put the weights among other things.
NESTS = ("state_dict", "model_state_dict", "model")


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
    >>> path = Path(tempfile.mkdtemp()) / "weights.npz"
    >>> write(path, {"fc.weight": np.ones((2, 3))})
    >>> {name: array.shape for name, array in read(path).items()}
    {'fc.weight': (2, 3)}
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}; pass the path of a checkpoint")
    return _reader(file)(file)


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
    save = _writer(file)
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


def prunable(arrays: Mapping[str, Array], *, skip: Sequence[str] = ()) -> Arrays:
    """Return the weights that are pruned: arrays of two axes or more.

    Vectors (biases, normalisation) and numbers stay out. A file does not tell an embedding from a
    linear layer: name what is to stay whole in `skip`.

    Parameters
    ----------
    arrays : mapping from name to array
        A checkpoint.
    skip : sequence of str
        Patterns as of a shell, for instance ``"*embed*"``.

    Returns
    -------
    dict of arrays
        Weights, in the order of the file.

    Raises
    ------
    TypeError
        If such an array holds integers or other things that are no weights.
    ValueError
        If none is left, one is pruned already, two share their memory, or an entry is not finite.

    Examples
    --------
    >>> list(prunable({"fc.weight": np.ones((2, 3)), "fc.bias": np.ones(2)}))
    ['fc.weight']
    """
    found: Arrays = {}
    owners: dict[int, str] = {}
    for name, array in arrays.items():
        if array.ndim < 2 or array.size == 0 or any(fnmatch.fnmatch(name, p) for p in skip):
            continue
        if array.dtype.kind != "f":
            raise TypeError(
                f"{name} must hold floating-point numbers to be pruned; got dtype {array.dtype}: "
                f"convert it, or leave it out (--skip {name!r})"
            )
        if name.endswith("_mask") or name.endswith("_orig"):
            raise ValueError(
                f"{name} belongs to a pruned layer; call torch.nn.utils.prune.remove on the layers "
                "and save again"
            )
        first = owners.setdefault(array.__array_interface__["data"][0], name)
        if first != name:
            raise ValueError(
                f"{first} and {name} share one parameter; a mask for one would untie them: leave "
                f"one out (--skip {name!r})"
            )
        found[name] = validation.array(name, array, ndim=tuple(range(2, array.ndim + 1)))
    if not found:
        raise ValueError(
            f"there are no prunable weights among {', '.join(arrays) or 'no arrays'}: weights have "
            "two axes or more"
        )
    return found


def masks(
    arrays: Mapping[str, Array],
    density: float,
    *,
    score: str = "magnitude",
    skip: Sequence[str] = (),
    rng: np.random.Generator | int | None = None,
    **options: Any,
) -> Arrays:
    """Return masks for the weights of a checkpoint.

    Parameters
    ----------
    arrays : mapping from name to array
        A checkpoint, see `read`.
    density : float
        Share of the prunable weights that is kept, in (0, 1].
    score : {"magnitude", "random"}
        What a weight's size tells, or nothing: other scores need the network.
    skip : sequence of str
        As in `prunable`.
    rng : Generator, int or None
        Source of randomness.
    **options
        design, binary, scope and floor, as in `named.select`.

    Returns
    -------
    dict of arrays
        Masks by name: booleans, or float32 weights for ``binary=False``.

    Raises
    ------
    TypeError, ValueError
        As `prunable` and `named.select`.

    Examples
    --------
    >>> masks({"fc.weight": np.array([[3.0, 1.0]])}, 0.5)
    {'fc.weight': array([[ True, False]])}
    """
    validation.choice("score", score, SCORES)
    generator = validation.generator(rng)
    weights = prunable(arrays, skip=skip)
    if score == "magnitude":
        scores = {name: np.abs(array) for name, array in weights.items()}
    else:
        ends = np.cumsum([array.size for array in weights.values()])
        parts = np.split(pruning.random(int(ends[-1]), generator), ends[:-1])
        pairs = zip(weights.items(), parts, strict=True)
        scores = {name: part.reshape(array.shape) for (name, array), part in pairs}
    found = named.select(scores, density, rng=generator, **options)
    kind = np.bool_ if options.get("binary", True) else np.float32
    return {name: mask.astype(kind) for name, mask in found.items()}


def check_suffix(path: str | os.PathLike[str]) -> None:
    """Refuse a file name whose suffix names no format, before any work is done."""
    _writer(Path(path))


def _reader(file: Path) -> Callable[[Path], Arrays]:
    return _formats(file)[0]


def _writer(file: Path) -> Callable[[Path, Arrays], None]:
    return _formats(file)[1]


def _formats(file: Path) -> tuple[Callable[[Path], Arrays], Callable[[Path, Arrays], None]]:
    suffix = file.suffix.lower()
    if suffix == ".npz":
        return _read_npz, _write_npz
    if suffix == ".safetensors":
        return _read_safetensors, _write_safetensors
    if suffix in TORCH:
        return _read_torch, _write_torch
    known = ", ".join((".npz", ".safetensors", *TORCH))
    raise ValueError(f"the suffix of {file.name!r} must be one of {known}; got {suffix!r}")


def _read_npz(file: Path) -> Arrays:
    try:
        # Opened here: numpy leaves a broken file open.
        with file.open("rb") as handle:
            content = np.load(handle, allow_pickle=False)
            return {name: content[name] for name in content.files}
    except (AttributeError, EOFError, OSError, ValueError, BadZipFile, zlib.error) as error:
        raise _broken(file, ".npz file of plain arrays", error) from error


def _write_npz(file: Path, arrays: Arrays) -> None:
    # A file handle, because a name without .npz would get it appended.
    with file.open("wb") as handle:
        np.savez_compressed(handle, **arrays)  # type: ignore[arg-type]


def _read_safetensors(file: Path) -> Arrays:
    package = _safetensors()
    try:
        return dict(package.load_file(file))
    except (package.SafetensorError, KeyError, OSError, TypeError) as error:
        raise _broken(file, ".safetensors file of types that numpy knows", error) from error


def _write_safetensors(file: Path, arrays: Arrays) -> None:
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    _safetensors().save_file(contiguous, file)


def _read_torch(file: Path) -> Arrays:
    torch = _torch()
    try:
        with warnings.catch_warnings():
            # Said of plain pickles, which are then refused in our own words.
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
            content = torch.load(file, map_location="cpu", weights_only=True)
    except (EOFError, KeyError, OSError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise _broken(file, "checkpoint of tensors alone", error) from error
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


def _write_torch(file: Path, arrays: Arrays) -> None:
    torch = _torch()
    torch.save({name: torch.as_tensor(array) for name, array in arrays.items()}, file)


def _safetensors() -> Any:
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


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"files {', '.join(TORCH)} need PyTorch: pip install 'lth_sketch[networks]'"
        ) from error
    return torch


def _broken(file: Path, wanted: str, error: BaseException) -> ValueError:
    reason = str(error).strip().splitlines()
    return ValueError(
        f"{file} is no {wanted}, or it is truncated ({type(error).__name__}"
        f"{': ' + reason[0] if reason else ''}); save it again, or name another file"
    )
