"""Scores of a module's prunable weights; the largest are most worth keeping, in each.

Each is a dictionary of arrays by the names of `prunable`. With ``masks`` the scores are those of
the network of an earlier round. SNIP and GraSP run batch normalisation on the batch, as published
(on its stored statistics for a single sample); nothing that the module stores is changed. What
needs the network is computed in float64: sums in float32 differ between numbers of threads and
between devices, and with them the weights that are drawn near a threshold.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from lth_sketch import pruning, validation
from lth_sketch.networks.tangent import MEMORY, jacobian_norms
from lth_sketch.networks.weights import Tensors, evaluating, inputs, masked, prunable, to_numpy
from lth_sketch.validation import Array

KINDS = ("ones", "random", "real")

Masks = Mapping[str, Array]
Loss = Callable[[Any, Any], Any]


def source(
    X: Any, y: Any, kind: str, *, rng: np.random.Generator | int | None = None
) -> tuple[Array, Array]:
    """Return the data that a score looks at: the real ones, random ones, or none.

    Parameters
    ----------
    X : (n, ...) array or tensor
        Real samples.
    y : (n,) or (n, q) array or tensor
        Labels (integers) or targets (real numbers).
    kind : {"real", "random", "ones"}
        What the score will see in their place:

        - "real": X and y themselves.
        - "random": independent normal entries with the mean and the variance of all of X; labels
          drawn uniformly from the classes of y, or targets normal alike.
        - "ones": no data. One sample of ones and the target zero of a squared loss, so that SNIP is
          ``|w o J^T F|``.
    rng : Generator, int or None
        Source of randomness.

    Returns
    -------
    X, y : arrays
        As many samples as there were, one for "ones"; X in its type.

    Raises
    ------
    TypeError, ValueError
        If `kind` or `rng` is none of the above, or lengths differ.

    Examples
    --------
    >>> X, y = source(np.zeros((5, 3)), np.arange(5), "ones")
    >>> X, y
    (array([[1., 1., 1.]]), array([[0.]]))
    """
    validation.choice("kind", kind, KINDS)
    generator = validation.generator(rng)
    data, targets = to_numpy(X), to_numpy(y)
    if len(data) != len(targets):
        raise ValueError(f"X and y must have one length; got {len(data)} and {len(targets)}")
    if kind == "real":
        return data, targets
    if kind == "ones":
        return np.ones((1, *data.shape[1:]), data.dtype), np.zeros((1, 1), data.dtype)
    flat = pruning.source(data.reshape(len(data), -1), "gaussian", rng=generator)
    if targets.dtype.kind in "iu":
        return flat.reshape(data.shape), generator.choice(np.unique(targets), len(targets))
    spread = targets.mean(), targets.std()
    labels = generator.normal(*spread, targets.shape).astype(targets.dtype)
    return flat.reshape(data.shape), labels


def magnitude(module: nn.Module, *, masks: Masks | None = None) -> dict[str, Array]:
    """Return ``|w|``, the data-free score of D1.

    Parameters
    ----------
    module : torch.nn.Module
        Any module. It is not changed.
    masks : mapping from name to array, optional
        Masks of an earlier round.

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
    weights = prunable(module) if masks is None else masked(prunable(module), masks)
    return {name: np.abs(to_numpy(weight)) for name, weight in weights.items()}


def random(
    module: nn.Module,
    *,
    masks: Masks | None = None,
    rng: np.random.Generator | int | None = None,
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

    Returns
    -------
    dict of arrays
        Scores, float64.

    Raises
    ------
    TypeError, ValueError
        As `magnitude`.
    """
    weights = prunable(module)
    ends = np.cumsum([weight.numel() for weight in weights.values()])
    parts = np.split(pruning.random(int(ends[-1]), rng), ends[:-1])
    found = zip(weights, parts, strict=True)
    result = {name: part.reshape(tuple(weights[name].shape)) for name, part in found}
    return _alive(result, weights, masks)


def snip(
    module: nn.Module, X: Any, y: Any, *, masks: Masks | None = None, loss: Loss | None = None
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
        error summed over outputs, mean over samples, of targets.

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
    weights = _leaves(module, masks)
    value = _loss(module, weights, X, y, loss)
    found = torch.autograd.grad(value, list(weights.values()), allow_unused=True)
    return _scores("snip", weights, found, absolute=True)


def grasp(
    module: nn.Module, X: Any, y: Any, *, masks: Masks | None = None, loss: Loss | None = None
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
    module, X, y, masks, loss
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
    weights = _leaves(module, masks)
    value = _loss(module, weights, X, y, loss)
    first = torch.autograd.grad(value, list(weights.values()), create_graph=True, allow_unused=True)
    # Half of the gradient of ||g||^2 is H g.
    norm2 = sum((g * g).sum() for g in first if g is not None) / 2
    if not norm2.requires_grad:
        return _scores("grasp", weights, [None] * len(weights))
    found = torch.autograd.grad(norm2, list(weights.values()), allow_unused=True)
    return _scores("grasp", weights, found)


def sketch(
    module: nn.Module,
    X: Any,
    *,
    masks: Masks | None = None,
    memory: int = MEMORY,
    progress: bool | None = None,
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
    memory, progress
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
    weights = prunable(module)
    wide = copy.deepcopy(module).double()
    norms = jacobian_norms(wide, X, memory=memory, progress=progress)
    ends = np.cumsum([weight.numel() for weight in weights.values()])
    parts = zip(weights.items(), np.split(norms, ends[:-1]), strict=True)
    found = {
        name: np.abs(to_numpy(weight)).astype(np.float64) * part.reshape(tuple(weight.shape))
        for (name, weight), part in parts
    }
    return _alive(found, weights, masks)


def _leaves(module: nn.Module, masks: Masks | None) -> Tensors:
    weights = masked(prunable(module), masks)
    return {name: weight.double().requires_grad_() for name, weight in weights.items()}


def _loss(module: nn.Module, weights: Tensors, X: Any, y: Any, loss: Loss | None) -> Any:
    samples = inputs(module, X)
    targets = torch.as_tensor(y, device=samples.device)
    if len(targets) != len(samples):
        raise ValueError(f"X and y must have one length; got {len(samples)} and {len(targets)}")
    samples = samples.double() if samples.is_floating_point() else samples
    with evaluating(module, batch_statistics=len(samples) > 1) as buffers:
        state = {
            name: value.detach().double() if value.is_floating_point() else value
            for name, value in (*module.named_parameters(), *buffers.items())
        }
        outputs = functional_call(module, {**state, **weights}, (samples,))
    if loss is not None:
        return loss(outputs, targets)
    if not targets.dtype.is_floating_point:
        return nn.functional.cross_entropy(outputs, targets.long())
    return (outputs - targets.to(outputs.dtype)).square().sum() / (2 * len(samples))


def _scores(
    name: str, weights: Tensors, slopes: Any, *, absolute: bool = False
) -> dict[str, Array]:
    result = {}
    for (layer, weight), slope in zip(weights.items(), slopes, strict=True):
        found = to_numpy(weight * (torch.zeros_like(weight) if slope is None else slope))
        if not np.isfinite(found).all():
            raise ValueError(
                f"module gives {name} scores of {layer} that are not finite: its outputs or their "
                "derivatives are too large; scale the inputs or the layers down"
            )
        result[layer] = np.abs(found) if absolute else found
    return result


def _alive(found: dict[str, Array], weights: Tensors, masks: Masks | None) -> dict[str, Array]:
    if masks is None:
        return found
    masked(weights, masks)
    return {name: scores * (np.asarray(masks[name]) != 0) for name, scores in found.items()}
