"""The exact law of the error of a systematic sample (S5): at most d + 1 values."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from lth_sketch import probabilities, validation
from lth_sketch.kernels import moments as kernels
from lth_sketch.product import Product
from lth_sketch.recent import Law, recent
from lth_sketch.validation import Floats

# Every float64 is a multiple of 1 / UNIT.
UNIT = 1 << 1074


class SystematicDraw(Law):
    """The errors that a systematic sample can make, and their probabilities.

    Parameters
    ----------
    product : Product
        The product AB that is sketched.
    p : (d,) array
        Probabilities that cover the product's terms, see `validation.covering`.
    s : int
        Number of kept entries, at most the number of nonzero `p`.

    Attributes
    ----------
    errors : (k,) array
        Norms of the error, in units of the product's total U, one for each interval of starts.
    chances : (k,) array
        Lengths of the intervals.
    """

    def __init__(self, product: Product, p: Floats, s: int) -> None:
        self.p, self.s = p, s
        self._product = product
        pi = probabilities.inclusion(self.p, s, design="systematic")
        live = np.flatnonzero(pi)
        pi = pi[live]
        # In integers, for an interval can be far shorter than the rounding of its ends.
        steps = [top * (UNIT // bottom) for top, bottom in map(float.as_integer_ratio, pi)]
        # What rounding leaves goes to the largest that is not sure, unless all these are nothing.
        loose = np.where(pi < 1.0, pi, 0.0)
        largest = int((loose if loose.sum() > 0.5 else pi).argmax())
        steps[largest] += s * UNIT - sum(steps)
        ends = list(accumulate(steps))
        # An entry is in the first sample when a multiple of the unit is in [start, end) of its
        # step. It may be so twice: a sure one, longer than the unit by rounding.
        first = np.diff(np.array([(end - 1) // UNIT for end in [0, *ends]]))
        leaving = sorted((end % UNIT, i) for i, end in enumerate(ends) if end % UNIT)
        places = [0, *(place for place, _ in leaving), UNIT]
        self._lengths = [b - a for a, b in pairwise(places)]
        self.chances = np.array([length / UNIT for length in self._lengths])
        order = np.array([i for _, i in leaving], dtype=np.int64)
        self.errors = np.empty(len(places) - 1)
        C = np.ascontiguousarray(product.unit_factor[live])
        kernels.systematic(C, 1.0 / pi, first, order, self.errors)

    @classmethod
    def of(cls, product: Product, p: npt.ArrayLike, s: int) -> SystematicDraw:
        """Return the law; it shares what was computed for the last one of this `p` and `s`."""
        weights = validation.covering(p, product.term_norms)
        return recent(cls, product, weights, s, lambda: cls(product, weights, s))

    def quantile(self, delta: float) -> float:
        """Return the least error that is exceeded with probability at most `delta`, exactly."""
        allowed = Fraction(delta) * UNIT
        order = np.argsort(-self.errors, kind="stable")
        above = 0
        for i in order:
            above += self._lengths[i]
            if above > allowed:
                return float(self.errors[i])
        return 0.0
