"""E1-E5: what a mask found at initialization costs at the end of training."""

from __future__ import annotations

import numpy as np

from lth_sketch import bounds, intervals, moments, probabilities, regression, sampling
from lth_sketch.intervals import Interval
from lth_sketch.statements.case import MANY, Case
from lth_sketch.statements.statement import Assumption, Statement
from lth_sketch.tolerances import QUADRATURE, ROUNDING
from lth_sketch.validation import Floats

# Initializations for the tail of E2, and how far above the median that tail begins.
STARTS, FAR = 20_000, 30.0
# Draws for E3, whose constant asks for many.
DEFENSIVE_DRAWS = 4096
# Masks under which E4 retrains.
RETRAINED = 50


def _delta_norm(case: Case) -> float:
    return float(np.linalg.norm(case.product.B - case.start))


def _defensive_bound(case: Case) -> float:
    limit = bounds.end_of_training(
        case.before, _delta_norm(case), DEFENSIVE_DRAWS, trained_norm2=case.product.norm2
    )
    return float(limit)


def _defensive_mean(case: Case, risk: float) -> Interval:
    alpha = bounds.best_alpha(case.before, _delta_norm(case))
    p = probabilities.defensive(case.before, alpha)
    return case.mean(risk, p, s=DEFENSIVE_DRAWS)


def _triangle(X: Floats, y: Floats) -> Floats:
    """R of a QR factorisation of (X, y): the same least-squares problems in fewer rows."""
    return np.asarray(np.linalg.qr(np.column_stack([X, y]), mode="r"))


def _moments_over_starts(case: Case, alpha: float) -> Floats:
    """``s E||err||^2 + ||X w||^2`` at the end of training, over Gaussian initializations."""
    A = case.product.A
    # The training problem is the same in the coordinates of a QR triangle.
    stacked = _triangle(A, case.target)
    X, y = stacked[:, :-1], stacked[:, -1]
    w0 = case.rng(8).normal(size=(A.shape[1], STARTS))
    penalty = float(np.sum(X**2)) / 1000
    trained = regression.ridge(X, np.tile(y[:, None], STARTS), w0, penalty=penalty)
    a2 = np.einsum("ij,ij->j", X, X)[:, None]
    u0 = np.sqrt(a2) * abs(w0)
    p = (1 - alpha) * u0 / u0.sum(axis=0) + alpha * a2 / a2.sum()
    return np.asarray((a2 * trained**2 / p).sum(axis=0))


def _far_above_the_median(case: Case, alpha: float, risk: float) -> Interval:
    moments = _moments_over_starts(case, alpha)
    return intervals.rate(int((moments > FAR * np.median(moments)).sum()), STARTS, risk)


def _retraining(case: Case) -> tuple[float, float]:
    """Bound and change of the fit for the mask, of `RETRAINED`, on which they are closest."""
    stacked = _triangle(case.product.A, case.target)
    X, y = stacked[:, :-1], stacked[:, -1]
    _, sigma, Vt = np.linalg.svd(X, full_matrices=False)
    lam = float(sigma[0] ** 2) / 100.0
    W = (sigma / np.sqrt(sigma**2 + lam))[:, None] * Vt
    dense = X @ regression.ridge(X, y, penalty=lam)
    p = probabilities.leverage(X, lam)
    pairs = []
    for mask in sampling.masks(p, MANY, RETRAINED, rng=case.rng(9)).toarray():
        eps = float(np.linalg.norm((W * (mask - 1.0)) @ W.T, 2))
        fit = X @ regression.ridge(X, y, penalty=lam, mask=np.sqrt(mask))
        limit = float(bounds.retrained(eps, X, y, penalty=lam))
        pairs.append((limit, float(np.linalg.norm(fit - dense))))
    return max(pairs, key=lambda pair: pair[1] / pair[0] if pair[0] else 0.0)


def _retrained(case: Case, risk: float) -> Interval:
    return intervals.exact(_retraining(case)[1], ROUNDING * float(np.linalg.norm(case.target)))


def _dependent(case: Case) -> tuple[Floats, Floats]:
    """Features of which a quarter are copies, in a random order, and the target."""
    A = case.product.A
    doubled = np.column_stack([A, A[:, : A.shape[1] // 4]])
    return doubled[:, case.rng(10).permutation(doubled.shape[1])], case.target


def _refitted(case: Case) -> float:
    X, y = _dependent(case)
    R = _triangle(X, y)
    total = 0.0
    for k in range(1, X.shape[1] + 1):
        w = np.linalg.lstsq(R[:, :k], R[:, -1])[0]
        total += float(np.sum((R[:, :k] @ w - R[:, -1]) ** 2))
    return total


def _along_the_path(case: Case, risk: float) -> Interval:
    X, y = _dependent(case)
    total = float(np.sum(regression.path(X, y, np.arange(X.shape[1]))))
    return intervals.exact(total, QUADRATURE * total)


# The draw of one feature is certain, whatever the weights.
SEVERAL = Assumption("there are two features or more", lambda case: case.product.d > 1)

END_OF_TRAINING = (
    Statement(
        "E1",
        "S2 holds for the trained model under a mask drawn at initialization",
        "identity",
        lambda case: float(moments.multinomial(case.product, case.p, case.s)),
        lambda case, risk: case.mean(risk),
        ("trained",),
        figure="end_of_training",
    ),
    Statement(
        "E2",
        "one output, plain draw: the moment at the end of training has a heavy tail over starts",
        "demonstration",
        lambda case: _far_above_the_median(case, 0.5, 1e-9).high,
        lambda case, risk: _far_above_the_median(case, 0.0, risk),
        ("thumbnail",),
        (SEVERAL,),
        figure="heavy_tail",
    ),
    Statement(
        "E3",
        "defensive draw: E||err||^2 at the end of training is bounded, best alpha",
        "bound",
        _defensive_bound,
        _defensive_mean,
        ("trained",),
        trivial=lambda case: case.product.norm2,
        figure="end_of_training",
    ),
    Statement(
        "E4",
        "training under the mask changes the fit by at most eps / (1 - eps) sqrt(lam y^T K^-1 y)",
        "bound",
        lambda case: _retraining(case)[0],
        _retrained,
        ("thumbnail",),
        trivial=lambda case: float(np.linalg.norm(case.target)),
        figure="retrained",
    ),
    Statement(
        "E5",
        "one factorisation gives the least-squares loss of every prefix, dependent features too",
        "identity",
        _refitted,
        _along_the_path,
        ("thumbnail",),
        figure="retrained",
    ),
)
