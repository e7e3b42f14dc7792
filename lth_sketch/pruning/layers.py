"""Scores and masks of one layer or a list of layers: checks, signs, the control by shuffle."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from lth_sketch import conversion, validation
from lth_sketch.validation import Array

Layers = TypeVar("Layers", Array, list[Array])

AXES = (1, 2, 3, 4)


def nonnegative(scores: Layers, how: str) -> Layers:
    """Return signed scores as weights of a draw.

    Parameters
    ----------
    scores : array or list of arrays
        Layers of either sign, of one layer or of several.
    how : {"shift", "absolute"}
        "shift" keeps the order: the least score of all layers becomes zero, and that entry is never
        drawn. "absolute" keeps the sizes: a score far below zero counts as much as one far above.

    Returns
    -------
    array or list of arrays
        Layers >= 0, of the same shapes.

    Raises
    ------
    TypeError, ValueError
        If a score is not real and finite, or `how` is none of the above.

    Examples
    --------
    >>> import numpy as np
    >>> signed = np.array([-1.0, 0.0, 3.0])
    >>> nonnegative(signed, "shift"), nonnegative(signed, "absolute")
    (array([0., 1., 4.]), array([1., 0., 3.]))
    """
    validation.choice("how", how, ("absolute", "shift"))
    layers, several = split(scores)
    if how == "absolute":
        found = [np.abs(layer) for layer in layers]
    else:
        least = min(layer.min() for layer in layers)
        found = [layer - least for layer in layers]
    result: Layers = join(found, several)
    return result


def shuffle(masks: Layers, rng: np.random.Generator | int | None = None) -> Layers:
    """Return masks whose entries are permuted at random within each layer.

    The control of a pruning method: does it matter which weights of a layer are kept, or only how
    many? All orders of a layer's entries, along all of its axes, are equally likely.

    Parameters
    ----------
    masks : array or list of arrays
        Masks of one layer or of several, binary or with weights. They are not changed.
    rng : Generator, int or None
        Source of randomness.

    Returns
    -------
    array or list of arrays
        Masks of the same shapes, with the same entries in each layer.

    Raises
    ------
    TypeError, ValueError
        If a mask is not real and finite, or `rng` none of the above.

    References
    ----------
    Frankle, Dziugaite, Roy, Carbin, Pruning Neural Networks at Initialization: Why Are We Missing
    the Mark?, ICLR 2021, section 5; Su et al., Sanity-Checking Pruning Methods: Random Tickets can
    Win the Jackpot, NeurIPS 2020, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> shuffled = shuffle(np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]), rng=0)
    >>> shuffled.shape, int(shuffled.sum())
    ((2, 3), 3)
    """
    generator = validation.generator(rng)
    layers, several = split(masks, name="masks")
    # Flat, because permuting an array of two axes would permute its rows alone.
    found = [generator.permutation(x.ravel()).reshape(x.shape) for x in layers]
    result: Layers = join(found, several)
    return result


def split(scores: Any, *, name: str = "scores", log: bool = False) -> tuple[list[Array], bool]:
    """Return the checked layers of scores, and whether they came as a list.

    A list or tuple with an array or a tensor in it is one entry a layer; anything else, lists of
    numbers among them, is a single layer. In the log domain minus infinity stands for a score of
    zero.
    """
    several = isinstance(scores, list | tuple) and (
        not scores or any(getattr(layer, "ndim", 0) for layer in scores)
    )
    if several and not len(scores):
        raise ValueError(f"{name} must hold at least one layer; got none")
    layers = []
    for index, layer in enumerate(scores if several else [scores]):
        title = layer_name(name, index, several)
        values = conversion.real(title, layer)
        zero = (values == -np.inf) if log else None
        if zero is not None and zero.any():
            checked = validation.array(title, np.where(zero, 0.0, values), ndim=AXES)
            layers.append(np.where(zero, -np.inf, checked))
        else:
            layers.append(validation.array(title, values, ndim=AXES))
    return layers, several


def join(layers: list[Array], several: bool) -> Any:
    """Return layers in the form in which they came: the inverse of `split`."""
    return layers if several else layers[0]


def layer_name(name: str, index: int, several: bool) -> str:
    """Return what an error calls a layer."""
    return f"{name}[{index}]" if several else name
