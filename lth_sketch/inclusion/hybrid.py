"""S8: how many of the largest weights a hybrid draw keeps for certain."""

from __future__ import annotations

import numpy as np

from lth_sketch.validation import Array, Floats, Integers


def sure(p: Array, s: int) -> Integers:
    """Return the indices that a hybrid draw of size s keeps surely, the largest first.

    With the c largest kept and s - c draws from the rest R, in proportion to p, the error has the
    second moment ``(U_R^2 - F_R^2) / (s - c)``. Incoherent terms of sizes p have ``F_R^2 = sum_R
    p_i^2``: c makes that least, the smallest c among equals. It looks at nothing but p.

    Parameters
    ----------
    p : (d,) array
        Weights >= 0, not all zero, in any scale.
    s : int
        Size of the draw.

    Returns
    -------
    (c,) array of int64
        Indices; all with ``p_i > 0`` where s is as many, otherwise fewer than s.
    """
    order = np.argsort(-p, kind="stable")[: np.count_nonzero(p)]
    if s >= len(order):
        return order
    sizes: Floats = p[order].astype(np.float64)
    sizes /= sizes.sum()
    # U_R^2 - sum_R p_i^2 for the rest from each place on: twice the sum over pairs, all positive.
    beyond = np.append(np.cumsum(sizes[:0:-1])[::-1], 0.0)
    pairs = np.cumsum((sizes * beyond)[::-1])[::-1]
    return order[: int(np.argmin(pairs[:s] / (s - np.arange(s))))]
