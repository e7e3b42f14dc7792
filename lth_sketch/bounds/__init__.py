"""Inequalities on the error of a masked product: one function a statement.

Functions that take `delta` bound ``||A diag(m) B - AB||_F`` (`spectral`: the spectral norm) with
probability at least 1 - delta, other bounds on the error are on its second moment, as worst cases
are. All are for draws with replacement unless the name says otherwise. A value above ``||AB||_F``
is vacuous: the empty mask does as well. `price`, `nearness`, and the worst cases of `minimax`,
`poisson_minimax` and `top` are no inequalities but identities: numbers that are attained.
"""

from lth_sketch.bounds.best import sharpest
from lth_sketch.bounds.chebyshev import moment
from lth_sketch.bounds.designs import poisson_minimax, priority, systematic
from lth_sketch.bounds.draws import (
    asymptotic_quantile,
    bousquet,
    cantelli,
    dkm,
    frobenius,
    mcdiarmid,
    nearness,
    radial,
)
from lth_sketch.bounds.independence import price, price_limit, price_witness
from lth_sketch.bounds.inverse import draws_needed
from lth_sketch.bounds.sketches import co_occurring
from lth_sketch.bounds.spectral_norm import retrained, spectral
from lth_sketch.bounds.training import best_alpha, displacement, end_of_training
from lth_sketch.bounds.two_centres import centred
from lth_sketch.bounds.unseen_labels import collinearity_price, label_price
from lth_sketch.bounds.worst_cases import minimax, top, worst_case

__all__ = [
    "asymptotic_quantile",
    "best_alpha",
    "bousquet",
    "cantelli",
    "centred",
    "co_occurring",
    "collinearity_price",
    "displacement",
    "dkm",
    "draws_needed",
    "end_of_training",
    "frobenius",
    "label_price",
    "mcdiarmid",
    "minimax",
    "moment",
    "nearness",
    "poisson_minimax",
    "price",
    "price_limit",
    "price_witness",
    "priority",
    "radial",
    "retrained",
    "sharpest",
    "spectral",
    "systematic",
    "top",
    "worst_case",
]
