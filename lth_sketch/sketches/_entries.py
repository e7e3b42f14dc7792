"""Sketches of the entries of the operands themselves: sampled one by one, or in eight bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from lth_sketch import sampling
from lth_sketch.conversion import dense
from lth_sketch.sketches._operands import Operands
from lth_sketch.validation import Floats


def elementwise(operands: Operands, s: int, rng: np.random.Generator) -> list[Any]:
    """Return operands that keep s entries a row on average, each by itself, without bias."""
    return [_kept(M, s * M.shape[0], rng) for M in operands]


def _kept(M: Any, size: int, rng: np.random.Generator) -> Any:
    """Keep entries of M with probability min(1, |M_ji| / tau), `size` of them on average."""
    if not scipy.sparse.issparse(M) and np.count_nonzero(M) == M.size > size:
        # Every entry is a candidate: no list of their places is made.
        entries = np.abs(M, dtype=np.float64, order="C").ravel()
        kept, weights = sampling.draw(entries, size, design="poisson", rng=rng)
        places = np.divmod(kept, M.shape[1])
        return scipy.sparse.csr_array((M[places] * weights, places), shape=M.shape)
    compressed = scipy.sparse.csr_array(M, dtype=np.float64)
    compressed.eliminate_zeros()
    if size >= compressed.nnz:
        return compressed
    kept, weights = sampling.draw(abs(compressed.data), size, design="poisson", rng=rng)
    rows = np.repeat(np.arange(M.shape[0]), np.diff(compressed.indptr))[kept]
    data = compressed.data[kept] * weights
    return scipy.sparse.csr_array((data, (rows, compressed.indices[kept])), shape=M.shape)


def int8(operands: Operands, s: int, rng: np.random.Generator) -> list[Floats]:
    """Return operands whose rows are integers up to s times a scale of the row, rounded."""
    return [np.rint(levels) * scale for levels, scale in (_levels(M, s) for M in operands)]


def int8_stochastic(operands: Operands, s: int, rng: np.random.Generator) -> list[Floats]:
    """Return the same, rounded up with the probability that makes the mean exact."""
    return [
        np.floor(levels + rng.random(levels.shape)) * scale
        for levels, scale in (_levels(M, s) for M in operands)
    ]


def _levels(M: Any, s: int) -> tuple[Floats, Floats]:
    """Return M in units of the scale of each row, within +-s, and the scales as a column."""
    rows = dense(M)
    scale = np.abs(rows).max(axis=1, keepdims=True) / s
    # Pixels lie half-way between two levels by the thousand, and a product with the inverse of the
    # scale would round them elsewhere than the quotient does, of which `moments.int8` is made.
    return np.divide(rows, scale, out=np.zeros_like(rows), where=scale > 0), scale
