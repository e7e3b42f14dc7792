"""Every displayed formula of the theory page is evaluated by a second route."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections import Counter
from pathlib import Path

import formulas
import pytest
from formulas import FORMULAS

for part in pkgutil.iter_modules(formulas.__path__):
    importlib.import_module(f"formulas.{part.name}")
PAGE = (Path(__file__).parents[1] / "docs" / "theory.md").read_text(encoding="utf-8")
ENTRIES = {f"{label}: {one.__name__}": one for label, found in FORMULAS.items() for one in found}


def displayed():
    """Labels (or titles of sections) and formulas, without blanks."""
    label = ""
    parts = re.finditer(r"^##+ ([^\n]*)$|^```math\n(.*?)^```$|\$\$(.*?)\$\$", PAGE, re.M | re.S)
    for heading, fenced, dollars in (part.groups() for part in parts):
        if heading:
            label = heading.split(" -- ")[0]
        else:
            yield label, "".join((fenced or dollars).split())


def test_every_formula_has_an_entry_and_every_entry_a_formula():
    entered = Counter(
        (label, "".join((one.__doc__ or "").split()))
        for label, entry in FORMULAS.items()
        for one in entry
    )
    on_the_page = Counter(displayed())
    assert on_the_page.total() > 50
    assert not on_the_page - entered, "displayed, but evaluated by no entry of tests/formulas"
    assert not entered - on_the_page, "evaluated, but not displayed so on the page"


@pytest.mark.parametrize("name", ENTRIES)
def test_the_formula_by_a_second_route(name):
    ENTRIES[name]()
