"""One register: its labels are those of the theory page, its verdicts follow the rules."""

from __future__ import annotations

import re
from pathlib import Path

from figures import gallery
from lth_sketch.statements import PRODUCTS, REGISTER

ROOT = Path(__file__).parents[1]
# Registered by the room that needs PyTorch; tests/networks/test_statements.py has the whole page.
NETWORKS = {"N1", "N2", "N3"}


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
    parts = re.split(r"^### (.+?) -- .*$", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


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
