"""Confidence intervals that are right for heavy tails, for verdicts of a stated risk."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import validation
from lth_sketch.validation import Floats

# Laws of a larger kurtosis E(x - mean)^4 / Var^2 are outside of what `mean` promises.
KURTOSIS = 100.0
# For squared errors that are near a quadratic form of Gaussians: a squared Gaussian has 15.
GAUSSIAN_KURTOSIS = 20.0


class Interval(NamedTuple):
    """An estimate between two limits."""

    measured: float
    low: float
    high: float

    def map(self, scale: float, shift: float = 0.0) -> Interval:
        """Return the interval of ``scale * x + shift``, scale > 0."""
        return Interval(*(scale * end + shift for end in self))

    def widened(self, slack: float) -> Interval:
        """Return the interval with each end moved outwards, by what rounding may have done."""
        return resting_on(Interval(self.measured, self.low - slack, self.high + slack), self)


class Estimated(Interval):
    """An interval that is right for laws of at most some kurtosis; the samples tell no more.

    Attributes
    ----------
    kurtosis : float
        The limit that was assumed.
    seen : float
        Kurtosis of the samples. Above the limit the condition fails; below, it need not hold.
    """

    kurtosis: float
    seen: float

    @classmethod
    def of(cls, interval: Interval, kurtosis: float, seen: float) -> Estimated:
        """Return an interval with its condition."""
        result = cls(*interval)
        result.kurtosis, result.seen = kurtosis, seen
        return result

    @property
    def met(self) -> bool:
        """Whether the samples do not speak against the condition."""
        return self.seen <= self.kurtosis

    def map(self, scale: float, shift: float = 0.0) -> Estimated:
        """Return the interval of ``scale * x + shift``, scale > 0, under the same condition."""
        return self.of(super().map(scale, shift), self.kurtosis, self.seen)


def resting_on(interval: Interval, *parts: Interval) -> Interval:
    """Return an interval that was made of others, under the condition that is nearest to failing.

    Parameters
    ----------
    interval : Interval
        Made of the parts.
    *parts : Interval
        Some of them `Estimated`.

    Returns
    -------
    Interval
        `Estimated` if one of the parts is.
    """
    under = [part for part in parts if isinstance(part, Estimated)]
    if not under:
        return interval
    worst = max(under, key=lambda part: part.seen / part.kurtosis)
    return Estimated.of(interval, worst.kurtosis, worst.seen)


def exact(value: float, error: float = 0.0) -> Interval:
    """Return the interval of a number that is known up to rounding.

    Parameters
    ----------
    value : float
        The number.
    error : float
        What it may be off, to either side.

    Returns
    -------
    Interval
    """
    return Interval(float(value), float(value - error), float(value + error))


def mean(
    samples: npt.ArrayLike,
    risk: float,
    *,
    variance: float | None = None,
    kurtosis: float = KURTOSIS,
) -> Interval:
    """Return an interval for the mean of a law, from Catoni's estimator.

    Its deviations are those of a Gaussian whatever the law, once its variance is known, or a limit
    on it. Where it is not, a limit is found by a median of means of squared differences, which is
    right for laws of bounded kurtosis only; the result is then `Estimated`.

    Parameters
    ----------
    samples : (n,) array
        Independent draws.
    risk : float
        Probability, in (0, 1), with which the interval may miss the mean.
    variance : float, optional
        Variance of the law, or a limit on it, which needs no condition.
    kurtosis : float
        Assumed limit on the kurtosis of the law, where the variance is not known.

    Returns
    -------
    Interval
        ``(measured, low, high)``; infinite ends where the samples are too few for the risk, or tell
        nothing of the variance because nearly all of them agree.

    Raises
    ------
    ValueError
        If there is no sample, one is not finite, `risk` is no risk, or another number is below 0
        (`kurtosis`: below 1).

    References
    ----------
    Catoni, Challenging the empirical mean and empirical variance: a deviation study, Ann. Inst. H.
    Poincare Probab. Statist. 48 (2012), Proposition 2.4. Lugosi, Mendelson, Mean estimation and
    regression under heavy-tailed distributions: a survey, Found. Comput. Math. 19 (2019), sec. 2.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).exponential(size=100_000)
    >>> interval = mean(x, 1e-6)
    >>> interval.low < 1.0 < interval.high
    True
    >>> known = mean(x, 1e-6, variance=1.0)
    >>> known.high - known.low < interval.high - interval.low
    True
    """
    x = validation.vector("samples", samples).astype(np.float64)
    risk = validation.risk("risk", risk)
    kurtosis = validation.number("kurtosis", kurtosis, low=1.0)
    # In units of the largest: no square leaves float64.
    scale = float(abs(x).max()) or 1.0
    x /= scale
    if variance is not None:
        limit = validation.number("variance", variance, low=0.0) / scale / scale
        return _catoni(x, limit, risk).map(scale)
    # Half of the risk for the variance, half for the mean. No limit on it tells nothing.
    limit = _variance_limit(x, risk / 2, kurtosis) or np.inf
    return Estimated.of(_catoni(x, limit, risk / 2), kurtosis, _kurtosis(x)).map(scale)


def quantile(samples: npt.ArrayLike, delta: float, risk: float) -> Interval:
    """Return an interval for the (1 - delta) quantile, by order statistics.

    The limits are those of Clopper and Pearson for the chance of exceeding a number, read the other
    way round: no assumption on the law.

    Parameters
    ----------
    samples : (n,) array
        Independent draws.
    delta : float
        Chance of exceeding the quantile, in (0, 1).
    risk : float
        Probability with which the interval may miss the quantile.

    Returns
    -------
    Interval
        ``(measured, low, high)``; infinite ends where the samples are too few for the risk.

    References
    ----------
    Clopper, Pearson, The use of confidence or fiducial limits illustrated in the case of the
    binomial, Biometrika 26 (1934).

    Examples
    --------
    >>> interval = quantile(range(1000), 0.1, 1e-3)
    >>> print(interval.low < 900 < interval.high)
    True
    """
    x = np.sort(validation.vector("samples", samples).astype(np.float64))
    delta, risk = validation.risk("delta", delta), validation.risk("risk", risk)
    n = len(x)
    # The number of samples above the quantile is at most binomial(n, delta), at or above it at
    # least: fewer than `few` or more than `many` happen with probability risk / 2 each.
    few = int(scipy.stats.binom.ppf(risk / 2, n, delta))
    many = int(scipy.stats.binom.isf(risk / 2, n, delta))
    high = x[n - few] if few >= 1 else np.inf
    low = x[n - 1 - many] if many < n else -np.inf
    return Interval(float(x[n - 1 - int(delta * n)]), float(low), float(high))


def rate(successes: int, trials: int, risk: float) -> Interval:
    """Return the Clopper-Pearson interval for a probability.

    Parameters
    ----------
    successes, trials : int
        How often it happened, out of how many.
    risk : float
        Probability with which the interval may miss.

    Returns
    -------
    Interval
        ``(measured, low, high)`` within [0, 1].

    Raises
    ------
    TypeError, ValueError
        If a count is no count, `successes` exceeds `trials`, or `risk` is no risk.

    Examples
    --------
    >>> rate(0, 100, 0.05).high < 0.04
    True
    """
    trials = validation.count("trials", trials)
    successes = validation.count("successes", successes, minimum=0)
    risk = validation.risk("risk", risk)
    if successes > trials:
        raise ValueError(f"successes must be at most trials = {trials}; got {successes}")
    ends = scipy.stats.binomtest(successes, trials).proportion_ci(1 - risk, method="exact")
    return Interval(successes / trials, float(ends.low), float(ends.high))


def _catoni(x: Floats, variance: float, risk: float) -> Interval:
    """Catoni's interval for a variance of at most so much, half of the risk on each side."""
    n, log = len(x), float(np.log(2 / risk))
    if not np.isfinite(variance) or n <= 2 * log:
        return Interval(float(x.mean()), -np.inf, np.inf)
    if variance == 0.0:
        return Interval(float(np.median(x)), float(x.min()), float(x.max()))
    radius = float(np.sqrt(2 * variance * log / (n - 2 * log)))
    alpha = float(np.sqrt(2 * log / (n * variance * (1 + 2 * log / (n - 2 * log)))))
    centre = float(scipy.optimize.brentq(_influence, x.min(), x.max(), args=(x, alpha)))
    return Interval(centre, centre - radius, centre + radius)


def _kurtosis(x: Floats) -> float:
    """``E(x - mean)^4 / Var^2`` of samples; 1, the least there is, where they agree."""
    gaps = x - x.mean()
    spread = float(np.square(gaps).mean())
    return float(np.square(np.square(gaps) / spread).mean()) if spread > 0.0 else 1.0


def _variance_limit(x: Floats, risk: float, kurtosis: float) -> float:
    """Upper limit on the variance, missed with probability `risk` under the kurtosis assumed."""
    pairs = len(x) // 2
    halves = (x[:pairs] - x[pairs : 2 * pairs]) ** 2 / 2
    blocks = int(np.ceil(8 * np.log(1 / risk)))
    if pairs < blocks:
        return np.inf
    # Var of half a squared difference is (kurtosis + 1) / 2 in units of the squared variance.
    off = np.sqrt(4 * (kurtosis + 1) / 2 / (pairs // blocks))
    means = [part.mean() for part in np.array_split(halves, blocks)]
    return float(np.median(means)) / (1 - off) if off < 1 else np.inf


def _influence(theta: float, x: Floats, alpha: float) -> float:
    gaps = alpha * (x - theta)
    size = abs(gaps)
    return float((np.sign(gaps) * np.log1p(size + size * size / 2)).sum())
