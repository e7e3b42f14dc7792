"""Certify the register on data, with a stated risk of any false verdict."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import NamedTuple

from lth_sketch import datasets, display, terminal, validation
from lth_sketch.datasets import Dataset
from lth_sketch.intervals import Interval
from lth_sketch.parallel.executors import spread
from lth_sketch.statements import PRODUCTS, REGISTER, Case, Setting, Statement, judge
from lth_sketch.statements.case import DELTA, DRAWS
from lth_sketch.statements.foresight import MOST, trials_needed

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
)
NOT_MET = "assumptions not met"


@dataclass(frozen=True)
class Verdict:
    """One row of the table: a statement on one product of one data set."""

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
        found = {
            "claim": self.claim,
            "status": self.status,
            "verdict": self.verdict,
            "measured": f"{_short(self.measured)} ({_within(self)})",
            "value": _short(self.value),
            "value / measured": _short(self.tightness),
            "note": self.note,
        }
        shown = {name: text for name, text in found.items() if text}
        return display.facts(f"{self.title} on {self.data}, {self.product}", shown)


@dataclass(frozen=True)
class Report:
    """Every verdict of one run, and what it was run with."""

    verdicts: tuple[Verdict, ...]
    risk: float
    trials: int
    seed: int

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
        return f"{parts}; risk of any false verdict at most {self.risk:g}; seed {self.seed}"


def run(
    statements: Iterable[Statement] | None = None,
    data: str | Dataset | Sequence[str | Dataset] = "digits",
    *,
    trials: int = 200_000,
    risk: float = 1e-6,
    rng: int = 0,
    data_home: str | None = None,
    progress: Callable[[str], None] | None = None,
    products: Mapping[str, Callable[[Dataset, int], Setting]] = PRODUCTS,
    executor: Executor | None = None,
) -> Report:
    """Judge statements on data.

    The risk is split evenly over all rows of the table. Means come with Catoni's interval, right
    for any law of bounded kurtosis, quantiles and probabilities with that of Clopper and Pearson
    (`intervals`).

    Parameters
    ----------
    statements : iterable of Statement, optional
        By default the whole register. Put your own among them.
    data : str, Dataset, or a sequence of them
        Names for `datasets.load`, or data sets.
    trials : int
        Simulated masks for each mean.
    risk : float
        Limit, in (0, 1), on the probability that any verdict is false.
    rng : int
        Seed; the same seed gives the same report.
    data_home : str, optional
        Where local data lie, see `datasets.load`.
    progress : callable, optional
        Called with a line of text before each row.
    products : mapping from name to callable, optional
        Where the statements' products are looked up, each a function of a data set and a seed; put
        your own among `PRODUCTS`, as `networks.statements` does.
    executor : concurrent.futures.Executor, optional
        Where products are judged, one a task; by default here. Its workers load data by name.

    Returns
    -------
    Report
        One verdict for each statement, product and data set.

    Raises
    ------
    ValueError
        If a product's name is unknown, nothing is to be judged, or a number is out of range.

    Examples
    --------
    >>> S0 = [statement for statement in REGISTER if statement.label == "S0"]
    >>> print(run(S0, trials=10).summary())
    5 certified; risk of any false verdict at most 1e-06; seed 0
    """
    chosen = tuple(REGISTER if statements is None else statements)
    trials = validation.count("trials", trials)
    risk = validation.risk("risk", risk)
    seed = validation.count("rng", rng, minimum=0)
    names = (data,) if isinstance(data, str | Dataset) else tuple(data)
    for statement in chosen:
        for product in statement.products:
            validation.choice(f"products of {statement.label}", product, products)
    rows = len(names) * sum(len(statement.products) for statement in chosen)
    if rows == 0:
        raise ValueError("statements and data must each hold at least one; got nothing to judge")
    common = _Common(
        tuple(_known(statement) for statement in chosen),
        None if products is PRODUCTS else products,
        trials,
        seed,
        data_home,
        risk / rows,
    )
    # One product at a time: its factor and its simulated errors are then shared and dropped.
    tasks = [
        (name, product)
        for name in names
        for product in products
        if any(product in statement.products for statement in chosen)
    ]
    found: Iterable[list[tuple[int, Verdict]]]
    if executor is None:
        found = (_judged(common, task, progress) for task in tasks)
    else:
        found = spread(_judged, tasks, executor, common=common)
    verdicts = [pair for pairs in found for pair in pairs]
    verdicts.sort(key=lambda pair: pair[0])
    return Report(tuple(row for _, row in verdicts), risk, trials, seed)


class _Common(NamedTuple):
    """What all products are judged with; statements of the register by their place in it."""

    statements: tuple[Statement | int, ...]
    products: Mapping[str, Callable[[Dataset, int], Setting]] | None
    trials: int
    seed: int
    data_home: str | None
    risk: float


def _known(statement: Statement) -> Statement | int:
    places = [i for i, known in enumerate(REGISTER) if known is statement]
    return places[0] if places else statement


def _judged(
    common: _Common,
    task: tuple[str | Dataset, str],
    progress: Callable[[str], None] | None = None,
) -> list[tuple[int, Verdict]]:
    """Judge all statements on one product of one data set."""
    data, product = task
    loaded = datasets.load(data, common.data_home) if isinstance(data, str) else data
    setting = (common.products or PRODUCTS)[product](loaded, common.seed)
    case = Case(
        loaded, product, setting.product, setting.p, DRAWS, DELTA, common.trials, common.seed
    )
    found = []
    for place, known in enumerate(common.statements):
        statement = REGISTER[known] if isinstance(known, int) else known
        if product in statement.products:
            if progress is not None:
                progress(f"{statement.label} on {loaded.name}, {product}")
            found.append((place, _verdict(statement, case, common.risk)[1]))
    return found


def _verdict(statement: Statement, case: Case, risk: float) -> tuple[Statement, Verdict]:
    start = time.perf_counter()
    failed = [a.text for a in statement.assumptions if not a.holds(case)]
    if failed:
        value, found, verdict = math.nan, Interval(math.nan, math.nan, math.nan), NOT_MET
    else:
        value = float(statement.value(case))
        found = statement.measure(case, risk)
        trivial = math.inf if statement.trivial is None else float(statement.trivial(case))
        verdict = judge(statement, value, found, trivial)
    note, needed = "; ".join(failed), None
    if verdict == "inconclusive":
        needed = trials_needed(statement, case, value, trivial, risk)
        note = _advice(needed, case.trials)
    return statement, Verdict(
        statement.label,
        case.data.name,
        case.name,
        statement.status,
        verdict,
        float(found.measured),
        float(found.low),
        float(found.high),
        value,
        statement.claim,
        note,
        time.perf_counter() - start,
        statement.figure,
        statement.design,
        needed,
    )


def _advice(needed: float, trials: int) -> str:
    """Return what would make an inconclusive row tell something."""
    if math.isnan(needed):
        return f"{trials:,} trials do not tell, and more of them do not narrow this interval"
    if math.isinf(needed):
        return f"{trials:,} trials do not tell; it takes more than {MOST:,}"
    return f"{trials:,} trials do not tell; about {needed:,.0f} would (trials={needed:.0f})"


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
