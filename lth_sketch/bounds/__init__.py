"""Inequalities on the error of a masked product: one function a statement.

Functions that take `delta` bound ``||A diag(m) B - AB||_F`` with probability at least 1 - delta,
the others bound its second moment. All are for draws with replacement unless the name says
otherwise. A value above ``||AB||_F`` is vacuous: the empty mask does as well.
"""

from lth_sketch.bounds.draws import (
    asymptotic_quantile,
    bousquet,
    cantelli,
    dkm,
    frobenius,
    mcdiarmid,
    nearness,
    radial,
    sharpest,
)

__all__ = [
    "asymptotic_quantile",
    "bousquet",
    "cantelli",
    "dkm",
    "frobenius",
    "mcdiarmid",
    "nearness",
    "radial",
    "sharpest",
]
