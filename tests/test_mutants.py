"""The seeded faults still fit the sources, and every file of the six rooms has its tests."""

from __future__ import annotations

import ast

import pytest

from mutants.equivalent import EQUIVALENT
from mutants.faults import FAULTS
from mutants.rooms import ROOMS, ROOT, files


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_applies_once_and_changes_the_code(fault):
    before = (ROOT / fault.path).read_text()
    assert ast.dump(ast.parse(fault.source)) != ast.dump(ast.parse(before))
    assert all((ROOT / test).is_file() for test in fault.tests)


def test_a_fault_that_fits_no_more_is_an_error():
    for before in ("no such text", "import"):
        with pytest.raises(ValueError, match=r"exactly once.*mend mutants/faults\.py"):
            _ = FAULTS[0]._replace(before=before).source


def test_faults_have_names_of_their_own():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("room", ROOMS)
def test_every_file_of_a_room_has_tests(room):
    package = ROOT / "lth_sketch" / room
    tests_of = files(room)
    for tests in tests_of.values():
        assert all((ROOT / test).is_file() for test in tests)
    # Lists of names, and the options of numba, compute nothing.
    computing = {p for p in package.glob("*.py") if p.name not in ("__init__.py", "_jit.py")}
    held = {p.relative_to(ROOT) for p in computing}
    assert held <= tests_of.keys()


def test_the_page_describes_every_room():
    page = (ROOT / "docs" / "mutants.md").read_text()
    rows = page.split("## Rooms\n")[1].split("##")[0].splitlines()
    assert [row.split("|")[1].strip() for row in rows if row.startswith("| ")][1:] == list(ROOMS)


@pytest.mark.parametrize("mutant", EQUIVALENT, ids=lambda mutant: mutant.before)
def test_an_equivalent_mutant_changes_a_line_that_is_there(mutant):
    lines = [line.strip() for line in (ROOT / mutant.path).read_text().splitlines()]
    assert mutant.before in lines
    assert mutant.after not in lines
    assert mutant.reason
