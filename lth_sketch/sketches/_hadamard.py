"""The subsampled randomised Hadamard transform."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from lth_sketch import methods
from lth_sketch.kernels import transforms
from lth_sketch.sketches import _operands
from lth_sketch.sketches._operands import Operands, random_signs, share
from lth_sketch.validation import Floats, Integers


def srht(operands: Operands, s: int, rng: np.random.Generator) -> list[Any]:
    """Return s columns, drawn without replacement, of the transform of signed columns."""
    d = operands[0].shape[1]
    order = methods.hadamard_order(d)
    if s > order:
        raise ValueError(
            f"s must be at most {order}, the order of the Hadamard matrix for d = {d}; got {s}; "
            "the other methods allow more"
        )
    flips = random_signs(rng, d)
    chosen = np.sort(rng.choice(order, s, replace=False))
    return [_transformed(M, flips, chosen, order) / np.sqrt(s) for M in operands]


def _transformed(M: Any, signs: Floats, chosen: Integers, order: int) -> Floats:
    """Return chosen columns of the Hadamard transform of the rows of M, padded with zeros."""
    readable = M.tocsr() if scipy.sparse.issparse(M) else M
    out = np.empty((M.shape[0], len(chosen)))

    def work(rows: slice) -> None:
        part = readable[rows]
        part = part.toarray() if scipy.sparse.issparse(part) else part
        padded = np.zeros((len(part), order))
        np.multiply(part, signs, out=padded[:, : len(signs)])
        transforms.hadamard(padded)
        out[rows] = padded[:, chosen]

    share(work, len(out), max(1, _operands.DENSE // order))
    return out
