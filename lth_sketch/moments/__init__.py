"""Exact second moments of the error of a masked product: identities, not inequalities.

``moments.NAME(product, p, s)`` is the second moment of ``sampling.draw(p, s, design=NAME)``.
"""

from lth_sketch.moments.biased import MeanSquare, norm_corrected, truncated
from lth_sketch.moments.designs import poisson, priority, systematic
from lth_sketch.moments.draws import distinct, multinomial, optimal, top, variance
from lth_sketch.moments.end_of_training import anticipated
from lth_sketch.moments.entries import elementwise, int8
from lth_sketch.moments.fixed import conditional, hybrid, pivotal
from lth_sketch.moments.orders import raw
from lth_sketch.moments.patterns import grouped
from lth_sketch.moments.sketches import countsketch, gaussian, rademacher, sparse_signs, srht

__all__ = [
    "MeanSquare",
    "anticipated",
    "conditional",
    "countsketch",
    "distinct",
    "elementwise",
    "gaussian",
    "grouped",
    "hybrid",
    "int8",
    "multinomial",
    "norm_corrected",
    "optimal",
    "pivotal",
    "poisson",
    "priority",
    "rademacher",
    "raw",
    "sparse_signs",
    "srht",
    "systematic",
    "top",
    "truncated",
    "variance",
]
