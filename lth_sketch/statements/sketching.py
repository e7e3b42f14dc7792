"""S0-S7: what a mask does to a product, on average, exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lth_sketch import intervals, methods, moments, probabilities, sampling, sketches
from lth_sketch.intervals import Interval
from lth_sketch.product import Product
from lth_sketch.statements.case import Case
from lth_sketch.statements.statement import Assumption, Measure, Statement, Value
from lth_sketch.tolerances import ROUNDING
from lth_sketch.validation import Floats

# Dense sketches simulated for S7, and the kurtosis assumed of their squared error, which is of the
# fourth degree in the entries of a sketch; on standardised digits it is 12 at most.
SKETCHES, KURTOSIS = 32_000, 30.0


def _mask(case: Case) -> Floats:
    return sampling.mask(case.p, case.s, rng=case.rng(2)).astype(np.float64)


def _direct_error(case: Case, mask: Floats) -> float:
    """Compute ``||A diag(m) B - AB||_F`` by its definition."""
    product, kept = case.product, np.flatnonzero(mask)
    masked = (product.A[:, kept] * mask[kept]) @ product.B[kept]
    return float(np.linalg.norm(masked - product.value))


def _rounded(case: Case, value: float) -> Interval:
    return intervals.exact(value, ROUNDING * case.product.total)


def _factor_error(case: Case, risk: float) -> Interval:
    product, gaps = case.product, _mask(case) - 1.0
    error = float(np.linalg.norm(product.unit_factor.T @ gaps * product.total))
    shift = product.unit_error * float(product.term_norms @ np.abs(gaps))
    return _rounded(case, error).widened(shift)


def _sketched_product(case: Case, risk: float) -> Interval:
    """Return the norm of (A S)(S^T B) with the S of the very draw that makes the mask."""
    mask, product = _mask(case), case.product
    kept = np.flatnonzero(mask)
    # A feature drawn c times stands in c equal columns of S; sqrt(m) is their joint length.
    S = np.zeros((product.d, len(kept)))
    S[kept, np.arange(len(kept))] = np.sqrt(mask[kept])
    return _rounded(case, float(np.linalg.norm((product.A @ S) @ (S.T @ product.B))))


def _masked_product(case: Case) -> float:
    mask, product = _mask(case), case.product
    kept = np.flatnonzero(mask)
    return float(np.linalg.norm((product.A[:, kept] * mask[kept]) @ product.B[kept]))


def _mean(case: Case, risk: float) -> Interval:
    return case.mean(risk)


def _optimal_mean(case: Case, risk: float) -> Interval:
    return case.mean(risk, probabilities.optimal(case.product))


def design_mean(design: str) -> Measure:
    """Measure the mean squared error of masks of one design."""

    def measure(case: Case, risk: float) -> Interval:
        return case.mean(risk, design=design)

    return measure


def simulated_mean(case: Case, squares: Floats, risk: float) -> Interval:
    """Return the interval of the mean of simulated squared errors, with what rounding may add.

    Of a sketch that is exact nothing but rounding is measured.
    """
    interval = intervals.mean(squares, risk, kurtosis=KURTOSIS)
    A, B = case.product.A, case.product.B
    shift = ROUNDING * float(np.linalg.norm(A) * np.linalg.norm(B))
    return interval.widened(shift * (2.0 * max(interval.high, 0.0) ** 0.5 + shift))


def dense_mean(method: str) -> Measure:
    """Measure the mean squared error of sketches of a method that no rotation of A changes."""

    def measure(case: Case, risk: float) -> Interval:
        # A triangle has the same norms and inner products in fewer rows.
        A, B = np.linalg.qr(case.product.A, mode="r"), case.product.B
        rng, exact = case.rng(3), A @ B
        errors = np.empty(SKETCHES)
        for i in range(SKETCHES):
            gap = sketches.multiply(A, B, case.s, method=method, rng=rng) - exact
            errors[i] = gap @ gap
        return simulated_mean(case, errors, risk)

    return measure


def _size_moment(moment: Callable[[Product, int], Floats]) -> Value:
    return lambda case: float(moment(case.product, case.s))


def _top_mask(case: Case) -> Floats:
    return sampling.mask(case.p, case.s, design="top").astype(np.float64)


FIXED_SIZE = Assumption(
    "s is at most the number of nonzero p", lambda case: case.s <= int(np.count_nonzero(case.p))
)
COMMON = ("initial", "data_free", "coherent")
ROWS_ENOUGH = Assumption(
    "s is at most the order of the Hadamard matrix",
    lambda case: case.s <= methods.hadamard_order(case.product.d),
)

SKETCHING = (
    Statement(
        "S0",
        "||A diag(m) B - AB|| = ||C (m - 1)|| for every mask",
        "identity",
        lambda case: _direct_error(case, _mask(case)),
        _factor_error,
        (*COMMON, "trained", "kernel"),
        figure="initialization_error",
    ),
    Statement(
        "S1",
        "pruning with a drawn mask is the sampling sketch (A S)(S^T B)",
        "identity",
        _masked_product,
        _sketched_product,
        ("initial", "kernel"),
        figure="initialization_error",
    ),
    Statement(
        "S2",
        "with replacement, E||err||^2 = (sum u_i^2 / p_i - ||AB||^2) / s",
        "identity",
        lambda case: float(moments.multinomial(case.product, case.p, case.s)),
        _mean,
        (*COMMON, "kernel"),
        figure="initialization_error",
    ),
    Statement(
        "S3",
        "the optimal draw has E||err||^2 = (U^2 - ||AB||^2) / s",
        "identity",
        lambda case: float(moments.optimal(case.product, case.s)),
        _optimal_mean,
        COMMON,
        figure="initialization_error",
    ),
    Statement(
        "S4",
        "Poisson: E||err||^2 = sum u_i^2 (1 / pi_i - 1)",
        "identity",
        lambda case: float(moments.poisson(case.product, case.p, case.s)),
        design_mean("poisson"),
        COMMON,
        (FIXED_SIZE,),
        figure="designs",
    ),
    Statement(
        "S5",
        "systematic: E||err||^2 from the exact pi_ij of the start intervals",
        "identity",
        lambda case: float(moments.systematic(case.product, case.p, case.s)),
        design_mean("systematic"),
        COMMON,
        (FIXED_SIZE,),
        figure="designs",
        design="systematic",
    ),
    Statement(
        "S5",
        "priority: E||err||^2 = sum u_i^2 / p_i^2 times an integral of a Poisson-binomial tail",
        "identity",
        lambda case: float(moments.priority(case.product, case.p, case.s)),
        design_mean("priority"),
        COMMON,
        (FIXED_SIZE, Assumption("s >= 4: fourth moments exist", lambda case: case.s >= 4)),
        figure="designs",
        design="priority",
    ),
    Statement(
        "S6",
        "top-k: err = -A_R B_R, R the removed set",
        "identity",
        lambda case: float(moments.top(case.product, case.p, case.s)) ** 0.5,
        lambda case, risk: _rounded(case, _direct_error(case, _top_mask(case))),
        COMMON,
        (FIXED_SIZE,),
        figure="initialization_error",
    ),
    *(
        Statement(
            "S7",
            f"{method}: E||A S S^T B - AB||^2 as in the table",
            "identity",
            _size_moment(moment),
            dense_mean(method),
            ("standardised",),
            assumptions,
            figure="designs",
            design=method,
        )
        for method, moment, assumptions in (
            ("gaussian", moments.gaussian, ()),
            ("rademacher", moments.rademacher, ()),
            ("countsketch", moments.countsketch, ()),
            ("srht", moments.srht, (ROWS_ENOUGH,)),
        )
    ),
)
