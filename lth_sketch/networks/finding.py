"""From a module to its mask: scores, and selection in one round or several."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from lth_sketch import named, tolerances, validation
from lth_sketch.networks import saliency, synaptic
from lth_sketch.networks.boundary import Output, tensor
from lth_sketch.networks.layers import Site
from lth_sketch.networks.masking import apply
from lth_sketch.networks.rounds import SCOPES, select_round
from lth_sketch.networks.weights import (
    Patterns,
    choose,
    masked,
    to_numpy,
    values,
)
from lth_sketch.validation import Array

SCORES = ("grasp", "layer", "magnitude", "random", "sketch", "snip", "synflow")

Masks = Mapping[str, Array]
# A score of one's own: module and masks of the earlier rounds in, scores out.
Score = Callable[[nn.Module, Masks | None], Mapping[str, Array]]


class EmptyLayer(UserWarning):
    """A mask keeps nothing of a layer, which cuts the network through."""


def scores(
    module: nn.Module,
    name: str,
    X: Any = None,
    y: Any = None,
    *,
    masks: Masks | None = None,
    rng: np.random.Generator | int | None = None,
    include: Patterns = (),
    exclude: Patterns = (),
    output: Output = None,
) -> dict[str, Array]:
    """Return the scores of that name.

    Parameters
    ----------
    module : torch.nn.Module
        A network. It is not changed.
    name : {"magnitude", "layer", "snip", "grasp", "synflow", "sketch", "random"}
        The score.
    X, y
        Data for all but "magnitude" and "random"; labels for "snip" and "grasp". Of `X` "synflow"
        takes the shape of a sample only. See `source`.
    masks : mapping from name to array, optional
        Masks of an earlier round.
    rng : Generator, int or None
        Source of randomness, for "random".
    include, exclude, output
        As in `jacobian`.

    Returns
    -------
    dict of arrays
        Scores by weight.

    Raises
    ------
    TypeError, ValueError
        As the function of that name; also if its data are missing.

    Examples
    --------
    >>> list(scores(nn.Linear(3, 1), "magnitude"))
    ['weight']
    """
    validation.choice("score", name, SCORES)
    chosen: dict[str, Any] = {"masks": masks, "include": include, "exclude": exclude}
    data = {"snip": "X y", "grasp": "X y", "layer": "X", "sketch": "X", "synflow": "X"}
    for argument in data.get(name, "").split():
        if (X if argument == "X" else y) is None:
            raise ValueError(
                f"{argument} is missing: the score {name!r} needs it; without data pass ones, as "
                "source(X, y, 'ones') makes them"
            )
    if name == "magnitude":
        return saliency.magnitude(module, **chosen)
    if name == "random":
        return saliency.random(module, rng=rng, **chosen)
    if name == "layer":
        return saliency.layer(module, X, **chosen)
    if name == "synflow":
        ones = torch.ones_like(tensor("X", X)[:1])
        return synaptic.synflow(module, ones, output=output, **chosen)
    if name == "sketch":
        return saliency.sketch(module, X, output=output, **chosen)
    function = saliency.snip if name == "snip" else saliency.grasp
    return function(module, X, y, output=output, **chosen)


def find(
    module: nn.Module,
    density: float,
    *,
    score: str | Score = "magnitude",
    X: Any = None,
    y: Any = None,
    design: str = "top",
    binary: bool = True,
    scope: str = "global",
    floor: int = 0,
    rounds: int = 1,
    signed: str = "shift",
    masks: Masks | None = None,
    pattern: tuple[int, int] | None = None,
    include: Patterns = (),
    exclude: Patterns = (),
    output: Output = None,
    rng: np.random.Generator | int | None = None,
) -> dict[str, Array]:
    """Return the masks of a module, without applying them.

    Parameters
    ----------
    module : torch.nn.Module
        A network. It is not changed. One that is masked counts as the network with those zeros,
        which may be kept again: to go on from them, pass `masks`.
    density : float
        Share of the prunable weights that is kept, in (0, 1].
    score : str or callable
        A name as in `scores`, or a function of the module and the masks of the earlier rounds (None
        at first) that returns scores.
    X, y
        Data for the score, see `scores` and `source`.
    design : {"top", "multinomial", "poisson", "systematic", "priority"}
        Keep the largest, or draw; see `pruning.select`. Where a draw is to keep more weights than
        have a score above zero, those of score zero count as the least above.
    binary : bool
        Ones, or the weights that make the mask unbiased (in one round only).
    scope : {"global", "layer", "row"}
        Whether all layers compete, or each keeps its share, or each output of each layer.
    floor : int
        Weights that each layer (with scope "row" each output) keeps at least.
    rounds : int
        Round t of n keeps the share ``density ** (t / n)``, of the weights that are left:
        SynFlow's exponential schedule (published: 100 rounds). Where the scores of all weights
        vanish, the network is cut through, and the last scores that did not decide the rest.
    signed : {"shift", "absolute"}
        What a draw makes of signed scores, see `pruning.nonnegative`. "shift" keeps their order,
        but scores of both signs whose sizes differ much are nearly equal after it, and their draw
        nearly uniform. "absolute" draws by size, and so keeps large scores below zero as well,
        which top-k removes first; for what that means to GraSP see `grasp`.
    masks : mapping from name to array, optional
        Masks of an earlier round, binary: what they leave out is left out for good. So lottery
        tickets are found in rounds, ``masks = prune(net, density, masks=masks)`` between trainings.
    pattern : (int, int), optional
        Keep n of each m consecutive inputs, as (2, 4); the density must then be n / m.
    include, exclude, output
        As in `jacobian`.
    rng : Generator, int or None
        Source of randomness.

    Returns
    -------
    dict of arrays
        Masks by weight, in the order of `prunable`. All designs but "poisson" and "multinomial"
        keep exactly ``density`` times all weights, rounded to the nearest.

    Raises
    ------
    TypeError, ValueError
        As the score and `pruning.select`; also for weights in several rounds.

    Warns
    -----
    EmptyLayer
        If the masks keep nothing of some layer.

    Examples
    --------
    >>> net = nn.Linear(4, 2)
    >>> {name: int(mask.sum()) for name, mask in find(net, 0.5).items()}
    {'weight': 4}
    """
    rounds = validation.count("rounds", rounds)
    share = validation.share("density", density)
    if (rounds > 1 or masks is not None) and not binary:
        raise ValueError(
            f"binary must be True for rounds = {rounds}: the weights of several draws do not make "
            "one unbiased mask"
        )
    validation.choice("signed", signed, ("absolute", "shift"))
    validation.choice("scope", scope, SCOPES)
    if not callable(score):
        validation.choice("score", score, SCORES)
    if pattern is not None:
        _check_pattern(pattern, share, rounds)
    generator = validation.generator(rng)
    pruned = choose(module, include=include, exclude=exclude).pruned
    current = None if masks is None else _earlier(masks, pruned, share)
    start = 1.0 if current is None else named.kept(current).density
    last: dict[str, Array] = {}
    first = {name: places[0] for name, places in pruned.items()}
    for step in range(1, rounds + 1):
        options: dict[str, Any] = {"include": include, "exclude": exclude, "output": output}
        if callable(score):
            scored = dict(score(module, current))
        else:
            scored = scores(module, score, X, y, masks=current, rng=generator, **options)
        if any(np.any(values) for values in scored.values()):
            last = scored
        part = start * (share / start) ** (step / rounds) if step < rounds else share
        current = select_round(
            last or scored, current, part, first, design=design, binary=binary, scope=scope,
            floor=floor, rng=generator, signed=signed, pattern=pattern,
        )  # fmt: skip
    assert current is not None
    _told(current, pruned, design)
    return current


def _check_pattern(pattern: Any, share: float, rounds: int) -> None:
    try:
        n, m = pattern
        fits = 0 < n <= m and abs(share - n / m) < tolerances.ROUNDING
    except (TypeError, ValueError):
        raise ValueError(f"pattern must be two numbers, as (2, 4); got {pattern!r}") from None
    if not fits:
        raise ValueError(
            f"pattern = {pattern} keeps n of m, and density must be n / m; got density = {share}"
        )
    if rounds > 1:
        raise ValueError(f"rounds must be 1 with a pattern; got {rounds}")


def _earlier(masks: Masks, pruned: Mapping[str, Sequence[Site]], share: float) -> dict[str, Array]:
    """Return checked masks of earlier rounds, as zeros and ones."""
    weights = values(pruned)
    masked(weights, masks)
    earlier = {name: (to_numpy(masks[name]) != 0).astype(np.float64) for name in weights}
    left = named.kept(earlier).density
    if share > left:
        raise ValueError(
            f"density must be at most {left:.6g}, what the masks of earlier rounds keep; got "
            f"{share}: later rounds only take away"
        )
    return earlier


def prune(module: nn.Module, density: float, **options: Any) -> dict[str, Array]:
    """Find the masks of a module and apply them in place: `find`, then `apply`.

    Parameters
    ----------
    module : torch.nn.Module
        A network.
    density : float
        Share of the prunable weights that is kept, in (0, 1].
    **options
        As in `find`.

    Returns
    -------
    dict of arrays
        The masks; `kept` counts them by layer.

    Raises
    ------
    TypeError, ValueError
        As `find`. Then nothing is masked.

    Examples
    --------
    >>> from lth_sketch.networks import kept
    >>> net = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> masks = prune(net, 0.25, design="priority", floor=1, rng=0)
    >>> sum(layer.kept for layer in kept(masks).values()), len(kept(masks))
    (10, 2)
    """
    masks = find(module, density, **options)
    apply(module, masks)
    return masks


def _told(masks: Masks, pruned: Mapping[str, Any], design: str) -> None:
    """Warn of layers that keep nothing."""
    counts = named.kept(masks)
    empty = counts.emptied
    if empty:
        named_layers = ", ".join(f"{name} (0 of {counts[name].size:,})" for name in empty)
        better = "a draw (design=)" if design == "top" else "another score"
        warnings.warn(
            f"the mask empties {len(empty)} of {len(pruned)} layers: {named_layers}; the network "
            f"is cut there: pass floor=1 or more, scope='layer', {better}, or a higher density",
            EmptyLayer,
            stacklevel=3,
        )
