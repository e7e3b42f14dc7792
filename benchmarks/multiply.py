"""`sketches.multiply` next to the dense product, and CountSketch next to scipy's."""

from __future__ import annotations

import functools

import numpy as np
import scipy.linalg
import scipy.sparse

from benchmarks.timing import Row, seconds
from lth_sketch import Product, moments, probabilities, sketches

OUTER, INNER = 1000, 100_000
SIZE = INNER // 50
TASK = f"({OUTER} x {INNER:,})({INNER:,} x {OUTER})"


def run() -> list[Row]:
    """Multiply by sampling and by the other sketches that are cheaper than the product."""
    rng = np.random.default_rng(0)
    # Columns of many sizes: the draw has something to choose.
    scale = np.exp(rng.normal(size=INNER))
    A = rng.standard_normal((OUTER, INNER)) * scale
    B = rng.standard_normal((INNER, OUTER))
    product = Product(A, B)
    p = probabilities.optimal(product)
    dense = seconds(lambda: A @ B)
    rows = []
    for name, given in (("p given", p), ("p=None, the norms counted", None)):
        # A Generator moves on: each call draws, and reads, other columns.
        call = functools.partial(sketches.multiply, A, B, SIZE, p=given, rng=rng)
        ratio = dense / seconds(call, repeats=15)
        off = _off(call(), product, moments.optimal(product, SIZE))
        rows.append(
            Row(
                f"{TASK}, s = d/50", f"sampling, {name}", "A @ B", ratio, f"{off:.3f} of S2's error"
            )
        )
    for method, moment in (("countsketch", moments.countsketch), ("srht", moments.srht)):
        call = functools.partial(sketches.multiply, A, B, SIZE, method=method, rng=1)
        ratio = dense / seconds(call, repeats=3)
        off = _off(call(), product, moment(product, SIZE))
        rows.append(Row(f"{TASK}, s = d/50", method, "A @ B", ratio, f"{off:.3f} of S7's error"))
    rows.append(_against_scipy(A, B))
    return [*rows, _sparse()]


def _against_scipy(A: np.ndarray, B: np.ndarray) -> Row:
    # One call sketches both factors, so that they share hashes and signs.
    both = np.hstack([A.T, B])

    def rival() -> np.ndarray:
        S = scipy.linalg.clarkson_woodruff_transform(both, SIZE, rng=1)
        return S[:, :OUTER].T @ S[:, OUTER:]

    ours = seconds(lambda: sketches.multiply(A, B, SIZE, method="countsketch", rng=1), repeats=3)
    return Row(
        f"{TASK}, s = d/50",
        "countsketch",
        "scipy.linalg.clarkson_woodruff_transform of [A^T, B]",
        seconds(rival, repeats=3) / ours,
        "stacking the factors not counted",
    )


def _sparse() -> Row:
    A = scipy.sparse.random_array((OUTER, INNER), density=0.01, format="csr", rng=2)
    B = scipy.sparse.random_array((INNER, OUTER), density=0.01, format="csr", rng=3)
    exact = seconds(lambda: (A @ B).toarray(), repeats=3)
    ours = seconds(lambda: sketches.multiply(A, B, SIZE, rng=1), repeats=3)
    return Row(
        f"{TASK}, CSR of density 1%, s = d/50",
        "sampling, p=None",
        "(A @ B).toarray()",
        exact / ours,
    )


def _off(found: np.ndarray, product: Product, second_moment: float) -> float:
    """Return the measured error over the predicted root mean square."""
    return float(np.linalg.norm(found - product.value) / np.sqrt(second_moment))
