"""Exact laws of small draws: every mask with its probability."""

from __future__ import annotations

from bisect import bisect_right
from itertools import combinations_with_replacement, pairwise
from itertools import product as product_of
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import designs, validation
from lth_sketch.product import Product
from lth_sketch.testing import forms
from lth_sketch.tolerances import ROUNDING
from lth_sketch.validation import Floats

# Outcomes that `enumerate_masks` lists at most.
OUTCOMES = 2**20
# Ratio of the smallest of p to the largest, below which masks overflow.
SPAN = 2.0**-1020


def enumerate_masks(p: npt.ArrayLike, s: int, design: str = "multinomial") -> tuple[Floats, Floats]:
    """Return every mask that a design can draw, with its probability.

    Parameters
    ----------
    p : (d,) array
        Weights >= 0, normalised here.
    s : int
        Number of draws.
    design : {"multinomial", "poisson", "systematic", "hybrid", "pivotal", "conditional", "top"}
        As in `sampling.draw`. The weights of a "priority" sample vary continuously: its law has no
        list.

    Returns
    -------
    masks : (n, d) array
        One mask a row.
    chances : (n,) array
        Their probabilities, summing to 1.

    Raises
    ------
    ValueError
        If the law has more outcomes than can be listed, p spans too many orders of magnitude for
        their masks, or an argument does not fit.

    Examples
    --------
    >>> masks, chances = enumerate_masks([0.5, 0.5], 2)
    >>> print(masks)
    [[2. 0.]
     [1. 1.]
     [0. 2.]]
    >>> print(chances)
    [0.25 0.5  0.25]
    """
    record = designs.named(design)
    given = validation.weights("p", p)
    s = validation.count("s", s)
    record.check(s, given)
    live = given[given > 0]
    if record.unbiased and live.min() / len(live) / s < live.max() * SPAN:
        raise ValueError(
            f"p spans too many orders of magnitude: its masks overflow, of {live.min()} beside "
            f"{live.max()}; raise the smallest entries, or set them to zero"
        )
    return _LAWS[design](given, s)


def squared_errors(product: Product, masks: npt.ArrayLike) -> Floats:
    """Return ``||A diag(m) B - AB||_F^2`` of each mask, by the definition itself.

    Parameters
    ----------
    product : Product
        The product AB, small.
    masks : (n, d) array
        One mask a row.

    Returns
    -------
    (n,) array
        Squared errors, in float64.

    Examples
    --------
    >>> print(squared_errors(Product([[3.0, 4.0]], [1.0, 1.0]), [[2, 0], [1, 1]]))
    [1. 0.]
    """
    A, B = (forms.dense(M).astype(np.float64) for M in (product.A, product.B))
    B = B.reshape(product.d, -1)
    gaps = validation.array("masks", masks, ndim=2) - 1.0
    errors = np.einsum("ji,ni,ik->njk", A, gaps, B)
    return np.asarray(np.einsum("njk,njk->n", errors, errors))


def _multinomial_law(weights: Floats, s: int) -> tuple[Floats, Floats]:
    p = validation.probabilities("p", weights)
    live = np.flatnonzero(p)
    outcomes = comb(s + len(live) - 1, s)
    if outcomes > OUTCOMES:
        raise ValueError(
            f"s = {s} draws from {len(live)} entries have {outcomes} outcomes, more than "
            f"{OUTCOMES}; use a smaller s or a shorter p"
        )
    picks = np.array(list(combinations_with_replacement(range(len(live)), s)))
    counts = (picks[:, :, None] == np.arange(len(live))).sum(axis=1)
    logs = (
        scipy.special.gammaln(s + 1.0)
        - scipy.special.gammaln(counts + 1.0).sum(axis=1)
        + counts @ np.log(p[live])
    )
    masks = np.zeros((outcomes, len(p)))
    masks[:, live] = counts / (s * p[live])
    chances = np.exp(logs)
    return masks, chances / chances.sum()


def _poisson_law(p: Floats, s: int) -> tuple[Floats, Floats]:
    steps, unit = _steps(p, s)
    pi, rest = (np.array([step / unit for step in some]) for some in (steps, unit - steps))
    loose = np.flatnonzero((steps > 0) & (steps < unit))
    if 2 ** len(loose) > OUTCOMES:
        raise ValueError(
            f"{len(loose)} independent entries have 2^{len(loose)} outcomes, more than {OUTCOMES}; "
            "use a larger s or a shorter p"
        )
    kept = np.array(list(product_of([False, True], repeat=len(loose))))
    masks = np.tile(np.where(steps == unit, 1.0, 0.0), (len(kept), 1))
    masks[:, loose] = kept / pi[loose]
    return masks, np.where(kept, pi[loose], rest[loose]).prod(axis=1)


def _systematic_law(p: Floats, s: int) -> tuple[Floats, Floats]:
    steps, unit = _steps(p, s)
    ends = np.cumsum(steps).tolist()
    # Between these starts of the walk nothing changes: whatever lies in one will do for all of it.
    starts = sorted({0, unit, *(end % unit for end in ends)})
    masks = np.zeros((len(starts) - 1, len(p)))
    for mask, start in zip(masks, starts, strict=False):
        kept = [bisect_right(ends, start + k * unit) for k in range(s)]
        mask[kept] = [unit / steps[i] for i in kept]
    return masks, np.array([(b - a) / unit for a, b in pairwise(starts)])


def _steps(p: Floats, s: int) -> tuple[Any, int]:
    """Return ``min(1, p_i / tau)`` with sum s as integers, and how many are one: without rounding.

    Every number of ones is tried.
    """
    ratios = [float(x).as_integer_ratio() for x in p]
    common = max(below for _, below in ratios)
    weights = np.array([above * (common // below) for above, below in ratios], dtype=object)
    positive = sorted((x for x in weights if x), reverse=True)
    if s == len(positive):
        return np.array([int(x > 0) for x in weights], dtype=object), 1
    rest = sum(positive)
    for sure, largest in enumerate(positive):
        # The threshold is rest / (s - sure).
        if largest * (s - sure) <= rest:
            break
        rest -= largest
    return np.minimum(weights * (s - sure), rest), rest


def _priority_law(p: Floats, s: int) -> tuple[Floats, Floats]:
    raise ValueError(
        "design 'priority' has no list of outcomes, for its weights vary continuously; simulate it "
        "with sampling.masks, or take moments.priority"
    )


def _hybrid_law(weights: Floats, s: int) -> tuple[Floats, Floats]:
    p = validation.probabilities("p", weights)
    order = np.argsort(-p, kind="stable")[: np.count_nonzero(p)]
    if s >= len(order):
        return np.where(p > 0, 1.0, 0.0)[None], np.ones(1)
    costs = []
    for sure in range(s):
        rest = p[order[sure:]]
        pairs = np.multiply.outer(rest, rest)
        costs.append((pairs.sum() - np.trace(pairs)) / (s - sure))
    # The fewest of those that are equal but for rounding.
    sure = int(np.flatnonzero(np.array(costs) <= min(costs) * (1 + ROUNDING))[0])
    rest = p.copy()
    rest[order[:sure]] = 0.0
    masks, chances = _multinomial_law(rest, s - sure)
    masks[:, order[:sure]] = 1.0
    return masks, chances


def _pivotal_law(p: Floats, s: int) -> tuple[Floats, Floats]:
    steps, unit = _steps(p, s)
    # What each entry has left of its probability, with the chance of that.
    states = {tuple(steps): 1.0}
    last = -1
    for i in np.flatnonzero((steps > 0) & (steps < unit)):
        following: dict[tuple[int, ...], float] = {}
        for state, chance in states.items():
            waiting = [k for k in range(i) if 0 < state[k] < unit]
            duel = _duel(state, waiting[0], int(i), unit) if waiting else ((state, 1.0),)
            for left, share in duel:
                following[left] = following.get(left, 0.0) + chance * share
        states, last = following, int(i)
    if len(states) > OUTCOMES or last >= len(p):
        raise ValueError(f"s = {s} has more outcomes than {OUTCOMES}; use a shorter p")
    masks = [
        [unit / step if left else 0.0 for left, step in zip(state, steps, strict=True)]
        for state in states
    ]
    return np.array(masks), np.array(list(states.values()))


def _duel(
    state: tuple[int, ...], k: int, i: int, unit: int
) -> tuple[tuple[tuple[int, ...], float], tuple[tuple[int, ...], float]]:
    a, b = state[k], state[i]
    high, low = min(a + b, unit), max(0, a + b - unit)
    # The part of the one that keeps the more, and of the other: neither is what rounding leaves.
    parts = (a, b) if low == 0 else (unit - b, unit - a)
    first, second = list(state), list(state)
    first[k], first[i] = high, low
    second[k], second[i] = low, high
    return (tuple(first), parts[0] / sum(parts)), (tuple(second), parts[1] / sum(parts))


def _conditional_law(p: Floats, s: int) -> tuple[Floats, Floats]:
    masks, chances = _poisson_law(p, s)
    kept = masks > 0
    right = kept.sum(axis=1) == s
    kept, chances = kept[right], chances[right] / chances[right].sum()
    pi = chances @ kept
    return np.divide(kept, pi, out=np.zeros(kept.shape), where=pi > 0), chances


def _top_law(p: Floats, s: int) -> tuple[Floats, Floats]:
    masks = np.zeros((1, len(p)))
    masks[0, np.argsort(-p, kind="stable")[:s]] = 1.0
    return masks, np.ones(1)


_LAWS = {
    "multinomial": _multinomial_law,
    "poisson": _poisson_law,
    "priority": _priority_law,
    "systematic": _systematic_law,
    "hybrid": _hybrid_law,
    "pivotal": _pivotal_law,
    "conditional": _conditional_law,
    "top": _top_law,
}
