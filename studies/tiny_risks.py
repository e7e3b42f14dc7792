"""B6, B6' and B10 over the quantile of the limit law, for risks that no simulation reaches."""

from __future__ import annotations

import time

import numpy as np

from lth_sketch import Product, bounds, datasets, probabilities
from lth_sketch.validation import Floats

RISKS = (1e-3, 1e-6, 1e-9, 1e-12)
# Draws for each feature.
DRAWN = (0.1, 0.5, 2.0, 10.0)
SUBSET = {"cifar10": 4000}
FORMS = ("B6", "B6'", "B10")


def laws(name: str) -> list[tuple[str, Product, Floats]]:
    """Return three draws for Gaussian weights and for their absolute values."""
    X = datasets.load(name, subset=SUBSET.get(name)).X
    w = np.random.default_rng(0).normal(size=X.shape[1])
    cases = []
    for kind, weights in (("Gaussian", w), ("coherent", abs(w))):
        product = Product(X, weights)
        for draw, p in (
            ("optimal", probabilities.optimal(product)),
            ("data-free", probabilities.data_free(weights)),
            ("uniform", probabilities.uniform(product.d)),
        ):
            cases.append((f"{name}, {kind}, {draw}", product, p))
    return cases


def table(names: list[str]) -> str:
    """Return medians and worst cases as Markdown, and how long the constants and a bound take."""
    ratios: dict[tuple[str, float], list[float]] = {(f, r): [] for f in FORMS for r in RISKS}
    notes = []
    for name in names:
        for law, product, p in laws(name):
            s = np.array([int(share * product.d) for share in DRAWN])
            bounds.asymptotic_quantile(product, p, s, 0.5)
            start = time.process_time()
            bounds.centred(product, p, int(s[0]), 0.5)
            first = time.process_time() - start
            start = time.process_time()
            for delta in RISKS:
                limit = bounds.asymptotic_quantile(product, p, s, delta)
                each = (
                    bounds.radial(product, p, s, delta),
                    bounds.radial(product, p, s, delta, centres=2),
                    bounds.centred(product, p, s, delta),
                )
                assert (each[2] <= each[0]).all()
                for form, form_bounds in zip(FORMS, each, strict=True):
                    ratios[form, delta] += list(form_bounds / limit)
            bound = (time.process_time() - start) / len(s) / len(RISKS)
            notes.append(f"{law}: constants {first:.2f} s, then {bound:.3f} s a bound (CPU)")
    lines = [
        "| delta | " + " | ".join(f"{form}, median / worst" for form in FORMS) + " |",
        "| --- " * (len(FORMS) + 1) + "|",
    ]
    for delta in RISKS:
        cells = [
            f"{np.median(ratios[form, delta]):.2f} / {max(ratios[form, delta]):.2f}"
            for form in FORMS
        ]
        lines.append(f"| {delta:.0e} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *notes])
