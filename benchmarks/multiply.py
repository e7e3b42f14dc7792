"""`sketches.multiply` by every method of the register, next to the dense product and its rivals.

`python -m benchmarks.multiply --outer 1000 --inner 100000 --size 2000 --methods srht` is a part.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse

from benchmarks.timing import REST, Row, seconds, table
from lth_sketch import Product, methods, moments, probabilities, sketches, validation
from lth_sketch.parallel.products import matmul

OUTER, INNER, SIZE = 1000, 100_000, 2000
# Methods that a second call makes no faster, and that take seconds: one call.
SLOW = {"gaussian", "rademacher", "norm_corrected", "co_occurring", "truncated", "elementwise"}
SIGNS = (1, 2, 8)
# Entries of the sparse factors, and their lengths: the same work, spread ever thinner.
NONZEROS, LENGTHS = 2 * 10**6, (10**4, 10**5, 10**6)


class Task(NamedTuple):
    """Factors, the size of a sketch, the seconds of the dense product, and its value."""

    A: np.ndarray
    B: np.ndarray
    size: int
    dense: float
    product: Product

    @property
    def name(self) -> str:
        """What is multiplied."""
        (q, d), r = self.A.shape, self.B.shape[1]
        return f"({q} x {d:,})({d:,} x {r}), s = {self.size:,}"


def run() -> list[Row]:
    """Compare all methods at the published size, the signs, and sparse factors."""
    rows = compare(OUTER, INNER, SIZE, tuple(methods.METHODS))
    return [*rows, *sparse(LENGTHS, NONZEROS, SIZE)]


def compare(outer: int, inner: int, size: int, names: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of some methods, all measured in this call."""
    rng = np.random.default_rng(0)
    # Columns of many sizes: the draw has something to choose.
    A = rng.standard_normal((outer, inner)) * np.exp(rng.normal(size=inner))
    B = rng.standard_normal((inner, outer))
    task = Task(A, B, size, seconds(lambda: A @ B, repeats=2), Product(A, B))
    for name in names:
        yield from _sampling(task) if name == "sampling" else _method(task, name)


def _sampling(task: Task) -> list[Row]:
    A, B, s = task.A, task.B, task.size
    p = probabilities.optimal(task.product)
    rows, taken = [], {}
    for label, given in (("p given", p), ("p found", None)):
        # A Generator moves on: each call draws, and reads, other columns.
        rng = np.random.default_rng(0)
        call = functools.partial(sketches.multiply, A, B, s, p=given, rng=rng)
        taken[label] = seconds(call, repeats=15)
        note = _note(task, taken[label], call(), "sampling")
        rows.append(Row(task.name, f"sampling, {label}", "A @ B", task.dense / taken[label], note))
    return [*rows, _floor(task)]


def _floor(task: Task) -> Row:
    """Compare sampling with p found with what it cannot do without, in turn: medians of rounds."""
    A, B, s = task.A, task.B, task.size
    left, right = np.ascontiguousarray(A[:, :s]), np.ascontiguousarray(B[:s])
    rng = np.random.default_rng(0)
    parts: list[Callable[[], object]] = [
        lambda: _read(A, B),
        lambda: left @ right,
        lambda: matmul(left, right),
        lambda: sketches.multiply(A, B, s, rng=rng),
    ]
    time.sleep(REST)
    rounds = np.array([[_once(part) for part in parts] for _ in range(16)])[1:]
    read, blas, ours_too, ours = rounds.T
    # The faster of two final products, so that the sum is no easy one.
    floor = read + np.minimum(blas, ours_too)
    note = f"{np.median(floor):.3f} s next to {np.median(ours):.3f} s, medians of rounds"
    rival = "reading A and B once + the final product"
    return Row(task.name, "sampling, p found", rival, float(np.median(floor / ours)), note)


def _read(*matrices: np.ndarray) -> float:
    """Add up all entries on all processors: what reading takes."""
    parts = [part for M in matrices for part in np.array_split(M, 16)]
    with ThreadPoolExecutor(validation.workers(None)) as pool:
        return float(sum(pool.map(np.sum, parts)))


def _method(task: Task, name: str) -> list[Row]:
    size = min(task.size, methods.LEVELS) if name.startswith("int8") else task.size
    call = functools.partial(sketches.multiply, task.A, task.B, size, method=name, rng=1)
    if name == "sparse_signs":
        rows = []
        for count in SIGNS:
            signs = functools.partial(call, nonzeros=count)
            rows += _rows(task, name, f"sparse_signs, {count} a row", signs)
    else:
        rows = _rows(task, name, name, call)
    rival = RIVALS.get(name)
    if rival is not None:
        label, make = rival
        theirs, ours = _once(make(task)), rows[-1]
        mine = task.dense / ours.ratio
        rows.append(Row(task.name, ours.ours, label, theirs / mine, f"{theirs:.2f} s"))
    return rows


def _rows(task: Task, name: str, label: str, call: Callable[[], np.ndarray]) -> list[Row]:
    if name in SLOW:
        start = time.perf_counter()
        estimate = call()
        taken = time.perf_counter() - start
    else:
        taken, estimate = seconds(call, repeats=3), call()
    return [Row(task.name, label, "A @ B", task.dense / taken, _note(task, taken, estimate, name))]


def _note(task: Task, taken: float, estimate: np.ndarray, name: str) -> str:
    """Tell the seconds and the error over the norm of AB, and what the moment says of it."""
    size = float(np.linalg.norm(task.product.value))
    note = f"{taken:.2f} s, error {np.linalg.norm(estimate - task.product.value) / size:.3g}"
    expected = MOMENTS.get(name)
    if expected is not None:
        note += f" (exact mean {np.sqrt(expected(task.product, task.size)) / size:.3g})"
    return note


def _dense(A: scipy.sparse.csr_array, B: scipy.sparse.csr_array) -> np.ndarray:
    return np.asarray((A @ B).toarray())


def _once(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


MOMENTS: dict[str, Callable[..., float]] = {
    "sampling": moments.optimal,
    "gaussian": moments.gaussian,
    "rademacher": moments.rademacher,
    "countsketch": moments.countsketch,
    "sparse_signs": moments.sparse_signs,
    "srht": moments.srht,
}


def _clarkson_woodruff(task: Task) -> Callable[[], object]:
    # One call sketches both factors, so that they share hashes and signs.
    both, outer = np.hstack([task.A.T, task.B]), len(task.A)

    def call() -> object:
        S = scipy.linalg.clarkson_woodruff_transform(both, task.size, rng=1)
        return S[:, :outer].T @ S[:, outer:]

    return call


def _projection(kind: str, signs: int | None) -> Callable[[Task], Callable[[], object]]:
    def make(task: Task) -> Callable[[], object]:
        from sklearn import random_projection

        both, outer = np.vstack([task.A, task.B.T]), len(task.A)
        options = {} if signs is None else {"density": min(1.0, signs / task.size)}

        def call() -> object:
            projection = getattr(random_projection, kind)(task.size, random_state=1, **options)
            rows = projection.fit_transform(both)
            return rows[:outer] @ rows[outer:].T

        return call

    return make


# A rival of each method, where one installs; stacking the factors for it is not counted.
RIVALS = {
    "gaussian": (
        "sklearn GaussianRandomProjection of [A; B^T]",
        _projection("GaussianRandomProjection", None),
    ),
    "rademacher": (
        "sklearn SparseRandomProjection(density=1)",
        _projection("SparseRandomProjection", 10**9),
    ),
    "countsketch": ("scipy.linalg.clarkson_woodruff_transform of [A^T, B]", _clarkson_woodruff),
    "sparse_signs": (
        "sklearn SparseRandomProjection(density=8/s)",
        _projection("SparseRandomProjection", SIGNS[-1]),
    ),
}


def sparse(lengths: Sequence[int], nonzeros: int, size: int) -> list[Row]:
    """Return the times of CSR factors with the same entries spread over ever more columns."""
    first: dict[str, float] = {}
    rows = []
    for d in lengths:
        density = nonzeros / (OUTER * d)
        A, B = (
            scipy.sparse.random_array(shape, density=density, format="csr", rng=seed)
            for seed, shape in ((2, (OUTER, d)), (3, (d, OUTER)))
        )
        task = f"CSR, {nonzeros:.3g} entries in 2 x {OUTER} x {d:,}, s = {size:,}"
        for name in ("sampling", "countsketch", "sparse_signs"):
            call = functools.partial(sketches.multiply, A, B, size, method=name, rng=1)
            taken = seconds(call, repeats=3)
            start = first.setdefault(name, taken)
            rows.append(Row(task, name, f"d = {lengths[0]:,}", start / taken, f"{taken:.3f} s"))
        exact = seconds(functools.partial(_dense, A, B), repeats=3)
        start = first.setdefault("exact", exact)
        rows.append(Row(task, "(A @ B).toarray()", "itself", start / exact, f"{exact:.3f} s"))
    return rows


def main() -> None:
    """Print the rows that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.multiply", description=__doc__)
    parser.add_argument("--outer", type=int, default=OUTER)
    parser.add_argument("--inner", type=int, default=INNER)
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--methods", nargs="*", choices=methods.METHODS, default=[*methods.METHODS])
    parser.add_argument("--sparse", action="store_true", help="add the sparse factors")
    chosen = parser.parse_args()
    print(table([]))
    if chosen.methods:
        for row in compare(chosen.outer, chosen.inner, chosen.size, chosen.methods):
            print(table([row]).splitlines()[-1], flush=True)
    if chosen.sparse:
        for row in sparse(LENGTHS, NONZEROS, chosen.size):
            print(table([row]).splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
