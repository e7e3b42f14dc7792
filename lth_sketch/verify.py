"""Certify the register on data, with a stated risk of any false verdict."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

from lth_sketch import datasets, validation
from lth_sketch.datasets import Dataset
from lth_sketch.intervals import Estimated, Interval
from lth_sketch.parallel.executors import spread
from lth_sketch.statements import PRODUCTS, REGISTER, Case, Setting, Statement, judge
from lth_sketch.statements.case import DELTA, DRAWS
from lth_sketch.statements.foresight import MOST, trials_needed
from lth_sketch.statements.statement import IDENTITY_WIDTH
from lth_sketch.verdicts import KEYS, NOT_MET, Report, Verdict

__all__ = ["KEYS", "NOT_MET", "Report", "Verdict", "run"]

# Masks for each mean where identities are certified to within IDENTITY_WIDTH.
TRIALS = 200_000


def run(
    statements: Iterable[Statement] | None = None,
    data: str | Dataset | Sequence[str | Dataset] = "digits",
    *,
    trials: int | None = None,
    risk: float = 1e-6,
    rng: int = 0,
    accuracy: float = IDENTITY_WIDTH,
    data_home: str | None = None,
    progress: Callable[[str], None] | None = None,
    products: Mapping[str, Callable[[Dataset, int], Setting]] = PRODUCTS,
    executor: Executor | None = None,
) -> Report:
    """Judge statements on data.

    The risk is split evenly over all rows of the table. Means come with Catoni's interval. For
    squared errors with replacement, of Poisson and of systematic samples their exact variance is
    known, and it needs no condition. Other means rest on a limit of the kurtosis, which the row
    says (`rests_on`); where the samples speak against it the row is not judged. Quantiles and
    probabilities come with the intervals of Clopper and Pearson, right for any law (`intervals`).

    Parameters
    ----------
    statements : iterable of Statement, optional
        By default the whole register. Put your own among them.
    data : str, Dataset, or a sequence of them
        Names for `datasets.load`, or data sets.
    trials : int, optional
        Simulated masks for each mean; by default as many as `accuracy` asks for.
    risk : float
        Limit, in (0, 1), on the probability that any verdict is false.
    rng : int
        Seed; the same seed gives the same report.
    accuracy : float
        In (0, 1): an identity is certified when its interval reaches at most this share of the
        value to either side. 200,000 trials go with 5%, and more as the inverse square.
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
    accuracy = validation.number("accuracy", accuracy, low=0.0, high=1.0, closed=False)
    if trials is None:
        trials = math.ceil(TRIALS * (IDENTITY_WIDTH / accuracy) ** 2)
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
        accuracy,
    )
    # One product at a time: its factor and its simulated errors are then shared and dropped.
    tasks = [
        (name, product)
        for name in names
        for product in products
        if any(product in statement.products for statement in chosen)
    ]
    judged: Iterable[list[tuple[int, Verdict]]]
    if executor is None:
        judged = (_judged(common, task, progress) for task in tasks)
    else:
        judged = spread(_judged, tasks, executor, common=common)
    verdicts = [pair for pairs in judged for pair in pairs]
    verdicts.sort(key=lambda pair: pair[0])
    return Report(tuple(row for _, row in verdicts), risk, trials, seed, accuracy)


class _Common(NamedTuple):
    """What all products are judged with; statements of the register by their place in it."""

    statements: tuple[Statement | int, ...]
    products: Mapping[str, Callable[[Dataset, int], Setting]] | None
    trials: int
    seed: int
    data_home: str | None
    risk: float
    accuracy: float


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
    verdicts = []
    for place, known in enumerate(common.statements):
        statement = REGISTER[known] if isinstance(known, int) else known
        if product in statement.products:
            if progress is not None:
                progress(f"{statement.label} on {loaded.name}, {product}")
            verdicts.append((place, _verdict(statement, case, common.risk, common.accuracy)))
    return verdicts


def _verdict(statement: Statement, case: Case, risk: float, accuracy: float) -> Verdict:
    start = time.perf_counter()
    failed = [a.text for a in statement.assumptions if not a.holds(case)]
    rests_on = ""
    if failed:
        value, interval, verdict = math.nan, Interval(math.nan, math.nan, math.nan), NOT_MET
    else:
        value = float(statement.value(case))
        interval = statement.measure(case, risk)
        trivial = math.inf if statement.trivial is None else float(statement.trivial(case))
        verdict = judge(statement, value, interval, trivial, accuracy)
        if isinstance(interval, Estimated):
            rests_on = f"Kurtosis assumed to be at most {interval.kurtosis:g}"
            if not interval.met:
                failed, verdict = [_too_heavy(interval)], NOT_MET
    note, needed = "; ".join(failed), None
    if verdict == "inconclusive":
        needed = trials_needed(statement, case, value, trivial, risk, accuracy)
        note = _advice(needed, case.trials)
    return Verdict(
        statement.label,
        case.data.name,
        case.name,
        statement.status,
        verdict,
        float(interval.measured),
        float(interval.low),
        float(interval.high),
        value,
        statement.claim,
        note,
        time.perf_counter() - start,
        statement.figure,
        statement.design,
        needed,
        rests_on,
    )


def _too_heavy(interval: Estimated) -> str:
    return (
        f"the kurtosis of the law must be at most {interval.kurtosis:g} for this interval; that of "
        f"the samples is {interval.seen:.3g}"
    )


def _advice(needed: float, trials: int) -> str:
    """Return what would make an inconclusive row tell something."""
    if math.isnan(needed):
        return f"{trials:,} trials do not tell, and more of them do not narrow this interval"
    if math.isinf(needed):
        return f"{trials:,} trials do not tell; it takes more than {MOST:,}"
    return f"{trials:,} trials do not tell; about {needed:,.0f} would (trials={needed:.0f})"
