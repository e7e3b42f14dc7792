"""The field on trial: what public code gets wrong is refuted, what is right is certified."""

from __future__ import annotations

import pytest

from lth_sketch import cli, verify
from lth_sketch.statements import FIELD, MISTAKES


@pytest.fixture(scope="module")
def report():
    return verify.run(FIELD, data="digits", rng=0)


@pytest.mark.large
def test_mistakes_are_refuted_and_what_is_right_is_certified(report):
    mistakes = {statement.claim for statement in MISTAKES}
    assert len(mistakes) == 4
    for row in report.verdicts:
        assert row.verdict == ("refuted" if row.claim in mistakes else "certified"), row


@pytest.mark.large
def test_each_mistake_has_its_right_form(report):
    assert [row.verdict for row in report.verdicts].count("certified") == len(MISTAKES)


@pytest.mark.large
def test_the_command_line_tells_whether_the_field_was_judged_right(capsys):
    assert cli.main(["verify", "--field"]) == 0
    assert "4 certified, 4 refuted" in capsys.readouterr().out
    # Too few trials to say anything of the fourth mistake.
    assert cli.main(["verify", "--field", "--trials", "10"]) == 1
