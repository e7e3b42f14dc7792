"""Shall I draw? What masks keep of each layer by each design, and one plain sentence.

Scores are sorted once into bins of equal float32 exponents and leading digits, layer by layer, so
that 10^8 of them need seconds and little memory. Counts of top-k are exact; probabilities use the
mean of each bin, which hardly changes them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import scipy

from lth_sketch import validation
from lth_sketch.validation import Array, Floats

# Designs whose kept fractions have a closed form; priority draws keep about what Poisson draws do.
DESIGNS = ("top", "multinomial", "poisson", "systematic")
# Leading bits of a float32: sign, exponent, and 7 of the mantissa.
SHIFT = 16
# A layer is in danger where the chance that it is emptied is above this.
DANGER = 0.01
# Verdicts, and what they say.
SENTENCES = {
    "draw": "Draw: {reason}.",
    "top": "Keep the largest: {reason}.",
    "floor": "Keep the largest with a floor in each layer (floor=): {reason}.",
    "same": "No difference is foreseen: {reason}.",
}


class Layer(NamedTuple):
    """One layer: expected kept fraction, and probability that nothing is kept, by design."""

    name: str
    size: int
    kept: dict[str, float]
    emptied: dict[str, float]
    coherence: float = math.nan
    error: Mapping[str, float] = {}


class Advice(NamedTuple):
    """What is to be expected of one score, by layer, and the verdict in a word and a sentence."""

    score: str
    density: float
    layers: list[Layer]
    verdict: str
    reason: str
    concentration: float

    @property
    def sentence(self) -> str:
        """One plain sentence: draw, top-k, top-k with a floor, or no difference."""
        return SENTENCES[self.verdict].format(reason=self.reason)

    @property
    def danger(self) -> list[str]:
        """Layers that some design empties with a probability above one in a hundred."""
        return [layer.name for layer in self.layers if max(layer.emptied.values()) > DANGER]

    def table(self) -> str:
        """Return the numbers by layer, and the sentence."""
        width = max(5, *(len(layer.name) for layer in self.layers))
        with_errors = any(layer.error for layer in self.layers)
        heads = [f"{name[:9]:>10}" for name in DESIGNS]
        lines = [f"{self.score}, {100 * self.density:g}% kept"]
        extra = f"{'coherence':>11}{'err top':>9}{'err draw':>9}" if with_errors else ""
        lines.append(
            f"{'layer':{width}}{'size':>13} |kept{''.join(heads)} |emptied{''.join(heads)}{extra}"
        )
        for layer in self.layers:
            kept = "".join(f"{100 * layer.kept[name]:9.3f}%" for name in DESIGNS)
            risk = "".join(f"{layer.emptied[name]:10.2g}" for name in DESIGNS)
            more = ""
            if with_errors:
                errors = [layer.error.get(name, math.nan) for name in ("top", "draw")]
                more = f"{layer.coherence:11.3g}" + "".join(f"{value:9.3g}" for value in errors)
            lines.append(f"{layer.name:{width}}{layer.size:13,} |    {kept} |       {risk}{more}")
        return "\n".join([*lines, self.sentence])


class _Bins(NamedTuple):
    """Scores of one layer: how many, and their sum, in each bin; and the scores themselves."""

    counts: Floats
    sums: Floats
    values: Array


def advise(
    scores: Mapping[str, Array], density: float, *, score: str = "scores", floor: int = 0
) -> Advice:
    """Return what masks by these scores keep of each layer, where all layers compete.

    Parameters
    ----------
    scores : mapping from name to array
        Scores of each layer, >= 0 (of either sign they count by their size).
    density : float
        Share of all weights that is kept, in (0, 1].
    score : str
        What the scores are called in the table.
    floor : int
        Weights that each layer keeps at least; from 1 on no layer is emptied.

    Returns
    -------
    Advice
        Numbers by layer, a verdict and a sentence. From scores alone the verdict knows which layers
        are emptied or nearly so; `networks.advise` sees the network and says more.

    Raises
    ------
    TypeError, ValueError
        If scores are not finite or all zero, or the density is no share.

    Examples
    --------
    >>> advice = advise({"a": np.array([5.0, 4.0, 3.0, 2.5]), "b": np.array([1.0, 2.0])}, 0.5)
    >>> advice.verdict, advice.danger
    ('floor', ['a', 'b'])
    """
    share = validation.share("density", density)
    least = validation.count("floor", floor, minimum=0)
    if not scores:
        raise ValueError("scores must hold at least one layer; got none")
    bins = {name: _binned(name, values) for name, values in scores.items()}
    sizes = {name: int(part.values.size) for name, part in bins.items()}
    wanted = max(1, math.floor(share * sum(sizes.values()) + 0.5))
    top = _top(bins, wanted)
    p, counts, starts = _means(bins)
    live = int(counts[p > 0].sum())
    if live == 0:
        raise ValueError("scores are all zero: they do not tell what to keep; score otherwise")
    drawn = min(wanted, live)
    pi = _inclusion(p, counts, drawn)
    low, more = _draws(p, counts, drawn)
    ends = [*starts[1:], len(p)]
    layers = []
    for place, (name, size) in enumerate(sizes.items()):
        part = slice(starts[place], ends[place])
        n, q, mine = counts[part], pi[part], p[part]
        never = np.exp(float((n * scipy.special.log1p(-np.minimum(q, 1 - 1e-16))).sum()))
        total = float((n * q).sum())
        mass = min(1.0, float((n * mine).sum()))
        some, others = (_distinct(mine, n, draws) for draws in (low, low + 1))
        distinct = some + more * (others - some)
        kept = {"top": top[name] / size, "multinomial": distinct / size}
        kept |= {"poisson": total / size, "systematic": total / size}
        gone = 0.0 if mass >= 1 else math.exp(scipy.special.xlog1py(low, -mass)) * (1 - more * mass)
        gone = gone if mass > 0 else 1.0
        emptied = {"top": float(top[name] == 0), "multinomial": gone}
        emptied |= {"poisson": never, "systematic": max(0.0, 1.0 - total)}
        if least:
            kept = {key: max(value, min(1.0, least / size)) for key, value in kept.items()}
            emptied = dict.fromkeys(emptied, 0.0)
        layers.append(Layer(name, size, kept, emptied))
    verdict, reason = _verdict(layers)
    return Advice(score, share, layers, verdict, reason, _concentration(p, counts, wanted))


def _verdict(layers: list[Layer]) -> tuple[str, str]:
    empty = [layer.name for layer in layers if layer.emptied["top"] > 0]
    risk = max(layer.emptied["poisson"] for layer in layers)
    if empty and risk <= DANGER:
        return "draw", f"top-k empties {_listed(empty)}, a draw with a chance of {risk:.2g} at most"
    if empty:
        return "floor", (
            f"top-k empties {_listed(empty)}, and a draw may (chance {risk:.2g}): either is cut"
        )
    if risk > DANGER:
        worst = max(layers, key=lambda layer: layer.emptied["poisson"])
        return "top", f"a draw empties {worst.name} with a chance of {risk:.2g}, top-k does not"
    return "same", "no layer is in danger by top-k or by a draw, as far as scores alone can tell"


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more layers"


def _binned(name: str, values: Array) -> _Bins:
    flat = np.abs(np.asarray(values, dtype=np.float32).ravel())
    if flat.size == 0 or not np.isfinite(flat.sum(dtype=np.float64)):
        raise ValueError(f"scores[{name!r}] must be finite, and not empty")
    index = (flat.view(np.uint32) >> SHIFT).astype(np.int32)
    bins = 2 ** (32 - SHIFT)
    counts: Floats = np.bincount(index, minlength=bins).astype(np.float64)
    sums = np.asarray(np.bincount(index, weights=flat, minlength=bins), dtype=np.float64)
    return _Bins(counts, sums, flat)


def _top(bins: Mapping[str, _Bins], wanted: int) -> dict[str, int]:
    """Return how many of each layer are among the largest, exactly; ties by order."""
    total = np.sum([part.counts for part in bins.values()], axis=0)
    above = np.cumsum(total[::-1])[::-1]
    edge = int(np.flatnonzero(above >= wanted).max())
    rest = wanted - int(above[edge + 1]) if edge + 1 < len(above) else wanted
    low, high = np.array([edge, edge + 1], np.uint32) << SHIFT
    inside = [
        np.asarray(
            part.values[(part.values.view(np.uint32) >= low) & (part.values.view(np.uint32) < high)]
        )
        for part in bins.values()
    ]
    joined = np.concatenate(inside)
    place = len(joined) - rest
    threshold = np.partition(joined, place)[place] if rest else np.inf
    ties = rest - int((joined > threshold).sum())
    kept = {}
    for (name, part), some in zip(bins.items(), inside, strict=True):
        equal = min(ties, int((some == threshold).sum()))
        ties -= equal
        kept[name] = int(part.counts[edge + 1 :].sum()) + int((some > threshold).sum()) + equal
    return kept


def _means(bins: Mapping[str, _Bins]) -> tuple[Floats, Floats, list[int]]:
    """Return the mean probability and the count of each bin in use, and where layers start."""
    total = sum(float(part.sums.sum()) for part in bins.values())
    means, counts, starts, place = [], [], [], 0
    for part in bins.values():
        used = np.flatnonzero(part.counts)
        counts.append(part.counts[used])
        means.append(part.sums[used] / part.counts[used] / (total or 1.0))
        starts.append(place)
        place += len(used)
    return np.concatenate(means), np.concatenate(counts), starts


def _inclusion(p: Floats, counts: Floats, kept: int) -> Floats:
    """Return inclusion probabilities by water filling: min(1, tau p), of the sum `kept`."""
    order = np.argsort(-p, kind="stable")
    number, mass = np.cumsum(counts[order]), np.cumsum((counts * p)[order])
    before = np.concatenate([[0.0], number[:-1]])
    rest = mass[-1] - np.concatenate([[0.0], mass[:-1]])
    with np.errstate(divide="ignore", invalid="ignore"):
        taus = np.where(rest > 0, (kept - before) / rest, 0.0)
    # The first bin that is not capped once all larger ones are.
    fits = np.flatnonzero((taus * p[order] <= 1) & (rest > 0) & (kept >= before))
    tau = float(taus[fits[0]]) if fits.size else np.inf
    if math.isinf(tau):
        return np.where(p > 0, 1.0, 0.0)
    return np.minimum(1.0, tau * p)


def _draws(p: Floats, counts: Floats, kept: int) -> tuple[float, float]:
    """Return s, and the probability of s + 1 in its place, that keep so many distinct on average.

    As in `pruning.select`; infinitely many where all scores above zero are kept.
    """
    if kept >= counts[p > 0].sum():
        return math.inf, 0.0
    low, high = kept, 2 * kept
    while _distinct(p, counts, high) <= kept:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _distinct(p, counts, middle) <= kept else (low, middle)
    below, above = _distinct(p, counts, low), _distinct(p, counts, low + 1)
    return float(low), min(1.0, max(0.0, (kept - below) / (above - below)))


def _distinct(p: Floats, counts: Floats, s: float) -> float:
    """Return the expected number of distinct entries among s draws (S2)."""
    if math.isinf(s):
        return float(counts[p > 0].sum())
    return float((counts * -np.expm1(scipy.special.xlog1py(s, -p))).sum())


def _concentration(p: Floats, counts: Floats, kept: int) -> float:
    """Return the share of all scores that the largest ones hold, as many as are kept."""
    order = np.argsort(-p, kind="stable")
    before = np.concatenate([[0.0], np.cumsum(counts[order])[:-1]])
    taken = np.clip(kept - before, 0.0, counts[order])
    return float((taken * p[order]).sum())
