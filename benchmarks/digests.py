"""`python -m benchmarks.digests [--against FILE]`: digests of what a refactoring must not change.

Print one line for each draw, moment, bound, probability, simulation, sketch and fit of fixed seeds:
its name and a digest of its bits. Keep the lines of the library as it was, and compare:

    python -m benchmarks.digests > before.txt
    python -m benchmarks.digests --against before.txt

The second prints what differs and fails if anything does; lines that are new are no difference. Set
OPENBLAS_NUM_THREADS to one number for both. `--verdicts` adds those of `verify` on the digits (a
minute or two). The figures have digests of their own, in the `manifest.json` that they are drawn
with.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from lth_sketch import (
    Product,
    bounds,
    datasets,
    moments,
    montecarlo,
    probabilities,
    pruning,
    regression,
    sampling,
    sketches,
    verify,
)
from lth_sketch.designs import DESIGNS

# Lengths of weights: shorter than a block, about as long as one, and of several.
LENGTHS = (7, 64, 784, 5000, 300_000)
SIZES = [4, 8, 20]
TAILS = ("mcdiarmid", "bousquet", "radial", "cantelli", "sharpest", "asymptotic_quantile")
METHODS = ("sampling", "gaussian", "rademacher", "countsketch", "srht")


def digest(*arrays: Any) -> str:
    """Return a digest of types, shapes and bits."""
    state = hashlib.sha256()
    for array in arrays:
        if array is not None:
            plain = np.ascontiguousarray(array)
            state.update(f"{plain.dtype} {plain.shape}".encode())
            state.update(plain.tobytes())
    return state.hexdigest()[:16]


def draws(rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    for d in LENGTHS:
        for dtype in (np.float64, np.float32):
            p = rng.gamma(0.3, size=d).astype(dtype) + np.finfo(dtype).tiny
            for design in DESIGNS:
                name = f"{design} of {d} {np.dtype(dtype).name}"
                for s in (1, max(1, d // 10), d // 2, d):
                    yield (
                        f"draw {name}, s = {s}",
                        digest(*sampling.draw(p, s, design=design, rng=3)),
                    )
                rows = sampling.masks(p, max(1, d // 5), 5, design=design, rng=4)
                yield f"masks {name}", digest(rows.data, rows.indices, rows.indptr)


def numbers(rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    data = datasets.load("digits")
    product = Product(data.X, rng.normal(size=data.X.shape[1]))
    best = probabilities.optimal(product)
    free = probabilities.data_free(product.B)
    for name, p in (
        ("optimal", best),
        ("data-free", probabilities.mixture(free, best, 0.1)),
        ("uniform", probabilities.mixture(probabilities.uniform(product.d), best, 0.1)),
        ("leverage", probabilities.leverage(data.X)),
        ("defensive", probabilities.defensive(product, 0.3)),
    ):
        yield f"p {name}", digest(p)
        yield f"distinct, {name}", digest(moments.distinct(p, SIZES))
        for design in DESIGNS:
            where = f"{design}, {name}"
            yield f"moment {where}", digest(getattr(moments, design)(product, p, SIZES))
            yield f"inclusion {where}", digest(probabilities.inclusion(p, 9, design=design))
            errors = montecarlo.squared_errors(product, p, SIZES, trials=200, design=design, rng=1)
            yield f"errors {where}", digest(errors)
        for tail in TAILS:
            yield f"bound {tail}, {name}", digest(getattr(bounds, tail)(product, p, SIZES, 0.05))


def fits(rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    data = datasets.load("digits")
    X, y = data.X, data.y.astype(np.float64)
    d = X.shape[1]
    yield "path", digest(regression.path(X, y, rng.permutation(d)))
    yield "flow", digest(regression.gradient_flow(X, y, time=3.0))
    yield "ridge", digest(regression.ridge(X, y, penalty=1.0))
    masks = scipy.sparse.csr_array((rng.random((20, d)) < 0.5).astype(np.float64))
    yield "fits of masks", digest(*regression.fit_masks(X, y, masks))
    A, B = rng.normal(size=(50, 900)), rng.normal(size=(900, 20))
    for method in METHODS:
        yield f"sketch {method}", digest(sketches.multiply(A, B, 64, method=method, rng=2))
    scores = [rng.gamma(1.0, size=(30, 30)), rng.gamma(1.0, size=100)]
    for design in DESIGNS:
        chosen = pruning.select(scores, 0.1, design=design, rng=1)
        yield f"selection, {design}", digest(*chosen)


def verdicts() -> Iterator[tuple[str, str]]:
    report = verify.run(data="digits", rng=0)
    for row in report.verdicts:
        ends = digest(np.array([row.measured, row.low, row.high, row.value]))
        yield f"{row.label} on {row.product}: {row.verdict}", ends


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.digests")
    parser.add_argument("--against", type=Path, help="lines of an earlier run")
    parser.add_argument("--verdicts", action="store_true", help="those of verify as well")
    chosen = parser.parse_args()
    lines = {}
    for part in (draws, numbers, fits):
        lines |= dict(part(np.random.default_rng(5)))
    lines |= dict(verdicts()) if chosen.verdicts else {}
    if chosen.against is None:
        print("\n".join(f"{name}\t{bits}" for name, bits in lines.items()))
        return 0
    before = dict(line.split("\t") for line in chosen.against.read_text().splitlines())
    changed = [name for name, bits in before.items() if lines.get(name) != bits]
    print("\n".join([*changed, f"{len(before) - len(changed)} of {len(before)} the same"]))
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
