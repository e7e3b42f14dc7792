"""Which arrays of a checkpoint are pruned, and their masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lth_sketch import named, pruning, validation
from lth_sketch.checkpoints import semi_structured
from lth_sketch.checkpoints.layers import reparametrised
from lth_sketch.checkpoints.patterns import left_out
from lth_sketch.checkpoints.sharing import repeats, shared
from lth_sketch.validation import Array

Arrays = dict[str, Array]

SCORES = ("magnitude", "random")


def prunable(arrays: Mapping[str, Array], *, skip: str | Sequence[str] = ()) -> Arrays:
    """Return the weights that are pruned: arrays of two axes or more.

    Vectors (biases, normalisation) and numbers stay out. A file does not tell an embedding from a
    linear layer: name what is to stay whole in `skip`.

    Parameters
    ----------
    arrays : mapping from name to array
        A checkpoint.
    skip : str or sequence of str
        Patterns as of a shell, or names, for instance ``"*embed*"``; each must match a name.

    Returns
    -------
    dict of arrays
        Weights, in the order of the file.

    Raises
    ------
    TypeError
        If such an array holds integers or other things that are no weights.
    ValueError
        If none is left, one is pruned or parametrised already, two have an entry in common (views,
        transposes, slices), a pattern of `skip` matches nothing, or an entry is not finite.

    Examples
    --------
    >>> list(prunable({"fc.weight": np.ones((2, 3)), "fc.bias": np.ones(2)}))
    ['fc.weight']
    """
    dropped = left_out(arrays, skip)
    kept = {name: array for name, array in arrays.items() if name not in dropped}
    chosen: Arrays = {}
    for name, array in kept.items():
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{name} must be a numpy array; got {type(array).__name__}")
        if array.ndim < 2 or array.size == 0:
            continue
        layer = reparametrised(name, arrays)
        if layer is not None:
            raise ValueError(f"{name} belongs to {layer} and save again")
        if array.dtype.kind != "f":
            raise TypeError(
                f"{name} must hold floating-point numbers to be pruned; got dtype {array.dtype}: "
                f"convert it, or leave it out (--skip {name!r})"
            )
        chosen[name] = array
    _refuse_shared(chosen, kept)
    if not chosen:
        raise ValueError(
            f"there are no prunable weights among {_listed(kept)}: weights have two axes or more"
        )
    return {
        name: validation.array(name, array, ndim=tuple(range(2, array.ndim + 1)))
        for name, array in chosen.items()
    }


def masks(
    arrays: Mapping[str, Array],
    density: float | None = None,
    *,
    pattern: tuple[int, int] | None = None,
    score: str = "magnitude",
    skip: str | Sequence[str] = (),
    rng: np.random.Generator | int | None = None,
    **options: Any,
) -> Arrays:
    """Return masks for the weights of a checkpoint.

    Parameters
    ----------
    arrays : mapping from name to array
        A checkpoint, see `read`.
    density : float, optional
        Share of the prunable weights that is kept, in (0, 1]. A pattern has its own.
    pattern : (int, int), optional
        (n, M), such as (2, 4): n of every M consecutive weights of a row, as in `prune`.
    score : {"magnitude", "random"}
        What a weight's size tells, or nothing: other scores need the network.
    skip : str or sequence of str
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
    if pattern is not None:
        design, floor = options.get("design", "top"), options.get("floor", 0)
        pattern = semi_structured.agreed(pattern, density, design, floor)
    else:
        density = validation.share("density", density)
    generator = validation.generator(rng)
    weights = prunable(arrays, skip=skip)
    binary = options.get("binary", True)
    kind = np.bool_ if binary else np.float32
    if pattern is not None:
        selected = semi_structured.masks(
            weights, pattern, alike=score == "random", design=design, binary=binary, rng=generator
        )
        return {name: mask.astype(kind) for name, mask in selected.items()}
    assert density is not None
    if score == "magnitude":
        scores = {name: np.abs(array) for name, array in weights.items()}
    else:
        ends = np.cumsum([array.size for array in weights.values()])
        parts = np.split(pruning.random(int(ends[-1]), generator), ends[:-1])
        pairs = zip(weights.items(), parts, strict=True)
        scores = {name: part.reshape(array.shape) for (name, array), part in pairs}
    selected = named.select(scores, density, rng=generator, **options)
    return {name: mask.astype(kind) for name, mask in selected.items()}


def _refuse_shared(chosen: Arrays, kept: Arrays) -> None:
    """Refuse weights of which a mask would untie entries that are one."""
    for name, array in chosen.items():
        if repeats(array):
            raise ValueError(
                f"{name} holds entries that share one place in memory (an expanded tensor); a mask "
                f"would untie them: save a copy (.clone()), or leave it out (--skip {name!r})"
            )
    pair = shared(kept, chosen)
    if pair is not None:
        raise ValueError(
            f"{pair[0]} and {pair[1]} share one parameter; a mask for one would untie them: leave "
            f"one out (--skip {pair[1]!r})"
        )


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - 12} more" if len(listed) > 12 else ""
    return ", ".join(listed[:12]) + more or "no arrays"
