"""The certificate: what is true is certified, what is false is refuted, at a stated risk."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from lth_sketch import bounds, datasets, intervals, moments, verify
from lth_sketch.certificate import page
from lth_sketch.statements import REGISTER, Statement

DIGITS = datasets.load("digits", subset=400)


def registered(label: str, **change: object) -> Statement:
    first = next(statement for statement in REGISTER if statement.label == label)
    return dataclasses.replace(first, **change)


@pytest.fixture(scope="module")
def whole():
    return verify.run(data=DIGITS)


@pytest.mark.large
def test_digits_are_certified(whole):
    by_label: dict[str, set[str]] = {}
    for row in whole.verdicts:
        by_label.setdefault(row.label, set()).add(row.verdict)
        if row.status == "identity":
            assert row.verdict in ("certified", verify.NOT_MET), row
    assert not whole.refuted
    assert all("certified" in found for found in by_label.values()), by_label


@pytest.mark.large
def test_the_same_seed_gives_the_same_report(whole):
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
    found = verify.run(wrong, data=DIGITS)
    assert {row.label for row in found.refuted} == {"S2", "B3", "T1"}
    for row in found.refuted:
        assert not row.low <= row.value <= row.high


@pytest.mark.large
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_ten_percent_are_noticed(factor):
    """Every measured identity is refuted when its value is off by a tenth."""
    off = [
        dataclasses.replace(s, value=lambda case, value=s.value: factor * value(case))
        for s in REGISTER
        if s.status == "identity"
    ]
    found = verify.run(off, data=DIGITS)
    assert {row.verdict for row in found.verdicts} <= {"refuted", verify.NOT_MET}


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
    found = verify.run(chosen, data=[DIGITS, DIGITS], trials=10)
    text, table = page.html(found), found.table()
    assert text.count('<tr class="row">') == len(found.verdicts)
    assert len(table.splitlines()) == 3 + len(found.verdicts)
    assert "http" not in text
    assert found.summary() in text
    assert found.summary() in table


def test_rows_follow_the_register():
    chosen = [registered("S6"), registered("S0")]
    labels = [row.label for row in verify.run(chosen, data=DIGITS, trials=10).verdicts]
    assert labels == ["S6"] * len(chosen[0].products) + ["S0"] * len(chosen[1].products)


@pytest.mark.parametrize(
    ("change", "text"),
    [
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
