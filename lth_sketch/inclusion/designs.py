"""Inclusion probabilities of the designs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import validation
from lth_sketch.designs import DESIGNS
from lth_sketch.inclusion import checked
from lth_sketch.inclusion.checked import CheckedWeights
from lth_sketch.kernels import inclusion
from lth_sketch.validation import Floats

# Gauss-Legendre nodes on a panel about as wide as the spread of the law that is integrated, and on
# one of at most an eighth of that.
NODES, FEW = 16, 4
PANELS = 16
# Tails below exp(-NEGLIGIBLE) are zero.
NEGLIGIBLE = 40.0


def repeated(p: Floats, s: npt.ArrayLike) -> Floats:
    """Return the chance of each entry to be among s draws with replacement, ``1 - (1 - p_i)^s``.

    For an array of sizes, (..., d); p is normalised. The sum is the expected number of distinct
    entries (S2).
    """
    return np.asarray(-np.expm1(scipy.special.xlog1py(np.asarray(s)[..., None], -p)))


def _multinomial(p: npt.ArrayLike, s: int) -> Floats:
    return repeated(validation.probabilities("p", p), s)


def _filled(p: npt.ArrayLike, s: int, design: str) -> Floats:
    given = _checked(p, s, design)
    with np.errstate(over="ignore"):
        return np.minimum(1.0, given.p / checked.threshold(given, s))


def _priority(p: npt.ArrayLike, s: int) -> Floats:
    """Integrate over v_i the probability that fewer than s other ranks exceed ``p_i / v_i``.

    With ``v_i = p_i y`` index i is kept with probability ``p_i integral P(N < s) dy`` over (0,
    1 / p_i), N the number of others with ``v_j < p_j y``: the same y serve all indices. Between two
    of the ``1 / p_j`` the integrand is a polynomial in y.
    """
    given = _checked(p, s, "priority")
    if s == given.nonzero:
        return _filled(p, s, "priority")
    live = np.argsort(-given.p, kind="stable")[: given.nonzero]
    weights = given.p[live] / given.largest
    checked.check_span(weights[s], s)
    with np.errstate(over="ignore"):
        ends = 1.0 / weights
    # Beyond the (s+1)-th of the ends N >= s is certain; where its mean is far from s it is certain
    # up to exp(-NEGLIGIBLE), by Bernstein's inequality (below s) and Chernoff's (above).
    last = ends[s]
    below = s + NEGLIGIBLE * 2 / 3 - np.sqrt((NEGLIGIBLE * 2 / 3) ** 2 + 2 * NEGLIGIBLE * s)
    above = s + NEGLIGIBLE + np.sqrt(NEGLIGIBLE**2 + 2 * NEGLIGIBLE * s)
    survey = checked.survey(weights)
    first = 1.0 / checked.threshold(survey, below) if below > 0 else 0.0
    if above < given.nonzero:
        last = min(last, 1.0 / checked.threshold(survey, above))
    inner = ends[(ends > first) & (ends < last)]
    panels = np.unique(np.concatenate([np.linspace(first, last, PANELS + 1), inner]))
    # The number of events stays below its mean by Bernstein's inequality once more.
    mean = float(np.minimum(1.0, weights * last).sum())
    longest = mean + NEGLIGIBLE / 3 + np.sqrt((NEGLIGIBLE / 3) ** 2 + 2 * NEGLIGIBLE * mean)
    law = np.empty(min(len(weights), int(np.ceil(longest))) + 1)
    rules = [np.polynomial.legendre.leggauss(n) for n in (NODES, FEW)]
    chances = np.empty(len(weights))
    # Below `first` fewer than s are certain.
    area = np.minimum(first, ends)
    for low, high in pairwise(panels):
        narrow = (high - low) * PANELS * 8 <= last - first
        half = (high - low) / 2
        for node, share in zip(*rules[int(narrow)], strict=True):
            y = low + half * (1.0 + node)
            inclusion.kept(np.minimum(1.0, weights * y), s, law, chances)
            area += np.where(y < ends, half * share * chances, 0.0)
    result = np.zeros(len(given.p))
    result[live] = np.minimum(1.0, weights * area)
    return result


def _top(p: npt.ArrayLike, s: int) -> Floats:
    given = checked.survey(p, scaled=False)
    given.check_size(s, DESIGNS["top"])
    result = np.zeros(len(given.p))
    result[np.argsort(-given.p, kind="stable")[:s]] = 1.0
    return result


def _checked(p: npt.ArrayLike, s: int, design: str) -> CheckedWeights:
    given = checked.survey(validation.probabilities("p", p))
    given.check_size(s, DESIGNS[design])
    return given


INCLUSIONS: dict[str, Callable[[npt.ArrayLike, int], Floats]] = {
    "multinomial": _multinomial,
    "poisson": lambda p, s: _filled(p, s, "poisson"),
    "systematic": lambda p, s: _filled(p, s, "systematic"),
    "priority": _priority,
    "top": _top,
}
