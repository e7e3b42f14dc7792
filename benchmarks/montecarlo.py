"""`squared_errors` on 60,000 x 784, next to a numpy loop over trials and sizes."""

from __future__ import annotations

import os
import time

import numpy as np

from benchmarks.timing import Row, peak_bytes, seconds
from lth_sketch import Product, datasets, moments, montecarlo, probabilities

SIZES = np.array([8, 16, 32, 64, 128, 256, 512, 784])
TRIALS = 10_000
LOOP_TRIALS = 5


def images() -> tuple[np.ndarray, str]:
    """Fashion-MNIST where it lies at hand, otherwise noise of the same shape."""
    if "LTH_SKETCH_DATA" in os.environ:
        return datasets.load("fashion_mnist").X, "Fashion-MNIST"
    return np.random.default_rng(0).random((60_000, 784)), "noise 60,000 x 784"


def loop(X: np.ndarray, w: np.ndarray, p: np.ndarray, trials: int) -> np.ndarray:
    """Draw, mask, multiply, for each trial and each size, as a notebook would."""
    rng = np.random.default_rng(0)
    exact = X @ w
    errors = np.empty((len(SIZES), trials))
    for k, s in enumerate(SIZES):
        for t in range(trials):
            picks = rng.choice(len(p), s, p=p)
            m = np.bincount(picks, minlength=len(p)) / (s * p)
            errors[k, t] = np.sum((X @ (m * w) - exact) ** 2)
    return errors


def run() -> list[Row]:
    """Compare the whole call, the reduction of S0 included."""
    X, name = images()
    w = np.random.default_rng(1).normal(size=X.shape[1])
    p = probabilities.optimal(Product(X, w))

    def ours() -> np.ndarray:
        return montecarlo.squared_errors(Product(X, w), p, SIZES, trials=TRIALS, rng=2)

    taken = seconds(ours, repeats=3)
    start = time.perf_counter()
    loop(X, w, p, LOOP_TRIALS)
    rival = (time.perf_counter() - start) * TRIALS / LOOP_TRIALS
    memory = peak_bytes(ours)
    errors = ours()
    exact = moments.multinomial(Product(X, w), p, SIZES)
    off = abs(errors.mean(axis=1) - exact) / (errors.std(axis=1) / TRIALS**0.5)
    return [
        Row(
            f"{TRIALS} trials at {len(SIZES)} sizes, {name}",
            "montecarlo.squared_errors",
            f"numpy loop ({LOOP_TRIALS} trials, scaled)",
            rival / taken,
            f"{memory / 2**20:.0f} MiB above the input; mean within {off.max():.1f} standard "
            "errors of S2 at every size",
        )
    ]
