"""How strongly a masked network answers its weights: the trace of its tangent kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from lth_sketch import validation
from lth_sketch.networks.boundary import Options, Output
from lth_sketch.networks.gradients import slopes
from lth_sketch.networks.weights import Patterns, Tensors
from lth_sketch.validation import Array

# Random signs that the trace is estimated with.
PROBES = 4


def strength(
    module: nn.Module,
    X: Any,
    *,
    masks: Mapping[str, Array] | None = None,
    probes: int = PROBES,
    rng: np.random.Generator | int | None = 0,
    include: Patterns = (),
    exclude: Patterns = (),
    output: Output = None,
) -> float:
    """Return ``||C J diag(m != 0)||_F^2 / n``: how fast the kept weights can tell samples apart.

    J is the Jacobian of the outputs of the masked network, and C takes the mean over samples off
    each output. Gradient descent moves the outputs at a pace in proportion to it, so that a network
    in which it is small does not leave its initialization in the steps that one has.

    Parameters
    ----------
    module : torch.nn.Module
        A network. It is not changed; normalisation is by the batch.
    X : (n, ...) array or tensor
        Two samples or more.
    masks : mapping from name to array, optional
        Masks, as `find` returns them; the whole network by default.
    probes : int
        Random signs: each costs one backward pass. The estimate (Hutchinson's) is unbiased.
    rng : Generator, int or None
        Source of the signs; one seed compares two masks with the same ones.
    include, exclude, output
        As in `jacobian`.

    Returns
    -------
    float
        Squared outputs per squared weight.

    Raises
    ------
    TypeError, ValueError
        As `jacobian`; also if masks do not fit.

    Examples
    --------
    >>> net = nn.Linear(1, 1)
    >>> apart, alike = [[-1.0], [1.0]] * 8, [[2.0]] * 16
    >>> strength(net, apart) > 0, strength(net, alike)
    (True, 0.0)
    """
    count = validation.count("probes", probes)
    generator = validation.generator(rng)
    kept = None if masks is None else {name: np.asarray(mask) != 0 for name, mask in masks.items()}

    def probed(outputs: Any, _: Any) -> Any:
        flat = outputs.reshape(len(outputs), -1)
        signs = generator.choice([-1.0, 1.0], (count, *flat.shape))
        centred = torch.as_tensor(
            signs - signs.mean(1, keepdims=True), dtype=flat.dtype, device=flat.device
        )
        return torch.einsum("kij,ij->k", centred, flat) / len(flat) ** 0.5

    def squared(values: Any, leaves: Tensors) -> float:
        total = 0.0
        for value in values:
            slopes = torch.autograd.grad(
                value, list(leaves.values()), retain_graph=True, allow_unused=True
            )
            for name, slope in zip(leaves, slopes, strict=True):
                if slope is not None:
                    live = slope if kept is None else slope[torch.as_tensor(kept[name])]
                    total += float(live.double().square().sum()) / count
        return total

    options = Options(include, exclude, output)
    result: float = slopes(module, X, np.zeros(1), masks, probed, options, squared)[1]
    return result
