"""B1-B9 and A1: how large the error is at most, and in the limit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import scipy

from lth_sketch import bounds, intervals, montecarlo, probabilities, sampling
from lth_sketch.intervals import Interval
from lth_sketch.statements.case import MANY, Case
from lth_sketch.statements.sketching import FIXED_SIZE
from lth_sketch.statements.statement import Assumption, Measure, Statement, Value
from lth_sketch.tolerances import ROUNDING
from lth_sketch.validation import Floats

# Terms up to which six moments are taken for B9.
WIDE = 1024
# Masks whose kernel is decomposed for B5.
KERNELS = 4000
# Risk that a simulated limit lies below its quantile.
LIMIT_RISK = 1e-9
PRODUCTS = ("initial", "data_free", "coherent", "kernel", "single")


def empty_mask(case: Case) -> float:
    """Error ``||AB||`` of the mask that keeps nothing."""
    return float(case.product.norm2**0.5)


def _quantile(case: Case, risk: float) -> Interval:
    interval = intervals.quantile(np.sqrt(case.squared_errors(s=MANY)), case.delta, risk)
    return interval.widened(case.rounding(s=MANY))


def _mean_of_many(case: Case, risk: float) -> Interval:
    return case.mean(risk, s=MANY)


def _tail(bound: Callable[..., Floats]) -> Value:
    return lambda case: float(bound(case.product, case.p, MANY, case.delta))


def _order(case: Case) -> int:
    """Six moments, or four where six would take a quarter of a minute."""
    return 6 if case.product.d <= WIDE else 4


def _moment(case: Case) -> float:
    bound = bounds.moment(case.product, case.p, MANY, case.delta, order=_order(case))
    return float(bound)


def _markov(case: Case) -> float:
    return float(bounds.moment(case.product, case.p, MANY, case.delta, order=1))


def _poisson_moment(case: Case) -> float:
    bound = bounds.moment(
        case.product, case.p, case.s, case.delta, order=_order(case), design="poisson"
    )
    return float(bound)


def _systematic(case: Case) -> float:
    # The quantile for half the risk: where the law jumps, either side may be measured.
    bound = bounds.systematic(case.product, case.p, case.s, case.delta / 2)
    return float(bound) * (1.0 + ROUNDING)


def _design_quantile(design: str) -> Measure:
    def measure(case: Case, risk: float) -> Interval:
        interval = intervals.quantile(np.sqrt(case.squared_errors(design=design)), case.delta, risk)
        return interval.widened(case.rounding(design=design))

    return measure


def _dkm(case: Case) -> float:
    beta = bounds.nearness(case.product, case.p)
    return float(bounds.dkm(case.product, MANY, case.delta, beta))


def _frobenius(case: Case) -> float:
    beta = bounds.nearness(case.product, case.p)
    return float(bounds.frobenius(case.product, MANY, beta))


SIMULATED = Assumption(
    f"trials are enough for a limit at risk {LIMIT_RISK:g}",
    lambda case: (1.0 - case.delta / 2) ** case.trials <= LIMIT_RISK,
)


def _simulated_limit(case: Case) -> float:
    limit = montecarlo.quantile_limit(
        case.product,
        case.p,
        case.s,
        case.delta / 2,
        risk=LIMIT_RISK,
        trials=case.trials,
        design="priority",
        rng=case.rng(4),
    )
    return float(limit)


def _whitened(case: Case) -> tuple[Floats, float]:
    """Columns of K_lam^{-1/2} A in the coordinates of A's left singular vectors, and lam."""
    _, sigma, Vt = scipy.linalg.svd(np.linalg.qr(case.product.A, mode="r"), full_matrices=False)
    lam = float(sigma[0] ** 2) / 100.0
    return (sigma / np.sqrt(sigma**2 + lam))[:, None] * Vt, lam


def _leverage(case: Case, lam: float) -> Floats:
    return probabilities.leverage(case.product.A, lam)


def _spectral(case: Case) -> float:
    lam = _whitened(case)[1]
    p = _leverage(case, lam)
    return float(bounds.spectral(case.product.A, p, MANY, case.delta, ridge=lam))


def _kernel_quantile(case: Case, risk: float) -> Interval:
    W, lam = _whitened(case)
    masks = sampling.masks(_leverage(case, lam), MANY, KERNELS, rng=case.rng(6)).toarray()
    norms = [np.linalg.norm((W * (mask - 1.0)) @ W.T, 2) for mask in masks]
    return intervals.quantile(norms, case.delta, risk)


def _bound(
    label: str,
    claim: str,
    value: Value,
    products: tuple[str, ...] = PRODUCTS,
    design: str | None = None,
) -> Statement:
    return Statement(
        label,
        f"with probability 1 - delta, ||err|| <= {claim}",
        "bound",
        value,
        _quantile,
        products,
        trivial=empty_mask,
        figure="sharpness",
        design=design,
    )


TAILS = (
    Statement(
        "B1",
        "p >= beta p*: E||err||^2 <= (U^2 / beta - ||AB||^2) / s",
        "bound",
        _frobenius,
        _mean_of_many,
        ("data_free",),
        trivial=lambda case: case.product.norm2,
        figure="initialization_error",
    ),
    _bound("B2", "(1 + sqrt(8 L / beta)) ||A|| ||B|| / sqrt(beta s)", _dkm),
    _bound("B3", "sqrt(V) + R sqrt(2 L / s)", _tail(bounds.mcdiarmid)),
    _bound(
        "B4",
        "sqrt(V) + (v/M) h^-1(L M^2/(s v)), v = sigma2 + 2 M sqrt(V)",
        _tail(bounds.bousquet),
    ),
    _bound(
        "B6",
        "sqrt(V) + (v/M) h^-1(L M^2/(s v)), v = sigma2 + omega2 H_s/(4 s T)",
        _tail(bounds.radial),
    ),
    _bound(
        "B6",
        "least ((b + 1) D + sqrt((b - 1)^2 D^2 + 4 b s T_b)) / 2bs (two centres)",
        _tail(partial(bounds.radial, centres=2)),
        design="two centres",
    ),
    _bound(
        "B10",
        "two centres, exact fourth moments: the least t / s that form S allows",
        _tail(bounds.centred),
        ("initial", "coherent"),
    ),
    _bound("B7", "sqrt(V + sqrt(W (1 - delta) / delta))", _tail(bounds.cantelli)),
    _bound("B9", "the least that the moments of ||err||^2 allow", _moment),
    _bound("B9", "sqrt(V / delta), one moment: Markov", _markov, design="Markov"),
    *(
        Statement(
            "B9",
            claim,
            "bound",
            value,
            _design_quantile(design),
            ("initial", "coherent"),
            (FIXED_SIZE,),
            trivial=empty_mask,
            figure="sharpness",
            design=design,
        )
        for design, claim, value in (
            ("poisson", "Poisson draws: the least that the moments allow", _poisson_moment),
            ("systematic", "systematic draws: the exact quantile at delta / 2", _systematic),
        )
    ),
    Statement(
        "B5",
        "matrix Bernstein: ||K_lam^{-1/2} (K_m - K) K_lam^{-1/2}|| <= t with probability 1 - delta",
        "bound",
        _spectral,
        _kernel_quantile,
        ("thumbnail",),
        trivial=lambda case: 1.0,
        figure="retrained",
    ),
    Statement(
        "B8",
        "the k-th largest of N simulated errors limits a new one, for any design",
        "bound",
        _simulated_limit,
        _design_quantile("priority"),
        ("initial", "coherent"),
        (FIXED_SIZE, SIMULATED),
        trivial=empty_mask,
        figure="sharpness",
    ),
    Statement(
        "A1",
        "for many draws s ||err||^2 is about sum lambda_i chi2_1 (quantile within 7%)",
        "approximation",
        lambda case: float(bounds.asymptotic_quantile(case.product, case.p, MANY, case.delta)),
        _quantile,
        ("initial", "data_free", "coherent"),
        figure="sharpness",
    ),
)
