"""B9: what its moments and a bound cost, and what a simulation of the same certainty would."""

from __future__ import annotations

import itertools
import math
import time

import numpy as np

from benchmarks.timing import Row, peak_bytes, seconds
from lth_sketch import Product, bounds, moments, montecarlo, probabilities

# Wanted: seconds for order 4 and 6 at d = 784, for another s, for one bound, and at d = 3072.
FOUR, SIX, ANOTHER, ONE, WIDE = 0.5, 2.0, 1e-3, 0.05, 5.0
DELTA, RISK = 1e-6, 1e-6


def run() -> list[Row]:
    """Return a row for each wish; `times faster` is the wish over what it took."""
    product, p = _case(784)
    rng = np.random.default_rng(1)
    others = (rng.random(product.d) + 0.5 for _ in itertools.count())
    rows = []
    for order, wish in ((4, FOUR), (6, SIX)):

        def raw(order: int = order) -> object:
            # Another p: nothing is kept of the one before.
            return moments.raw(product, p * next(others), 100, order)

        rows.append(_row(f"moments to order {order}, d = 784", wish, seconds(raw, 3)))
    sizes = iter(range(101, 10_000))
    another = seconds(lambda: moments.raw(product, p, next(sizes), 6), 20)
    rows.append(_row("another s", ANOTHER, another))
    one = seconds(lambda: bounds.moment(product, p, next(sizes), DELTA))
    rows.append(_row("one bound", ONE, one))
    rows.append(_simulation(product, p, one))
    product, p = _case(3072)

    def wide() -> object:
        return moments.raw(product, p * next(others), 100, 4)

    start = time.perf_counter()
    used = peak_bytes(wide) / 8 / product.d**2
    rows.append(_row("moments to order 4, d = 3072", WIDE, time.perf_counter() - start))
    rows.append(
        Row("memory at d = 3072", "moments.raw", "12 d^2 doubles", 12 / used, f"{used:.1f} d^2")
    )
    return rows


def _case(d: int) -> tuple[Product, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Make a product in general position, its factor computed already."""
    rng = np.random.default_rng(0)
    product = Product(rng.normal(size=(d + 50, d)), rng.normal(size=d))
    p = probabilities.optimal(product)
    bounds.cantelli(product, p, 10, 0.1)
    return product, np.asarray(p)


def _row(task: str, wish: float, taken: float) -> Row:
    return Row(task, "moments.raw, bounds.moment", f"{wish:g} s", wish / taken, f"{taken:.3g} s")


def _simulation(product: Product, p: object, one: float) -> Row:
    """B8 needs enough masks for its risk: their time, from that of a few."""
    trials = math.ceil(math.log(RISK) / math.log1p(-DELTA))
    few = 200
    taken = seconds(lambda: montecarlo.squared_errors(product, p, 784, trials=few, rng=0), 2)
    whole = taken / few * trials
    note = f"B8 at delta = {DELTA:g}: {trials:,} masks of s = 784, about {whole / 60:.0f} minutes"
    return Row("a certificate at delta = 1e-6", "bounds.moment", "B8", whole / one, note)
