"""From a module to its mask: scores, selection in one round or several, and its application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from lth_sketch import named, pruning, validation
from lth_sketch.networks import saliency, synaptic
from lth_sketch.networks.weights import masked, prunable
from lth_sketch.validation import Array

SCORES = ("grasp", "magnitude", "random", "sketch", "snip", "synflow")

Masks = Mapping[str, Array]
# A score of one's own: module and masks of the earlier rounds in, scores out.
Score = Callable[[nn.Module, Masks | None], Mapping[str, Array]]


def scores(
    module: nn.Module,
    name: str,
    X: Any = None,
    y: Any = None,
    *,
    masks: Masks | None = None,
    rng: np.random.Generator | int | None = None,
) -> dict[str, Array]:
    """Return the scores of that name.

    Parameters
    ----------
    module : torch.nn.Module
        A network. It is not changed.
    name : {"magnitude", "snip", "grasp", "synflow", "sketch", "random"}
        The score.
    X, y
        Data for all but "magnitude" and "random"; labels for "snip" and "grasp". Of `X` "synflow"
        takes the shape of a sample only. See `source`.
    masks : mapping from name to array, optional
        Masks of an earlier round.
    rng : Generator, int or None
        Source of randomness, for "random".

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
    needs = {"snip": ("X", "y"), "grasp": ("X", "y"), "sketch": ("X",), "synflow": ("X",)}
    for argument in needs.get(name, ()):
        if (X if argument == "X" else y) is None:
            raise ValueError(
                f"{argument} is missing: the score {name!r} needs it; without data pass ones, as "
                "source(X, y, 'ones') makes them"
            )
    if name == "magnitude":
        return saliency.magnitude(module, masks=masks)
    if name == "random":
        return saliency.random(module, masks=masks, rng=rng)
    if name == "synflow":
        return synaptic.synflow(module, torch.ones_like(torch.as_tensor(X[:1])), masks=masks)
    if name == "sketch":
        return saliency.sketch(module, X, masks=masks)
    function = saliency.snip if name == "snip" else saliency.grasp
    return function(module, X, y, masks=masks)


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
    rng: np.random.Generator | int | None = None,
) -> dict[str, Array]:
    """Return the masks of a module, without applying them.

    Parameters
    ----------
    module : torch.nn.Module
        A network. It is not changed.
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
    scope : {"global", "layer"}
        Whether all layers compete, or each keeps its share.
    floor : int
        Weights that each layer keeps at least.
    rounds : int
        Round t of n keeps the share ``density ** (t / n)``, of the weights that are left:
        SynFlow's exponential schedule (published: 100 rounds). Where the scores of all weights
        vanish, the network is cut through, and the last scores that did not decide the rest.
    signed : {"shift", "absolute"}
        What a draw makes of signed scores, see `pruning.nonnegative`. "shift" keeps their order,
        but scores of both signs whose sizes differ much are nearly equal after it, and their draw
        nearly uniform. "absolute" draws by size, and so keeps large scores below zero as well,
        which top-k removes first; for what that means to GraSP see `grasp`.
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

    Examples
    --------
    >>> net = nn.Linear(4, 2)
    >>> {name: int(mask.sum()) for name, mask in find(net, 0.5).items()}
    {'weight': 4}
    """
    rounds = validation.count("rounds", rounds)
    if rounds > 1 and not binary:
        raise ValueError(
            f"binary must be True for rounds = {rounds}: the weights of several draws do not make "
            "one unbiased mask"
        )
    validation.choice("signed", signed, ("absolute", "shift"))
    if not callable(score):
        validation.choice("score", score, SCORES)
    generator = validation.generator(rng)
    masks: dict[str, Array] | None = None
    last: dict[str, Array] = {}
    for step in range(1, rounds + 1):
        found = (
            dict(score(module, masks))
            if callable(score)
            else scores(module, score, X, y, masks=masks, rng=generator)
        )
        if any(np.any(values) for values in found.values()):
            last = found
        share = density ** (step / rounds) if step < rounds else density
        masks = _round(
            last or found, masks, share, design=design, binary=binary, scope=scope, floor=floor,
            rng=generator,
            signed=signed,
        )  # fmt: skip
    assert masks is not None
    return masks


def apply(module: nn.Module, masks: Masks) -> None:
    """Mask the weights of a module in place, through ``torch.nn.utils.prune``.

    Each weight becomes ``weight_orig`` (trained on) times the buffer ``weight_mask``: state_dict,
    deepcopy and checkpoints carry both, and ``torch.nn.utils.prune.remove`` makes the layer plain
    again, with zeros for good.

    Parameters
    ----------
    module : torch.nn.Module
        A network.
    masks : mapping from name to array
        Masks for all of its prunable weights, as `find` returns them.

    Raises
    ------
    TypeError, ValueError
        As `prunable`; also if the masks do not fit. Then nothing is masked.

    Examples
    --------
    >>> net = nn.Linear(2, 1)
    >>> apply(net, {"weight": np.array([[1.0, 0.0]])})
    >>> net.weight[0, 1].item() == 0, sorted(net.state_dict())
    (True, ['bias', 'weight_mask', 'weight_orig'])
    """
    weights = prunable(module)
    masked(weights, masks)
    for name, weight in weights.items():
        mask = torch.as_tensor(masks[name], dtype=weight.dtype, device=weight.device)
        layer = module.get_submodule(name.rpartition(".")[0])
        Masked.apply(layer, "weight", mask=mask)


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


class MaskedWeight(torch.Tensor):  # type: ignore[misc]
    """The product ``weight_orig * weight_mask``, which ``copy.deepcopy`` may meet in a layer.

    A plain tensor with a gradient cannot be copied deeply; the copy of this one is without, and the
    next forward pass replaces it.
    """

    __torch_function__ = torch._C._disabled_torch_function_impl

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Return the values."""
        return memo.setdefault(id(self), self.detach().clone())


class Masked(torch_prune.BasePruningMethod):  # type: ignore[misc]
    """Pruning by a given mask, binary or with weights."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, mask: Any) -> None:
        self.mask = mask

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """Return the mask on top of those before; PyTorch keeps it as ``weight_mask``."""
        mask, self.mask = self.mask, None
        return default_mask * mask

    def apply_mask(self, module: nn.Module) -> Any:
        """Return the masked weight."""
        return super().apply_mask(module).as_subclass(MaskedWeight)


def _round(
    found: dict[str, Array],
    masks: dict[str, Array] | None,
    share: float,
    signed: str,
    **options: Any,
) -> dict[str, Array]:
    """Select a share of all weights among those that are left."""
    left = found if masks is None else {name: found[name][masks[name] != 0] for name in found}
    left = {name: values for name, values in left.items() if values.size}
    if options["design"] != "top" and any((values < 0).any() for values in left.values()):
        left = dict(zip(left, pruning.nonnegative(list(left.values()), signed), strict=True))
    total = sum(values.size for values in found.values())
    # A random number of weights may be left, and fewer than the schedule allows.
    rest = min(1.0, share * total / sum(values.size for values in left.values()))
    if options["design"] != "top":
        left = _drawable(left, share * total)
    chosen = named.select(left, rest, **options)
    if masks is None:
        return chosen
    result = {}
    for name, mask in masks.items():
        result[name] = np.zeros_like(mask)
        if name in chosen:
            result[name][mask != 0] = chosen[name]
    return result


def _drawable(found: dict[str, Array], wanted: float) -> dict[str, Array]:
    """Return scores of which a draw can keep that many."""
    above = [values[values > 0] for values in found.values()]
    if not any(part.size for part in above) or sum(part.size for part in above) >= wanted + 0.5:
        return found
    least = min(part.min() for part in above if part.size)
    return {name: np.maximum(values, least) for name, values in found.items()}
