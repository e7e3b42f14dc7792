"""Masks for checkpoints of any size, on one machine or on many, in two reads of the files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np

from lth_sketch import validation
from lth_sketch.checkpoints import files, in_memory, plans, semi_structured, shards
from lth_sketch.checkpoints.runs import Pruned, Run
from lth_sketch.checkpoints.shards import Model, Shards
from lth_sketch.checkpoints.unfinished import Outputs
from lth_sketch.checkpoints.weights import SCORES
from lth_sketch.parallel.executors import check
from lth_sketch.pruning.selection import SCOPES


def prune(
    model: Model,
    out: str | os.PathLike[str],
    *,
    density: float | None = None,
    pattern: tuple[int, int] | None = None,
    score: str = "magnitude",
    design: str = "top",
    scope: str = "global",
    floor: int = 0,
    skip: str | Sequence[str] = (),
    rescale: bool = False,
    apply: bool = False,
    rng: np.random.Generator | int | None = None,
    executor: Executor | None = None,
    n_jobs: int | None = None,
) -> Pruned:
    """Draw a mask for the weights of a checkpoint that need not fit into memory.

    The weights (arrays of two axes or more) are taken in the order of their names, as one vector p
    of magnitudes: the mask is ``sampling.draw(p, s, design=design, rng=rng.spawn(1)[0])``, bit for
    bit, whatever the number of files, threads, workers and machines. With scope "layer" each weight
    is a vector of its own, with a child of `rng` of its own. With a pattern the masks are those of
    ``pruning.select(magnitudes, pattern=pattern, rng=rng)``. Files ``.safetensors`` are read in
    pieces: twice for weights of 16 bits or a pattern, once more for a floor, for priority with
    `rescale`, and for float32 where a threshold hangs on the last bits.

    Parameters
    ----------
    model : path, or sequence of paths
        A file as for `read`; or a checkpoint of many ``.safetensors`` files: their index, the
        folder that holds them, or a list of them.
    out : path
        A file for a file; for many files a folder, which is made. An existing file is replaced when
        its successor is whole.
    density : float, optional
        Share of the prunable weights that is kept, in (0, 1]. A pattern has its own.
    pattern : (int, int), optional
        (n, M), such as (2, 4): n of every M consecutive weights of a row (of what belongs to one
        entry of the first axis), the largest ("top") or an unbiased draw ("systematic").
    score : {"magnitude", "random"}
        Whether a weight's size tells, or each counts alike ("top" is "priority" then).
    design, scope, floor
        As in `pruning.select`, for "multinomial", "poisson", "priority", "systematic" and "top".
        What a floor keeps takes no part in the draw: it counts as zero in p.
    skip : str or sequence of str
        Patterns of names, as of a shell, of weights to leave whole; each must match a name.
    rescale : bool
        The weights that make a draw unbiased, not ones.
    apply : bool
        Write the checkpoint itself, in its own types and under its mask, not the mask: booleans, or
        float32 with `rescale`.
    rng : Generator, int or None
        Source of randomness.
    executor : concurrent.futures.Executor, optional
        Where pieces are read and written, for instance dask's ``client.get_executor()``: workers
        must see the files under the same names. By default threads here.
    n_jobs : int, optional
        Number of local threads; by default all processors.

    Returns
    -------
    Pruned
        How many weights are kept, and what was read and written.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    OSError
        If the result does not fit onto the disk; nothing is written then.
    TypeError
        If a weight is no floating-point number, or an argument of another type.
    ValueError
        If a file is damaged; a weight is not finite (the first is named); the density keeps
        nothing, or more than a draw can; M does not divide the rows of a weight, which is named;
        `out` is the checkpoint itself.

    Notes
    -----
    A run that is killed leaves a plan beside what it has finished: the same call goes on. At most
    512 MB of memory are taken, whatever the size of the checkpoint. Other formats than
    ``.safetensors``, of the checkpoint or of `out`, and float64 weights, are drawn in memory.

    Examples
    --------
    >>> import tempfile
    >>> from lth_sketch import checkpoints
    >>> folder = Path(tempfile.mkdtemp())
    >>> weights = {"fc.weight": np.array([[3.0, 1.0], [0.5, 2.0]], np.float32)}
    >>> checkpoints.write(folder / "model.safetensors", weights)
    >>> report = prune(folder / "model.safetensors", folder / "mask.safetensors", density=0.5)
    >>> report.kept
    {'fc.weight': Kept(kept=2, size=4)}
    >>> checkpoints.read(folder / "mask.safetensors")["fc.weight"]
    array([[ True, False],
           [False,  True]])
    """
    validation.choice("score", score, SCORES)
    validation.choice("design", design, plans.DESIGNS)
    validation.choice("scope", scope, SCOPES)
    floor = validation.count("floor", floor, minimum=0)
    if pattern is not None:
        pattern = semi_structured.agreed(pattern, density, design, floor)
    threads = validation.workers(n_jobs)
    if executor is not None:
        check(executor)
    target = Path(out)
    asked: dict[str, Any] = {
        "density": density, "pattern": None if pattern is None else list(pattern),
        "score": score, "design": design, "scope": scope, "floor": floor,
        "skip": [skip] if isinstance(skip, str) else list(skip), "rescale": rescale, "apply": apply,
    }  # fmt: skip
    single = shards.single_file(model)
    if single is not None:
        files.check_weights(single)
        if single.suffix.lower() != ".safetensors":
            return Pruned(*in_memory.prune(single, target, asked, rng))
    stored = shards.opened(model)
    tensors = plans.prunable(stored.tensors, skip)
    if pattern is not None:
        semi_structured.check_rows(*pattern, {t.name: t.shape for t in tensors})
    _check_places(stored, target, single is None)
    wide = [tensor.name for tensor in tensors if tensor.dtype == "F64"]
    other = target.suffix.lower() != ".safetensors"
    if single is not None and (wide or other):
        return Pruned(*in_memory.prune(single, target, asked, rng))
    if wide:
        raise TypeError(
            f"{wide[0]} holds float64 weights, which are drawn in memory, from a single file; "
            f"convert it to float32, or leave it out (--skip {wide[0]!r})"
        )
    names, sizes = [t.name for t in tensors], [t.size for t in tensors]
    if pattern is None:
        groups = plans.grouped(names, sizes, density, scope, floor)
    else:
        groups = plans.patterned(names, sizes, *pattern)
    outputs = Outputs(stored, tensors, target, folder=single is None, apply=apply, rescale=rescale)
    return Run(stored, tensors, groups, outputs, asked, executor, threads).go(rng)


def in_pieces(model: Model, design: str) -> bool:
    """Whether a mask is drawn by `prune`: for many files, or for one of .safetensors.

    Parameters
    ----------
    model : path, or list of paths
        A file, an index of shards, a folder, or a list of files.
    design : str
        Of a single file, draws with replacement and those that `prune` does not know are made in
        memory: their masks do not hang on the format of `out`.
    """
    single = shards.single_file(model)
    if single is None:
        return True
    streamed = design in plans.DESIGNS and design != "multinomial"
    return streamed and single.suffix.lower() == ".safetensors"


def _check_places(stored: Shards, target: Path, folder: bool) -> None:
    """Refuse to write onto what is read, or a folder where a file is due."""
    if folder and target.exists() and not target.is_dir():
        raise ValueError(
            f"out must be a folder, for a checkpoint of many files; got the file {target}"
        )
    if not folder and target.is_dir():
        raise ValueError(f"out must be a file, for a checkpoint of one; {target} is a folder")
    if not folder:
        files.check_suffix(target)
    if not folder and not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent}; make it first")
    for file in stored.files:
        written = target / file.name if folder else target
        if written.resolve() == file.resolve():
            raise ValueError(f"out must differ from the checkpoint; {written} would be overwritten")
