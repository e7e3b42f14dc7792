"""How the masks of each design are simulated: by S0, one vector product a trial."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from lth_sketch import probabilities
from lth_sketch.inclusion import checked, hybrid
from lth_sketch.kernels import errors, fixed
from lth_sketch.parallel import blockwise
from lth_sketch.product import Product
from lth_sketch.validation import Floats, Integers

# Entries of the terms that processors keep at hand. Beyond it many draws are faster as a product of
# their counts with all terms: this many times for each row that is read.
CACHED, AHEAD = 1 << 18, 4
# Counts that exist at a time, on each thread.
COUNTED = 1 << 22
# Writes the squared errors (sizes, trials) of one block, in units of the product's total.
Simulate = Callable[[np.random.Generator, Floats], None]
# From terms, lengths, centre, Poisson's inclusion probabilities, weights and a size to a `Simulate`
# of that size alone, (trials,).
Marked = Callable[[Floats, Integers, Floats, Floats, Floats, int], Simulate]


def _replacement(product: Product, p: Floats, sizes: Integers) -> Simulate:
    return _replaced(product.unit_factor, p, sizes)


def _replaced(C: Floats, p: Floats, sizes: Integers) -> Simulate:
    """Simulate draws with replacement of the terms C, (d, rank)."""
    lengths = _lengths(C)
    terms = np.divide(C, p[:, None], out=np.zeros_like(C), where=p[:, None] > 0)
    centre = C.sum(axis=0)
    cumulative, table = _guided(p)

    def simulate(rng: np.random.Generator, out: Floats) -> None:
        errors.replacement_errors(terms, lengths, centre, cumulative, table, sizes, rng, out)

    def together(rng: np.random.Generator, out: Floats) -> None:
        for part in blockwise.spans(out.shape[1], max(1, COUNTED // (len(sizes) * len(terms)))):
            counts = np.empty((*out[:, part].shape, len(terms)))
            errors.replacement_counts(cumulative, table, sizes, rng, counts)
            for k, size in enumerate(sizes):
                gaps = counts[k] @ terms
                gaps /= size
                gaps -= centre
                np.einsum("ij,ij->i", gaps, gaps, out=out[k, part])

    # Rows that single trials would read.
    read = int(np.minimum(np.diff(sizes, prepend=0), len(terms)).sum())
    large = terms.size > CACHED and read * AHEAD > len(sizes) * len(terms)
    return together if large else simulate


def _guided(p: Floats) -> tuple[Floats, Integers]:
    """Return the running sums of p and their guide: what single draws are looked up in."""
    # In extended precision where there is one: the last entry takes what rounding leaves.
    cumulative = np.cumsum(p, dtype=np.longdouble).astype(np.float64)
    # Whatever rounding leaves above the last sum belongs to the last entry that can be drawn.
    cumulative[np.flatnonzero(p)[-1] :] = np.inf
    table = np.empty(len(p), np.int64)
    errors.guide(cumulative, table)
    return cumulative, table


def _hybrid(product: Product, p: Floats, sizes: Integers) -> Simulate:
    C, _ = _factor(product)
    parts = []
    for size in sizes:
        kept = hybrid.sure(p, int(size))
        rest = np.setdiff1d(np.flatnonzero(p), kept)
        drawn = np.array([size - len(kept)])
        parts.append(_replaced(C[rest], p[rest] / p[rest].sum(), drawn) if len(rest) else None)

    def simulate(rng: np.random.Generator, out: Floats) -> None:
        for k, part in enumerate(parts):
            out[k] = 0.0
            if part is not None:
                part(rng, out[k : k + 1])

    return simulate


def _pivotal(product: Product, p: Floats, sizes: Integers) -> Simulate:
    return _marked(product, p, sizes, "pivotal", partial(partial, fixed.pivotal_errors))


def _conditional(product: Product, p: Floats, sizes: Integers) -> Simulate:
    return _marked(product, p, sizes, "conditional", of_size)


def of_size(
    C: Floats, lengths: Integers, centre: Floats, pi: Floats, weights: Floats, s: int
) -> Simulate:
    """Simulate conditional Poisson samples: Poisson's, or draws by their odds, till one will do.

    A Poisson sample of size s has the law of s draws with replacement, with the odds of `pi` for
    probabilities, that are all different (Hajek 1964): few numbers where few are drawn.
    """
    sure = pi >= 1.0
    drawn = s - int(np.count_nonzero(sure))
    odds = np.divide(pi, 1.0 - pi, out=np.zeros_like(pi), where=~sure)
    p = odds / (odds.sum() or 1.0)
    # Draws are all different about so many times in one, a Poisson sample has the size in a few.
    if drawn == 0 or drawn * np.exp(drawn**2 * float(p @ p) / 2.0) > len(pi):
        return partial(fixed.conditional_errors, C, lengths, centre, pi, weights, s)
    rest = centre - weights[sure] @ C[sure]
    return partial(fixed.distinct_errors, C, lengths, rest, *_guided(p), weights, drawn)


def _marked(
    product: Product, p: Floats, sizes: Integers, design: str, errors_of: Marked
) -> Simulate:
    """Simulate samples that Poisson's inclusion probabilities give, size by size."""
    C, lengths = _factor(product)
    centre = C.sum(axis=0)
    parts = []
    for s in sizes.tolist():
        pi = probabilities.inclusion(p, s, design="poisson")
        own = probabilities.inclusion(p, s, design=design)
        weights = np.divide(1.0, own, out=np.zeros_like(own), where=own > 0)
        parts.append(errors_of(C, lengths, centre, pi, weights, s))

    def simulate(rng: np.random.Generator, out: Floats) -> None:
        for part, errorsof_size in zip(parts, out, strict=True):
            part(rng, errorsof_size)

    return simulate


def _poisson(product: Product, p: Floats, sizes: Integers) -> Simulate:
    weights = checked.survey(p)
    taus = np.array([checked.threshold(weights, s) for s in sizes])
    return _ranked(product, p, sizes, taus, taus[-1])


def _priority(product: Product, p: Floats, sizes: Integers) -> Simulate:
    weights = checked.survey(p)
    # The number of ranks above a threshold has a smaller variance than its mean.
    enough = sizes[-1] + 6 * np.sqrt(sizes[-1]) + 6
    limit = checked.threshold(weights, enough) if enough < weights.nonzero else 0.0
    return _ranked(product, p, sizes, np.zeros(len(sizes)), limit)


def _ranked(product: Product, p: Floats, sizes: Integers, taus: Floats, limit: float) -> Simulate:
    C, lengths = _factor(product)
    centre = C.sum(axis=0)
    order = np.argsort(-p, kind="stable")

    def simulate(rng: np.random.Generator, out: Floats) -> None:
        errors.rank_errors(C, lengths, centre, p, order, taus, limit, sizes, rng, out)

    return simulate


def _systematic(product: Product, p: Floats, sizes: Integers) -> Simulate:
    C, lengths = _factor(product)
    centre = C.sum(axis=0)
    pi = np.array([probabilities.inclusion(p, int(s), design="systematic") for s in sizes])
    ends = np.minimum(np.cumsum(pi, axis=1), sizes[:, None])
    ends[:, np.flatnonzero(p)[-1] :] = sizes[:, None]
    weights = np.divide(1.0, pi, out=np.zeros_like(pi), where=pi > 0)

    def simulate(rng: np.random.Generator, out: Floats) -> None:
        errors.systematic_errors(C, lengths, centre, ends, weights, rng, out)

    return simulate


def _factor(product: Product) -> tuple[Floats, Integers]:
    """Return the terms in the coordinates of S0, and the length of each without trailing zeros."""
    return product.unit_factor, _lengths(product.unit_factor)


def _lengths(C: Floats) -> Integers:
    nonzero = C != 0
    lengths: Integers = C.shape[1] - np.argmax(nonzero[:, ::-1], axis=1)
    lengths[~nonzero.any(axis=1)] = 0
    return lengths.astype(np.int64)


def _top(product: Product, p: Floats, sizes: Integers) -> Simulate:
    order = np.argsort(-p, kind="stable")
    gaps = [product.unit_factor[order[size:]].sum(axis=0) for size in sizes]
    squares = np.array([gap @ gap for gap in gaps])

    def simulate(rng: np.random.Generator, out: Floats) -> None:
        out[:] = squares[:, None]

    return simulate


SIMULATIONS = {
    "multinomial": _replacement,
    "poisson": _poisson,
    "priority": _priority,
    "systematic": _systematic,
    "hybrid": _hybrid,
    "pivotal": _pivotal,
    "conditional": _conditional,
    "top": _top,
}
