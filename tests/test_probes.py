"""P1: what the probes estimate, how often the limit fails, and every form of the factors."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import scipy.stats
from scipy.sparse.linalg import aslinearoperator

from lth_sketch import montecarlo, probes, sampling
from lth_sketch.tolerances import EXACT, QUADRATURE

RISK = 1e-9

SPECTRA = {
    "equal": np.ones(6),
    "one": np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
    "one dominant": np.array([1.0, 0.1, 0.1, 0.1, 0.1, 0.1]),
    "two": np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.0]),
}


@pytest.mark.parametrize("count", [1, 4, 40])
@pytest.mark.parametrize("name", SPECTRA)
def test_the_limit_covers(name, count, size):
    values, delta, trials = SPECTRA[name], 0.1, size(3000, 500)
    rng = np.random.default_rng([count, len(name)])
    A, B, nothing = np.diag(values), np.eye(6), np.zeros((6, 6))
    truth = np.linalg.norm(values)
    certificates = [
        montecarlo.probe(A, B, nothing, probes=count, delta=delta, rng=rng) for _ in range(trials)
    ]
    missed = sum(limit < truth for _, limit in certificates)
    assert missed <= scipy.stats.binom.isf(RISK, trials, delta)
    squares = np.array([estimate**2 for estimate, _ in certificates])
    # The variance of z'Hz is 2 ||H||^2; the mean is near its expectation.
    width = np.sqrt(2 * np.sum(values**4) / count / trials)
    assert abs(squares.mean() - truth**2) <= 7 * width
    if name == "one":
        # The exact law is chi-square, and the limit is not vacuous: it does fail.
        rate = scipy.stats.chi2.cdf(count * probes._shrink(count, delta) ** 2, count)
        assert delta / 10 < rate < delta
        assert abs(missed / trials - rate) <= 7 * np.sqrt(rate / trials)


@pytest.mark.parametrize("delta", [0.5, 0.05, 1e-9])
def test_the_shrinkage_solves_its_equation(delta):
    for count in (1, 3, 32, 10**4):
        kept = probes._shrink(count, delta) ** 2
        assert 0 < kept < 1
        power = count / 2 * (1.0 - kept + np.log(kept))
        np.testing.assert_allclose(power, np.log(delta), rtol=QUADRATURE)


def test_every_form_gives_the_same():
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(7, 5)), rng.normal(size=(5, 4))
    other = A @ B + 0.1 * rng.normal(size=(7, 4))
    expected = montecarlo.probe(A, B, other, rng=1)
    forms = (np.asfortranarray, scipy.sparse.csr_array, scipy.sparse.coo_array, aslinearoperator)
    for form in forms:
        certificate = montecarlo.probe(form(A), form(B), form(other), rng=1)
        np.testing.assert_allclose(certificate, expected, rtol=EXACT)
    many = montecarlo.probe(A, B, other, probes=20_000, rng=2)
    np.testing.assert_allclose(many.estimate, np.linalg.norm(other - A @ B), rtol=0.05)
    assert many.estimate < many.limit < 1.05 * many.estimate


def test_a_drawn_mask():
    rng = np.random.default_rng(3)
    A, w = rng.normal(size=(30, 12)), rng.normal(size=12)
    mask = sampling.mask(np.ones(12), 6, rng=4)
    certificate = montecarlo.probe(A, w, mask=mask, probes=10, rng=5)
    same = montecarlo.probe(A, w, A @ (mask * w), probes=10, rng=5)
    np.testing.assert_allclose(certificate, same, rtol=EXACT)
    assert montecarlo.probe(A, w, mask=np.ones(12), rng=6) == (0.0, 0.0)


def test_the_same_seed_gives_the_same_bits():
    A, B = np.eye(3), np.ones((3, 2))
    first, second = (montecarlo.probe(A, B, mask=[1, 2, 0], probes=70, rng=7) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"probes": 0}, ValueError, "probes must be at least 1; got 0"),
        ({"probes": 1.5}, TypeError, "probes must be an integer"),
        ({"delta": 1.0}, ValueError, r"delta must lie in \(0, 1\)"),
        ({"B": np.ones((4, 2))}, ValueError, "A and B must share the inner dimension"),
        ({"approximation": np.ones((2, 3))}, ValueError, "approximation must have the shape"),
        ({"approximation": None}, TypeError, "either an approximation or a mask"),
        ({"mask": [1, 1, 1]}, TypeError, "either an approximation or a mask"),
        ({"approximation": None, "mask": [1, 1]}, ValueError, "mask must have length 3"),
        ({"A": aslinearoperator(np.full((2, 3), np.inf))}, ValueError, "clean or rescale"),
        ({"A": aslinearoperator(np.full((2, 3), 1j))}, TypeError, "A must hold real numbers"),
        ({"A": np.full((2, 3), np.nan)}, ValueError, "A must be finite"),
    ],
)
def test_bad_input(arguments, error, message):
    call = {"A": np.ones((2, 3)), "B": np.ones((3, 2)), "approximation": np.ones((2, 2))}
    with np.errstate(invalid="ignore"), pytest.raises(error, match=message):
        montecarlo.probe(**{**call, "rng": 0, **arguments})
