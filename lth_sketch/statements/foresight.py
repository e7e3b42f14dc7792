"""How many trials it would take to tell, judged from the trials that were made."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Unpack

import numpy as np

from lth_sketch.statements.case import Case, Other
from lth_sketch.statements.statement import Statement, judge
from lth_sketch.validation import Floats

# Beyond this many the answer is that it takes more.
MOST = 4_000_000
# Bisections of the last doubling: the number is then right within a fifth, if the law is.
STEPS = 2


@dataclass(frozen=True)
class _Imagined(Case):
    """A case with other numbers of trials, drawn with replacement from those of another case."""

    made: Case = field(repr=False, kw_only=True)
    drawn: list[int] = field(repr=False, kw_only=True)

    def squared_errors(self, p: Floats | None = None, **other: Unpack[Other]) -> Floats:
        errors = self.made.squared_errors(p, **other)
        size = self.trials_of(other.get("s", self.s))
        self.drawn.append(size)
        return np.asarray(self.rng(100).choice(errors, size))

    def rounding(self, p: Floats | None = None, **other: Unpack[Other]) -> float:
        return self.made.rounding(p, **other)


def trials_needed(
    statement: Statement, case: Case, value: float, trivial: float, risk: float, accuracy: float
) -> float:
    """Return about how many trials would make an inconclusive statement conclusive.

    Simulated errors are drawn again, with replacement, in growing numbers: what would be found if
    more trials looked like those that were made.

    Parameters
    ----------
    statement : Statement
        Found inconclusive on the case.
    case : Case
        With its simulated errors.
    value, trivial : float
        What the statement claims, and what the empty mask attains.
    risk, accuracy : float
        Those of the verdict.

    Returns
    -------
    float
        A number of trials; infinity where it takes more than `MOST`; NaN where more trials do not
        narrow the interval, because it does not rest on them or takes no more of them.
    """

    def tells(trials: int) -> bool:
        sizes.clear()
        imagined = _Imagined(
            case.data,
            case.name,
            case.product,
            case.p,
            case.s,
            case.delta,
            trials,
            case.seed,
            made=case,
            drawn=sizes,
        )
        interval = statement.measure(imagined, risk)
        return judge(statement, value, interval, trivial, accuracy) != "inconclusive"

    sizes: list[int] = []
    low = high = case.trials
    while not tells(high):
        if not sizes or max(sizes) < high:
            return math.nan
        if high >= MOST:
            return math.inf
        low, high = high, 2 * high
    for _ in range(STEPS if high > low else 0):
        middle = math.isqrt(low * high)
        low, high = (low, middle) if tells(middle) else (middle, high)
    return _rounded(high)


def _rounded(trials: int) -> float:
    """Return a number rounded up to two digits."""
    unit = 10 ** max(0, len(str(trials)) - 2)
    return float(-(-trials // unit) * unit)
