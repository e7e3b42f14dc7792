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
from lth_sketch.networks.boundary import Output
from lth_sketch.networks.layers import Site
from lth_sketch.networks.rounds import select_round
from lth_sketch.networks.unwrapping import plain
from lth_sketch.networks.weights import Patterns, choose
from lth_sketch.validation import Array

# Masks that a draw is judged by.
TRIED = 3
# Chosen by eye on the first grids of docs/results, all with He's weights: see `advise`.
# A draw that leaves under this share of what top-k leaves on paths loses.
CUT = 0.6
# A network of which this share of the kept weights is on no path is cut, one above it is not.
DEAD, ALIVE = 0.02, 0.2
# Top-k by concentrated scores, with errors beyond those of the empty mask, loses to the draw.
CONCENTRATED, WORSE = 0.6, 1.35


class Tried(NamedTuple):
    """Masks of one design: share of kept weights on a path, greatest relative error of a layer."""

    effective: float
    error: float


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
        Data for the scores. Without X the layers' errors and the paths are not seen, and the advice
        is that of `lth_sketch.advice.advise`.
    include, exclude, output
        As in `find`.
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
    The verdict is a rule of thumb, and no theorem. Its thresholds were chosen on the grids that
    ``docs/results`` stored first (He's initial weights), where it calls all of 25 decided cells
    right. On the grid over other initial weights, which it was not chosen on, it calls 12 of 23
    right: the 11 others are called "same" where top-k wins. So "draw" and "top" can be relied on
    more than "same", which means that nothing is foreseen. The numbers by layer are no guesses.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> advices = advise(net, 0.5)
    >>> list(advices), advices["magnitude"].verdict
    (['magnitude'], 'same')
    """
    share = validation.share("density", density)
    generator = validation.generator(rng)
    net = plain(module)
    chosen: dict[str, Any] = {"include": include, "exclude": exclude}
    by_score = {}
    for name in _names(net, score, X, y):
        values = finding.scores(net, name, X, y, output=output, rng=generator, **chosen)
        told = advice.advise(values, share, score=name)
        if X is not None:
            told = _seen(net, values, told, X, output, generator, chosen)
        by_score[name] = told
    return by_score


def judge(top: Tried, draw: Tried, concentration: float) -> tuple[str, str]:
    """Return the verdict on what top-k and the draw leave of a network, and its reason.

    Examples
    --------
    >>> judge(Tried(0.0, 1.0), Tried(0.9, 0.98), 0.5)[0]
    'draw'
    """
    if top.effective <= DEAD and draw.effective >= ALIVE:
        return "draw", (
            f"top-k leaves {100 * top.effective:.0f}% of its weights on a path from input to "
            f"output, the draw {100 * draw.effective:.0f}%"
        )
    if top.effective <= DEAD:
        return "same", "neither leaves a network that can be trained; keep more, or set floor="
    if concentration > CONCENTRATED and top.error > WORSE:
        return "draw", (
            f"top-k takes {100 * concentration:.0f}% of the scores, and moves a layer by "
            f"{top.error:.2f} of its output, more than removing it would"
        )
    if draw.effective < CUT * top.effective:
        return "top", (
            f"of the weights that a draw keeps {100 * draw.effective:.0f}% lie on a path from "
            f"input to output, of those of top-k {100 * top.effective:.0f}%"
        )
    return "same", "both leave a connected network, and neither disturbs it more"


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
    X: Any,
    output: Output,
    rng: np.random.Generator,
    chosen: dict[str, Any],
) -> Advice:
    """Return advice with the errors of layers and the verdict on masks that are tried."""
    places = {name: sites[0] for name, sites in choose(net, **chosen).pruned.items()}
    layers = products.layer_products(net, X, progress=False, **chosen)
    top = _mask(values, told.density, places, "top", rng)
    draws = [_mask(values, told.density, places, "priority", rng) for _ in range(TRIED)]
    rows, worst = [], {"top": 0.0, "draw": 0.0}
    for row in told.layers:
        product = layers[row.name]
        if any(block.gram is None for block in product.blocks):
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
    paths = [_effective(net, mask, X, output, chosen) for mask in (top, *draws)]
    verdict, reason = judge(
        Tried(paths[0], worst["top"]),
        Tried(float(np.mean(paths[1:])), worst["draw"]),
        told.concentration,
    )
    if verdict == "same" and paths[0] <= DEAD:
        verdict = "floor"
    return told._replace(layers=rows, verdict=verdict, reason=reason)


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
    """Return the share of the kept weights that lie on a path; from units' rows where it cannot.

    Where layers normalise, paths mean nothing: the share of kept weights in layers that keep some.
    """
    kept = sum(int(np.count_nonzero(part)) for part in mask.values())
    if _normalised(net):
        return float(all(np.any(part) for part in mask.values()))
    ones = copy.deepcopy(net).double()
    with torch.no_grad():
        for name in mask:
            ones.get_parameter(name).fill_(1.0)
        for layer in ones.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.reset_parameters()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = torch.ones_like(torch.as_tensor(np.asarray(X[:1])))
        flow = synaptic.synflow(ones, first, masks=mask, output=output, **chosen)
    return sum(int(np.count_nonzero(part)) for part in flow.values()) / max(1, kept)


__all__ = ["Advice", "Layer", "Tried", "advise", "judge"]
