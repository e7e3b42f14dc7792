"""The Jacobian of a module, the products that it makes, and lazy training in closed form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from lth_sketch import regression, validation
from lth_sketch.networks.boundary import (
    Options,
    Output,
    call,
    differentiable,
    evaluating,
    held,
    inputs,
    pick,
    probe,
)
from lth_sketch.networks.unwrapping import plain
from lth_sketch.networks.weights import Patterns, choose, prunable, spread, to_numpy, values, vector
from lth_sketch.product import Product
from lth_sketch.validation import Array, Floats

# Bytes that rows of the Jacobian in the making may take.
MEMORY = 2**28
# Copies of a row that are alive at a time: the gradient, its flat form, and what autograd holds.
COPIES = 4


def jacobian(
    module: nn.Module,
    X: Any,
    *,
    memory: int = MEMORY,
    progress: bool | None = None,
    include: Patterns = (),
    exclude: Patterns = (),
    output: Output = None,
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
    include, exclude
        As in `prunable`.
    output : int, str or callable, optional
        Which part of a module's outputs counts, where it returns several: an index, a key, or a
        function of them.

    Returns
    -------
    (n q, d) array
        Rows by sample, then output; columns in the order of ``vector(prunable(module))``.

    Raises
    ------
    TypeError, ValueError
        As `prunable`; also if the module cannot take `X`, gives random outputs, or normalises by a
        batch without stored statistics; if `X` is not finite or `memory` below 1.

    Notes
    -----
    Modules that look at their data to decide what to do, or hold layers that ``torch.vmap`` does
    not know, are differentiated row by row, which is slower.

    Examples
    --------
    >>> net = nn.Linear(2, 1, bias=False)
    >>> jacobian(net, [[3.0, 4.0], [0.0, 1.0]])
    array([[3., 4.],
           [0., 1.]], dtype=float32)
    """
    matrix: Array | None = None
    options = Options(include, exclude, output)
    for place, total, rows in _rows(module, X, options, memory, progress):
        if matrix is None:
            matrix = np.empty((total, rows.shape[1]), to_numpy(rows[:1]).dtype)
        matrix[place] = to_numpy(rows)
    assert matrix is not None
    return matrix


def jacobian_norms(
    module: nn.Module,
    X: Any,
    *,
    memory: int = MEMORY,
    progress: bool | None = None,
    include: Patterns = (),
    exclude: Patterns = (),
    output: Output = None,
) -> Floats:
    """Return the column norms of `jacobian`, without storing it.

    Parameters
    ----------
    module, X, memory, progress, include, exclude, output
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
    options = Options(include, exclude, output)
    for _, _, rows in _rows(module, X, options, memory, progress):
        squares = squares + torch.einsum("ij,ij->j", rows.double(), rows.double())
    return np.sqrt(to_numpy(squares))


def tangent_product(module: nn.Module, X: Any, **options: Any) -> Product:
    """Return ``Product(J, w0)``: the masked network, linearised (N1).

    Its error under a mask m is ``F_lin(m o w0) - F(w0)``. For a ReLU network of L layers without
    biases and normalisation ``J w0 = L F(w0)``, so the relative error of the linearised network is
    L times that of the product.

    Parameters
    ----------
    module, X
        As in `jacobian`.
    **options
        memory, progress, include, exclude and output, as in `jacobian`.

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
    J = jacobian(module, X, **options)
    chosen = {name: options[name] for name in ("include", "exclude") if name in options}
    return Product(J, vector(prunable(module, **chosen)))


def kernel_product(module: nn.Module, X: Any, **options: Any) -> Product:
    """Return ``Product(J, J.T)``: the tangent kernel of a masked network (N2).

    Parameters
    ----------
    module, X
        As in `jacobian`.
    **options
        memory, progress, include, exclude and output, as in `jacobian`.

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
    J = jacobian(module, X, **options)
    return Product(J, J.T)


def lazy(
    module: nn.Module,
    X: Any,
    y: npt.ArrayLike,
    *,
    penalty: float,
    masks: Any = None,
    X_test: Any = None,
    **options: Any,
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
    **options
        memory, progress, include, exclude and output, as in `jacobian`.

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
    output = options.get("output")
    J, start = jacobian(module, X, **options), _outputs(module, X, output)
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
        trained = untrained + change
        return trained if several.ndim == 2 else np.asarray(trained[0])

    fitted = outputs(J, start)
    if X_test is None:
        return fitted
    rows = jacobian(module, X_test, **options)
    return fitted, outputs(rows, _outputs(module, X_test, output))


def _outputs(module: nn.Module, X: Any, output: Output) -> Floats:
    """Return the module's outputs as (n, q), in float64."""
    net = plain(module)
    samples = inputs(prunable(net), X)
    with evaluating(net) as buffers, torch.no_grad():
        outputs = pick(call(net, samples, samples, buffers), output)
    return to_numpy(outputs).reshape(len(samples), -1).astype(np.float64)


def _rows(
    module: nn.Module, X: Any, options: Options, memory: int, progress: bool | None
) -> Iterator[tuple[slice, int, Any]]:
    """Yield rows of the Jacobian: where they belong, how many there are in all, and (c, d)."""
    memory = validation.count("memory", memory)
    with differentiable():
        yield from _chunks(module, X, options, memory, progress)


def _chunks(
    module: nn.Module, X: Any, options: Options, memory: int, progress: bool | None
) -> Iterator[tuple[slice, int, Any]]:
    net = plain(module)
    pruned = choose(net, include=options.include, exclude=options.exclude).pruned
    weights = {name: weight.clone() for name, weight in values(pruned).items()}
    samples = inputs(weights, X)
    d = sum(weight.numel() for weight in weights.values())
    size = next(iter(weights.values())).element_size()
    step = max(1, memory // (COPIES * d * size))
    q = probe(net, samples, options.output)[0].numel()
    with evaluating(net) as buffers:
        state = held(net, buffers)

        def flat(values: Any, x: Any) -> Any:
            everything = {**state, **spread(pruned, values)}
            outputs = functional_call(net, everything, (x[None].clone(),))
            return pick(outputs, options.output).reshape(-1)

        eye = torch.eye(q, dtype=next(iter(weights.values())).dtype, device=samples.device)
        mapped = vmap(grad(lambda w, x, e: (flat(w, x) * e).sum()), in_dims=(None, 0, 0))
        total = len(samples) * q
        looped = False
        for start in _progress(range(0, total, step), progress):
            index = torch.arange(start, min(start + step, total), device=samples.device)
            if not looped:
                try:
                    derivatives = mapped(weights, samples[index // q], eye[index % q])
                    rows = torch.cat(
                        [derivatives[n].reshape(len(index), -1) for n in weights], dim=1
                    )
                except (NotImplementedError, RuntimeError, ValueError) as error:
                    if isinstance(error, torch.OutOfMemoryError):
                        raise
                    # Control flow that looks at data, or a layer that vmap does not know.
                    looped = True
            if looped:
                rows = _looped(flat, weights, samples, index.tolist(), q)
            yield slice(start, start + len(index)), total, rows.detach()


def _looped(
    flat: Callable[[Any, Any], Any], weights: Any, samples: Any, index: list[int], q: int
) -> Any:
    """Return rows of the Jacobian one after another, for modules that cannot be batched by vmap."""
    leaves = {name: weight.detach().clone().requires_grad_() for name, weight in weights.items()}
    last, outputs, rows = -1, None, []
    for row in index:
        if row // q != last:
            last, outputs = row // q, flat(leaves, samples[row // q])
        assert outputs is not None
        slopes = (
            torch.autograd.grad(
                outputs[row % q], list(leaves.values()), retain_graph=True, allow_unused=True
            )
            if outputs.requires_grad
            else [None] * len(leaves)
        )
        parts = [
            torch.zeros_like(leaf) if slope is None else slope
            for leaf, slope in zip(leaves.values(), slopes, strict=True)
        ]
        rows.append(torch.cat([part.reshape(-1) for part in parts]))
    return torch.stack(rows)


def _progress(steps: Iterable[int], show: bool | None) -> Iterable[int]:
    try:
        from tqdm import tqdm
    except ImportError:
        return steps
    bar: Iterable[int] = tqdm(steps, desc="Jacobian", disable=None if show is None else not show)
    return bar
