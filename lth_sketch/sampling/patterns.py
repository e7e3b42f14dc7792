"""Masks with a pattern: n of every M consecutive weights (S9)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lth_sketch import validation
from lth_sketch.inclusion import groups as inclusions
from lth_sketch.kernels import groups
from lth_sketch.parallel import blockwise
from lth_sketch.sampling._rows import streams
from lth_sketch.validation import Array


def grouped(
    p: npt.ArrayLike,
    pattern: Any,
    *,
    binary: bool = False,
    rng: np.random.Generator | int | None = None,
    n_jobs: int | None = None,
) -> Array:
    """Draw a mask that keeps n of every M consecutive weights, without bias (S9).

    Groups are independent. Within one, inclusion probabilities are ``min(1, p_i / tau)`` with sum
    n, and the draw is systematic in a random order.

    Parameters
    ----------
    p : (d,) array
        Weights >= 0, in any scale; d a multiple of M.
    pattern : (int, int)
        n and M, such as (2, 4). A group of fewer than n nonzero weights keeps the first of its
        zeros too.
    binary : bool
        1 in place of the weight of a kept index. Such a mask is biased.
    rng : Generator, int or None
        Source of randomness. The same seed gives the same bits for any `n_jobs`.
    n_jobs : int or None
        Number of threads; None for all processors.

    Returns
    -------
    (d,) array
        One over the inclusion probability where an index is kept, zero elsewhere; float32 for
        float32 `p`, else float64. Its second moment is `moments.grouped`.

    Raises
    ------
    TypeError
        If `p` is not real, or `pattern` no pair of integers.
    ValueError
        If `p` is no vector, has an entry that is negative or not finite, or none above zero; if the
        pattern does not keep 1 to M, or M does not divide d.

    References
    ----------
    Hartley, Rao, Sampling with Unequal Probabilities and without Replacement, Ann. Math. Statist.
    33 (1962), for the draw; this project, docs/theory.md, S9.

    Examples
    --------
    >>> grouped([1.0, 0.0, 3.0, 0.0, 0.0, 2.0, 2.0, 0.0], (2, 4), rng=0)
    array([1., 0., 1., 0., 0., 1., 1., 0.])
    """
    weights = np.ascontiguousarray(validation.weights("p", p))
    n, M = inclusions.checked(pattern, len(weights), "p")
    threads = validation.workers(n_jobs)
    parts = blockwise.spans(len(weights), max(1, blockwise.BLOCK // M) * M)
    children = streams(validation.generator(rng), len(parts))
    mask = np.empty_like(weights)

    def fill(share: range) -> None:
        for b in share:
            groups.drawn(weights[parts[b]], n, M, binary, children[b], mask[parts[b]])

    blockwise.share(fill, len(parts), threads)
    return mask
