"""Scores of the weights of a deep linear network ``f = X W_1 W_2 ... W_L``.

``weights`` is a list of L matrices, ``weights[l]`` of shape (inputs, outputs) of its layer: the
transpose of what torch.nn.Linear holds. Each score is a list of arrays of these shapes, float64,
one number a *weight* (the functions of ``pruning`` score the features of a linear model, that is
rows of its w). The loss is ``||f - y||^2 / 2``; derivatives are written out by hand, in float64.

With Z the input of a layer, D the product of the layers behind it and E = f - y, the gradient of
its weights is ``Z^T E D^T``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import validation
from lth_sketch.pruning import scores
from lth_sketch.validation import Floats

Weights = Sequence[npt.ArrayLike]


def magnitude(weights: Weights) -> list[Floats]:
    """Return ``|W|`` of every layer.

    Parameters
    ----------
    weights : list of (d_l, d_{l+1}) arrays
        The network.

    Returns
    -------
    list of (d_l, d_{l+1}) arrays
        Scores.

    Raises
    ------
    TypeError, ValueError
        If a layer is not a real, finite matrix, or its rows are not as many as the columns of the
        layer before.

    References
    ----------
    Han, Pool, Tran, Dally, Learning both Weights and Connections for Efficient Neural Networks,
    NeurIPS 2015, section 3.

    Examples
    --------
    >>> magnitude([[[-1.0, 2.0]], [[3.0], [-4.0]]])
    [array([[1., 2.]]), array([[3.],
           [4.]])]
    """
    return [np.abs(W) for W in _network(weights)]


def log_synflow(weights: Weights) -> list[Floats]:
    """Return the logarithms of the SynFlow scores ``|W| o dR/d|W|``, ``R = 1^T |W_1|...|W_L| 1``.

    A score is the sum of the products along all paths through a weight. In the log domain it
    cannot overflow, however deep the network; `select` takes it with ``log=True``. Its total,
    ``logsumexp``, is log R in every layer: the layerwise conservation law.

    Parameters
    ----------
    weights : list of (d_l, d_{l+1}) arrays
        The network.

    Returns
    -------
    list of (d_l, d_{l+1}) arrays
        Logarithms of scores; minus infinity where no path of nonzero weights passes.

    Raises
    ------
    TypeError, ValueError
        As `magnitude`.

    References
    ----------
    Tanaka, Kunin, Yamins, Ganguli, Pruning neural networks without any data by iteratively
    conserving synaptic flow, NeurIPS 2020, sections 4 (conservation) and 6 (SynFlow).

    Examples
    --------
    >>> import numpy as np
    >>> [np.exp(logs).round(6) for logs in log_synflow([[[-1.0, 2.0]], [[3.0], [-4.0]]])]
    [array([[3., 8.]]), array([[3.],
           [8.]])]
    """
    with np.errstate(divide="ignore"):
        logs = [np.log(np.abs(W)) for W in _network(weights)]
    # Logarithms of the sums over all paths from the inputs to each unit, and on to the outputs.
    arriving = [np.zeros(len(logs[0]))]
    for W in logs:
        arriving.append(_logsumexp(arriving[-1][:, None] + W, axis=0))
    leaving = [np.zeros(logs[-1].shape[1])]
    for W in reversed(logs):
        leaving.append(_logsumexp(W + leaving[-1], axis=1))
    after = leaving[-2::-1]
    return [a[:, None] + W + b for a, W, b in zip(arriving, logs, after, strict=False)]


def snip(X: npt.ArrayLike, y: npt.ArrayLike, weights: Weights) -> list[Floats]:
    """Return ``|W o G|``, G the gradient: the size of the loss's derivative by each mask entry.

    Parameters
    ----------
    X : (n, d_0) array or CSR/CSC matrix
        Data; see `source`.
    y : (n, d_L) array, or (n,) for one output
        Targets.
    weights : list of (d_l, d_{l+1}) arrays
        The network.

    Returns
    -------
    list of (d_l, d_{l+1}) arrays
        Scores.

    Raises
    ------
    TypeError, ValueError
        As `magnitude`; also if `X` or `y` do not fit, or the scores leave float64.

    References
    ----------
    Lee, Ajanthan, Torr, SNIP: Single-shot network pruning based on connection sensitivity,
    ICLR 2019, section 4.

    Examples
    --------
    >>> snip([[1.0]], [1.0], [[[2.0]], [[3.0]]])
    [array([[30.]]), array([[30.]])]
    """
    network = _network(weights)
    with np.errstate(over="ignore", invalid="ignore"):
        inputs = _forward(_data(X, network), network)
        errors = _backward(inputs[-1] - _targets(y, inputs[-1]), network)
        scores = [np.abs(W * (Z.T @ E)) for W, Z, E in zip(network, inputs, errors, strict=False)]
    return _finite(scores)


def grasp(X: npt.ArrayLike, y: npt.ArrayLike, weights: Weights) -> list[Floats]:
    """Return ``+ W o (H g)``, GraSP with its sign turned: the largest are kept.

    g is the gradient by all weights and H the Hessian. Scaling a weight by ``1 - eps`` lowers
    ``||g||^2`` by ``2 eps`` times its score, to first order. The score is signed: a draw needs
    `nonnegative`. H g is the derivative of the gradient in the direction g, carried through the
    same forward and backward products (Pearlmutter, Neural Computation 6, 1994).

    Parameters
    ----------
    X : (n, d_0) array or CSR/CSC matrix
        Data; see `source`.
    y : (n, d_L) array, or (n,) for one output
        Targets.
    weights : list of (d_l, d_{l+1}) arrays
        The network.

    Returns
    -------
    list of (d_l, d_{l+1}) arrays
        Scores of either sign.

    Raises
    ------
    TypeError, ValueError
        As `snip`.

    References
    ----------
    Wang, Zhang, Grosse, Picking winning tickets before training by preserving gradient flow,
    ICLR 2020, section 3.

    Examples
    --------
    >>> grasp([[1.0]], [1.0], [[[2.0]], [[3.0]]])
    [array([[490.]]), array([[615.]])]
    """
    network = _network(weights)
    with np.errstate(over="ignore", invalid="ignore"):
        inputs = _forward(_data(X, network), network)
        errors = _backward(inputs[-1] - _targets(y, inputs[-1]), network)
        direction = [Z.T @ E for Z, E in zip(inputs, errors, strict=False)]
        # How inputs and errors change along the direction: product rule, forward and back.
        moved = [np.zeros((len(inputs[1]), len(network[0])))]
        for Z, W, V in zip(inputs, network, direction, strict=False):
            moved.append(moved[-1] @ W + Z @ V)
        turned = moved[-1]
        scores = []
        for layer in reversed(range(len(network))):
            curvature = moved[layer].T @ errors[layer] + inputs[layer].T @ turned
            scores.append(network[layer] * curvature)
            turned = turned @ network[layer].T + errors[layer] @ direction[layer].T
    return _finite(scores[::-1])


def sketch(X: npt.ArrayLike, weights: Weights) -> list[Floats]:
    """Return ``|W_ij| ||J_ij||``, J the network's Jacobian: the optimal draw, linearised (N1, S3).

    They are the term norms of the product (J, w) with w all weights, over all layers at once:
    ``||J_ij|| = ||Z_i|| ||D_j||``, column i of the layer's input and row j of the layers behind.

    Parameters
    ----------
    X : (n, d_0) array or CSR/CSC matrix
        Data; see `source`.
    weights : list of (d_l, d_{l+1}) arrays
        The network.

    Returns
    -------
    list of (d_l, d_{l+1}) arrays
        Scores.

    Raises
    ------
    TypeError, ValueError
        As `snip`.

    Examples
    --------
    >>> sketch([[3.0], [4.0]], [[[2.0]], [[-3.0]]])
    [array([[30.]]), array([[30.]])]
    """
    network = _network(weights)
    with np.errstate(over="ignore", invalid="ignore"):
        inputs = _forward(_data(X, network), network)
        behind = [np.eye(network[-1].shape[1])]
        for W in network[:0:-1]:
            behind.append(W @ behind[-1])
        scores = [
            np.abs(W) * np.outer(_lengths(Z, 0), _lengths(D, 1))
            for W, Z, D in zip(network, inputs, behind[::-1], strict=False)
        ]
    return _finite(scores)


def random(weights: Weights, rng: np.random.Generator | int | None = None) -> list[Floats]:
    """Return 1 for every weight, with a random order in the last digits, over all layers.

    Parameters
    ----------
    weights : list of (d_l, d_{l+1}) arrays
        The network; only its shapes are used.
    rng : Generator, int or None
        Source of randomness.

    Returns
    -------
    list of (d_l, d_{l+1}) arrays
        As ``pruning.random``, all layers as one vector.

    Raises
    ------
    TypeError, ValueError
        As `magnitude`; also if `rng` is none of the above.

    Examples
    --------
    >>> [layer.shape for layer in random([[[-1.0, 2.0]], [[3.0], [-4.0]]], rng=0)]
    [(1, 2), (2, 1)]
    """
    network = _network(weights)
    ends = np.cumsum([W.size for W in network])
    parts = np.split(scores.random(int(ends[-1]), rng), ends[:-1])
    return [part.reshape(W.shape) for part, W in zip(parts, network, strict=True)]


def _network(weights: Weights) -> list[Floats]:
    layers = [
        validation.array(f"weights[{index}]", W, ndim=2).astype(np.float64)
        for index, W in enumerate(weights)
    ]
    if not layers:
        raise ValueError("weights must hold at least one layer; got none")
    for index, (W, V) in enumerate(pairwise(layers)):
        if W.shape[1] != V.shape[0]:
            raise ValueError(
                f"weights[{index + 1}] must have {W.shape[1]} rows, one for each column of "
                f"weights[{index}]; got shape {V.shape}: a layer is (inputs, outputs), the "
                "transpose of a torch.nn.Linear weight"
            )
    return layers


def _data(X: npt.ArrayLike, network: list[Floats]) -> Any:
    data = validation.matrix("X", X)
    if data.shape[1] != len(network[0]):
        raise ValueError(
            f"X must have {len(network[0])} columns, one for each row of weights[0]; got shape "
            f"{data.shape}"
        )
    return data.astype(np.float64)


def _targets(y: npt.ArrayLike, output: Floats) -> Floats:
    targets = validation.array("y", y, ndim=(1, 2)).astype(np.float64)
    if targets.ndim == 1:
        targets = targets[:, None]
    if targets.shape != output.shape:
        raise ValueError(
            f"y must have shape {output.shape}, a row for each sample of X and a column for each "
            f"output; got shape {np.shape(y)}"
        )
    return targets


def _forward(X: Any, network: list[Floats]) -> list[Any]:
    """Return the input of every layer, and the output."""
    inputs = [X]
    for W in network:
        inputs.append(inputs[-1] @ W)
    return inputs


def _backward(error: Floats, network: list[Floats]) -> list[Floats]:
    """Return the loss's derivative by the output of every layer."""
    errors = [error]
    for W in network[:0:-1]:
        errors.append(errors[-1] @ W.T)
    return errors[::-1]


def _lengths(Z: Any, axis: int) -> Floats:
    """Return the norms of the columns (axis 0) or rows (axis 1) of a dense or sparse matrix."""
    return np.asarray(np.sqrt((Z * Z).sum(axis=axis)))


def _logsumexp(terms: Floats, axis: int) -> Floats:
    return np.asarray(scipy.special.logsumexp(terms, axis=axis))


def _finite(scores: list[Floats]) -> list[Floats]:
    for index, layer in enumerate(scores):
        if not np.isfinite(layer).all():
            raise ValueError(
                f"weights give scores of layer {index} that leave float64: the network's outputs "
                "or their derivatives are too large; scale the layers down (each by its largest "
                "singular value, say), or use log_synflow or magnitude"
            )
    return scores
