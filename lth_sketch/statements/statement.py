"""What a statement is: a value from theory, a way to measure it, and the judgement between them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from lth_sketch import display
from lth_sketch.intervals import Interval
from lth_sketch.statements.case import Case

Value = Callable[[Case], float]
Measure = Callable[[Case, float], Interval]

STATUSES = ("identity", "bound", "approximation", "demonstration")
# An identity is certified when its interval reaches at most this far to each side.
IDENTITY_WIDTH = 0.05
# What an approximation may be off.
APPROXIMATION_WIDTH = 0.07


@dataclass(frozen=True)
class Assumption:
    """A condition of a statement, in words and as a check that can be run.

    Parameters
    ----------
    text : str
        The condition in words.
    holds : callable
        ``holds(case)``: whether it is met.
    """

    text: str
    holds: Callable[[Case], bool] = field(repr=False)


@dataclass(frozen=True)
class Statement:
    """One statement of the theory, in a form that can be judged on data.

    Parameters
    ----------
    label : str
        As in docs/theory.md, or one of your own.
    claim : str
        One line.
    status : {"identity", "bound", "approximation", "demonstration"}
        identity: `value` is measured exactly; bound: the measured number is at most `value`;
        approximation: it is within 7% of it; demonstration: it lies above `value`, the number that
        would be measured if there were no effect.
    value : callable
        ``value(case)`` from theory alone, a function of `moments` or `bounds`.
    measure : callable
        ``measure(case, risk)`` -> Interval, missing the truth with probability at most `risk`.
    products : tuple of str
        Names of the products it is tried on, see `case.PRODUCTS`.
    assumptions : tuple of Assumption
        Where one does not hold, the statement is not judged.
    trivial : callable or None
        ``trivial(case)``: what the empty mask attains; a bound above it is called vacuous.
    figure : str or None
        Name of the figure that shows it.
    design : str or None
        Which design or sketch it is about, where statements of one label differ by it.

    Raises
    ------
    ValueError
        If the status is unknown or no product is named.
    """

    label: str
    claim: str
    status: str
    value: Value = field(repr=False)
    measure: Measure = field(repr=False)
    products: tuple[str, ...] = ("initial",)
    assumptions: tuple[Assumption, ...] = ()
    trivial: Value | None = field(default=None, repr=False)
    figure: str | None = None
    design: str | None = None

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status must be one of {', '.join(STATUSES)}; got {self.status!r}")
        if not self.products:
            raise ValueError(f"products of {self.label} must name at least one product; got ()")

    def _repr_html_(self) -> str:
        facts = {
            "claim": self.claim,
            "status": self.status,
            "on the products": ", ".join(self.products),
            "if": "; ".join(assumption.text for assumption in self.assumptions),
            "design": self.design or "",
            "shown by": self.figure or "",
        }
        shown = {name: text for name, text in facts.items() if text}
        return display.facts(f"Statement {self.label}", shown)


def judge(
    statement: Statement,
    value: float,
    interval: Interval,
    trivial: float = math.inf,
    accuracy: float = IDENTITY_WIDTH,
) -> str:
    """Return the verdict on one measured interval.

    Parameters
    ----------
    statement : Statement
        Its status decides the rule.
    value : float
        Exact value, bound, approximation, or the number of no effect.
    interval : Interval
        What was measured.
    trivial : float
        A bound above it is vacuous.
    accuracy : float
        An identity is certified when the interval reaches at most this share of the value to
        either side: one that is wrong by less may pass.

    Returns
    -------
    {"certified", "refuted", "inconclusive", "vacuous"}
    """
    if math.isnan(value) or any(math.isnan(end) for end in interval):
        return "inconclusive"
    if statement.status == "identity":
        if not interval.low <= value <= interval.high:
            return "refuted"
        reach = max(interval.high - interval.measured, interval.measured - interval.low)
        return "certified" if reach <= accuracy * abs(value) else "inconclusive"
    if statement.status == "bound":
        if interval.low > value:
            return "refuted"
        if value > trivial:
            return "vacuous"
        return "certified" if interval.high <= value else "inconclusive"
    if statement.status == "approximation":
        low, high = value * (1 - APPROXIMATION_WIDTH), value * (1 + APPROXIMATION_WIDTH)
        if interval.high < low or interval.low > high:
            return "refuted"
        return "certified" if low <= interval.low and interval.high <= high else "inconclusive"
    if interval.high < value:
        return "refuted"
    return "certified" if interval.low > value else "inconclusive"
