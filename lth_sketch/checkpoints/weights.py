"""Which arrays of a checkpoint are pruned, and their masks."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lth_sketch import named, pruning, validation
from lth_sketch.validation import Array

Arrays = dict[str, Array]

SCORES = ("magnitude", "random")


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
