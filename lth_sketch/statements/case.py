"""What a statement is tried on: a data set, one of its products, a draw, and the measurements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypedDict, Unpack

import numpy as np

from lth_sketch import intervals, montecarlo, probabilities, regression, squared_error
from lth_sketch.datasets import Dataset
from lth_sketch.intervals import Interval
from lth_sketch.multigraphs import fits
from lth_sketch.product import Product
from lth_sketch.tolerances import ROUNDING
from lth_sketch.validation import Floats, Integers

# Terms of a thumbnail and of the standardised product: few enough to retrain, and to simulate
# dense sketches, by the thousand.
THUMBNAIL, STANDARDISED = 32, 64
# Draws where few are meant, and the risk of bounds that hold with probability 1 - delta.
DRAWS, DELTA = 16, 0.05
# Draws where many are meant, and trials of such a draw: enough for a 95% quantile.
MANY, QUANTILE_TRIALS = 512, 20_000
# Samples of the kernel product (J, J^T) of the linear model, whose Jacobian is X.
KERNEL = 50


class Setting(NamedTuple):
    """A product and the draw it is tried with."""

    product: Product
    p: Floats


class Other(TypedDict, total=False):
    """What masks are simulated with, where it differs from the case's own.

    Attributes
    ----------
    design : str
        By default "multinomial".
    s : int
        Number of draws.
    product : Product
        Of the same features.
    purpose : int
        Seeds the masks; another product has one of its own, above 1.
    """

    design: str
    s: int
    product: Product
    purpose: int


@dataclass(frozen=True)
class Case:
    """One product of one data set, with everything a statement may ask for.

    Attributes
    ----------
    data : Dataset
        Where X and y come from.
    name : str
        Name of the product, a key of `PRODUCTS`.
    product : Product
        The product AB itself.
    p : (d,) array
        The draw it is tried with.
    s : int
        Number of draws.
    delta : float
        Risk of the bounds that hold with probability 1 - delta.
    trials : int
        Number of simulated masks.
    seed : int
        Seed of everything random about the case.
    """

    data: Dataset
    name: str
    product: Product = field(repr=False)
    p: Floats = field(repr=False)
    s: int
    delta: float
    trials: int
    seed: int

    def rng(self, *purpose: int) -> np.random.Generator:
        """Return a fresh Generator for one purpose, the same one each time."""
        return np.random.default_rng([self.seed, *purpose])

    def squared_errors(self, p: Floats | None = None, **other: Unpack[Other]) -> Floats:
        """Simulate masks of the case's product, or another; kept, so that statements share them.

        `p` is the draw, by default the case's own; see `Other` for what else may differ.
        """
        measured: Floats = self._simulated(montecarlo.squared_errors, p, other)
        return measured

    def trials_of(self, s: int) -> int:
        """Return the number of masks that are simulated at a size."""
        # Sizes above the usual one cost more a trial, and quantiles need fewer of them.
        return self.trials if s <= self.s else min(self.trials, QUANTILE_TRIALS)

    def mean(self, risk: float, p: Floats | None = None, **other: Unpack[Other]) -> Interval:
        """Return an interval for the mean of `squared_errors`.

        Where the variance of the law is known it rests on no condition; otherwise it is
        `intervals.Estimated`. What rounding may have moved is in it.
        """
        errors = self.squared_errors(p, **other)
        result = intervals.mean(errors, risk, variance=self.variance(p, **other))
        shift = self.rounding(p, **other)
        slack = shift * (2.0 * float(np.sqrt(errors.mean())) + shift)
        return result.widened(slack)

    def variance(self, p: Floats | None = None, **other: Unpack[Other]) -> float | None:
        """Return the variance of a squared error, or a limit on it by some rounding (W of B7, B9).

        None where the design has no exact moments, or d x d matrices do not fit into memory.
        """
        product, design = other.get("product", self.product), other.get("design", "multinomial")
        with_replacement = design == "multinomial"
        if design not in squared_error.DESIGNS or not (with_replacement or fits(product.d)):
            return None
        size = np.asarray(other.get("s", self.s))
        law = squared_error.moments(product, self.p if p is None else p, size, 2, design)
        deviation = float(law.deviation) * (1.0 + ROUNDING)
        # A constant of the size of the mean may hide that much.
        deviation += ROUNDING * float(law.mean)
        scale = product.total
        return deviation * scale * scale * deviation * scale * scale

    def rounding(self, p: Floats | None = None, **other: Unpack[Other]) -> float:
        """Return how far rounding may have moved the roots of `squared_errors`; kept as these."""
        return float(self._simulated(montecarlo.rounding, p, other))

    def _simulated(self, measure: Callable[..., Any], p: Floats | None, other: Other) -> Any:
        p = self.p if p is None else p
        s, design = other.get("s", self.s), other.get("design", "multinomial")
        purpose = other.get("purpose", 1)
        key = (measure, design, s, p.tobytes(), purpose)
        if key not in self._kept:
            self._kept[key] = measure(
                other.get("product", self.product),
                p,
                s,
                trials=self.trials_of(s),
                design=design,
                rng=self.rng(purpose),
            )
        return self._kept[key]

    @cached_property
    def _kept(self) -> dict[tuple[Any, ...], Any]:
        return {}

    @cached_property
    def start(self) -> Floats:
        """Weights at initialization, Gaussian, one output."""
        return initial_weights(self.data, self.seed)

    @cached_property
    def before(self) -> Product:
        """The product at initialization, whatever the case's own is."""
        return Product(self.data.X, self.start)

    @cached_property
    def target(self) -> Floats:
        """The labels as a target of one output: their first class against the rest."""
        return binary_target(self.data)


def initial_weights(data: Dataset, seed: int) -> Floats:
    """Gaussian weights of one output."""
    return np.asarray(np.random.default_rng([seed, 0]).normal(size=data.X.shape[1]))


def binary_target(data: Dataset) -> Floats:
    """+1 for the smallest label, -1 for the others."""
    return np.where(data.y == data.y.min(), 1.0, -1.0)


def trained_weights(data: Dataset, seed: int) -> Floats:
    """Weights that ridge regression around the initial ones reaches."""
    w0 = initial_weights(data, seed)
    penalty = float(np.einsum("ij,ij->", data.X, data.X)) / 1000
    return np.asarray(regression.ridge(data.X, binary_target(data), w0, penalty=penalty))


def _initial(data: Dataset, seed: int) -> Setting:
    product = Product(data.X, initial_weights(data, seed))
    return Setting(product, probabilities.optimal(product))


def _data_free(data: Dataset, seed: int) -> Setting:
    w0 = initial_weights(data, seed)
    return Setting(Product(data.X, w0), probabilities.data_free(w0))


def _coherent(data: Dataset, seed: int) -> Setting:
    product = Product(data.X, abs(initial_weights(data, seed)))
    return Setting(product, probabilities.optimal(product))


def _trained(data: Dataset, seed: int) -> Setting:
    before = Product(data.X, initial_weights(data, seed))
    after = Product(data.X, trained_weights(data, seed))
    return Setting(after, probabilities.defensive(before, 0.5))


def _standardised(data: Dataset, seed: int) -> Setting:
    centred = data.X - data.X.mean(axis=0, dtype=np.float64)
    # In blocks of rows: over tens of thousands of them, rounding would tell the norms apart.
    norms = Product(centred, np.ones(centred.shape[1])).column_norms
    live = _spread(np.flatnonzero(norms > 0), STANDARDISED)
    w0 = np.random.default_rng([seed, 0]).normal(size=len(live))
    return Setting(Product(centred[:, live] / norms[live], w0), probabilities.data_free(w0))


def _spread(features: Integers, most: int) -> Integers:
    """Choose at most so many of the features, evenly."""
    places = np.linspace(0, len(features) - 1, min(most, len(features)))
    return np.asarray(features[places.astype(int)])


def _thumbnail(data: Dataset, seed: int) -> Setting:
    chosen = _spread(np.flatnonzero((data.X != 0).any(axis=0)), THUMBNAIL)
    product = Product(data.X[:, chosen], initial_weights(data, seed)[chosen])
    return Setting(product, probabilities.optimal(product))


def _kernel(data: Dataset, seed: int) -> Setting:
    J = data.X[:KERNEL]
    product = Product(J, J.T)
    return Setting(product, probabilities.optimal(product))


def _single(data: Dataset, seed: int) -> Setting:
    product = Product(data.X[:1], initial_weights(data, seed))
    return Setting(product, probabilities.optimal(product))


PRODUCTS: dict[str, Callable[[Dataset, int], Setting]] = {
    "initial": _initial,
    "data_free": _data_free,
    "coherent": _coherent,
    "trained": _trained,
    "standardised": _standardised,
    "thumbnail": _thumbnail,
    "kernel": _kernel,
    "single": _single,
}
