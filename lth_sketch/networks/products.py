"""Layer by layer: each weight as the product of its inputs with it, from one forward pass (N3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from lth_sketch import validation
from lth_sketch.networks.boundary import call, evaluating, inputs
from lth_sketch.networks.layers import Site, rows, unrows
from lth_sketch.networks.reading import Read, reader
from lth_sketch.networks.unwrapping import plain
from lth_sketch.networks.weights import Patterns, Tensors, choose, masked, spread, to_numpy, values
from lth_sketch.product import Product
from lth_sketch.validation import Array, Floats

# Bytes that all Gram matrices together may take.
GRAMS = 2**30
# Samples that go through the network at a time.
BATCH = 8


class Block(NamedTuple):
    """Outputs of a layer that see the same inputs: all of them, but for groups and attention.

    Attributes
    ----------
    outputs : slice
        Which rows of the weight, as a matrix (outputs, inputs).
    squares : (k,) array
        Squared norms of the inputs' columns.
    products : (k, k) or (k,) array, or None
        Products of the inputs' columns with each other; their squares alone where all others are
        zero (a look-up), and None where they were not asked for or the inputs are kept.
    inputs : (r, k) array, or None
        The inputs themselves, where they have fewer rows than columns.
    """

    outputs: slice
    squares: Floats
    products: Floats | None
    inputs: Floats | None = None

    @property
    def gram(self) -> Floats | None:
        """`products`, of the inputs where these are kept; None where they were not asked for."""
        return self.products if self.inputs is None else self.inputs.T @ self.inputs

    def squared_norms(self, weights: Floats) -> Floats:
        """Return the squared norm of ``inputs @ w`` for each row w of (outputs, k) weights."""
        if self.inputs is not None:
            return np.asarray(np.square(weights @ self.inputs.T).sum(axis=1))
        assert self.products is not None
        diagonal = self.products.ndim == 1
        half = weights * self.products if diagonal else weights @ self.products
        return np.asarray(np.maximum(np.einsum("ij,ij->i", half, weights), 0.0))


class LayerProduct:
    """The product of a layer, ``inputs @ weight.T``, by what its errors depend on (S0).

    Attributes
    ----------
    name : str
        The weight.
    weight : (outputs, inputs) array
        As a matrix, in float64; convolutions are unfolded.
    count : int
        Rows of the inputs: samples times positions.
    blocks : list of Block
        Statistics of the inputs.
    """

    def __init__(self, site: Site, weight: Array, count: int, blocks: list[Block]) -> None:
        self.name, self.count, self.blocks = site.name, count, blocks
        self._site, self._shape = site, weight.shape
        self.weight: Floats = rows(site, weight).astype(np.float64)

    def __repr__(self) -> str:
        outputs, inputs = self.weight.shape
        return f"LayerProduct({self.name}: {outputs} outputs, {inputs} inputs, {self.count} rows)"

    @property
    def norms(self) -> Floats:
        """Norms of the inputs that each output sees, (outputs, inputs)."""
        norms = np.empty(self.weight.shape)
        for block in self.blocks:
            norms[block.outputs] = np.sqrt(block.squares)
        return norms

    @property
    def term_norms(self) -> Floats:
        """Norms ``||h_i|| |w_ij|`` of all terms, (outputs, inputs): row by row the u of S2."""
        return np.asarray(self.norms * np.abs(self.weight))

    @property
    def values2(self) -> Floats:
        """Squared norm of each output, (outputs,); it needs the Gram matrices."""
        return self.squared_errors(np.zeros(self.weight.shape))

    def scores(self) -> Array:
        """Return the score "layer", in the weight's own shape."""
        return unrows(self._site, self.term_norms, self._shape)

    def squared_errors(self, mask: Array) -> Floats:
        """Return the squared error of each output under a mask, exactly.

        Parameters
        ----------
        mask : array
            Of the weight's shape, or as a matrix (outputs, inputs); binary or with weights.

        Returns
        -------
        (outputs,) array
            ``||H (m o w_j) - H w_j||^2``.
        """
        matrix = mask if mask.shape == self.weight.shape else rows(self._site, mask)
        if matrix.shape != self.weight.shape:
            raise ValueError(
                f"mask must have the shape of {self.name}, {self._shape}; got {mask.shape}"
            )
        gaps = (matrix.astype(np.float64) - 1.0) * self.weight
        errors = np.empty(len(gaps))
        for block in self.blocks:
            errors[block.outputs] = self._exact(block).squared_norms(gaps[block.outputs])
        return errors

    def moment(self, s: Any) -> Floats:
        """Return the exact second moment of each output's error, its row drawn by itself (N3).

        Parameters
        ----------
        s : number or (outputs,) array
            Draws with replacement of each row, from the best probabilities.

        Returns
        -------
        (outputs,) array
            ``((sum_i ||h_i|| |w_ij|)^2 - ||H w_j||^2) / s_j``; their sum is that of the layer.
        """
        draws = validation.numbers("s", s)
        return np.asarray(np.maximum(self.term_norms.sum(1) ** 2 - self.values2, 0.0) / draws)

    def budgets(self, total: float) -> Floats:
        """Return the draws of each row, ``total`` in all, of least moment (Neyman's allocation)."""
        roots = np.sqrt(self.moment(1))
        whole = roots.sum()
        even = np.full(len(roots), total / len(roots))
        return np.asarray(total * roots / whole) if whole > 0 else even

    def product(self, output: int | None = None) -> Product:
        """Return a product with the errors of the layer, or of one of its outputs.

        Parameters
        ----------
        output : int, optional
            A row of the weight as a matrix; all rows by default.

        Returns
        -------
        Product
            A is a root of the Gram matrix, with as many rows as columns, in place of the inputs:
            by S0 all norms, moments, bounds and simulated errors are the same. Its value is not.

        Raises
        ------
        ValueError
            If there is no such output, no Gram matrix, or the outputs see different inputs.
        """
        if output is None and len(self.blocks) > 1:
            raise ValueError(
                f"the outputs of {self.name} see different inputs (groups, or query, key and "
                "value): name one output"
            )
        at = 0 if output is None else output
        if not 0 <= at < len(self.weight):
            raise ValueError(f"output must lie in 0 to {len(self.weight) - 1}; got {output}")
        block = next(b for b in self.blocks if b.outputs.start <= at < b.outputs.stop)
        gram = self._exact(block).gram
        assert gram is not None
        if gram.ndim == 1:
            root = np.diag(np.sqrt(gram))
        else:
            eigenvalues, vectors = np.linalg.eigh(gram)
            root = np.sqrt(np.maximum(eigenvalues, 0.0))[:, None] * vectors.T
        return Product(root, self.weight.T if output is None else self.weight[at])

    def _exact(self, block: Block) -> Block:
        if block.products is None and block.inputs is None:
            raise ValueError(
                f"{self.name} has no Gram matrix of its inputs: {len(block.squares)}^2 numbers did "
                "not fit; raise memory= of layer_products, or ask for fewer layers with exclude="
            )
        return block


def layer_products(
    module: nn.Module,
    X: Any,
    *,
    masks: Mapping[str, Array] | None = None,
    gram: bool = True,
    memory: int = GRAMS,
    batch: int = BATCH,
    progress: bool | None = None,
    include: Patterns = (),
    exclude: Patterns = (),
) -> dict[str, LayerProduct]:
    """Return the product of each prunable layer, ``inputs @ weight.T``, from one forward pass.

    Parameters
    ----------
    module : torch.nn.Module
        A network, run in evaluation mode. It is not changed, and what it returns does not matter.
    X : (n, ...) array or tensor, or iterable of batches
        Samples, or a DataLoader: of a batch that is a tuple or a list, the first part counts.
    masks : mapping from name to array, optional
        Masks under which the network is run; the products are those of the masked weights.
    gram : bool
        Whether to keep the Gram matrices of inputs, which exact errors need, or their norms alone.
    memory : int
        Bytes for all Gram matrices, the smallest first; layers beyond have norms only.
    batch : int
        Samples that go through the network at a time, where X is an array.
    progress : bool, optional
        Whether to show a bar, see `jacobian`.
    include, exclude
        As in `prunable`.

    Returns
    -------
    dict of LayerProduct
        By weight, in the order of `prunable`. A shared weight has the inputs of all its layers,
        save that of a look-up (an embedding) that shares it with a linear layer.

    Raises
    ------
    TypeError, ValueError
        As `prunable`; also if the module cannot take the samples, a layer is not met in the pass,
        or there is no rule for its inputs.

    Notes
    -----
    Inputs are in the module's own numbers; norms and Gram matrices are accumulated in float64. The
    rows of a convolution are its windows, padding included; in attention, query, key and value
    each see their own, and the output projection the joined heads.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> products = layer_products(net, [[3.0, 1.0], [4.0, 0.0]])
    >>> products["0.weight"].norms[0]
    array([5., 1.])
    """
    size = validation.count("batch", batch)
    room = validation.count("memory", memory, minimum=0)
    net = plain(module)
    pruned = choose(net, include=include, exclude=exclude).pruned
    weights = masked(values(pruned), masks) if masks is not None else values(pruned)
    kept = _fitting(pruned, weights, room) if gram else set()
    sums = {name: _Sums(places[0], weights[name], name in kept) for name, places in pruned.items()}
    owners = {
        (id(site.layer), site.attribute): sums[name]
        for name, places in pruned.items()
        for site in places
        # A look-up that shares the weight of a layer reads it the other way round.
        if site.inputs == places[0].inputs
    }
    readers = {
        id(site.layer): site.layer
        for places in pruned.values()
        for site in places
        if (id(site.layer), site.attribute) in owners
    }
    with torch.no_grad(), evaluating(net) as buffers:
        state = {**buffers, **(spread(pruned, weights) if masks is not None else {})}

        def take(layer: nn.Module, read: Read) -> None:
            owner = owners.get((id(layer), read.attribute))
            if owner is not None:
                owner.add(read)

        with reader(net, list(readers.values()), take):
            for samples in _progress(_batches(weights, X, size), progress):
                call(net, samples, samples, state)
    return {name: gathered.product(name, weights[name]) for name, gathered in sums.items()}


class _Sums:
    """Sums over the rows of a layer's inputs, block by block."""

    def __init__(self, site: Site, weight: Any, gram: bool) -> None:
        self.site, self.gram = site, gram
        self.outputs = len(rows(site, np.empty(tuple(weight.shape), np.bool_)))
        self.count = 0
        self.blocks: dict[tuple[int, int], _Block] = {}

    def add(self, read: Read) -> None:
        stop = self.outputs if read.stop is None else read.stop
        block = self.blocks.setdefault((read.start, stop), _Block(self.gram))
        if read.counts is not None:
            block.count(read.counts.double())
        else:
            for part in read.rows():
                block.add(part.double())
        if read.start == 0:
            self.count += read.size

    def product(self, name: str, weight: Any) -> LayerProduct:
        if not self.blocks:
            raise ValueError(
                f"{name} was not met when the module was run on X, so its inputs are not known: "
                f"leave it out with exclude={name!r}"
            )
        blocks = [block.told(slice(*place)) for place, block in sorted(self.blocks.items())]
        return LayerProduct(self.site._replace(name=name), to_numpy(weight), self.count, blocks)


class _Block:
    """Sums over the rows of the inputs that some outputs see; the rows while they are few."""

    def __init__(self, gram: bool) -> None:
        self.gram = gram
        self.squares: Any = 0.0
        self.products: Any = None
        self.inputs: list[Any] = []

    def count(self, counts: Any) -> None:
        """Take a look-up: how often each row of the weight is read."""
        self.squares = self.squares + counts
        self.products = self.squares if self.gram else None

    def add(self, rows: Any) -> None:
        self.squares = self.squares + torch.einsum("ij,ij->j", rows, rows)
        if not self.gram:
            return
        if self.products is None:
            self.inputs.append(rows)
            if sum(map(len, self.inputs)) < rows.shape[1]:
                return
            rows = torch.cat(self.inputs)
            self.inputs.clear()
            self.products = rows.T @ rows
        else:
            self.products.addmm_(rows.T, rows)

    def told(self, outputs: slice) -> Block:
        inputs = to_numpy(torch.cat(self.inputs)) if self.inputs else None
        products = None if self.products is None else to_numpy(self.products)
        return Block(outputs, to_numpy(self.squares), products, inputs)


def _fitting(pruned: Mapping[str, list[Site]], weights: Tensors, room: int) -> set[str]:
    """Return the weights whose Gram matrices fit into so many bytes, the smallest first."""
    needs = {}
    for name, places in pruned.items():
        site, shape = places[0], tuple(weights[name].shape)
        width = rows(site, np.empty(shape, np.bool_)).shape[1]
        times = 3 if site.attribute == "in_proj_weight" else site.groups
        needs[name] = 8 * width * (1 if site.kind == "embedding" else width) * times
    kept, used = set(), 0
    for name in sorted(needs, key=needs.__getitem__):
        if used + needs[name] <= room:
            kept.add(name)
            used += needs[name]
    return kept


def _batches(weights: Tensors, X: Any, size: int) -> Iterable[Any]:
    if hasattr(X, "__array__") or isinstance(X, torch.Tensor | list | tuple):
        whole = inputs(weights, X)
        return [whole[start : start + size] for start in range(0, len(whole), size)]
    if not hasattr(X, "__iter__"):
        inputs(weights, X)

    def stream() -> Iterator[Any]:
        empty = True
        for batch in X:
            empty = False
            yield inputs(weights, batch[0] if isinstance(batch, list | tuple) else batch)
        if empty:
            raise ValueError("X has no batches; pass samples, or a DataLoader that holds some")

    return stream()


def _progress(steps: Iterable[Any], show: bool | None) -> Iterable[Any]:
    try:
        from tqdm import tqdm
    except ImportError:
        return steps
    bar: Iterable[Any] = tqdm(steps, desc="layers", disable=None if show is None else not show)
    return bar
