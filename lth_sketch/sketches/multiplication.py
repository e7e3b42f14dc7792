"""From two operands, a size and a method to an approximate product."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from lth_sketch import methods, validation
from lth_sketch.parallel.products import matmul
from lth_sketch.sketches import (
    _deterministic,
    _entries,
    _hadamard,
    _independent,
    _sampled,
    _scattered,
)
from lth_sketch.sketches._operands import NotFiniteError, Operands, Sketch, finite
from lth_sketch.validation import Array

_SKETCHES: dict[str, Sketch] = {
    "gaussian": _independent.gaussian,
    "rademacher": _independent.rademacher,
    "norm_corrected": _independent.norm_corrected,
    "countsketch": _scattered.countsketch,
    "srht": _hadamard.srht,
    "elementwise": _entries.elementwise,
    "int8": _entries.int8,
    "int8_stochastic": _entries.int8_stochastic,
    "co_occurring": _deterministic.co_occurring,
    "truncated": _deterministic.truncated,
}
# Terms of a dense product that take as long as one of a sparse product, at least.
SCATTERED = 64
# Sums over NaN tell of it by themselves; these decide, sort or decompose, and must not meet it.
_DECIDING = ("elementwise", "int8", "int8_stochastic", "co_occurring", "truncated")


def multiply(
    A: npt.ArrayLike,
    B: npt.ArrayLike,
    s: int,
    *,
    method: str = "sampling",
    p: npt.ArrayLike | None = None,
    nonzeros: int | None = None,
    blocks: bool = False,
    rng: np.random.Generator | int | None = None,
) -> Array:
    """Return an approximation of AB by a sketch of size s (S1, S7, S10, S11).

    Most methods return ``A S S^T B`` with a random S (d, s), an unbiased estimate of AB. What is
    known of each is in `lth_sketch.methods.METHODS`.

    Parameters
    ----------
    A : (q, d) array or CSR/CSC matrix
        Left matrix.
    B : (d,) or (d, r) array or CSR/CSC matrix
        Right matrix.
    s : int
        Size of the sketch.
    method : str
        - "sampling": s draws with replacement, S the mask of `sampling.draw`. Error:
          `moments.multinomial`.
        - "gaussian": independent N(0, 1/s). Error: `moments.gaussian`.
        - "rademacher": independent signs over sqrt(s). Error: `moments.rademacher`.
        - "countsketch": one sign in each row, in a uniform column. Error: `moments.countsketch`.
        - "sparse_signs": `nonzeros` signs over their root in each row, in distinct uniform columns.
          Error: `moments.sparse_signs`, that of "countsketch" whatever their number.
        - "srht": random signs, a Hadamard matrix of order D, the power of two from d (and 2) on,
          and s of its columns without replacement, s <= D. Error: `moments.srht`.
        - "elementwise": entries of A and of B, each kept by itself with a probability proportional
          to its size (capped at 1, and the rest refilled) and divided by it: s entries a row of A
          and a column of B on average. Error: `moments.elementwise`.
        - "norm_corrected": "gaussian", with the rows of ``A S`` and of ``B^T S`` scaled to those
          that A and B^T have. Biased: `moments.norm_corrected`.
        - "co_occurring": co-occurring directions, no chance in it. Error in spectral norm:
          `bounds.co_occurring`.
        - "truncated": the best product of rank s, at the cost of AB itself: the floor for all
          methods of one size. Error: `moments.truncated`.
        - "int8", "int8_stochastic": rows of A and columns of B as integers from -s to s (at most
          127) times a scale, rounded to the nearest, or at random without bias. Error:
          `moments.int8`.
    p : (d,) array or None
        Only for "sampling": weights >= 0, normalised here. They must be positive wherever the term
        ``A[:, i] B[i]`` is not zero, which is not checked: of A and B only what is drawn is read
        and checked, O((q + r) s) entries. None takes the best, ``||A[:, i]|| ||B[i]||``.
    nonzeros : int or None
        Only for "sparse_signs": signs in each row of S, at most s; 8 (or s, if that is less) by
        default.
    blocks : bool
        Only for "sparse_signs": one sign in each of `nonzeros` blocks of ``s / nonzeros`` columns.
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
        If shapes do not fit, an entry that is read is not finite, `s` is below 1 or above what the
        method allows, `p`, `nonzeros` or `blocks` is given for another method, `method` is unknown,
        or a float32 result would overflow.

    Notes
    -----
    For CSR and CSC operands "sampling", "countsketch", "sparse_signs" and "elementwise" cost
    O(nnz + d) beside the product of the two sketches. "gaussian" and "rademacher" cost more than AB
    itself unless q and r exceed s: they are yardsticks.

    The product of the two sketches runs in tiles on all processors; meanwhile BLAS has one thread
    in the whole process.

    References
    ----------
    Drineas, Kannan, Mahoney, Fast Monte Carlo Algorithms for Matrices I, SIAM J. Comput. 36 (2006),
    section 4 (sampling); Clarkson, Woodruff, J. ACM 63 (2017) (CountSketch); Nelson, Nguyen, OSNAP,
    FOCS 2013, and Kane, Nelson, Sparser Johnson-Lindenstrauss Transforms, J. ACM 61 (2014) (sparse
    signs, with and without blocks); Ailon, Chazelle, SIAM J. Comput. 39 (2009) (Hadamard);
    Achlioptas, McSherry, J. ACM 54 (2007) (entries); Mroueh, Marcheret, Goel, AISTATS 2017
    (co-occurring directions).

    Examples
    --------
    >>> A = np.ones((2, 1000))
    >>> multiply(A, np.arange(1000.0), 50, rng=0).round(6)
    array([499500., 499500.])
    >>> multiply(A, np.ones(1000), 1024, method="srht", rng=0).round(6)
    array([1000., 1000.])
    >>> multiply(A, np.ones(1000), 1, method="truncated").round(6)
    array([1000., 1000.])
    """
    validation.choice("method", method, methods.METHODS)
    s = validation.count("s", s)
    generator = validation.generator(rng)
    sketch = _prepared(method, s, p, nonzeros, blocks)
    left = validation.matrix("A", A, finite=method in _DECIDING)
    given = validation.matrix("B", B, ndim=(1, 2), finite=method in _DECIDING)
    if left.shape[1] != given.shape[0]:
        raise ValueError(
            f"A and B must share the inner dimension; got shapes {left.shape} and {given.shape}: "
            "the columns of A must be as many as the rows of B"
        )
    right = given.T if given.ndim == 2 else given[None, :]
    # NaN and infinity stay in every sum that they enter: the product tells of them, without a pass.
    with np.errstate(invalid="ignore", over="ignore"):
        try:
            pair = sketch((left, right), s, generator)
        except NotFiniteError:
            _check_finite(left, given)
            raise
        estimate = matmul(*_readable(pair[0], pair[1].T))
        if not finite(estimate):
            _check_finite(left, given)
    result = np.asarray(estimate.toarray() if scipy.sparse.issparse(estimate) else estimate)
    if left.dtype == given.dtype == np.float32:
        result = validation.single("the sketched product", result)
    return result if given.ndim == 2 else result[:, 0]


def _readable(left: Any, right: Any) -> tuple[Any, Any]:
    """Return the sketches as arrays where their product is cheaper so.

    A sparse product makes about a term for every two entries that meet, a dense one every term.
    """
    if not (scipy.sparse.issparse(left) and scipy.sparse.issparse(right)):
        return left, right
    (q, s), r = left.shape, right.shape[1]
    if left.nnz * right.nnz * SCATTERED <= s * q * r * s:
        return left, right
    return left.toarray(), right.toarray()


def _check_finite(left: Any, given: Any) -> None:
    validation.matrix("A", left)
    validation.matrix("B", given, ndim=(1, 2))


def _prepared(
    method: str, s: int, p: npt.ArrayLike | None, nonzeros: int | None, blocks: bool
) -> Sketch:
    """Return the sketch of a method with its own options, and refuse those of another."""
    if p is not None and method != "sampling":
        raise ValueError(f"p is for the method 'sampling' only; got p with method {method!r}")
    if (nonzeros is not None or blocks) and method != "sparse_signs":
        option = "blocks" if nonzeros is None else "nonzeros"
        raise ValueError(
            f"{option} is for the method 'sparse_signs' only; got it with method {method!r}"
        )
    if method == "sampling":

        def sample(operands: Operands, s: int, rng: np.random.Generator) -> list[Any]:
            return _sampled.sampled(operands, s, p, rng)

        return sample
    if method == "sparse_signs":
        count = min(methods.NONZEROS, s) if nonzeros is None else nonzeros
        return partial(_scattered.sparse_signs, nonzeros=_signs(count, s, blocks), blocks=blocks)
    if method.startswith("int8") and s > methods.LEVELS:
        raise ValueError(
            f"s counts the levels of each sign for the method {method!r}, at most "
            f"{methods.LEVELS} in eight bits; got {s}"
        )
    return _SKETCHES[method]


def _signs(nonzeros: Any, s: int, blocks: bool) -> int:
    """Return the number of signs in a row of the sketch, checked."""
    count = validation.count("nonzeros", nonzeros)
    if count > s:
        raise ValueError(
            f"nonzeros must be at most s = {s}, for they lie in distinct columns; got {count}"
        )
    if blocks and s % count:
        raise ValueError(
            f"with blocks=True s must be a multiple of nonzeros = {count}; got s = {s}: take "
            f"{s - s % count} or {s - s % count + count}, or blocks=False"
        )
    return count
