"""One register: its labels are those of the theory page, its verdicts follow the rules."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from figures import gallery
from lth_sketch.intervals import Interval
from lth_sketch.statements import PRODUCTS, REGISTER, Statement, judge

ROOT = Path(__file__).parents[1]
# Registered by the room that needs PyTorch; tests/networks/test_statements.py has the whole page.
NETWORKS = {"N1", "N2", "N3"}


def of(status: str) -> Statement:
    return Statement("X1", "claim", status, lambda case: 1.0, lambda case, risk: Interval(1, 1, 1))


def test_labels_are_those_of_the_theory_page():
    page = (ROOT / "docs" / "theory.md").read_text()
    proved = set(re.findall(r"^### ([A-Z][0-9]+)\b", page, re.MULTILINE))
    assert {statement.label for statement in REGISTER} == proved - NETWORKS


def test_every_statement_says_what_it_is():
    for statement in REGISTER:
        assert len(statement.claim) <= 110, statement.label
        assert set(statement.products) <= set(PRODUCTS)
        assert statement.figure, statement.label
        if statement.status == "bound" and statement.label not in ("D3",):
            assert statement.trivial is not None, statement.label


def headings() -> dict[str, str]:
    """Sections of the theory page by what their headings begin with: a label, or a name."""
    page = (ROOT / "docs" / "theory.md").read_text()
    found = re.split(r"^### (.+?) -- .*$", page, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def test_every_statement_is_shown_by_the_figure_it_names():
    shows = {script.NAME: script.SHOWS for script in gallery.SCRIPTS}
    for statement in REGISTER:
        assert statement.label in shows[statement.figure], statement.label
        if statement.label != "S0":  # which every figure uses
            assert f"`{statement.figure}`" in headings()[statement.label], statement.label


def test_every_figure_shows_something_that_is_stated():
    for script in gallery.SCRIPTS:
        assert gallery.shown(script), script.NAME
        assert set(script.SHOWS) <= set(headings()), script.NAME


@pytest.mark.parametrize(
    ("status", "found", "verdict"),
    [
        ("identity", (1.0, 0.96, 1.04), "certified"),
        ("identity", (1.0, 0.9, 1.1), "inconclusive"),
        ("identity", (1.1, 1.01, 1.2), "refuted"),
        ("identity", (0.9, 0.8, 0.99), "refuted"),
        ("identity", (np.nan, np.nan, np.nan), "inconclusive"),
        ("bound", (0.5, 0.4, 0.6), "certified"),
        ("bound", (0.5, 0.4, 1.1), "inconclusive"),
        ("bound", (1.5, 1.1, 1.7), "refuted"),
        ("approximation", (1.0, 0.94, 1.06), "certified"),
        ("approximation", (1.0, 0.9, 1.06), "inconclusive"),
        ("approximation", (1.2, 1.1, 1.3), "refuted"),
        ("approximation", (0.8, 0.7, 0.9), "refuted"),
        ("demonstration", (2.0, 1.5, 2.5), "certified"),
        ("demonstration", (2.0, 0.5, 2.5), "inconclusive"),
        ("demonstration", (0.2, 0.1, 0.5), "refuted"),
    ],
)
def test_judgement(status, found, verdict):
    assert judge(of(status), 1.0, Interval(*found)) == verdict


def test_a_bound_above_the_trivial_error_is_vacuous_unless_false():
    assert judge(of("bound"), 1.0, Interval(0.5, 0.4, 0.6), trivial=0.9) == "vacuous"
    assert judge(of("bound"), 1.0, Interval(1.5, 1.2, 1.6), trivial=0.9) == "refuted"


def test_an_identity_of_zero_needs_an_interval_of_zero():
    assert judge(of("identity"), 0.0, Interval(0, 0, 0)) == "certified"
    assert judge(of("identity"), 0.0, Interval(0, -1, 1)) == "inconclusive"


def test_bad_statements():
    with pytest.raises(ValueError, match=r"status must be one of .* got 'law'"):
        of("law")
    with pytest.raises(ValueError, match="at least one product"):
        Statement("X1", "", "bound", lambda case: 1.0, lambda case, risk: Interval(1, 1, 1), ())
