"""The Jacobian of a module, the products that it makes, and lazy training in closed form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from lth_sketch import regression, validation
from lth_sketch.networks.weights import evaluating, inputs, prunable, to_numpy, vector
from lth_sketch.product import Product
from lth_sketch.validation import Array, Floats

# Bytes that rows of the Jacobian in the making may take.
MEMORY = 2**28
# Copies of a row that are alive at a time: the gradient, its flat form, and what autograd holds.
COPIES = 4


def jacobian(
    module: nn.Module, X: Any, *, memory: int = MEMORY, progress: bool | None = None
) -> Array:
    """Return the Jacobian of a module's outputs by its prunable weights.

    Parameters
    ----------
    module : torch.nn.Module
        A network, run in evaluation mode (stored statistics, no dropout). It is not changed.
    X : (n, ...) array or tensor
        Samples.
    memory : int
        Bytes for rows in the making; more are computed one after another. At least one row of
        about 4 d numbers. The result itself takes n q d numbers.
    progress : bool, optional
        Whether to show a bar; None for yes on a terminal. It needs tqdm, and is left out without.

    Returns
    -------
    (n q, d) array
        Rows by sample, then output; columns in the order of ``vector(prunable(module))``.

    Raises
    ------
    TypeError, ValueError
        As `prunable`; also if `X` is not finite or `memory` below 1.

    Examples
    --------
    >>> net = nn.Linear(2, 1, bias=False)
    >>> jacobian(net, [[3.0, 4.0], [0.0, 1.0]])
    array([[3., 4.],
           [0., 1.]], dtype=float32)
    """
    found: Array | None = None
    for place, total, rows in _rows(module, X, memory, progress):
        if found is None:
            found = np.empty((total, rows.shape[1]), to_numpy(rows[:1]).dtype)
        found[place] = to_numpy(rows)
    assert found is not None
    return found


def jacobian_norms(
    module: nn.Module, X: Any, *, memory: int = MEMORY, progress: bool | None = None
) -> Floats:
    """Return the column norms of `jacobian`, without storing it.

    Parameters
    ----------
    module, X, memory, progress
        As in `jacobian`.

    Returns
    -------
    (d,) array
        Norms, accumulated in float64.

    Raises
    ------
    TypeError, ValueError
        As `jacobian`.

    Examples
    --------
    >>> jacobian_norms(nn.Linear(2, 1, bias=False), [[3.0, 2.0], [4.0, 0.0]])
    array([5., 2.])
    """
    squares: Any = 0.0
    for _, _, rows in _rows(module, X, memory, progress):
        squares = squares + torch.einsum("ij,ij->j", rows.double(), rows.double())
    return np.sqrt(to_numpy(squares))


def tangent_product(
    module: nn.Module, X: Any, *, memory: int = MEMORY, progress: bool | None = None
) -> Product:
    """Return ``Product(J, w0)``: the masked network, linearised (N1).

    Its error under a mask m is ``F_lin(m o w0) - F(w0)``. For a ReLU network of L layers without
    biases and normalisation ``J w0 = L F(w0)``, so the relative error of the linearised network is
    L times that of the product.

    Parameters
    ----------
    module, X, memory, progress
        As in `jacobian`.

    Returns
    -------
    Product
        A of shape (n q, d), B the weights (d,).

    Raises
    ------
    TypeError, ValueError
        As `jacobian`; also if every weight or derivative is zero.

    Examples
    --------
    >>> from lth_sketch import moments, probabilities
    >>> net = nn.Sequential(nn.Linear(4, 8, bias=False), nn.ReLU(), nn.Linear(8, 2, bias=False))
    >>> product = tangent_product(net, torch.ones(3, 4))
    >>> product.A.shape, bool(moments.multinomial(product, probabilities.optimal(product), 9) > 0)
    ((6, 48), True)
    """
    J = jacobian(module, X, memory=memory, progress=progress)
    return Product(J, vector(prunable(module)))


def kernel_product(
    module: nn.Module, X: Any, *, memory: int = MEMORY, progress: bool | None = None
) -> Product:
    """Return ``Product(J, J.T)``: the tangent kernel of a masked network (N2).

    Parameters
    ----------
    module, X, memory, progress
        As in `jacobian`.

    Returns
    -------
    Product
        A of shape (n q, d) and B its transpose; its value is the kernel, (n q, n q).

    Raises
    ------
    TypeError, ValueError
        As `tangent_product`.

    Examples
    --------
    >>> kernel_product(nn.Linear(2, 1, bias=False), [[3.0, 4.0]]).value
    array([[25.]], dtype=float32)
    """
    J = jacobian(module, X, memory=memory, progress=progress)
    return Product(J, J.T)


def lazy(
    module: nn.Module,
    X: Any,
    y: npt.ArrayLike,
    *,
    penalty: float,
    masks: Any = None,
    X_test: Any = None,
    memory: int = MEMORY,
    progress: bool | None = None,
) -> Any:
    """Return the outputs of the linearised network after ridge training under masks (N2, E4).

    The network is ``F(w0) + J delta`` with J fixed at w0; delta minimises
    ``||J diag(sqrt m) v - (y - F(w0))||^2 + penalty ||v||^2``, ``delta = sqrt(m) o v``. The initial
    output is left unpruned: the mask acts on the directions of training. The square root makes the
    kernel linear in m (E4); `bounds.retrained` bounds the distance to the fit without a mask.

    Parameters
    ----------
    module : torch.nn.Module
        A network, as in `jacobian`.
    X : (n, ...) array or tensor
        Training samples.
    y : (n,) or (n, q) array
        Targets, real numbers; one-hot for classes.
    penalty : float
        Ridge penalty, > 0.
    masks : (d,) or (count, d) array or sparse array, optional
        Masks >= 0, binary or with weights; none by default.
    X_test : (n_test, ...) array or tensor, optional
        Samples for predictions.
    memory, progress
        As in `jacobian`.

    Returns
    -------
    fitted : (n, q) array, or (count, n, q) for several masks
        Outputs for X, in float64.
    predicted : (n_test, q) array, or (count, n_test, q)
        Outputs for `X_test`, if it was given.

    Raises
    ------
    TypeError, ValueError
        As `jacobian`; also if targets or masks do not fit, or `penalty` is not above zero.

    Examples
    --------
    >>> net = nn.Linear(1, 1, bias=False)
    >>> lazy(net, [[1.0]], [1.0], penalty=1e-12).round(6)
    array([[1.]])
    """
    penalty = validation.number("penalty", penalty, low=0.0, closed=False)
    J, start = jacobian(module, X, memory=memory, progress=progress), _outputs(module, X)
    targets = validation.array("y", y, ndim=(1, 2)).astype(np.float64)
    if targets.reshape(len(targets), -1).shape != start.shape:
        raise ValueError(
            f"y must have shape {start.shape}, a row for each sample and a column for each output; "
            f"got shape {targets.shape}"
        )
    dense = masks.toarray() if hasattr(masks, "toarray") else masks
    several = np.ones(J.shape[1]) if dense is None else np.asarray(dense, dtype=np.float64)
    if several.ndim not in (1, 2) or several.shape[-1] != J.shape[1] or not (several >= 0).all():
        raise ValueError(
            f"masks must have {J.shape[1]} entries >= 0 each, one for each prunable weight; got "
            f"shape {several.shape} with least entry {several.min()}"
        )
    rest = targets.reshape(-1) - start.reshape(-1)
    deltas = np.stack(
        [
            regression.ridge(J, rest, penalty=penalty, mask=np.sqrt(mask)).astype(np.float64)
            for mask in np.atleast_2d(several)
        ]
    )

    def outputs(rows: Array, untrained: Floats) -> Floats:
        change = (deltas @ rows.T.astype(np.float64)).reshape(-1, *untrained.shape)
        found = untrained + change
        return found if several.ndim == 2 else np.asarray(found[0])

    fitted = outputs(J, start)
    if X_test is None:
        return fitted
    rows = jacobian(module, X_test, memory=memory, progress=progress)
    return fitted, outputs(rows, _outputs(module, X_test))


def _outputs(module: nn.Module, X: Any) -> Floats:
    """Return the module's outputs as (n, q), in float64."""
    samples = inputs(module, X)
    with evaluating(module), torch.no_grad():
        found = module(samples)
    return to_numpy(found).reshape(len(samples), -1).astype(np.float64)


def _rows(
    module: nn.Module, X: Any, memory: int, progress: bool | None
) -> Iterator[tuple[slice, int, Any]]:
    """Yield rows of the Jacobian: where they belong, how many there are in all, and (c, d)."""
    memory = validation.count("memory", memory)
    weights = prunable(module)
    samples = inputs(module, X)
    d = sum(weight.numel() for weight in weights.values())
    size = next(iter(weights.values())).element_size()
    step = max(1, memory // (COPIES * d * size))
    with evaluating(module) as buffers:
        with torch.no_grad():
            q = module(samples[:1]).numel()
        eye = torch.eye(q, dtype=next(iter(weights.values())).dtype, device=samples.device)

        def output(values: Any, x: Any, e: Any) -> Any:
            return (functional_call(module, (values, buffers), (x[None],)).reshape(-1) * e).sum()

        gradients = vmap(grad(output), in_dims=(None, 0, 0))
        total = len(samples) * q
        for start in _progress(range(0, total, step), progress):
            index = torch.arange(start, min(start + step, total), device=samples.device)
            found = gradients(weights, samples[index // q], eye[index % q])
            rows = torch.cat([found[name].reshape(len(index), -1) for name in weights], dim=1)
            yield slice(start, start + len(index)), total, rows.detach()


def _progress(steps: Iterable[int], show: bool | None) -> Iterable[int]:
    try:
        from tqdm import tqdm
    except ImportError:
        return steps
    bar: Iterable[int] = tqdm(steps, desc="Jacobian", disable=None if show is None else not show)
    return bar
