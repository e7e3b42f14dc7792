"""Exact laws of small draws: every mask with its probability."""

from __future__ import annotations

from itertools import combinations_with_replacement
from itertools import product as product_of
from math import comb

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


def enumerate_masks(p: npt.ArrayLike, s: int, design: str = "multinomial") -> tuple[Floats, Floats]:
    """Return every mask that a design can draw, with its probability.

    Parameters
    ----------
    p : (d,) array
        Weights >= 0, normalised here.
    s : int
        Number of draws.
    design : {"multinomial", "poisson", "systematic", "top"}
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
        If the law has more outcomes than can be listed, or an argument does not fit.

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
    # Only the order counts for a mask that is not drawn, which a division might change.
    return _LAWS[design](validation.probabilities("p", given) if record.unbiased else given, s)


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


def _multinomial_law(p: Floats, s: int) -> tuple[Floats, Floats]:
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
    pi = _inclusions(p, s)
    loose = np.flatnonzero((pi > 0) & (pi < 1))
    if 2 ** len(loose) > OUTCOMES:
        raise ValueError(
            f"{len(loose)} independent entries have 2^{len(loose)} outcomes, more than {OUTCOMES}; "
            "use a larger s or a shorter p"
        )
    kept = np.array(list(product_of([False, True], repeat=len(loose))))
    masks = np.tile(np.where(pi == 1, 1.0, 0.0), (len(kept), 1))
    masks[:, loose] = kept / pi[loose]
    return masks, np.where(kept, pi[loose], 1 - pi[loose]).prod(axis=1)


def _systematic_law(p: Floats, s: int) -> tuple[Floats, Floats]:
    pi = _inclusions(p, s)
    ends = np.cumsum(pi)
    starts = np.unique(np.concatenate([[0.0, 1.0], ends - np.floor(ends)]))
    # Ends that agree but for rounding are one.
    starts = starts[np.append(np.diff(starts) > ROUNDING * s, True)]
    starts[0] = 0.0
    middle, chances = (starts[1:] + starts[:-1]) / 2, np.diff(starts)
    points = np.add.outer(middle, np.arange(s))
    masks = np.zeros((len(middle), len(p)))
    for mask, at in zip(masks, points, strict=True):
        kept = np.searchsorted(ends, at)
        mask[kept] = 1.0 / pi[kept]
    return masks, chances


def _inclusions(p: Floats, s: int) -> Floats:
    """Return ``min(1, p_i / tau)`` with sum s, trying every number of ones."""
    positive = np.sort(p[p > 0])[::-1]
    if s == len(positive):
        return np.where(p > 0, 1.0, 0.0)
    for sure in range(s):
        tau = positive[sure:].sum() / (s - sure)
        if positive[sure] < tau:
            return np.asarray(np.minimum(1.0, p / tau))
    return np.where(p >= positive[s - 1], 1.0, 0.0)


def _priority_law(p: Floats, s: int) -> tuple[Floats, Floats]:
    raise ValueError(
        "design 'priority' has no list of outcomes, for its weights vary continuously; simulate it "
        "with sampling.masks, or take moments.priority"
    )


def _hybrid_law(p: Floats, s: int) -> tuple[Floats, Floats]:
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
    masks, chances = _multinomial_law(rest / rest.sum(), s - sure)
    masks[:, order[:sure]] = 1.0
    return masks, chances


def _pivotal_law(p: Floats, s: int) -> tuple[Floats, Floats]:
    pi = _inclusions(p, s)
    # What each entry has left of its probability, with the chance of that.
    states = {tuple(pi): 1.0}
    last = -1
    for i in np.flatnonzero((pi > 0) & (pi < 1)):
        following: dict[tuple[float, ...], float] = {}
        for state, chance in states.items():
            waiting = [k for k in range(i) if ROUNDING < state[k] < 1 - ROUNDING]
            for left, share in _duel(state, waiting[0], int(i)) if waiting else ((state, 1.0),):
                following[left] = following.get(left, 0.0) + chance * share
        states, last = following, int(i)
    if len(states) > OUTCOMES or last >= len(p):
        raise ValueError(f"s = {s} has more outcomes than {OUTCOMES}; use a shorter p")
    kept = np.rint(np.array(list(states)))
    masks = np.divide(kept, pi, out=np.zeros_like(kept), where=pi > 0)
    return masks, np.array(list(states.values()))


def _duel(
    state: tuple[float, ...], k: int, i: int
) -> tuple[tuple[tuple[float, ...], float], tuple[tuple[float, ...], float]]:
    a, b = state[k], state[i]
    high, low = (a + b, 0.0) if a + b < 1 - ROUNDING else (1.0, max(0.0, a + b - 1.0))
    share = a / (a + b) if low == 0.0 and high < 1.0 else (1 - b) / (2 - a - b)
    first, second = list(state), list(state)
    first[k], first[i] = high, low
    second[k], second[i] = low, high
    return (tuple(first), share), (tuple(second), 1.0 - share)


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
