"""From scores to a mask: the largest, or a random draw in proportion to the scores."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import designs, probabilities, sampling, validation
from lth_sketch.pruning.layers import Split, split
from lth_sketch.pruning.patterns import patterned
from lth_sketch.validation import Array, Floats, Integers

SCOPES = ("global", "layer")
# Draws with replacement that a mask may take, about a second.
DRAWS = 2**27

Mask = npt.NDArray[np.bool_]


class _Group(NamedTuple):
    """Entries that compete with each other: those of one layer, or of all."""

    name: str
    place: slice
    layers: slice
    kept: int


class _Problem(NamedTuple):
    """Checked scores of all layers in one vector, and how many of each group are kept."""

    scores: Floats
    given: Split
    ends: Integers
    groups: list[_Group]


@overload
def select(
    scores: list[Array] | tuple[Array, ...],
    density: float | None = ...,
    *,
    design: str = ...,
    binary: bool = ...,
    scope: str = ...,
    floor: int = ...,
    log: bool = ...,
    pattern: Any = ...,
    rng: np.random.Generator | int | None = ...,
) -> list[Array]: ...
@overload
def select(
    scores: npt.ArrayLike,
    density: float | None = ...,
    *,
    design: str = ...,
    binary: bool = ...,
    scope: str = ...,
    floor: int = ...,
    log: bool = ...,
    pattern: Any = ...,
    rng: np.random.Generator | int | None = ...,
) -> Array: ...
def select(
    scores: Any,
    density: float | None = None,
    *,
    design: str = "top",
    binary: bool = True,
    scope: str = "global",
    floor: int = 0,
    log: bool = False,
    pattern: Any = None,
    rng: np.random.Generator | int | None = None,
) -> Any:
    """Select a mask from scores: keep the largest, or draw in proportion to the scores.

    With d entries in all layers together, k is ``density * d`` rounded to the nearest integer (up
    at a half). All designs keep k entries on average: compare them at equal density.

    Parameters
    ----------
    scores : array, or list or mapping of arrays
        Scores of one layer, or one array a layer; of any shape. "top" takes them of either sign, a
        draw only >= 0 (`nonnegative`).
    density : float or None
        Share of the entries that is kept, in (0, 1]; None is for a pattern, which has its own.
    design : str
        - "top": the k largest; among equals the first.
        - "systematic", "priority", "pivotal", "conditional": k at random, see `sampling.draw`.
        - "poisson": each entry by itself; k on average.
        - "multinomial", "hybrid": draws with replacement. Their number s is picked from two
          neighbours, so that the expected number of distinct entries is k; every nonzero score at
          weight 1 where k is as many (the limit of large s).
    binary : bool
        Ones for the entries kept, as pruning uses masks; else the weights that make the mask
        unbiased, ``E m_i = 1`` wherever the score is not zero ("top": ones, and biased).
    scope : {"global", "layer"}
        Whether all layers compete for k entries, or each keeps its share: ``density`` times its
        size, rounded to one of the neighbouring integers by largest remainder, with total k.
    floor : int
        Entries that each layer keeps at least: its largest, for certain, with weight 1. The rest
        of k is selected from the rest of the entries. With scope "layer" also the least share.
    log : bool
        Whether the scores are logarithms, minus infinity for zero (`deep.log_synflow`). A common
        factor, one for all layers, makes the largest score 1.
    pattern : (int, int) or None
        (n, M), such as (2, 4): n of every M consecutive entries of a row of each layer, "top" or
        "systematic" (see `sampling.grouped`), whatever `scope` and `floor`.
    rng : Generator, int or None
        Source of randomness, for all designs but "top".

    Returns
    -------
    array, or list or dict of arrays
        Masks of the shapes and types of the scores, in the same form.

    Raises
    ------
    TypeError
        If an argument is of another type.
    ValueError
        If the scores of a layer are not finite, all zero, or signed in a draw; if the density is
        outside (0, 1], keeps nothing, or more than the nonzero scores in a draw; if it cannot meet
        the floor; if a draw with replacement would need more than 2^27 draws; if a name is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> select(np.array([3.0, 1.0, -2.0, 1.0]), 0.5)
    array([1., 1., 0., 0.])
    >>> layers = [np.array([5.0, 4.0]), np.array([1.0, 2.0])]
    >>> select(layers, 0.5), select(layers, 0.5, floor=1)
    ([array([1., 1.]), array([0., 0.])], [array([1., 0.]), array([0., 1.])])
    >>> select(layers, 0.5, design="systematic", binary=False, rng=0)
    [array([1.2, 1.5]), array([0., 0.])]
    """
    if pattern is not None:
        return patterned(scores, density, pattern, design=design, binary=binary, log=log, rng=rng)
    problem = _problem(scores, density, design, scope, floor, log)
    generator = validation.generator(rng)
    mask = np.zeros(len(problem.scores))
    for start, end in pairwise(problem.ends):
        mask[start:end] = _largest(problem.scores[start:end], floor)
    for group in problem.groups:
        part, values = mask[group.place], problem.scores[group.place]
        if not floor and group.kept:
            # Nothing is set aside: no copies of what may be 10^8 entries.
            part[:] = _chosen(values, group, design, binary, log, generator)
            continue
        rest = part == 0
        left = group.kept - int(np.count_nonzero(part))
        if left:
            part[rest] = _chosen(
                values[rest], group._replace(kept=left), design, binary, log, generator
            )
    masks = [
        mask[start : start + layer.size].reshape(layer.shape).astype(layer.dtype)
        for start, layer in zip(problem.ends, problem.given.layers, strict=False)
    ]
    return problem.given.join(masks)


def emptied(
    scores: Any,
    density: float,
    *,
    design: str = "top",
    scope: str = "global",
    floor: int = 0,
    log: bool = False,
) -> Floats:
    """Return the probability that `select` with these arguments keeps nothing of a layer.

    Exact: with P_l the layer's share of all scores and pi the inclusion probabilities,
    ``(1 - P_l)^s`` for "multinomial", the product of ``1 - pi_i`` for "poisson",
    ``max(0, 1 - sum pi_i)`` for "systematic" (layers are consecutive), 0 or 1 for "top".

    Parameters
    ----------
    scores : array, or list of arrays
        Scores of one layer, or one array a layer.
    density : float
        Share of the entries that is kept, in (0, 1].
    design : str
        "multinomial", "poisson", "systematic", "top"; "priority" with a floor or scope "layer".
    scope : {"global", "layer"}
        As for `select`.
    floor : int
        As for `select`; from 1 on no layer is emptied.
    log : bool
        Whether the scores are logarithms.

    Returns
    -------
    (L,) array
        A probability for each layer.

    Raises
    ------
    TypeError, ValueError
        As `select`; also for "priority" where layers compete: there is no closed form.

    Examples
    --------
    >>> import numpy as np
    >>> layers = [np.array([5.0, 4.0]), np.array([1.0, 2.0])]
    >>> emptied(layers, 0.5)
    array([0., 1.])
    >>> emptied(layers, 0.25, design="multinomial").round(6)
    array([0.25, 0.75])
    """
    problem = _problem(scores, density, design, scope, floor, log)
    result = np.zeros(len(problem.given.layers))
    if floor:
        return result
    for group in problem.groups:
        result[group.layers] = _emptied(problem, group, design, log) if group.kept else 1.0
    return result


def _emptied(problem: _Problem, group: _Group, design: str, log: bool) -> Floats:
    values = problem.scores[group.place]
    starts = problem.ends[group.layers] - group.place.start
    if design == "top":
        return 1.0 - np.maximum.reduceat(_largest(values, group.kept), starts)
    p = _probabilities(values, group, log)
    if len(starts) == 1 and design != "poisson":
        return np.zeros(1)
    if design == "multinomial":
        s, more = _draws(p, group.kept, design)
        share = np.minimum(np.add.reduceat(p, starts), 1.0)
        never = np.where(share > 0, np.exp(scipy.special.xlog1py(s, -share)), 1.0)
        return np.asarray(never * (1 - more * share))
    if design not in ("poisson", "systematic"):
        raise ValueError(
            f"emptied has no closed form for design {design!r} where layers compete; estimate the "
            "probability from masks that select draws, or use 'systematic', which keeps as many"
        )
    pi = probabilities.inclusion(p, group.kept, design=design)
    if design == "systematic":
        return np.maximum(0.0, 1.0 - np.add.reduceat(pi, starts))
    return np.asarray(np.exp(np.add.reduceat(scipy.special.log1p(-pi), starts)))


def _chosen(
    values: Floats, group: _Group, design: str, binary: bool, log: bool, rng: np.random.Generator
) -> Array:
    """Return the mask of the part of a group that has these scores."""
    kept, record = group.kept, designs.DESIGNS[design]
    if not record.unbiased:
        return _largest(values, kept)
    p = _probabilities(values, group, log)
    if record.with_replacement:
        s, more = _draws(p, kept, design)
        if math.isinf(s):
            return p > 0
        kept = int(s) + int(rng.random() < more)
    return sampling.mask(p, kept, design=design, binary=binary, rng=rng)


def _largest(values: Floats, kept: int) -> Mask:
    """Return where the `kept` largest values are, the first among equals."""
    if kept == 0:
        return np.zeros(len(values), dtype=bool)
    place = len(values) - kept
    threshold = np.partition(values, place)[place]
    result = np.asarray(values > threshold)
    ties = np.flatnonzero(values == threshold)
    result[ties[: kept - int(result.sum())]] = True
    return result


def _probabilities(values: Floats, group: _Group, log: bool) -> Floats:
    """Return scores of competing entries as probabilities of a draw."""
    if log:
        top = values.max()
        values = np.exp(values - top) if np.isfinite(top) else np.zeros_like(values)
    live = int(np.count_nonzero(values))
    if group.kept > live:
        raise ValueError(
            f"density is too large for a draw: beyond the floor it keeps {group.kept} entries of "
            f"{group.name}, but only {live} there are not zero; lower the density, give every "
            "entry a positive score (probabilities.mixture with the uniform ones), or use "
            "design='top'"
        )
    return validation.probabilities("scores", values)


def _draws(p: Floats, kept: int, design: str) -> tuple[float, float]:
    """Return s, and the probability of s + 1 in its place, that keep `kept` distinct on average.

    The number of draws is infinite where all nonzero p are to be kept.
    """
    if kept == np.count_nonzero(p):
        return math.inf, 0.0
    low = high = kept
    while _distinct(p, high, design) <= kept:
        low, high = high, 2 * high
        if low > DRAWS:
            raise ValueError(
                f"density asks for {kept} distinct entries, which takes more than {DRAWS} draws "
                "with replacement from these scores; lower it, or use design='poisson'"
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _distinct(p, middle, design) <= kept else (low, middle)
    below, above = _distinct(p, low, design), _distinct(p, low + 1, design)
    return float(low), min(1.0, max(0.0, (kept - below) / (above - below)))


def _distinct(p: Floats, s: int, design: str) -> float:
    """Return the expected number of distinct entries among s draws (S2, S8)."""
    return float(probabilities.inclusion(p, s, design=design).sum())


def _problem(
    scores: Any, density: float | None, design: str, scope: str, floor: int, log: bool
) -> _Problem:
    record = designs.named(design)
    validation.choice("scope", scope, SCOPES)
    floor = validation.count("floor", floor, minimum=0)
    given = split(scores, log=log)
    names, layers = given.titles, given.layers
    zero = -np.inf if log else 0.0
    for name, layer in zip(names, layers, strict=True):
        if (layer == zero).all():
            raise ValueError(
                f"{name} are all zero: they do not tell what to keep; leave such a layer out, or "
                "score it otherwise"
            )
        if record.unbiased and not log and layer.min() < 0:
            raise ValueError(
                f"{name} has an entry below zero ({layer.min()}), which is no weight of a draw; "
                "pass pruning.nonnegative(scores, 'shift') or (scores, 'absolute'), log=True if "
                "these are logarithms, or design='top'"
            )
        if floor > layer.size:
            raise ValueError(f"floor = {floor} is more than the {layer.size} entries of {name}")
    sizes = np.array([layer.size for layer in layers])
    ends = np.concatenate([[0], np.cumsum(sizes)])
    kept = entries_kept(density, int(ends[-1]), floor, len(layers))
    if scope == "global":
        groups = [_Group("scores", slice(0, int(ends[-1])), slice(0, len(layers)), kept)]
    else:
        groups = [
            _Group(name, slice(start, end), slice(i, i + 1), int(share))
            for i, (name, (start, end), share) in enumerate(
                zip(names, pairwise(ends.tolist()), shares(kept, sizes, floor), strict=True)
            )
        ]
    vector = np.concatenate([layer.ravel() for layer in layers]).astype(np.float64, copy=False)
    return _Problem(vector, given, ends, groups)


def entries_kept(density: float | None, d: int, floor: int, count: int) -> int:
    """Return the number of entries that a density keeps of d."""
    share = validation.share("density", density)
    kept = math.floor(share * d + 0.5)
    if kept == 0:
        raise ValueError(f"density = {share} keeps none of {d} entries; raise it to {1 / d:.3g}")
    if floor * count > kept:
        raise ValueError(
            f"floor = {floor} in each of {count} layers needs {floor * count} entries, but density "
            f"= {share} keeps {kept} of {d}; raise the density or lower the floor"
        )
    return kept


def shares(kept: int, sizes: Integers, floor: int) -> Integers:
    """Return how many each layer keeps: in proportion to its size, at least `floor`, in all `kept`.

    By largest remainder, in integers: where rounding each share adds up to `kept`, it is that.
    """
    lifted = np.zeros(len(sizes), dtype=bool)
    while True:
        budget, room = kept - floor * int(lifted.sum()), int(sizes[~lifted].sum())
        below = ~lifted & (budget * sizes < floor * room)
        if not below.any():
            break
        lifted |= below
    counts, remainders = np.divmod(budget * sizes, room)
    counts[lifted], remainders[lifted] = floor, -1
    counts[np.argsort(-remainders, kind="stable")[: kept - int(counts.sum())]] += 1
    return counts
