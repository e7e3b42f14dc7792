"""Scores of a module's prunable weights; the largest are most worth keeping, in each.

Each is a dictionary of arrays by the names of `prunable`. With ``masks`` the scores are those of
the network of an earlier round. SNIP and GraSP run batch normalisation on the batch, as published
(on its stored statistics for a single sample); nothing that the module stores is changed. What
needs the network is computed in float64: sums in float32 differ between numbers of threads and
between devices, and with them the weights that are drawn near a threshold.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from lth_sketch import pruning
from lth_sketch.networks.boundary import Options, Output
from lth_sketch.networks.gradients import Loss, slopes, widest
from lth_sketch.networks.products import layer_products
from lth_sketch.networks.tangent import MEMORY, jacobian_norms
from lth_sketch.networks.unwrapping import plain
from lth_sketch.networks.weights import Patterns, Tensors, masked, prunable, to_numpy
from lth_sketch.validation import Array

Masks = Mapping[str, Array]


def magnitude(
    module: nn.Module,
    *,
    masks: Masks | None = None,
    include: Patterns = (),
    exclude: Patterns = (),
) -> dict[str, Array]:
    """Return ``|w|``, the data-free score of D1.

    Parameters
    ----------
    module : torch.nn.Module
        Any module. It is not changed.
    masks : mapping from name to array, optional
        Masks of an earlier round.
    include, exclude
        As in `prunable`.

    Returns
    -------
    dict of arrays
        Scores, in the type of the weights (float32 for half precisions).

    Raises
    ------
    TypeError, ValueError
        As `prunable`; also if masks do not fit.

    References
    ----------
    Han, Pool, Tran, Dally, Learning both Weights and Connections for Efficient Neural Networks,
    NeurIPS 2015, section 3.
    """
    weights = prunable(module, include=include, exclude=exclude)
    if masks is not None:
        weights = masked(weights, masks)
    return {name: np.abs(to_numpy(weight)) for name, weight in weights.items()}


def random(
    module: nn.Module,
    *,
    masks: Masks | None = None,
    rng: np.random.Generator | int | None = None,
    include: Patterns = (),
    exclude: Patterns = (),
) -> dict[str, Array]:
    """Return 1 for each weight, with a random order in the last digits, see `pruning.random`.

    Parameters
    ----------
    module : torch.nn.Module
        Any module; only the shapes of its weights are used.
    masks : mapping from name to array, optional
        Masks of an earlier round: the scores are zero where they are.
    rng : Generator, int or None
        Source of randomness.
    include, exclude
        As in `prunable`.

    Returns
    -------
    dict of arrays
        Scores, float64.

    Raises
    ------
    TypeError, ValueError
        As `magnitude`.
    """
    weights = prunable(module, include=include, exclude=exclude)
    ends = np.cumsum([weight.numel() for weight in weights.values()])
    parts = np.split(pruning.random(int(ends[-1]), rng), ends[:-1])
    pairs = zip(weights, parts, strict=True)
    result = {name: part.reshape(tuple(weights[name].shape)) for name, part in pairs}
    return _alive(result, weights, masks)


def snip(
    module: nn.Module,
    X: Any,
    y: Any,
    *,
    masks: Masks | None = None,
    loss: Loss | None = None,
    include: Patterns = (),
    exclude: Patterns = (),
    output: Output = None,
) -> dict[str, Array]:
    """Return ``|w o g|``, g the gradient of the loss on the batch.

    Parameters
    ----------
    module : torch.nn.Module
        A network. It is not changed.
    X : (n, ...) array or tensor
        The batch; see `source` for random data and none.
    y : (n,) or (n, q) array or tensor
        Labels (integers) or targets (real numbers).
    masks : mapping from name to array, optional
        Masks of an earlier round.
    loss : callable, optional
        ``loss(outputs, y)``; by default the mean cross-entropy of labels, and half the squared
        error summed over outputs, mean over samples, of targets. Outputs with several axes may have
        their classes along axis 1, as PyTorch has them, or along the last, as language models do.
    include, exclude, output
        As in `jacobian`.

    Returns
    -------
    dict of arrays
        Scores, float64 (published ones are divided by their sum, which changes no selection).

    Raises
    ------
    TypeError, ValueError
        As `prunable`; also if data or masks do not fit, or a score is not finite.

    References
    ----------
    Lee, Ajanthan, Torr, SNIP: Single-shot network pruning based on connection sensitivity,
    ICLR 2019, section 4. In rounds: de Jorge et al., Progressive Skeletonization: Trimming more fat
    from a network at initialization, ICLR 2021, section 5 (there called Iterative SNIP).
    """

    def derive(value: Any, leaves: Tensors) -> Any:
        if not value.requires_grad:
            return [None] * len(leaves)
        return torch.autograd.grad(value, list(leaves.values()), allow_unused=True)

    options = Options(include, exclude, output)
    weights, derivatives = slopes(module, X, y, masks, loss, options, derive)
    return _scores("snip", weights, derivatives, absolute=True)


def grasp(
    module: nn.Module,
    X: Any,
    y: Any,
    *,
    masks: Masks | None = None,
    loss: Loss | None = None,
    include: Patterns = (),
    exclude: Patterns = (),
    output: Output = None,
) -> dict[str, Array]:
    """Return ``+ w o (H g)``, GraSP with its sign turned: the largest are kept.

    g and H are gradient and Hessian of the loss by the prunable weights. The published score is
    ``-w o (H g)``, of which the *largest* are removed. To first order the removal of weight i
    changes ``||g||^2`` by -2 times its score here: GraSP keeps the weights whose loss would cost
    most gradient norm, and first removes those whose loss would raise it, far below zero.

    A draw needs weights >= 0, and `find` makes them in one of two ways. ``signed="shift"`` keeps
    that order: what GraSP removes first is drawn least, but with scores of both signs the draw is
    nearly uniform. ``signed="absolute"`` draws by the size of the effect on ``||g||^2``, up or
    down, and so keeps, as likely as the best, weights that GraSP itself removes first: it is the
    optimal draw for the sum of the effects (S3), not GraSP made random.

    Parameters
    ----------
    module, X, y, masks, loss, include, exclude, output
        As in `snip`. The authors' code divides the outputs by a temperature of 200 before the
        cross-entropy; pass a `loss` that does so for theirs.

    Returns
    -------
    dict of arrays
        Scores of either sign, float64; zero where masks are zero.

    Raises
    ------
    TypeError, ValueError
        As `snip`.

    References
    ----------
    Wang, Zhang, Grosse, Picking winning tickets before training by preserving gradient flow,
    ICLR 2020, section 3.
    """

    def derive(value: Any, leaves: Tensors) -> Any:
        nothing = [None] * len(leaves)
        if not value.requires_grad:
            return nothing
        by = list(leaves.values())
        first = torch.autograd.grad(value, by, create_graph=True, allow_unused=True)
        # Half of the gradient of ||g||^2 is H g.
        norm2 = sum((g * g).sum() for g in first if g is not None) / 2
        if not isinstance(norm2, torch.Tensor) or not norm2.requires_grad:
            return nothing
        return torch.autograd.grad(norm2, by, allow_unused=True)

    options = Options(include, exclude, output)
    weights, derivatives = slopes(module, X, y, masks, loss, options, derive)
    return _scores("grasp", weights, derivatives)


def sketch(
    module: nn.Module,
    X: Any,
    *,
    masks: Masks | None = None,
    memory: int = MEMORY,
    progress: bool | None = None,
    include: Patterns = (),
    exclude: Patterns = (),
    output: Output = None,
) -> dict[str, Array]:
    """Return ``|w_i| ||J_i||``, the optimal draw of the linearised network (N1, S3).

    Parameters
    ----------
    module : torch.nn.Module
        A network, run in evaluation mode.
    X : (n, ...) array or tensor
        Samples; see `source`.
    masks : mapping from name to array, optional
        Masks of an earlier round: w is masked, J is that of the unmasked network.
    memory, progress, include, exclude, output
        As in `jacobian`.

    Returns
    -------
    dict of arrays
        Scores, float64.

    Raises
    ------
    TypeError, ValueError
        As `jacobian`; also if masks do not fit.
    """
    net = plain(module)
    weights = prunable(net, include=include, exclude=exclude)

    def compute(kind: Any) -> Any:
        wide = copy.deepcopy(net).to(kind) if kind else net
        return jacobian_norms(
            wide, X, memory=memory, progress=progress, include=include, exclude=exclude,
            output=output,
        )  # fmt: skip

    norms = widest(compute)
    ends = np.cumsum([weight.numel() for weight in weights.values()])
    parts = zip(weights.items(), np.split(norms, ends[:-1]), strict=True)
    scores = {
        name: np.abs(to_numpy(weight)).astype(np.float64) * part.reshape(tuple(weight.shape))
        for (name, weight), part in parts
    }
    return _alive(scores, weights, masks)


def layer(
    module: nn.Module,
    X: Any,
    *,
    masks: Masks | None = None,
    progress: bool | None = None,
    include: Patterns = (),
    exclude: Patterns = (),
) -> dict[str, Array]:
    """Return ``|w_ij| ||h_i||``, h_i the inputs of feature i to the layer: its optimal draw (N3).

    With ``scope="row"`` and ``design="top"``, `find` keeps the largest in each row, which is the
    published rule that is known as Wanda; with ``scope="layer"`` the entries of a layer compete,
    of which the draw is the optimal one for the layer's whole output only if its rows are drawn
    together. The scores of two layers are in different units: ``scope="global"`` compares them.

    Parameters
    ----------
    module, X, progress, include, exclude
        As in `layer_products`, from which the norms come.
    masks : mapping from name to array, optional
        Masks of an earlier round: the inputs are then those of the masked network.

    Returns
    -------
    dict of arrays
        Scores, float64.

    Raises
    ------
    TypeError, ValueError
        As `layer_products`; also if masks do not fit.

    References
    ----------
    Sun, Liu, Bair, Kolter, A Simple and Effective Pruning Approach for Large Language Models,
    ICLR 2024, section 3.
    """
    products = layer_products(
        module, X, masks=masks, gram=False, progress=progress, include=include, exclude=exclude
    )
    return {name: product.scores() for name, product in products.items()}


def _scores(
    name: str, weights: Tensors, slopes: Any, *, absolute: bool = False
) -> dict[str, Array]:
    result = {}
    for (layer, weight), slope in zip(weights.items(), slopes, strict=True):
        values = to_numpy(weight * (torch.zeros_like(weight) if slope is None else slope))
        if not np.isfinite(values).all():
            raise ValueError(
                f"module gives {name} scores of {layer} that are not finite: its outputs or their "
                "derivatives are too large; scale the inputs or the layers down"
            )
        result[layer] = np.abs(values) if absolute else values
    return result


def _alive(by_layer: dict[str, Array], weights: Tensors, masks: Masks | None) -> dict[str, Array]:
    if masks is None:
        return by_layer
    masked(weights, masks)
    return {name: scores * (np.asarray(masks[name]) != 0) for name, scores in by_layer.items()}
