"""Approximate matrix multiplication: by a sampling sketch, which is a mask, or by a dense one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from lth_sketch import sampling, validation
from lth_sketch.kernels import transforms
from lth_sketch.parallel import blockwise
from lth_sketch.parallel.norms import by_column, column_squares
from lth_sketch.parallel.products import matmul
from lth_sketch.product import LARGEST, SMALLEST
from lth_sketch.validation import Array, Floats, Integers

# Entries of a dense sketch that exist at a time.
DENSE = 1 << 20
# Rows of a factor in a part of the work, fixed so that no number of threads changes a bit.
ROWS = 128


def multiply(
    A: npt.ArrayLike,
    B: npt.ArrayLike,
    s: int,
    *,
    method: str = "sampling",
    p: npt.ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
) -> Array:
    """Return ``A S S^T B`` with a random S (d, s), an unbiased estimate of AB (S1, S7).

    Parameters
    ----------
    A : (q, d) array or CSR/CSC matrix
        Left factor.
    B : (d,) or (d, r) array or CSR/CSC matrix
        Right factor.
    s : int
        Size of the sketch.
    method : str
        - "sampling": s draws with replacement, S the mask of `sampling.draw`. Error:
          `moments.multinomial`.
        - "gaussian": independent N(0, 1/s). Error: `moments.gaussian`.
        - "rademacher": independent signs over sqrt(s). Error: `moments.rademacher`.
        - "countsketch": one sign in each row, in a uniform column. Error: `moments.countsketch`.
        - "srht": random signs, a Hadamard matrix of order D, the power of two from d (and 2) on,
          and s of its columns without replacement, s <= D. Error: `moments.srht`.
    p : (d,) array or None
        Only for "sampling": weights >= 0, normalised here. They must be positive wherever the term
        ``A[:, i] B[i]`` is not zero, which is not checked: of A and B only what is drawn is read
        and checked, O((q + r) s) entries. None takes the best, ``||A[:, i]|| ||B[i]||``.
    rng : Generator, int or None
        Source of randomness. The same seed gives the same bits for any number of threads.

    Returns
    -------
    (q, r) array, or (q,) for a vector B
        float32 if A and B are, otherwise float64. Sums are in float64 either way.

    Raises
    ------
    TypeError
        If entries are not real, a sparse format is neither CSR nor CSC, or `s` is no integer.
    ValueError
        If shapes do not fit, an entry that is read is not finite, `s` is below 1 or (for "srht")
        above D, `p` is given for another method, `method` is unknown, or a float32 result would
        overflow.

    Notes
    -----
    For CSR and CSC factors "sampling" and "countsketch" cost O(nnz) beside the product of the two
    sketches. "gaussian" and "rademacher" cost more than AB itself unless q and r exceed s: they are
    yardsticks.

    The product of the two sketches runs in tiles on all processors; meanwhile BLAS has one thread
    in the whole process.

    References
    ----------
    Drineas, Kannan, Mahoney, Fast Monte Carlo Algorithms for Matrices I, SIAM J. Comput. 36 (2006),
    section 4 (sampling); Clarkson, Woodruff, J. ACM 63 (2017) (CountSketch); Ailon, Chazelle, SIAM
    J. Comput. 39 (2009) (Hadamard).

    Examples
    --------
    >>> A = np.ones((2, 1000))
    >>> multiply(A, np.arange(1000.0), 50, rng=0).round(6)
    array([499500., 499500.])
    >>> multiply(A, np.ones(1000), 1024, method="srht", rng=0).round(6)
    array([1000., 1000.])
    """
    validation.choice("method", method, ("sampling", *_DENSE))
    s = validation.count("s", s)
    generator = validation.generator(rng)
    if p is not None and method != "sampling":
        raise ValueError(f"p is for the method 'sampling' only; got p with method {method!r}")
    left = validation.matrix("A", A, finite=False)
    given = validation.matrix("B", B, ndim=(1, 2), finite=False)
    if left.shape[1] != given.shape[0]:
        raise ValueError(
            f"A and B must share the inner dimension; got shapes {left.shape} and {given.shape}: "
            "the columns of A must be as many as the rows of B"
        )
    right = given.T if given.ndim == 2 else given[None, :]
    # NaN and infinity stay in every sum that they enter: the product tells of them, without a pass.
    with np.errstate(invalid="ignore", over="ignore"):
        if method == "sampling":
            pair = _sampled((left, right), s, p, generator)
        else:
            pair = _DENSE[method]((left, right), s, generator)
        found = matmul(pair[0], pair[1].T)
        if not _finite(found):
            validation.matrix("A", left)
            validation.matrix("B", given, ndim=(1, 2))
    result = np.asarray(found.toarray() if scipy.sparse.issparse(found) else found)
    if left.dtype == given.dtype == np.float32:
        result = validation.single("the sketched product", result)
    return result if given.ndim == 2 else result[:, 0]


def _sampled(
    factors: tuple[Any, Any], s: int, p: npt.ArrayLike | None, rng: np.random.Generator
) -> list[Any]:
    """Return the columns of A, with their weights, and of B^T that are drawn."""
    if p is None:
        squares = column_squares(*factors)
        norms = [_norms(M, found) for M, found in zip(factors, squares, strict=True)]
        if not all(map(_finite, norms)):
            # There is nothing to draw from, and the caller will find out why.
            return [found[None, :] for found in norms]
        chances = norms[0] * norms[1]
        if not chances.any():
            return [np.zeros((M.shape[0], 0)) for M in factors]
    else:
        chances = validation.weights("p", p, size=factors[0].shape[1])
    indices, weights = sampling.draw(chances, s, rng=rng)
    scales = weights.astype(np.float64), np.ones(len(indices))
    # One piece for both: its pages are more likely to be kept for the next call than those of two.
    ends = np.cumsum([0 if scipy.sparse.issparse(M) else M.shape[0] for M in factors])
    room = np.empty((ends[1], len(indices)))
    parts = zip(factors, scales, np.split(room, ends[:1]), strict=True)
    return blockwise.filled([_columns(M, indices, *part) for M, *part in parts], room.size)


def _columns(M: Any, indices: Integers, scale: Floats, space: Floats) -> blockwise.Unfilled:
    """Return ``M[:, indices] * scale`` in float64, in `space` where M is dense."""
    if by_column(M):
        turned = space.reshape(len(indices), len(M))
        return turned.T, [
            partial(transforms.gather_rows, M.T, indices[part], scale[part], turned[part])
            for part in blockwise.spans(len(turned), ROWS)
        ]
    if scipy.sparse.issparse(M) or not M.flags.c_contiguous:
        return _scaled(M[:, indices], scale), []
    return space, [
        partial(transforms.gather, M[rows], indices, scale, space[rows])
        for rows in blockwise.spans(len(M), ROWS)
    ]


def _norms(M: Any, squares: Floats) -> Floats:
    """Return the norms of the columns of M up to a common factor, NaN where they are not finite."""
    norms = np.sqrt(squares, out=squares)
    if norms.min() > SMALLEST and norms.max() < LARGEST:
        return norms
    # Some are zero or not finite, or only their squares are.
    odd = np.flatnonzero(~((norms > SMALLEST) & (norms < LARGEST)))
    part = M[:, odd]
    largest = abs(part).max(axis=0)
    largest = np.asarray(largest.toarray() if scipy.sparse.issparse(part) else largest).ravel()
    scale = np.maximum(largest, np.finfo(np.float64).tiny).astype(np.float64)
    unit = max(float(scale.max()), float(np.delete(norms, odd).max(initial=0.0)))
    norms /= unit
    norms[odd] = scale / unit * np.sqrt(*column_squares(_scaled(part, 1.0 / scale)))
    return norms


def _finite(M: Any) -> bool:
    return bool(np.isfinite((M.data if scipy.sparse.issparse(M) else M).sum()))


def _scaled(M: Any, scale: Floats) -> Any:
    """Return M in float64 with its columns multiplied by `scale`."""
    wide = M.astype(np.float64)
    return wide @ scipy.sparse.diags_array(scale) if scipy.sparse.issparse(M) else wide * scale


def _share(work: Callable[[slice], None], length: int, size: int) -> None:
    """Run `work` on blocks of `size` rows out of `length`, on all threads."""
    jobs = [partial(work, rows) for rows in blockwise.spans(length, size)]
    blockwise.run(jobs, validation.workers(None))


_Sketch = Callable[[tuple[Any, Any], int, np.random.Generator], list[Any]]


def _independent(entries: Callable[[np.random.Generator, tuple[int, int]], Floats]) -> _Sketch:
    """Return the sketch by a matrix of independent entries, made and used block by block."""

    def sketch(factors: tuple[Any, Any], s: int, rng: np.random.Generator) -> list[Any]:
        d = factors[0].shape[1]
        readable = [M.tocsc() if scipy.sparse.issparse(M) else M for M in factors]
        sums = [np.zeros((M.shape[0], s)) for M in factors]
        for columns in blockwise.spans(d, max(1, DENSE // s)):
            S = entries(rng, (len(range(*columns.indices(d))), s)) / np.sqrt(s)
            for M, total in zip(readable, sums, strict=True):
                total += matmul(M[:, columns].astype(np.float64), S)
        return sums

    return sketch


def _gaussian(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.standard_normal(shape)


def _signs(rng: np.random.Generator, shape: int | tuple[int, int]) -> Floats:
    return np.asarray(rng.integers(0, 2, shape, dtype=np.int8) * 2.0 - 1.0)


def _countsketch(factors: tuple[Any, Any], s: int, rng: np.random.Generator) -> list[Any]:
    d = factors[0].shape[1]
    buckets, signs = rng.integers(0, s, d), _signs(rng, d)
    return [_scattered(M, buckets, signs, s) for M in factors]


def _scattered(M: Any, buckets: Integers, signs: Floats, s: int) -> Any:
    """Return the columns of M added up by buckets, with their signs."""
    if scipy.sparse.issparse(M):
        S = scipy.sparse.csr_array(
            (signs, buckets, np.arange(len(buckets) + 1)), shape=(len(buckets), s)
        )
        return M.astype(np.float64) @ S
    if by_column(M):
        turned = np.zeros((s, len(M)))
        order = np.argsort(buckets, kind="stable")
        ends = np.searchsorted(buckets[order], np.arange(s + 1))

        def rows(part: slice) -> None:
            chosen = order[ends[part.start] : ends[part.stop]]
            transforms.scatter_rows(M.T, chosen, buckets, signs, turned)

        _share(rows, s, ROWS)
        return turned.T
    out = np.empty((len(M), s))

    def columns(rows: slice) -> None:
        transforms.scatter_columns(np.ascontiguousarray(M[rows]), buckets, signs, out[rows])

    _share(columns, len(M), ROWS)
    return out


def _srht(factors: tuple[Any, Any], s: int, rng: np.random.Generator) -> list[Any]:
    d = factors[0].shape[1]
    order = max(2, 1 << (d - 1).bit_length())
    if s > order:
        raise ValueError(
            f"s must be at most {order}, the order of the Hadamard matrix for d = {d}; got {s}; "
            "the other methods allow more"
        )
    signs = _signs(rng, d)
    chosen = np.sort(rng.choice(order, s, replace=False))
    return [_transformed(M, signs, chosen, order) / np.sqrt(s) for M in factors]


def _transformed(M: Any, signs: Floats, chosen: Integers, order: int) -> Floats:
    """Return chosen columns of the Hadamard transform of the rows of M, padded with zeros."""
    readable = M.tocsr() if scipy.sparse.issparse(M) else M
    out = np.empty((M.shape[0], len(chosen)))

    def work(rows: slice) -> None:
        part = readable[rows]
        part = part.toarray() if scipy.sparse.issparse(part) else part
        padded = np.zeros((len(part), order))
        np.multiply(part, signs, out=padded[:, : len(signs)])
        transforms.hadamard(padded)
        out[rows] = padded[:, chosen]

    _share(work, len(out), max(1, DENSE // order))
    return out


_DENSE: dict[str, _Sketch] = {
    "gaussian": _independent(_gaussian),
    "rademacher": _independent(_signs),
    "countsketch": _countsketch,
    "srht": _srht,
}
