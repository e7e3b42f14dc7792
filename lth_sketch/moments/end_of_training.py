"""E6: the error at the end of training, averaged over labels that the draw has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lth_sketch import anticipation, validation
from lth_sketch.validation import Floats


def anticipated(
    X: Any,
    p: npt.ArrayLike,
    s: npt.ArrayLike,
    w0: npt.ArrayLike | None = None,
    kind: str = "flow",
    *,
    labels: npt.ArrayLike = 1.0,
    outputs: int = 1,
    time: npt.ArrayLike | None = None,
    rate: float | None = None,
    steps: npt.ArrayLike | None = None,
    penalty: npt.ArrayLike | None = None,
) -> Floats:
    """Return E||X diag(m) w - X w||_F^2 of trained weights w, over labels and masks (E6).

    The mask m has s draws with replacement from a `p` that does not depend on the labels.

    Parameters
    ----------
    X : (n, d) array or CSR/CSC matrix
        Data, samples in rows.
    p : (d,) array, or (..., d) array
        Weights >= 0, normalised here; positive wherever a trained weight may be. One draw, or one
        for each of the times, steps or penalties.
    s : int or array of int
        Numbers of draws.
    w0, kind, labels, outputs, time, rate, steps, penalty
        The training and what is known of the labels, see `probabilities.anticipated`.

    Returns
    -------
    float, or array
        The exact mean; the axes of `time`, `steps` or `penalty`, if any, come before those of `s`.

    Raises
    ------
    TypeError, ValueError
        As `probabilities.anticipated`, and if `p` does not fit or would bias the estimate.

    References
    ----------
    This project, docs/theory.md, E6.

    Examples
    --------
    >>> from lth_sketch import probabilities
    >>> X = [[1.0, 1.0], [0.0, 0.5]]
    >>> p = probabilities.anticipated(X)
    >>> print(anticipated(X, p, [1, 4]).round(6), anticipated(X, [1, 1], 1).round(6))
    [18.   4.5] 18.0
    """
    draws = validation.sizes(s)
    trained = anticipation.trained(
        X, w0, kind, labels, outputs, time=time, rate=rate, steps=steps, penalty=penalty
    )
    terms = trained.terms
    rows = terms.reshape(-1, terms.shape[-1])
    if np.ndim(p) > 1:
        each = validation.array("p", p, ndim=terms.ndim)
        if each.shape != terms.shape:
            raise ValueError(
                f"p must have shape {terms.shape[-1:]} or {terms.shape}; got {each.shape}"
            )
        draw_rows = each.reshape(rows.shape)
        chances = np.array(
            [validation.covering(*pair) for pair in zip(draw_rows, rows, strict=True)]
        )
    else:
        # A feature that is live at any of the times needs a positive probability.
        chances = validation.covering(p, rows.max(axis=0))[None]
    shares = np.divide(rows, chances, out=np.zeros_like(rows), where=chances > 0)
    uncentred = (rows * shares).sum(axis=-1).reshape(trained.fitted.shape)
    excess = np.maximum(uncentred - trained.fitted, 0.0)
    return np.asarray(excess.reshape(excess.shape + (1,) * draws.ndim) / draws)[()]
