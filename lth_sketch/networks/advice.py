"""Shall I draw? Advice for a network: masks tried on it, before any training."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from lth_sketch import advice, validation
from lth_sketch.advice import Advice, Layer
from lth_sketch.networks import finding, products, synaptic
from lth_sketch.networks.boundary import Output, tensor
from lth_sketch.networks.layers import Site
from lth_sketch.networks.rounds import select_round
from lth_sketch.networks.trainability import strength
from lth_sketch.networks.unwrapping import plain
from lth_sketch.networks.weights import Patterns, choose
from lth_sketch.validation import Array

# Masks that a draw is judged by, and the samples that their strength is measured on.
TRIED, SAMPLES = 3, 128
# Stands for a strength of zero in a geometric mean.
TINY = 1e-12
# Chosen by eye on the grids that `advise` names, for strength times steps. A mask of no more than
# this is not learnt,
DEAD = 6.0
# one of this is learnt as well as any,
WHOLE = 1000.0
# and between them the one so many times as strong wins.
TIMES = 1.5
# Top-k that moves a layer by this much of its output, where removing it moves it by one, spoils it:
# then it is learnt no better than this.
WORSE, SPOILT = 1.35, 60.0
# Where both are learnt, a draw with less than this share of top-k's weights on paths loses.
CUT = 0.6
# Steps of training that are planned, where nothing is said.
STEPS = 1000


class Tried(NamedTuple):
    """What masks of one design leave.

    Attributes
    ----------
    strength : float
        As `networks.strength` measures it; of draws the geometric mean.
    error : float
        The greatest relative error of a layer's output.
    effective : float
        Share of the kept weights that lie on a path from input to output; NaN where paths mean
        nothing.
    """

    strength: float
    error: float
    effective: float = math.nan


def advise(
    module: nn.Module,
    density: float,
    *,
    score: str | Sequence[str] | None = None,
    X: Any = None,
    y: Any = None,
    include: Patterns = (),
    exclude: Patterns = (),
    output: Output = None,
    steps: int = STEPS,
    rng: np.random.Generator | int | None = 0,
) -> dict[str, Advice]:
    """Return, for each score, what top-k and draws keep of each layer, and which of them serves.

    Parameters
    ----------
    module : torch.nn.Module
        A network. It is not changed, and nothing is trained.
    density : float
        Share of the prunable weights that is kept, in (0, 1].
    score : str or sequence of str, optional
        Names as in `scores`; by default "magnitude", and with data "layer" and "synflow" (where
        the network has no layer norm), with labels "snip" as well.
    X, y
        Data for the scores. Without X the layers' errors and the strength of what is left are not
        seen, and the advice is that of `lth_sketch.advice.advise`; so where all samples are alike.
    include, exclude, output
        As in `find`.
    steps : int
        Steps of training that are planned, at a usual rate (0.05 with momentum 0.9).
    rng : Generator, int or None
        Source of the draws that are tried.

    Returns
    -------
    dict of Advice
        By score; ``table()`` and ``sentence`` say it in words.

    Raises
    ------
    TypeError, ValueError
        As `scores`; if the density is no share.

    Notes
    -----
    The verdict is a rule of thumb, and no theorem. Of top-k and the draw, the one wins whose
    `strength` times the steps of training is at least 1.5 times the other's, where less than 6
    counts as 6 (not learnt), more than 1000 as 1000 (learnt as well as any), and top-k as at most
    60 if it moves a layer by more than 1.35 of its output. Where both are learnt, top-k wins if a
    draw has less than 0.6 of its share of kept weights on paths. Strengths are in squared outputs:
    the numbers belong to classifiers whose outputs are logits.

    They were chosen by eye on five tables of ``docs/results`` (three networks with He's initial
    weights, one on two data sets, and the digits with five kinds of initial weights), with 2 in
    place of 1.5: all 52 decided cells were called right, and 13 of 14 of a table that they were not
    chosen on (Fashion-MNIST, one hidden layer, two kinds of initial weights). Then 1.5 took the
    place of 2, with which all 66 are; of those that five seeds do not decide 83 of 105 are called
    "same". The numbers by layer are no guesses.

    Without X it takes seconds for 10^8 weights. With X every score costs sixteen backward passes in
    float64, and five products of each layer's weights with its inputs: minutes there.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> advices = advise(net, 0.5)
    >>> list(advices), advices["magnitude"].verdict
    (['magnitude'], 'same')
    """
    share = validation.share("density", density)
    planned = validation.count("steps", steps)
    generator = validation.generator(rng)
    net = plain(module)
    chosen: dict[str, Any] = {"include": include, "exclude": exclude}
    by_score = {}
    layers: dict[str, products.LayerProduct] = {}
    for name in _names(net, score, X, y):
        values = finding.scores(net, name, X, y, output=output, rng=generator, **chosen)
        told = advice.advise(values, share, score=name)
        if X is not None:
            layers = layers or products.layer_products(net, X, progress=False, **chosen)
            told = _seen(net, values, told, layers, X, output, planned, generator, chosen)
        by_score[name] = told
    return by_score


def judge(top: Tried, draw: Tried, steps: float = STEPS) -> tuple[str, str]:
    """Return the verdict on what top-k and the draw leave of a network, and its reason.

    Examples
    --------
    >>> judge(Tried(0.0, 1.0), Tried(9.0, 1.0))[0], judge(Tried(0.5, 0.9), Tried(0.1, 0.9))[0]
    ('draw', 'top')
    """
    told = f"(strength {top.strength:.2g} under top-k, {draw.strength:.2g} drawn)"
    spoilt = top.error > WORSE
    mine, other = (min(max(tried.strength * steps, DEAD), WHOLE) for tried in (top, draw))
    mine = min(mine, SPOILT) if spoilt else mine
    if mine >= TIMES * other:
        return "top", f"a draw leaves a network that learns less {told}"
    if other >= TIMES * mine and spoilt:
        return "draw", (
            f"top-k moves a layer by {top.error:.2f} of its output, more than removing it would, "
            f"and the draw leaves a network that learns {told}"
        )
    if other >= TIMES * mine:
        return "draw", f"top-k leaves a network that learns less {told}"
    if max(mine, other) < TIMES * DEAD:
        return "same", f"neither leaves a network that learns {told}; keep more, or set floor="
    if min(mine, other) >= WHOLE / TIMES and draw.effective < CUT * top.effective:
        return "top", (
            f"of the weights that a draw keeps {100 * draw.effective:.0f}% lie on a path from "
            f"input to output, of those of top-k {100 * top.effective:.0f}%"
        )
    return "same", f"both leave a network that learns {told}"


def _names(net: nn.Module, score: str | Sequence[str] | None, X: Any, y: Any) -> list[str]:
    if score is not None:
        return [score] if isinstance(score, str) else list(score)
    names = ["magnitude"]
    if X is not None:
        names.append("layer")
        if not _normalised(net):
            names.append("synflow")
    if X is not None and y is not None:
        names.append("snip")
    return names


def _normalised(net: nn.Module) -> bool:
    kinds = (nn.LayerNorm, nn.MultiheadAttention, nn.RNNBase, nn.Embedding)
    return any(isinstance(layer, kinds) for layer in net.modules())


def _seen(
    net: nn.Module,
    values: dict[str, Array],
    told: Advice,
    layers: dict[str, products.LayerProduct],
    X: Any,
    output: Output,
    steps: int,
    rng: np.random.Generator,
    chosen: dict[str, Any],
) -> Advice:
    """Return advice with the errors of layers and the verdict on masks that are tried."""
    places = {name: sites[0] for name, sites in choose(net, **chosen).pruned.items()}
    top = _mask(values, told.density, places, "top", rng)
    draws = [_mask(values, told.density, places, "priority", rng) for _ in range(TRIED)]
    rows, worst = [], {"top": 0.0, "draw": 0.0}
    for row in told.layers:
        product = layers[row.name]
        if any(block.products is None and block.inputs is None for block in product.blocks):
            rows.append(row)
            continue
        size = float(product.values2.sum())
        terms = float((product.term_norms**2).sum())
        lost = {
            "top": float(product.squared_errors(top[row.name]).sum()),
            "draw": float(np.mean([product.squared_errors(m[row.name]).sum() for m in draws])),
        }
        errors = {name: math.sqrt(v / size) if size > 0 else 0.0 for name, v in lost.items()}
        worst = {name: max(worst[name], errors[name]) for name in worst}
        rows.append(row._replace(coherence=size / terms if terms > 0 else math.nan, error=errors))
    told = told._replace(layers=rows)
    few = tensor("X", X[:SAMPLES])
    if bool((few == few[:1]).all()):
        # Samples that are all alike tell nothing of what can be learnt.
        return told
    masks = (top, *draws)
    strengths = [strength(net, few, masks=mask, output=output, **chosen) for mask in masks]
    paths = [_effective(net, mask, X, output, chosen) for mask in masks]
    # What draws leave differs by factors.
    drawn = float(np.exp(np.mean(np.log(np.maximum(strengths[1:], TINY)))))
    verdict, reason = judge(
        Tried(strengths[0], worst["top"], paths[0]),
        Tried(drawn, worst["draw"], float(np.mean(paths[1:]))),
        steps,
    )
    if verdict == "same" and max(strengths[0], drawn) * steps < TIMES * DEAD:
        verdict = "floor"
    return told._replace(verdict=verdict, reason=reason)


def _mask(
    values: dict[str, Array], density: float, places: dict[str, Site], design: str, rng: Any
) -> dict[str, Array]:
    return select_round(
        values, None, density, places, signed="shift", scope="global", pattern=None,
        design=design, binary=True, floor=0, rng=rng,
    )  # fmt: skip


def _effective(
    net: nn.Module, mask: dict[str, Array], X: Any, output: Output, chosen: dict[str, Any]
) -> float:
    """Return the share of the kept weights that lie on a path; NaN where paths mean nothing."""
    kept = sum(int(np.count_nonzero(part)) for part in mask.values())
    if _normalised(net):
        return math.nan
    ones = copy.deepcopy(net).double()
    with torch.no_grad():
        for name in mask:
            ones.get_parameter(name).fill_(1.0)
        for layer in ones.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.reset_parameters()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = torch.ones_like(tensor("X", X[:1]))
        flow = synaptic.synflow(ones, first, masks=mask, output=output, **chosen)
    return sum(int(np.count_nonzero(part)) for part in flow.values()) / max(1, kept)


__all__ = ["Advice", "Layer", "Tried", "advise", "judge"]
