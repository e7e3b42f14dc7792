"""Exact second moments of the error of a masked product: identities, not inequalities.

``moments.NAME(product, p, s)`` is the second moment of ``sampling.draw(p, s, design=NAME)``.
"""

from lth_sketch.moments.designs import poisson, priority, systematic
from lth_sketch.moments.draws import distinct, multinomial, optimal, top, variance
from lth_sketch.moments.sketches import countsketch, gaussian, rademacher, srht

__all__ = [
    "countsketch",
    "distinct",
    "gaussian",
    "multinomial",
    "optimal",
    "poisson",
    "priority",
    "rademacher",
    "srht",
    "systematic",
    "top",
    "variance",
]
