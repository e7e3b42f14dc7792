"""What a certificate says: its rows, its table, and what it rests on."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from lth_sketch import display, terminal
from lth_sketch.statements.foresight import MOST
from lth_sketch.statements.statement import IDENTITY_WIDTH

KEYS = (
    "label",
    "data",
    "product",
    "status",
    "verdict",
    "measured",
    "low",
    "high",
    "value",
    "tightness",
    "design",
    "note",
    "rests_on",
)
NOT_MET = "assumptions not met"


@dataclass(frozen=True)
class Verdict:
    """One row of the table: a statement on one product of one data set.

    Parameters
    ----------
    label, data, product, status : str
        Which statement, on what.
    verdict : str
        As `statements.judge` returns it, or that its assumptions are not met.
    measured, low, high : float
        What was measured, and the ends of its interval.
    value : float
        The number of the theory.
    claim, note, figure, design : str or None
        What is claimed, what is said of this row, and two as in `Statement`.
    seconds, needed : float or None
        How long it took; about how many trials would tell, where those made do not.
    rests_on : str
        What the interval takes for granted of the law; empty where it takes nothing.
    """

    label: str
    data: str
    product: str
    status: str
    verdict: str
    measured: float
    low: float
    high: float
    value: float
    claim: str
    note: str
    seconds: float
    figure: str | None = None
    design: str | None = None
    needed: float | None = None
    rests_on: str = ""

    @property
    def title(self) -> str:
        """The label, and the design where statements of one label differ by it."""
        return self.label if self.design is None else f"{self.label} {self.design}"

    @property
    def tightness(self) -> float:
        """``value / measured``: 1 where they agree; for a bound, how far it lies above."""
        return self.value / self.measured if self.measured else math.nan

    def __repr__(self) -> str:
        return (
            f"Verdict({self.title} on {self.data}, {self.product}: {self.verdict}, "
            f"measured={self.measured:.4g} in [{self.low:.4g}, {self.high:.4g}], "
            f"value={self.value:.4g})"
        )

    def _repr_html_(self) -> str:
        facts = {
            "claim": self.claim,
            "status": self.status,
            "verdict": self.verdict,
            "measured": f"{_short(self.measured)} ({_within(self)})",
            "value": _short(self.value),
            "value / measured": _short(self.tightness),
            "note": self.note,
        }
        shown = {name: text for name, text in facts.items() if text}
        return display.facts(f"{self.title} on {self.data}, {self.product}", shown)


@dataclass(frozen=True)
class Report:
    """Every verdict of one run, and what it was run with.

    Parameters
    ----------
    verdicts : tuple of Verdict
        One for each statement, product and data set.
    risk : float
        Limit on the probability that any of them is false.
    trials, seed : int
        Simulated masks for each mean, and the seed.
    accuracy : float
        How far the interval of a certified identity reaches at most, to each side.
    """

    verdicts: tuple[Verdict, ...]
    risk: float
    trials: int
    seed: int
    accuracy: float = IDENTITY_WIDTH

    def __repr__(self) -> str:
        return f"Report({len(self.verdicts)} verdicts: {self.summary()})"

    def _repr_html_(self) -> str:
        heads = ("label", "data", "product", "verdict", "measured", "within", "value", "ratio")
        rows = [
            (
                row.title,
                row.data,
                row.product,
                row.verdict,
                _short(row.measured),
                _within(row),
                _short(row.value),
                _short(row.tightness),
            )
            for row in self.verdicts
        ]
        return display.table(heads, rows, self.summary())

    @property
    def refuted(self) -> tuple[Verdict, ...]:
        """The verdicts that went against their statement."""
        return tuple(row for row in self.verdicts if row.verdict == "refuted")

    def json(self) -> str:
        """Return a list of objects with the keys of `KEYS`; numbers that do not exist are null."""
        return json.dumps(
            [{key: _plain(getattr(row, key)) for key in KEYS} for row in self.verdicts], indent=1
        )

    def table(self) -> str:
        """Return the verdicts as text of at most 80 columns, one a line.

        ``within`` is how far the interval reaches from what was measured (its ends are in `json`),
        ``trials`` about how many would tell where those made do not; see `notes`.
        """
        heads = ("label", "data", "product", "verdict", "measured", "within", "value", "ratio")
        lines: list[tuple[str, ...]] = [heads]
        lines += [
            (
                row.title,
                row.data,
                row.product,
                "not met" if row.verdict == NOT_MET else row.verdict,
                _short(row.measured),
                _within(row),
                _short(row.value),
                _short(row.tightness),
            )
            for row in self.verdicts
        ]
        needed = ["trials", *(_trials(row.needed) for row in self.verdicts)]
        if any(needed[1:]):
            lines = [(*line, cell) for line, cell in zip(lines, needed, strict=True)]
        if terminal.width(lines) > terminal.COLUMNS:
            # The ratio can be told from its two numbers.
            lines = [line[:7] + line[8:] for line in lines]
        text = terminal.aligned(terminal.fitted(terminal.fitted(lines, (1, 2)), (0,)))
        return "\n".join([text, "", self.summary()])

    def notes(self) -> list[str]:
        """Return what is said of single rows: a condition that fails, or what would tell more."""
        return [
            f"{row.title} on {row.data}, {row.product}: "
            f"{'not met: ' if row.verdict == NOT_MET else ''}{row.note}"
            for row in self.verdicts
            if row.note
        ]

    def summary(self) -> str:
        """Return one line: how many of each verdict, and the risk taken."""
        counts: dict[str, int] = {}
        for row in self.verdicts:
            counts[row.verdict] = counts.get(row.verdict, 0) + 1
        parts = ", ".join(f"{number} {verdict}" for verdict, number in sorted(counts.items()))
        risk = f"risk of any false verdict at most {self.risk:g}"
        resting = sum(bool(row.rests_on) and row.verdict != NOT_MET for row in self.verdicts)
        if resting:
            risk += f", if {resting} of the laws have the kurtosis assumed"
        return f"{parts}; {risk}; seed {self.seed}"

    def conditions(self) -> list[str]:
        """Return how near an identity must be, and what the intervals of single rows rest on."""
        said = []
        if any(row.status == "identity" for row in self.verdicts):
            said.append(
                "An identity is certified when its interval reaches at most "
                f"{100 * self.accuracy:g}% of the value to either side (within): one that is wrong "
                "by less may pass. A smaller accuracy asks for more trials."
            )
        rows: dict[str, list[str]] = {}
        for row in self.verdicts:
            if row.rests_on:
                rows.setdefault(row.rests_on, []).append(f"{row.title} ({row.product})")
        said += [f"{text}: {', '.join(dict.fromkeys(names))}." for text, names in rows.items()]
        if rows:
            said.append("Intervals of other rows take no such limit for granted.")
        return said


def _trials(needed: float | None) -> str:
    if needed is None:
        return ""
    return "-" if math.isnan(needed) else f">{MOST:.0e}" if math.isinf(needed) else f"{needed:.0f}"


def _within(row: Verdict) -> str:
    """Return how far the interval reaches, in per cent of what was measured."""
    if math.isnan(row.low):
        return ""
    reach = max(row.high - row.measured, row.measured - row.low)
    if row.measured == 0 or math.isinf(reach):
        return f"{reach:.1g}"
    share = 100 * reach / abs(row.measured)
    return "<0.01%" if share < 0.01 else f"{share:.2g}%" if share < 1000 else f"{reach:.1g}"


def _plain(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _short(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"
