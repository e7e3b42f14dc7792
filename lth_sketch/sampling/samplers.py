"""From probabilities, a size and a Generator to indices and weights: the designs of a mask."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import labels, validation
from lth_sketch.designs import named
from lth_sketch.inclusion import checked
from lth_sketch.inclusion.checked import CheckedWeights
from lth_sketch.parallel import blockwise
from lth_sketch.sampling import _fixed, _hybrid, _ranks, _replacement, _systematic
from lth_sketch.sampling._rows import Output, Rows, rewound, streams
from lth_sketch.validation import Array, Integers

# One draw over blocks of weights on threads, and what prepares draws as rows.
_Draw = Callable[[CheckedWeights, int, np.random.Generator, int], tuple[Integers, Array]]
_Prepare = Callable[[CheckedWeights, int, int], Rows]


def draw(
    p: npt.ArrayLike,
    s: int,
    *,
    design: str = "multinomial",
    rng: np.random.Generator | int | None = None,
    n_jobs: int | None = None,
) -> tuple[Integers, Array]:
    """Draw a mask as the indices that are kept and their weights (S1, S4, S5, S6).

    Unless the design is "top" the mask m is unbiased: ``E m_i = 1`` wherever ``p_i > 0``, and an
    index with ``p_i = 0`` is never drawn. Time and memory grow linearly with d; `p` is read in
    order.

    Parameters
    ----------
    p : (d,) array
        Weights >= 0, normalised here in float64.
    s : int
        Number of draws; for "poisson" the expected number of indices.
    design : str
        With pi the inclusion probabilities, ``probabilities.inclusion(p, s, design=design)``:

        - "multinomial": s draws with replacement; index i drawn c times has weight ``c / (s p_i)``.
        - "poisson": every index by itself with probability ``pi_i = min(1, p_i / tau)``, tau such
          that they sum to s; weight ``1 / pi_i``.
        - "systematic" (Madow): s indices with the same pi from one uniform start, in the order of
          the indices; weight ``1 / pi_i``.
        - "priority": the s largest ranks ``p_i / v_i``, v uniform; weight ``max(1, tau / p_i)``,
          tau the next rank.
        - "hybrid": the c largest p surely, with weight 1; s - c draws with replacement from the
          rest. c is chosen so that incoherent terms of these sizes have the least second moment.
        - "pivotal" (Deville and Tillé): s indices with the same pi, by duels of neighbours in one
          pass: like "systematic", but two indices far apart are all but independent, whatever
          their order; weight ``1 / pi_i``.
        - "conditional": "poisson", given that s indices are kept: of all laws with these odds the
          one of largest entropy. Its inclusion probabilities are others; weight one over them.
        - "top": the s largest p, zeros among them if need be, the lowest index first among equals;
          weight 1. No guarantee.

        "poisson" and "priority" take one uniform ``v_i`` for each weight: with the same seed, a
        larger s keeps a superset.
    rng : Generator, int or None
        Source of randomness. The same seed gives the same bits for any `n_jobs`.
    n_jobs : int or None
        Number of threads; None for all processors.

    Returns
    -------
    indices : (n,) array of int64
        Kept indices, ascending, each once.
    weights : (n,) array
        Their weights: float32 for float32 `p`, else float64.

    Raises
    ------
    TypeError
        If `p` is not real, `s` or `n_jobs` no integer, or `rng` none of the above.
    ValueError
        If `p` is no vector, has an entry that is negative or not finite, or none above zero; if
        `s` is below 1, or above the number of nonzero p in a design without replacement (of all p
        for "top"); if the design is unknown.

    References
    ----------
    Drineas, Kannan, Mahoney, Fast Monte Carlo Algorithms for Matrices I, SIAM J. Comput. 36 (2006),
    section 4 (multinomial); Tillé, Sampling Algorithms, Springer 2006, chapters 5 and 7 (Poisson,
    systematic); Duffield, Lund, Thorup, J. ACM 54 (2007), section 1 (priority). Sorted uniforms by
    exponential spacings: Devroye, Non-Uniform Random Variate Generation, Springer 1986, chapter V.

    Examples
    --------
    >>> draw([1.0, 0.0, 3.0, 3.0], 2, design="top")
    (array([2, 3]), array([1., 1.]))
    >>> indices, weights = draw([1.0, 1.0, 6.0], 2, design="systematic", rng=0)
    >>> len(indices), int(indices[-1]), weights
    (2, 2, array([2., 1.]))
    """
    given, s, generator, threads = _arguments(p, s, design, rng, n_jobs)
    return _DRAWS[design](given, s, generator, threads)


def mask(
    p: npt.ArrayLike,
    s: int,
    *,
    design: str = "multinomial",
    binary: bool = False,
    rng: np.random.Generator | int | None = None,
) -> Array:
    """Draw a mask as a dense vector; see `draw` for the designs, the errors and the sources.

    Parameters
    ----------
    p : (d,) array
        Weights >= 0, normalised here.
    s : int
        Number of draws.
    design : str
        One of those of `draw`.
    binary : bool
        1 in place of the weight of a kept index. Such a mask is biased.
    rng : Generator, int or None
        Source of randomness.

    Returns
    -------
    (d,) array
        Weights of `draw` with the same arguments, zero elsewhere; a series with the labels of `p`
        where that is one of pandas.

    Raises
    ------
    TypeError, ValueError
        As `draw`.

    Examples
    --------
    >>> mask([1.0, 0.0, 3.0, 3.0], 1, design="top")
    array([0., 0., 1., 0.])
    """
    given, s, generator, threads = _arguments(p, s, design, rng, None)
    indices, weights = _DRAWS[design](given, s, generator, threads)
    result = np.zeros(len(given.p), weights.dtype)
    result[indices] = 1.0 if binary else weights
    return labels.like(result, p)


def masks(
    p: npt.ArrayLike,
    s: int,
    size: int,
    *,
    design: str = "multinomial",
    binary: bool = False,
    rng: np.random.Generator | int | None = None,
    n_jobs: int | None = None,
) -> scipy.sparse.csr_array:
    """Draw `size` independent masks as the rows of a sparse array; see `draw` for the designs.

    Parameters
    ----------
    p : (d,) array
        Weights >= 0, normalised here.
    s : int
        Number of draws, the same for each mask.
    size : int
        Number of masks.
    design : str
        One of those of `draw`.
    binary : bool
        1 in place of the weights of kept indices. Such masks are biased.
    rng : Generator, int or None
        Source of randomness. The same seed gives the same bits for any `n_jobs`.
    n_jobs : int or None
        Number of threads; None for all processors.

    Returns
    -------
    (size, d) csr_array
        Indices sorted; float32 for float32 `p`, else float64. For "poisson" and "priority" row t
        is nested in s, as a single draw is.

    Raises
    ------
    TypeError, ValueError
        As `draw`; also if `size` is no integer >= 1.

    Examples
    --------
    >>> rows = masks([1.0, 1.0, 2.0], 2, 5, design="systematic", binary=True, rng=0)
    >>> rows.shape, rows.sum(axis=1)
    ((5, 3), array([2., 2., 2., 2., 2.]))
    """
    size = validation.count("size", size)
    given, s, generator, threads = _arguments(p, s, design, rng, n_jobs, alone=False)
    groups = blockwise.spans(size, max(1, blockwise.BLOCK // len(given.p)))
    children = streams(generator, len(groups))
    rows = _ROWS[design](given, s, threads)
    counts = np.full(size, s, np.int64)
    if not named(design).fixed_size:

        def count(part: range) -> None:
            for g in part:
                with rewound(children[g]):
                    rows(children[g], counts[groups[g]], None)

        blockwise.share(count, len(groups), threads)
    starts = np.zeros(size + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    narrow = max(int(starts[-1]), len(given.p)) <= np.iinfo(np.int32).max
    indices = np.empty(starts[-1], np.int32 if narrow else np.int64)
    weights = np.empty(starts[-1], given.p.dtype)

    def fill(part: range) -> None:
        for g in part:
            low, high = groups[g].start, groups[g].stop
            output = Output(starts[low : high + 1], indices, weights)
            rows(children[g], counts[low:high], output)

    blockwise.share(fill, len(groups), threads)
    if binary:
        weights[:] = 1.0
    return scipy.sparse.csr_array(
        (weights, indices, starts.astype(indices.dtype)), shape=(size, len(given.p))
    )


def _arguments(
    p: npt.ArrayLike, s: int, design: str, rng: object, n_jobs: int | None, *, alone: bool = True
) -> tuple[CheckedWeights, int, np.random.Generator, int]:
    record = named(design)
    s = validation.count("s", s)
    # A single block has no use for threads, nor for asking how many there may be.
    single = n_jobs is None and type(p) is np.ndarray and p.size <= blockwise.BLOCK
    threads = 1 if single and alone else validation.workers(n_jobs)
    generator = validation.generator(rng)
    exact = design in _THRESHOLDS
    given = checked.survey(p, threads, scaled=record.unbiased, exact=exact)
    given.check_size(s, record)
    return given, s, generator, threads


# Those that keep inclusion probabilities, the weights over a threshold.
_THRESHOLDS = frozenset({"poisson", "systematic", "pivotal", "conditional"})
_DRAWS: dict[str, _Draw] = {
    "multinomial": _replacement.multinomial,
    "poisson": _ranks.poisson,
    "systematic": _systematic.systematic,
    "priority": _ranks.priority,
    "hybrid": _hybrid.hybrid,
    "pivotal": _fixed.pivotal,
    "conditional": _fixed.conditional,
    "top": _ranks.top,
}
_ROWS: dict[str, _Prepare] = {
    "multinomial": _replacement.multinomial_rows,
    "poisson": _ranks.poisson_rows,
    "systematic": _systematic.systematic_rows,
    "priority": _ranks.priority_rows,
    "hybrid": _hybrid.hybrid_rows,
    "pivotal": _fixed.pivotal_rows,
    "conditional": _fixed.conditional_rows,
    "top": _ranks.top_rows,
}
