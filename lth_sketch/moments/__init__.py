"""Exact second moments of the error of a masked product: identities, not inequalities.

``moments.NAME(product, p, s)`` is the second moment of ``sampling.draw(p, s, design=NAME)``.
"""

from lth_sketch.moments.draws import distinct, multinomial, optimal, top, variance

__all__ = ["distinct", "multinomial", "optimal", "top", "variance"]
