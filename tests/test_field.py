"""The field on trial: what public code gets wrong is refuted, what is right is certified."""

from __future__ import annotations

import pytest

from lth_sketch import verify
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
