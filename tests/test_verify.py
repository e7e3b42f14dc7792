"""The certificate: what is true is certified, what is false is refuted, at a stated risk."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from lth_sketch import Product, bounds, datasets, intervals, moments, verify
from lth_sketch.certificate import page
from lth_sketch.statements import REGISTER, Case, Setting, Statement, designs, judge, sketching
from lth_sketch.testing import enumerate_masks, squared_errors
from lth_sketch.tolerances import QUADRATURE

DIGITS = datasets.load("digits", subset=400)


def registered(label: str, **change: object) -> Statement:
    first = next(statement for statement in REGISTER if statement.label == label)
    return dataclasses.replace(first, **change)


@pytest.mark.large
def test_digits_are_certified_and_ten_percent_are_noticed():
    whole = verify.run(data=DIGITS)
    by_label: dict[str, set[str]] = {}
    for row in whole.verdicts:
        by_label.setdefault(row.label, set()).add(row.verdict)
        if row.status == "identity":
            assert row.verdict in ("certified", verify.NOT_MET), row
    assert not whole.refuted
    assert all("certified" in verdicts for verdicts in by_label.values()), by_label
    # What was measured refutes every identity whose value is off by a tenth.
    status = {(s.label, s.design): s for s in REGISTER if s.status == "identity"}
    judged = 0
    for row in whole.verdicts:
        statement = status.get((row.label, row.design))
        if statement is None or row.verdict == verify.NOT_MET:
            continue
        for factor in (0.9, 1.1):
            interval = intervals.Interval(row.measured, row.low, row.high)
            assert judge(statement, factor * row.value, interval, np.inf, 0.05) == "refuted", row
            judged += 1
    assert judged > 60


@pytest.mark.large
def test_the_same_seed_gives_the_same_report():
    S2 = [statement for statement in REGISTER if statement.label in ("S0", "S2")]
    one, two = (verify.run(S2, data=DIGITS, trials=2000, rng=3).json() for _ in "ab")
    assert one == two
    assert one != verify.run(S2, data=DIGITS, trials=2000, rng=4).json()


def wrong_identity(case):
    """S2 without the subtracted norm."""
    return case.product.total**2 / case.s


def wrong_deviation(case):
    """B3 with a quarter of its deviation term."""
    mean = np.sqrt(float(moments.multinomial(case.product, case.p, 512)))
    return mean + (float(bounds.mcdiarmid(case.product, case.p, 512, case.delta)) - mean) / 4


def decaying_top(case):
    """A bound for the top-k mask that decays like 1/s."""
    return (case.product.total**2 - case.product.norm2) / case.s / 4


@pytest.mark.large
def test_wrong_statements_are_refuted():
    wrong = [
        registered("S2", value=wrong_identity, products=("initial", "coherent")),
        registered("B3", value=wrong_deviation, products=("single",)),
        Statement(
            "T1",
            "top-k decays like 1/s",
            "bound",
            decaying_top,
            lambda case, risk: intervals.exact(float(moments.top(case.product, case.p, case.s))),
            ("coherent",),
        ),
    ]
    report = verify.run(wrong, data=DIGITS)
    assert {row.label for row in report.refuted} == {"S2", "B3", "T1"}
    for row in report.refuted:
        assert not row.low <= row.value <= row.high


@pytest.mark.parametrize("features", [1, 2, 3, 9, 20])
def test_data_of_any_width_are_judged(features, size, monkeypatch):
    """What they are too narrow for is said in its row; no row fails, none is refuted."""
    monkeypatch.setattr(sketching, "SKETCHES", size(500, 50))
    monkeypatch.setattr(designs, "MASKS", size(1000, 500))
    rng = np.random.default_rng(features)
    data = datasets.Dataset(rng.random((30, features)), rng.integers(0, 3, 30), name="own")
    # Without compilation these draw for minutes.
    slow = size((), ("B5", "E6", "R1"))
    rows = [statement for statement in REGISTER if statement.label not in slow]
    for trials in size((20, 1000), (20,)):
        report = verify.run(rows, data=data, trials=trials)
        assert len(report.verdicts) == sum(len(statement.products) for statement in rows)
        assert not report.refuted, report.table()


def test_assumptions_are_checked_before_anything_is_measured():
    D1 = registered("D1", products=("data_free",), measure=None)
    row = verify.run([D1], data=DIGITS, trials=10).verdicts[0]
    assert row.verdict == verify.NOT_MET
    assert "one norm" in row.note


def test_json_has_the_keys_and_no_nan():
    D1 = registered("D1", products=("data_free",))
    rows = json.loads(verify.run([D1, registered("S0")], data=DIGITS, trials=10).json())
    assert [tuple(row) for row in rows] == [verify.KEYS] * len(rows)
    assert rows[0]["measured"] is None
    assert isinstance(rows[1]["measured"], float)


def test_table_and_page_show_every_row():
    chosen = [registered("S0"), registered("D1"), registered("S6")]
    report = verify.run(chosen, data=[DIGITS, DIGITS], trials=10)
    text, table = page.html(report), report.table()
    assert text.count('<tr class="row">') == len(report.verdicts)
    assert len(table.splitlines()) == 3 + len(report.verdicts)
    assert "http" not in text
    assert report.summary() in text
    assert report.summary() in table


def test_what_trials_do_not_tell_says_how_many_would():
    """An interval without ends has a number of trials in its place, and that number tells."""
    # Of priority samples no variance is known: the interval rests on the samples alone.
    statement = next(s for s in REGISTER if (s.label, s.design) == ("S5", "priority"))
    S5 = dataclasses.replace(statement, products=("initial",))
    row = verify.run([S5], data=DIGITS, trials=100).verdicts[0]
    assert row.verdict == "inconclusive"
    assert np.isinf(row.high)
    assert 10_000 < row.needed < 400_000
    assert f"(trials={row.needed:.0f})" in row.note


@pytest.mark.large
def test_as_many_trials_as_it_says_are_enough():
    statement = next(s for s in REGISTER if (s.label, s.design) == ("S5", "priority"))
    S5 = dataclasses.replace(statement, products=("initial",))
    needed = verify.run([S5], data=DIGITS, trials=100).verdicts[0].needed
    report = verify.run([S5], data=DIGITS, trials=2 * int(needed))
    assert report.verdicts[0].verdict == "certified"
    assert report.verdicts[0].needed is None
    assert not report.notes()


def test_what_more_trials_do_not_narrow_is_said():
    measured = intervals.Interval(1.0, 0.0, 2.0)
    fixed = registered("S2", products=("initial",), measure=lambda case, risk: measured)
    report = verify.run([dataclasses.replace(fixed, value=lambda case: 1.0)], DIGITS, trials=10)
    assert "do not narrow" in report.verdicts[0].note
    assert np.isnan(report.verdicts[0].needed)
    # The quantile of a bound that is met exactly is never told.
    B7 = registered("B7", products=("initial",))
    close = dataclasses.replace(
        B7, value=lambda case: float(np.quantile(np.sqrt(case.squared_errors(s=512)), 0.95))
    )
    report = verify.run([close], DIGITS, trials=400)
    assert "do not narrow" in report.verdicts[0].note


def test_rows_of_one_label_are_told_apart_by_design():
    assert len({(s.label, s.design) for s in REGISTER}) == len(REGISTER)
    rows = [s for s in REGISTER if s.label in ("S5", "S7")]
    report = verify.run([s for s in rows if s.label == "S5"], data=DIGITS, trials=5)
    table = report.table()
    drawn = {"conditional", "pivotal", "priority", "systematic"}
    for design in drawn:
        assert f"S5 {design}" in table
        assert f"S5 {design}" in page.html(report)
    assert {row["design"] for row in json.loads(report.json())} == drawn
    assert {s.design for s in rows if s.label == "S7"} >= {"gaussian", "countsketch", "srht"}


def test_the_table_is_at_most_80_columns_wide():
    names = ["S7 countsketch", "B2"]
    verdicts = tuple(
        verify.Verdict(
            label=names[i % 2].split()[0],
            data=["fashion_mnist", "a_data_set_of_my_own"][i % 2],
            product="standardised",
            status="bound",
            verdict=["inconclusive", verify.NOT_MET, "certified"][i % 3],
            measured=-1.2345e-300,
            low=[-np.inf, np.nan][i % 2],
            high=np.inf,
            value=-1.2345e-300,
            claim="",
            note="why",
            seconds=0.0,
            design="countsketch" if i % 2 == 0 else None,
            needed=110_000.0 if i % 3 == 0 else None,
        )
        for i in range(6)
    )
    lines = verify.Report(verdicts, 1e-6, 10, 0).table().splitlines()
    assert max(map(len, lines[:-2])) <= 80
    assert "S7 countsketch" in lines[1]
    assert lines[1].endswith("110000")


def test_rows_follow_the_register():
    chosen = [registered("S6"), registered("S0")]
    labels = [row.label for row in verify.run(chosen, data=DIGITS, trials=10).verdicts]
    assert labels == ["S6"] * len(chosen[0].products) + ["S0"] * len(chosen[1].products)


def seen_risk(risks: list[float]) -> Statement:
    def measure(case, risk):
        risks.append(risk)
        return intervals.exact(1.0)

    return Statement("M1", "", "identity", lambda case: 1.0, measure, ("initial", "coherent"))


def test_the_risk_is_shared_by_all_rows():
    risks: list[float] = []
    verify.run([seen_risk(risks), seen_risk(risks)], data=[DIGITS, DIGITS], trials=1, risk=0.08)
    assert risks == [0.01] * 8


def odd(entry: float):
    """One row of 200,000 features, normal but one, under uniform draws."""

    def make(data, seed):
        A = np.random.default_rng([seed, 50]).normal(size=(1, 200_000))
        A[0, 12_345] = entry
        return Setting(Product(A, np.ones(200_000)), np.full(200_000, 1 / 200_000))

    return make


@pytest.mark.large
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_law_of_huge_kurtosis_refutes_nothing_true_and_certifies_nothing_false(seed, monkeypatch):
    """The rare entry carries the second moment, and hardly a mask holds it."""
    monkeypatch.setattr("lth_sketch.statements.foresight.MOST", 40_000)
    true = registered("S2", products=("odd",))
    tenth = dataclasses.replace(true, value=lambda case: 0.1 * true.value(case))
    report = verify.run(
        [true, tenth], data=DIGITS, trials=20_000, rng=seed, products={"odd": odd(3000.0)}
    )
    first, second = (row.verdict for row in report.verdicts)
    assert first in ("certified", "inconclusive")
    assert second != "certified"
    assert not any(row.rests_on for row in report.verdicts)


@pytest.mark.parametrize("accuracy", [0.05, 0.01])
def test_a_condition_that_fails_is_not_judged(accuracy):
    """An estimated variance, and a law that the samples show to be too heavy for it."""
    rng = np.random.default_rng(0)

    def heavy(case, risk):
        return intervals.mean((rng.random(20_000) < 1e-3).astype(float), risk)

    def light(case, risk):
        return intervals.mean(rng.random(60_000), risk)

    rows = [
        Statement("M1", "", "identity", lambda case: 1e-3, heavy, ("initial",)),
        Statement("M2", "", "identity", lambda case: 1.0, light, ("initial",)),
    ]
    report = verify.run(rows, data=DIGITS, trials=10, accuracy=accuracy)
    failed, kept = report.verdicts
    assert failed.verdict == verify.NOT_MET
    assert "must be at most 100 for this interval; that of the samples is" in failed.note
    assert kept.verdict == "refuted"
    assert kept.rests_on == "Kurtosis assumed to be at most 100"
    assert "if 1 of the laws have the kurtosis assumed" in report.summary()
    text = " ".join(report.conditions())
    assert f"at most {100 * accuracy:g}% of the value to either side" in text
    assert "M2 (initial)" in text
    assert kept.rests_on in page.html(report)


def test_accuracy_asks_for_trials():
    S0 = [registered("S0", products=("initial",))]
    one, two, three = (
        verify.run(S0, data=DIGITS, **how)
        for how in ({}, {"accuracy": 0.01}, {"accuracy": 0.01, "trials": 7})
    )
    assert [run.trials for run in (one, two, three)] == [200_000, 5_000_000, 7]
    assert not any("kurtosis" in run.summary() for run in (one, two, three))


def test_known_variances_are_those_of_the_law():
    """Of every design that has one, against all outcomes; of the others nothing is known."""
    product = Product([[3.0, 4.0, 1.0], [1.0, -2.0, 2.0]], [1.0, -1.0, 0.5])
    p = np.array([0.5, 0.3, 0.2])
    case = Case(DIGITS, "own", product, p, 2, 0.05, 50, 0)
    for design in ("multinomial", "poisson", "systematic"):
        masks, chances = enumerate_masks(p, 2, design)
        errors = squared_errors(product, masks)
        variance = chances @ (errors - chances @ errors) ** 2
        np.testing.assert_allclose(case.variance(design=design), variance, rtol=QUADRATURE)
        assert case.variance(design=design) >= variance
        interval = case.mean(0.5, design=design)
        assert not isinstance(interval, intervals.Estimated)
    for design in ("priority", "pivotal", "conditional", "hybrid"):
        assert case.variance(design=design) is None
        assert isinstance(case.mean(0.5, design=design), intervals.Estimated)


def test_a_mean_knows_what_rounding_may_have_moved():
    """Nearly equal terms: every error is 1e-8, and its interval is no point beside it."""
    product = Product([[1.0, 1.0 + 1e-8]], [1.0, 1.0])
    case = Case(DIGITS, "own", product, np.array([0.5, 0.5]), 1, 0.05, 100, 0)
    interval = case.mean(1e-6)
    truth = float(product.A[0, 1] - 1.0) ** 2
    assert interval.low < truth < interval.high
    assert interval.high - interval.low < 1e-4 * truth


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"accuracy": 0.0}, "accuracy must lie in"),
        ({"statements": []}, "nothing to judge"),
        ({"trials": 0}, "trials must be at least 1"),
        ({"risk": 1.0}, "risk must lie in"),
        ({"data": "imagenet"}, "imagenet"),
        ({"rng": -1}, "rng must be at least 0"),
        ({"statements": [registered("S0", products=("odd",))]}, "products of S0 must be one of"),
    ],
)
def test_bad_input(change, text):
    with pytest.raises(ValueError, match=text):
        verify.run(**({"statements": [registered("S0")], "data": DIGITS, "trials": 5} | change))


def test_cases_and_statements_are_shown_without_arrays_and_functions():
    case = Case(DIGITS, "own", Product(np.eye(2), [1.0, 2.0]), np.full(2, 0.5), 2, 0.05, 10, 0)
    assert "product=" not in repr(case)
    assert "array" not in repr(case)
    assert "function" not in repr(REGISTER[0])


def test_products_of_ones_own_are_judged():
    """By their own names, and by none of the register that is called the same."""
    product = Product([[3.0, 1.0, 2.0]], np.ones(3))

    def mine(data, seed):
        return Setting(product, np.array([0.5, 0.2, 0.3]))

    statement = registered("S2", products=("mine", "initial"))
    report = verify.run([statement], DIGITS, trials=2000, products={"mine": mine, "initial": mine})
    exact = float(moments.multinomial(product, [5, 2, 3], 16))
    assert [(row.product, row.value) for row in report.verdicts] == [
        ("mine", exact),
        ("initial", exact),
    ]
