"""Inclusion probabilities of the designs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import validation
from lth_sketch.designs import DESIGNS
from lth_sketch.inclusion import checked, conditional, hybrid, quadrature
from lth_sketch.inclusion.checked import CheckedWeights
from lth_sketch.kernels import inclusion
from lth_sketch.validation import Floats

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

    With ``v_i = p_i z`` index i is kept with probability ``p_i integral P(N < s) dz`` over (0,
    1 / p_i), N the number of others with ``v_j < p_j z``: the same z serve all indices.
    """
    given = _checked(p, s, "priority")
    if s == given.nonzero:
        return _filled(p, s, "priority")
    live = np.argsort(-given.p, kind="stable")[: given.nonzero]
    q = given.p[live]
    checked.check_span(q[s] / q[0], s)
    integral = quadrature.rule(q, s)
    # The number of events stays below its mean by Bernstein's inequality.
    mean = float(np.minimum(1.0, q * integral.stop).sum())
    longest = mean + NEGLIGIBLE / 3 + np.sqrt((NEGLIGIBLE / 3) ** 2 + 2 * NEGLIGIBLE * mean)
    law = np.empty(min(len(q), int(np.ceil(longest))) + 1)
    chances = np.empty(len(q))
    with np.errstate(over="ignore"):
        ends = 1.0 / q
    # Below the first panel fewer than s are certain.
    area = np.minimum(integral.start, ends)
    for z, share in zip(integral.nodes, integral.shares, strict=True):
        inclusion.kept(np.minimum(1.0, q * z), s, law, chances)
        area += np.where(z < ends, share * chances, 0.0)
    result = np.zeros(len(given.p))
    # The sum of the quadrature may end a rounding below zero.
    result[live] = np.minimum(1.0, np.maximum(0.0, q * area))
    return result


def _hybrid(p: npt.ArrayLike, s: int) -> Floats:
    weights = validation.probabilities("p", p)
    kept = hybrid.sure(weights, s)
    result = np.zeros(len(weights))
    result[kept] = 1.0
    if len(kept) < np.count_nonzero(weights):
        rest = np.where(result > 0, 0.0, weights)
        result += _multinomial(rest, s - len(kept))
    return result


def _conditional(p: npt.ArrayLike, s: int) -> Floats:
    return conditional.inclusions(_filled(p, s, "conditional"), s)


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
    "hybrid": _hybrid,
    "pivotal": lambda p, s: _filled(p, s, "pivotal"),
    "conditional": _conditional,
    "top": _top,
}
