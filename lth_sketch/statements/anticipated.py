"""E6, E7, D5 and P1: masks drawn before labels are known, and one mask probed after its draw."""

from __future__ import annotations

import math

import numpy as np

from lth_sketch import bounds, intervals, moments, montecarlo, probabilities, regression, sampling
from lth_sketch.intervals import GAUSSIAN_KURTOSIS, Interval, resting_on
from lth_sketch.statements.case import Case
from lth_sketch.statements.statement import Statement
from lth_sketch.validation import Floats

# Label vectors that are drawn, and as many masks.
LABELS = 100_000
# Repetitions of the probe certificate, the vectors of each, and its risk.
REPEATED, VECTORS, RISK = 4000, 8, 0.1


def _triangle(case: Case) -> Floats:
    """Return the same problems in fewer rows; Gaussian labels stay Gaussian in its coordinates."""
    return np.asarray(np.linalg.qr(case.product.A, mode="r"))


def _penalty(X: Floats) -> float:
    return float(np.square(X).sum()) / 1000.0


def _trained(case: Case, count: int, *, start: bool) -> tuple[Floats, Floats]:
    """Return X, and the weights (d, count) that ridge reaches for Gaussian labels."""
    X = _triangle(case)
    labels = case.rng(20).normal(size=(len(X), count))
    w0 = np.repeat(np.reshape(case.product.B, (-1, 1)), count, axis=1) if start else None
    return X, regression.ridge(X, labels, w0, penalty=_penalty(X))


def _moment(case: Case) -> float:
    X, w0 = _triangle(case), case.product.B
    p = probabilities.anticipated(X, w0, "ridge", penalty=_penalty(X))
    return float(moments.anticipated(X, p, case.s, w0, "ridge", penalty=_penalty(X)))


def _measured_moment(case: Case, risk: float) -> Interval:
    X, trained = _trained(case, LABELS, start=True)
    p = probabilities.anticipated(X, case.product.B, "ridge", penalty=_penalty(X))
    masks = sampling.masks(p, case.s, LABELS, rng=case.rng(21)).toarray()
    gaps = X @ ((masks.T - 1.0) * trained)
    return intervals.mean(np.square(gaps).sum(axis=0), risk)


def _terms(X: Floats, weights: Floats) -> Floats:
    return np.asarray(np.linalg.norm(X, axis=0)[:, None] * np.abs(weights))


def _ratio(over: Floats, under: Floats, risk: float) -> Interval:
    """Return an interval for the ratio of two means."""
    top, bottom = (intervals.mean(x, risk / 2, kurtosis=GAUSSIAN_KURTOSIS) for x in (over, under))
    interval = Interval(
        top.measured / bottom.measured, top.low / bottom.high, top.high / max(bottom.low, 0.0)
    )
    return resting_on(interval, top, bottom)


def _price_of_labels(case: Case, risk: float) -> Interval:
    X, trained = _trained(case, LABELS, start=False)
    terms = _terms(X, trained)
    p = probabilities.anticipated(X, None, "ridge", penalty=_penalty(X))
    return _ratio(np.square(terms).T @ (1.0 / p), np.square(terms.sum(axis=0)), risk)


def _collinearity(case: Case, risk: float) -> Interval:
    X = _triangle(case)
    labels = case.rng(22).normal(size=(len(X), LABELS))
    terms = _terms(X, regression.gradient_flow(X, labels))
    p = probabilities.anticipated(X)
    squares = np.square(terms)
    return _ratio(len(p) * squares.sum(axis=0), squares.T @ (1.0 / p), risk)


def _probe_failures(case: Case, risk: float) -> Interval:
    """Return how often the limit of P1 lies below the error of the mask that it was made for."""
    X, w = _triangle(case), case.product.B
    mask = sampling.mask(case.p, case.s, rng=case.rng(23))
    truth = float(np.linalg.norm(X @ ((mask - 1.0) * w)))
    rng = case.rng(24)
    failed = 0
    for _ in range(REPEATED):
        probe = montecarlo.probe(X, w, mask=mask, probes=VECTORS, delta=RISK, rng=rng)
        failed += probe.limit < truth
    return intervals.rate(failed, REPEATED, risk)


ANTICIPATED = (
    Statement(
        "E6",
        "labels unknown: the mean of E||err||^2 over labels and masks, for the anticipated draw",
        "identity",
        _moment,
        _measured_moment,
        ("thumbnail",),
        figure="end_of_training",
    ),
    Statement(
        "E7",
        "Gaussian labels, one output: not knowing them costs at most pi/2 in sum u_i^2 / p_i",
        "bound",
        lambda case: float(bounds.label_price(1)),
        _price_of_labels,
        ("thumbnail",),
        trivial=lambda case: math.inf,
        figure="end_of_training",
    ),
    Statement(
        "D5",
        "at the end of training the uniform draw costs d sum VIF / (sum sqrt VIF)^2",
        "identity",
        lambda case: bounds.collinearity_price(_triangle(case)),
        _collinearity,
        ("thumbnail",),
        figure="end_of_training",
    ),
    Statement(
        "P1",
        "probes: the limit on one mask's error fails with probability delta at most",
        "bound",
        lambda case: RISK,
        _probe_failures,
        ("thumbnail",),
        trivial=lambda case: 1.0,
        figure="end_of_training",
    ),
)
