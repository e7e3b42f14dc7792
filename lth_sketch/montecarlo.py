"""Measured errors, and certificates by simulation."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import designs, probabilities, validation
from lth_sketch.parallel import blockwise
from lth_sketch.parallel.executors import check, spread
from lth_sketch.parallel.products import one_blas_thread
from lth_sketch.probes import Probe, probe
from lth_sketch.product import Product
from lth_sketch.simulations import SIMULATIONS
from lth_sketch.tolerances import EPS
from lth_sketch.validation import Floats, Integers

__all__ = ["Probe", "probe", "quantile_limit", "squared_errors"]

# Trials that share one child Generator. Fixed, so that no number of threads changes a bit.
BLOCK = 64
# Seconds that a task takes on an executor: handing it out costs a hundredth of that.
TASK = 1.0

# Designs whose masks keep s entries, each weighing one over its inclusion probability.
_WEIGHED = ("systematic", "pivotal", "conditional")
# Share of the total norm below which a term takes no part in a sum of weights.
FAINT = 1e-100


def squared_errors(
    product: Product,
    p: npt.ArrayLike,
    s: npt.ArrayLike,
    *,
    trials: int,
    design: str = "multinomial",
    rng: np.random.Generator | int | None = None,
    n_jobs: int | None = None,
    executor: Executor | None = None,
) -> Floats:
    """Return ``||A diag(m) B - AB||_F^2`` of simulated masks.

    One trial makes one stream of draws and reads the error off at each s in passing: errors of one
    trial at two sizes are dependent, those of two trials are not. For "poisson" and "priority" the
    masks of a trial are nested, one uniform for each weight; "systematic", "hybrid", "pivotal" and
    "conditional" start anew at each s. By S0 a trial costs a vector product of d terms, however
    many rows A has.

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Weights >= 0, normalised here; positive wherever the product's term is not zero ("top":
        scores >= 0, zero or not).
    s : int or array of int
        Numbers of draws; without replacement at most the number of nonzero `p`, for "top" at most
        d.
    trials : int
        Number of masks drawn for each s.
    design : {"multinomial", "poisson", "systematic", "priority", "top"}
        How masks are drawn, see `sampling.draw`. A squared error of "priority" has a finite
        variance only for s >= 4 (S5).
    rng : Generator, int or None
        Source of randomness. The same seed gives the same bits for any `n_jobs`.
    n_jobs : int or None
        Threads; by default as many as there are processors.

    executor : concurrent.futures.Executor, optional
        Where the trials are made, in the place of threads here; the same bits.

    Returns
    -------
    (trials,) array, or (len(s), trials) for an array s
        Squared errors, in float64; their roots are right to `rounding`.

    Raises
    ------
    ValueError
        If `p` would bias the estimate, `trials`, `s` or `n_jobs` is below 1, `s` is too large or
        the design is unknown, or the factor of S0 does not fit into memory.
    TypeError
        If a count is not an integer, or `rng` is of a wrong type.

    Examples
    --------
    >>> import numpy as np
    >>> from lth_sketch import moments
    >>> product = Product([[3.0, 4.0]], [1.0, -1.0])
    >>> errors = squared_errors(product, [1, 1], [2, 8], trials=20000, rng=0)
    >>> exact = moments.multinomial(product, [1, 1], [2, 8])
    >>> bool((abs(errors.mean(axis=1) / exact - 1) < 0.05).all())
    True
    """
    draws = validation.sizes(s)
    trials = validation.count("trials", trials)
    threads = validation.workers(n_jobs)
    record = designs.named(design)
    generator = validation.generator(rng)
    if executor is not None:
        check(executor)
    if record.unbiased:
        chances = validation.covering(p, product.term_norms)
    else:
        # Only their order counts, which a division might change.
        chances = validation.weights("p", p, size=product.d).astype(np.float64)
    sizes, where = np.unique(draws, return_inverse=True)
    record.check(int(sizes[-1]), chances)
    blocks = blockwise.spans(trials, BLOCK)
    children = validation.spawned(generator, len(blocks))
    out = np.empty((len(sizes), trials))
    if executor is not None:
        common = _Common(design, product, chances, sizes)
        tasks = list(zip(blocks, children, strict=True))
        for columns, part in _afar(common, tasks, executor):
            out[:, columns] = part
        out *= product.total**2
        return np.asarray(out[where.reshape(draws.shape)])
    simulate = SIMULATIONS[design](product, chances, sizes)

    def run(columns: slice, child: np.random.Generator) -> None:
        part = np.empty((len(sizes), columns.stop - columns.start))
        simulate(child, part)
        out[:, columns] = part

    jobs = [partial(run, *task) for task in zip(blocks, children, strict=True)]
    with one_blas_thread():
        blockwise.run(jobs, threads)
    out *= product.total**2
    return np.asarray(out[where.reshape(draws.shape)])


def _afar(common: _Common, tasks: list[Any], executor: Executor) -> Iterator[tuple[slice, Floats]]:
    """Simulate the blocks of trials on an executor, so many in a task that it takes a second."""
    # The first one also pays for what a process prepares once.
    yield tasks[0][0], _simulated(common, tasks[:1])
    start = time.perf_counter()
    if len(tasks) > 1:
        yield tasks[1][0], _simulated(common, tasks[1:2])
    took = max(time.perf_counter() - start, 1e-4)
    together = math.ceil(TASK / took)
    bundles = [tasks[i : i + together] for i in range(2, len(tasks), together)]
    simulated = spread(_simulated, bundles, executor, common=common)
    for bundle, part in zip(bundles, simulated, strict=True):
        yield slice(bundle[0][0].start, bundle[-1][0].stop), part


@dataclass(frozen=True, eq=False)
class _Common:
    """What all trials share; each process prepares for them once."""

    design: str
    product: Product
    chances: Floats
    sizes: Integers

    @cached_property
    def simulate(self) -> Callable[[np.random.Generator, Floats], None]:
        return SIMULATIONS[self.design](self.product, self.chances, self.sizes)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "simulate"}


def _simulated(common: _Common, task: list[tuple[slice, np.random.Generator]]) -> Floats:
    """Return the squared errors of blocks of trials, in units of the product's total."""
    parts = []
    simulate = common.simulate
    with one_blas_thread():
        for columns, child in task:
            part = np.empty((len(common.sizes), columns.stop - columns.start))
            simulate(child, part)
            parts.append(part)
    return np.concatenate(parts, axis=1)


def quantile_limit(
    product: Product,
    p: npt.ArrayLike,
    s: npt.ArrayLike,
    delta: float,
    *,
    risk: float | None = None,
    trials: int = 20_000,
    design: str = "multinomial",
    rng: np.random.Generator | int | None = None,
    n_jobs: int | None = None,
    executor: Executor | None = None,
) -> Floats:
    """Return a limit on ``||err||_F`` by simulation, exact for any design (B8).

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array
        Weights >= 0, normalised here; positive wherever the product's term is not zero.
    s : int or array of int
        Numbers of draws.
    delta : float
        Probability, in (0, 1), with which a new mask may exceed the limit.
    risk : float or None
        None: a new mask exceeds the limit with probability at most `delta`, simulation and new mask
        taken together (exchangeability). A number in (0, 1): with probability at least 1 - risk
        over the simulation, the limit is at or above the true (1 - delta) quantile (binomial order
        statistics).
    trials : int
        Number of masks simulated.
    design, rng, n_jobs, executor
        As in `squared_errors`.

    Returns
    -------
    float, or array of the shape of `s`
        Limit on ``||err||_F``, in the units of the product, with `rounding` on top. The statement
        is for each s by itself.

    Raises
    ------
    ValueError
        If the trials are too few for `delta` and `risk`; the error says how many are needed.

    Examples
    --------
    >>> product = Product([[3.0, 4.0]], [1.0, -1.0])
    >>> round(float(quantile_limit(product, [3, 4], 4, 0.05, trials=1000, rng=0)), 6)
    6.0
    """
    delta = validation.risk("delta", delta)
    trials = validation.count("trials", trials)
    k = _rank(delta, risk, trials)
    generator = validation.generator(rng)
    again = copy.deepcopy(generator)
    errors = squared_errors(
        product,
        p,
        s,
        trials=trials,
        design=design,
        rng=generator,
        n_jobs=n_jobs,
        executor=executor,
    )
    limit = np.sqrt(np.partition(errors, trials - k, axis=-1)[..., trials - k])
    # What rounding may have taken goes on top.
    floor = rounding(product, p, s, trials=trials, design=design, rng=again, n_jobs=n_jobs)
    return np.asarray(limit + floor)[()]


def rounding(
    product: Product,
    p: npt.ArrayLike,
    s: npt.ArrayLike,
    *,
    trials: int,
    design: str = "multinomial",
    rng: np.random.Generator | int | None = None,
    n_jobs: int | None = None,
) -> Floats:
    """Return how far rounding may have moved the roots of `squared_errors`.

    Errors are read off the factor of S0: ``||err||`` is off by at most some epsilon of ``sum u_i
    |m_i - 1|``, more for large products (`Product.unit_error`). The number matters where terms, or
    what a mask leaves of them, nearly cancel; statements about simulated errors take it into
    account.

    Parameters
    ----------
    product, p, s, trials, design, rng, n_jobs
        As in `squared_errors`. For "poisson", "priority" and "hybrid" the limit is that of the
        masks drawn, which are drawn again: pass a Generator in the same state, or the same seed.
        For the other designs it is that of every mask.

    Returns
    -------
    float, or array of the shape of `s`
        In the units of the product.

    Examples
    --------
    >>> product = Product([[3.0, 4.0]], [1.0, -1.0])
    >>> float(rounding(product, [3, 4], 4, trials=1)) < 1e-12
    True
    """
    draws = validation.sizes(s)
    u = product.term_norms / product.total
    if design == "multinomial":
        chances = validation.covering(p, product.term_norms)
        reach = 1.0 + np.divide(u, chances, out=np.zeros_like(u), where=u > 0).max()
    elif design == "top":
        reach = 1.0
    elif design in _WEIGHED:
        chances = validation.covering(p, product.term_norms)
        heaviest = [_heaviest(u, chances, size, design) for size in draws.ravel().tolist()]
        reach = 1.0 + np.reshape(heaviest, draws.shape)
    else:
        alone = Product((u * (u > FAINT))[None, :], np.ones(product.d))
        sums = squared_errors(alone, p, s, trials=trials, design=design, rng=rng, n_jobs=n_jobs)
        # sum u_i (m_i - 1), and twice the sum of u_i, which is 1.
        reach = 2.0 + np.sqrt(sums.max(axis=-1))
    # Sums of at most so many terms, and what the coordinates are off.
    error = product.unit_error + 2.0 * EPS * (product.d + draws)
    return np.asarray(error * reach * product.total)[()]


def _heaviest(u: Floats, p: Floats, s: int, design: str) -> float:
    """Return the most that ``sum u_i m_i`` can be where s entries are kept, each over its pi."""
    pi = probabilities.inclusion(p, s, design=design)
    shares = np.divide(u, pi, out=np.zeros_like(u), where=pi > 0)
    return float(np.sort(shares)[-s:].sum())


def _rank(delta: float, risk: float | None, trials: int) -> int:
    """Return the k of "the k-th largest simulated error"."""
    if risk is None:
        k = int(np.floor(delta * (trials + 1)))
        needed = int(np.ceil(1.0 / delta)) - 1
    else:
        risk = validation.risk("risk", risk)
        # The k-th largest lies below the quantile iff fewer than k errors reach it.
        k = int(scipy.stats.binom.ppf(risk, trials, delta))
        k -= int(scipy.stats.binom.cdf(k - 1, trials, delta) > risk)
        needed = int(np.ceil(np.log(risk) / np.log1p(-delta)))
    if k < 1:
        raise ValueError(
            f"trials = {trials} are too few for delta = {delta} and risk = {risk}; "
            f"take at least {needed}"
        )
    return k
