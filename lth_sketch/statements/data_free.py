"""D1-D4: draws that never looked at the data."""

from __future__ import annotations

import numpy as np

from lth_sketch import bounds, intervals, moments
from lth_sketch.intervals import Interval
from lth_sketch.product import Product
from lth_sketch.statements.case import Case
from lth_sketch.statements.statement import Assumption, Statement
from lth_sketch.tolerances import ROUNDING


def _price(case: Case) -> float:
    return bounds.price(case.product.column_norms, case.product.B)


def _measured_price(case: Case, risk: float) -> Interval:
    product = case.product
    interval = case.mean(risk)
    return interval.map(case.s / product.total**2, product.norm2 / product.total**2)


def _price_limit(case: Case) -> float:
    norms = case.product.column_norms[case.product.B != 0]
    return bounds.price_limit(float(norms.max() / norms.min()))


def _worst_mean(case: Case, risk: float) -> Interval:
    _, p, X = bounds.minimax(case.start)
    return case.mean(risk, p, product=Product(X, case.start), purpose=7)


EQUAL_NORMS = Assumption(
    "all features with nonzero weight have one norm",
    lambda case: bool(np.ptp(case.product.column_norms) <= ROUNDING * case.product.column_norms[0]),
)
ALL_LIVE = Assumption(
    "no feature with nonzero weight is zero",
    lambda case: bool((case.product.column_norms[case.product.B != 0] > 0).all()),
)

DATA_FREE = (
    Statement(
        "D1",
        "features of one norm: the data-free draw is the optimal one",
        "identity",
        lambda case: float(moments.optimal(case.product, case.s)),
        lambda case, risk: case.mean(risk),
        ("standardised", "data_free"),
        (EQUAL_NORMS,),
        figure="price_of_independence",
    ),
    Statement(
        "D2",
        "the price of not looking at the data is 1 + CV^2 of the feature norms",
        "identity",
        _price,
        _measured_price,
        ("data_free",),
        figure="price_of_independence",
    ),
    Statement(
        "D3",
        "the price is at most (kappa + 1)^2 / (4 kappa)",
        "bound",
        _price_limit,
        lambda case, risk: intervals.exact(_price(case), ROUNDING * _price(case)),
        ("thumbnail", "data_free"),
        (ALL_LIVE,),
        figure="price_of_independence",
    ),
    Statement(
        "D4",
        "the minimax data-free draw attains its worst case over ||X||_F <= 1",
        "identity",
        lambda case: bounds.minimax(case.start).worst / case.s,
        _worst_mean,
        ("initial",),
        figure="price_of_independence",
    ),
)
