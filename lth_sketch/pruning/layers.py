"""Scores and masks of one layer or a list of layers: checks, signs, the control by shuffle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from lth_sketch import conversion, labels, validation
from lth_sketch.validation import Array

Layers = TypeVar("Layers", Array, list[Array], dict[str, Array])

AXES = (1, 2, 3, 4)


class Split(NamedTuple):
    """Checked layers, what an error calls each, the names of a mapping, and what was given."""

    layers: list[Array]
    titles: list[str]
    several: bool
    names: list[str] | None
    given: list[Any]

    def join(self, layers: list[Array]) -> Any:
        """Return layers in the form in which they came, with their labels."""
        layers = [labels.like(x, source) for x, source in zip(layers, self.given, strict=True)]
        if self.names is not None:
            return dict(zip(self.names, layers, strict=True))
        return layers if self.several else layers[0]


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
    given = split(scores)
    if how == "absolute":
        shifted = [np.abs(layer) for layer in given.layers]
    else:
        least = min(layer.min() for layer in given.layers)
        shifted = [layer - least for layer in given.layers]
    result: Layers = given.join(shifted)
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
    given = split(masks, name="masks")
    # Flat, because permuting an array of two axes would permute its rows alone.
    shuffled = [generator.permutation(x.ravel()).reshape(x.shape) for x in given.layers]
    result: Layers = given.join(shuffled)
    return result


def split(scores: Any, *, name: str = "scores", log: bool = False) -> Split:
    """Return the checked layers of scores.

    A mapping, or a list or tuple with an array or a tensor in it, is one entry a layer; anything
    else, lists of numbers among them, is a single layer. In the log domain minus infinity stands
    for a score of zero.
    """
    names = list(scores) if isinstance(scores, Mapping) else None
    if names is not None:
        entries, titles = [scores[key] for key in names], [f"{name}[{key!r}]" for key in names]
    elif isinstance(scores, list | tuple) and (
        not scores or any(getattr(layer, "ndim", 0) for layer in scores)
    ):
        entries, titles = list(scores), [f"{name}[{i}]" for i in range(len(scores))]
    else:
        return Split([_checked(name, scores, log)], [name], False, None, [scores])
    if not entries:
        raise ValueError(f"{name} must hold at least one layer; got none")
    if names is not None and any(np.ndim(entry) == 0 for entry in entries):
        raise TypeError(f"{name} is a mapping of single numbers; pass a list of them")
    layers = [_checked(title, layer, log) for title, layer in zip(titles, entries, strict=True)]
    return Split(layers, titles, True, names, entries)


def _checked(title: str, layer: Any, log: bool) -> Array:
    values = conversion.real(title, layer)
    zero = (values == -np.inf) if log else None
    if zero is None or not zero.any():
        return validation.array(title, values, ndim=AXES)
    finite = validation.array(title, np.where(zero, 0.0, values), ndim=AXES)
    return np.where(zero, -np.inf, finite)
