"""R1: the largest scores against a draw by them, as existing algorithms choose."""

from __future__ import annotations

import numpy as np

from lth_sketch import intervals, probabilities, sampling
from lth_sketch.intervals import GAUSSIAN_KURTOSIS, Interval
from lth_sketch.statements.case import Case
from lth_sketch.statements.sketching import FIXED_SIZE
from lth_sketch.statements.statement import Statement

# Sign patterns.
SIGNS = 20_000


def _draw_minus_top(case: Case, risk: float) -> Interval:
    """Squared error of a draw less that of top-k, over random signs of the terms."""
    C, p = case.product.unit_factor, probabilities.optimal(case.product)
    signs = case.rng(11).choice([-1.0, 1.0], size=(SIGNS, case.product.d))
    drawn = sampling.masks(p, case.s, SIGNS, rng=case.rng(12)).toarray()
    top = sampling.mask(p, case.s, design="top")
    squares = [
        np.einsum("ik,ik->i", gaps, gaps)
        for gaps in ((signs * (drawn - 1.0)) @ C, (signs * (top - 1.0)) @ C)
    ]
    return intervals.mean(squares[0] - squares[1], risk, kurtosis=GAUSSIAN_KURTOSIS)


EXISTING = (
    Statement(
        "R1",
        "random signs, optimal scores: top-k has the smaller expected error at equal s",
        "demonstration",
        lambda case: 0.0,
        _draw_minus_top,
        ("thumbnail",),
        (FIXED_SIZE,),
        figure="top_or_random",
    ),
)
