"""The field on trial: mistakes of public code as subjects of the certificate, beside what is right.

They are no statements of the register: what they claim is false, and the certificate refutes it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lth_sketch import intervals, moments, sampling
from lth_sketch.intervals import Interval
from lth_sketch.statements.case import Case
from lth_sketch.statements.statement import Measure, Statement
from lth_sketch.validation import Floats

# Masks of each subject, and the share of the features that they keep.
TRIALS, SHARE = 20_000, 0.75

# From probabilities, a size and a Generator to TRIALS masks as rows.
_Masks = Callable[[Floats, int, np.random.Generator], Floats]


def size(case: Case) -> int:
    """Return how many draws a subject takes: enough that some inclusions reach one."""
    return max(1, int(SHARE * case.product.d))


def _counts(p: Floats, s: int, rng: np.random.Generator) -> Floats:
    return rng.multinomial(s, p, size=TRIALS).astype(np.float64)


def _by_count(p: Floats, s: int, rng: np.random.Generator) -> Floats:
    """Draw with p, rescale by d / s: right for uniform p only."""
    return _counts(p, s, rng) * (len(p) / s)


def _uncapped(p: Floats, s: int, rng: np.random.Generator) -> Floats:
    """Keep with probability s p_i, as if that were at most one, and divide by it."""
    chances = s * p
    kept = rng.random((TRIALS, len(p))) < chances
    return np.divide(kept, chances, out=np.zeros(kept.shape), where=chances > 0)


def _without_replacement(p: Floats, s: int, rng: np.random.Generator) -> Floats:
    """Draw s times without replacement, and weigh as if it had been with it."""
    # The s largest of these are such a draw (Gumbel's trick).
    live = np.flatnonzero(p)
    keys = np.log(p[live]) + rng.gumbel(size=(TRIALS, len(live)))
    masks = np.zeros((TRIALS, len(p)))
    masks[:, live] = (keys >= np.partition(keys, -s, axis=1)[:, -s][:, None]) / (s * p[live])
    return masks


def _mean_share(masks: _Masks) -> Measure:
    """Measure ``E <estimate, AB> / ||AB||^2``, which is one if the mean of the estimate is AB."""

    def measure(case: Case, risk: float) -> Interval:
        C = case.product.unit_factor
        AB = C.sum(axis=0)
        shares = masks(case.p, size(case), case.rng(7)) @ (C @ AB) / float(AB @ AB)
        # A sum over many terms: near a Gaussian.
        return intervals.mean(shares, risk, kurtosis=intervals.GAUSSIAN_KURTOSIS)

    return measure


def _right(design: str) -> _Masks:
    def masks(p: Floats, s: int, rng: np.random.Generator) -> Floats:
        return np.asarray(sampling.masks(p, s, TRIALS, design=design, rng=rng).toarray())

    return masks


def _random_uniform(case: Case, risk: float) -> Interval:
    """Measure the mean squared error where random numbers, normalised, are the probabilities."""
    p = case.rng(8).random(case.product.d)
    return case.mean(risk, p / p.sum())


def _uniform(case: Case, risk: float) -> Interval:
    return case.mean(risk, np.full(case.product.d, 1 / case.product.d))


def _one(case: Case) -> float:
    return 1.0


def _uniform_moment(case: Case) -> float:
    return float(moments.multinomial(case.product, np.ones(case.product.d), case.s))


def _subject(claim: str, measure: Measure, value: Callable[[Case], float] = _one) -> Statement:
    return Statement("F1", claim, "identity", value, measure, ("coherent",))


MISTAKES = (
    _subject("weights d / s for draws with p: the mean is AB", _mean_share(_by_count)),
    _subject(
        "kept with s p_i, uncapped, and divided by it: the mean is AB", _mean_share(_uncapped)
    ),
    _subject(
        "drawn without replacement, weighed by 1 / (s p_i): the mean is AB",
        _mean_share(_without_replacement),
    ),
    _subject(
        "normalised random numbers as uniform p: E||err||^2 is that of uniform draws",
        _random_uniform,
        _uniform_moment,
    ),
)
RIGHT = (
    _subject(
        "weights 1 / (s p_i) for draws with p: the mean is AB", _mean_share(_right("multinomial"))
    ),
    _subject("inclusions capped and refilled: the mean is AB", _mean_share(_right("poisson"))),
    _subject(
        "priority draws, weighed by the next rank: the mean is AB", _mean_share(_right("priority"))
    ),
    _subject("equal p: E||err||^2 is that of uniform draws", _uniform, _uniform_moment),
)
FIELD = MISTAKES + RIGHT
