"""S11: what deterministic sketches promise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lth_sketch import validation
from lth_sketch.product import Product
from lth_sketch.validation import Floats


def co_occurring(product: Product, s: npt.ArrayLike) -> Floats:
    """Return ``||A||_F ||B||_F / (s + 1)``, a sure bound on co-occurring directions (S11).

    Parameters
    ----------
    product : Product
        The product AB.
    s : int or array of int
        Numbers of columns of the sketch.

    Returns
    -------
    float, or array of the shape of `s`
        Bound on the spectral norm of the error of `sketches.multiply` with ``method=
        "co_occurring"``; zero where s columns hold the product: ``s >= min(d, q, r)``.

    Raises
    ------
    ValueError
        If `s` is below 1.

    References
    ----------
    Mroueh, Marcheret, Goel, Co-Occurring Directions Sketching for Approximate Matrix Multiply,
    AISTATS 2017, for ``2 ||A||_F ||B||_F / s``; this project, docs/theory.md, S11, for a buffer of
    twice the size.

    Examples
    --------
    >>> print(co_occurring(Product(np.eye(3), np.eye(3)), [1, 2, 3]))
    [1.5 1.  0. ]
    """
    sizes = validation.sizes(s)
    scale = float(np.linalg.norm(product.column_norms / product.total))
    scale *= float(np.linalg.norm(product.row_norms))
    exact = sizes >= min(product.d, product.q, product.r)
    return np.asarray(np.where(exact, 0.0, scale / (sizes + 1.0)) * product.total)[()]
