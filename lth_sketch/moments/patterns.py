"""S9: the second moment of masks that keep n of every M."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lth_sketch import validation
from lth_sketch.inclusion import groups
from lth_sketch.kernels import groups as kernels
from lth_sketch.product import Product


def grouped(product: Product, p: npt.ArrayLike, pattern: Any) -> float:
    """Return ``E ||A diag(m) B - AB||_F^2`` for n of every M consecutive terms (S9).

    Parameters
    ----------
    product : Product
        The product AB; d a multiple of M.
    p : (d,) array
        Weights >= 0, in any scale; positive wherever the product's term is not zero.
    pattern : (int, int)
        n and M, such as (2, 4), M at most 12.

    Returns
    -------
    float
        Sum over the groups of ``sum_ij H_ij (pi_ij / (pi_i pi_j) - 1)``, pi_ij exact, from the
        factor of S0: the second moment of `sampling.grouped`.

    Raises
    ------
    TypeError
        If `pattern` is no pair of integers.
    ValueError
        If `p` would bias the estimate or does not fit, M does not divide d or is above 12, or the
        factor of S0 does not fit into memory.

    References
    ----------
    This project, docs/theory.md, S9.

    Examples
    --------
    One of two equal terms, of equal and of opposite signs:

    >>> print(grouped(Product([[1.0, 1.0]], [1.0, 1.0]), [1, 1], (1, 2)))
    0.0
    >>> print(grouped(Product([[1.0, -1.0]], [1.0, 1.0]), [1, 1], (1, 2)))
    4.0
    """
    weights = validation.covering(p, product.term_norms)
    n, M = groups.checked(pattern, product.d, "the product")
    if M > groups.LARGEST:
        raise ValueError(
            f"pattern = ({n}, {M}) has 2^{M - 2} sets between two entries of a group; the moment "
            f"is there for M up to {groups.LARGEST}: simulate larger ones"
        )
    pi = groups.inclusions(weights, n, M)
    moment = kernels.moment(np.ascontiguousarray(product.unit_factor), pi, groups.between(M), M)
    return max(0.0, float(moment)) * product.total**2
