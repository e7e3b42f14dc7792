"""Bennett's form of B4 and B6, and Bernstein's, which it is below."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.special

from lth_sketch import Product, bounds
from lth_sketch.bounds import bennett
from lth_sketch.single_draw import SingleDraw
from lth_sketch.tolerances import EXACT, PUBLISHED, SERIES

KNOWN = json.loads((Path(__file__).parent / "known_answers.json").read_text())


def test_the_inverse_against_lambert():
    y = np.logspace(-2, 200, 60)
    expected = np.expm1(1 + scipy.special.lambertw((y - 1) / np.e).real)
    np.testing.assert_allclose(bennett.inverse(y), expected, rtol=EXACT)


def test_the_inverse_of_small_numbers():
    """Against the series of h itself, u^2/2 - u^3/6 + u^4/12 - .., which loses no digit."""
    for y in np.logspace(-14, -2, 49):
        u = float(bennett.inverse(np.array(y)))
        h = sum((-u) ** k / (k * (k - 1)) for k in range(2, 12))
        assert h == pytest.approx(y, rel=SERIES), y
    assert bennett.inverse(np.array([0.0]))[0] == 0.0


def test_below_bernstein_by_what_the_theory_says():
    """2, 8, 14, 23 per cent of the excess at L M^2 / v = 1, 10, 30, 100."""
    y = np.array([1.0, 10.0, 30.0, 100.0])
    ratio = bennett.inverse(y) / (np.sqrt(2 * y) + y / 3)
    np.testing.assert_allclose(1 - ratio, [0.02, 0.08, 0.14, 0.23], atol=0.006)


@pytest.mark.parametrize("case", KNOWN)
def test_the_relaxed_form_is_the_corollary(case):
    product = Product(case["A"], case["B"])
    law = SingleDraw(product, case["p"])
    s, L = float(case["s"]), -np.log(case["delta"])
    harmonic = sum(1 / k for k in range(1, case["s"] + 1))
    spreads = {
        "B4": law.sigma2 + 2 * law.M * np.sqrt(law.T / s),
        "B6": law.sigma2 + law.omega2 * harmonic / (4 * s * law.T),
    }
    for label, spread in spreads.items():
        relaxed = np.sqrt(law.T / s) + np.sqrt(2 * L * spread / s) + law.M * L / (3 * s)
        relaxed *= product.total
        np.testing.assert_allclose(relaxed, case[f"{label}_bernstein"], rtol=PUBLISHED)
        assert case[label] < relaxed


def test_extremes():
    assert (bennett.excess(np.ones(2), 0.0, 1.0) == 0.0).all()
    assert (bennett.excess(np.ones(2), np.inf, 1.0) == np.inf).all()
    # y beyond float64: the relaxed form.
    limit = bennett.excess(np.full(2, 1e-300), 1e200, 1.0)
    np.testing.assert_allclose(limit, 1e200 / 3, rtol=EXACT)
    # A risk of almost one: no excess at all.
    product = Product([[3.0, 4.0]], [1.0, -1.0])
    for bound in (bounds.bousquet, bounds.radial):
        assert (
            bound(product, [1, 1], 4, 1 - 1e-16)
            < 1.01 * np.sqrt(SingleDraw(product, [1, 1]).T / 4) * 7
        )
