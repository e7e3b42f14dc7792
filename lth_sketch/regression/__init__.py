"""Closed-form training of a linear model, with and without a mask.

With mask m the trained model is f = X (m o v), and v is trained from w0; every function returns
the effective weights m o v. Weights come from the singular value decomposition of a QR triangle of
X, never of X^T X, so that condition numbers up to 1/eps are carried. What counts as zero is decided
in one room, `lth_sketch.reduction`, on columns scaled to unit norm: no feature is lost for being
small beside another. The weights never leave w0 in the null space of X diag(m).
"""

from lth_sketch.regression.problem import Problem
from lth_sketch.regression.training import (
    fit_masks,
    gradient_descent,
    gradient_flow,
    path,
    ridge,
)

__all__ = ["Problem", "fit_masks", "gradient_descent", "gradient_flow", "path", "ridge"]
