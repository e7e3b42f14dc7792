"""The rules of the certificate, on exact small cases: each end, each side, each status."""

from __future__ import annotations

import numpy as np
import pytest

from lth_sketch.intervals import Interval
from lth_sketch.statements import Statement, judge


def of(status: str) -> Statement:
    return Statement("X1", "claim", status, lambda case: 1.0, lambda case, risk: Interval(1, 1, 1))


@pytest.mark.parametrize(
    ("status", "interval", "verdict"),
    [
        ("identity", (1.0, 0.96, 1.04), "certified"),
        ("identity", (1.0, 0.9, 1.1), "inconclusive"),
        # The reach counts on either side, and from what was measured.
        ("identity", (1.0, 0.949, 1.04), "inconclusive"),
        ("identity", (1.0, 0.96, 1.051), "inconclusive"),
        ("identity", (0.96, 0.92, 1.0), "certified"),
        ("identity", (1.0, 0.951, 1.049), "certified"),
        ("identity", (1.1, 1.01, 1.2), "refuted"),
        ("identity", (0.9, 0.8, 0.99), "refuted"),
        ("identity", (np.nan, np.nan, np.nan), "inconclusive"),
        ("bound", (0.5, 0.4, 0.6), "certified"),
        ("bound", (0.5, 0.4, 1.1), "inconclusive"),
        ("bound", (1.5, 1.1, 1.7), "refuted"),
        # Measured above, but perhaps not: only the lower end refutes.
        ("bound", (1.5, 0.9, 1.7), "inconclusive"),
        ("bound", (1.0, 1.0, 1.0), "certified"),
        ("approximation", (1.0, 0.94, 1.06), "certified"),
        ("approximation", (1.0, 0.9, 1.06), "inconclusive"),
        ("approximation", (1.2, 1.1, 1.3), "refuted"),
        ("approximation", (0.8, 0.7, 0.9), "refuted"),
        ("approximation", (1.1, 1.06, 1.3), "inconclusive"),
        ("approximation", (0.9, 0.7, 0.94), "inconclusive"),
        ("demonstration", (2.0, 1.5, 2.5), "certified"),
        ("demonstration", (2.0, 0.5, 2.5), "inconclusive"),
        ("demonstration", (0.2, 0.1, 0.5), "refuted"),
        ("demonstration", (0.2, 0.1, 1.0), "inconclusive"),
        ("demonstration", (2.0, 1.0, 2.5), "inconclusive"),
    ],
)
def test_judgement(status, interval, verdict):
    assert judge(of(status), 1.0, Interval(*interval)) == verdict


def test_a_bound_above_the_trivial_error_is_vacuous_unless_false():
    assert judge(of("bound"), 1.0, Interval(0.5, 0.4, 0.6), trivial=0.9) == "vacuous"
    assert judge(of("bound"), 1.0, Interval(1.5, 1.2, 1.6), trivial=0.9) == "refuted"


def test_an_identity_is_certified_to_the_accuracy_asked_for():
    interval = Interval(1.0, 0.99, 1.01)
    assert judge(of("identity"), 1.0, interval, accuracy=0.011) == "certified"
    assert judge(of("identity"), 1.0, interval, accuracy=0.009) == "inconclusive"
    # Wrong by one per cent: nothing narrower than that is known.
    assert judge(of("identity"), 1.01, interval) == "certified"


def test_an_identity_of_zero_needs_an_interval_of_zero():
    assert judge(of("identity"), 0.0, Interval(0, 0, 0)) == "certified"
    assert judge(of("identity"), 0.0, Interval(0, -1, 1)) == "inconclusive"


def test_bad_statements():
    with pytest.raises(ValueError, match=r"status must be one of .* got 'law'"):
        of("law")
    with pytest.raises(ValueError, match="at least one product"):
        Statement("X1", "", "bound", lambda case: 1.0, lambda case, risk: Interval(1, 1, 1), ())
