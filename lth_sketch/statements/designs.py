"""S5 and S8-S11: designs of fixed size, patterns, and the other sketches of the field."""

from __future__ import annotations

import numpy as np

from lth_sketch import bounds, intervals, moments, sampling, sketches
from lth_sketch.intervals import Interval
from lth_sketch.product import Product
from lth_sketch.statements.case import Case
from lth_sketch.statements.sketching import (
    COMMON,
    FIXED_SIZE,
    SKETCHES,
    design_mean,
    simulated_mean,
)
from lth_sketch.statements.statement import Assumption, Statement
from lth_sketch.tolerances import ROUNDING

PATTERN = (2, 4)
# Signs in a row of the sketch.
SIGNS = 4
# Masks with a pattern that are simulated one by one.
MASKS = 2 * SKETCHES
# Masks of entries that exist at a time.
ROWS = 500


def _grouped_mean(case: Case, risk: float) -> Interval:
    product = case.product
    # Groups are independent: many masks are one long one.
    masks = sampling.grouped(np.tile(case.p, MASKS), PATTERN, rng=case.rng(5))
    gaps = masks.reshape(MASKS, -1) - 1.0
    errors = np.square(gaps @ product.unit_factor).sum(axis=1) * product.total**2
    return simulated_mean(case, errors, risk)


def _triangle(case: Case) -> Product:
    """Return the product with the triangle of A: few rows, the same norms and inner products."""
    return Product(np.linalg.qr(case.product.A, mode="r"), case.product.B)


def _entries_mean(case: Case, risk: float) -> Interval:
    """Draw the entries of both matrices as `sketches.multiply` does, all masks at once."""
    product, rng = _triangle(case), case.rng(6)
    AB, errors = product.value, []
    for _ in range(MASKS // ROWS):
        kept = []
        for M, size in ((product.A, case.s * product.q), (product.B, case.s)):
            entries = np.flatnonzero(M)
            masks = np.zeros((ROWS, M.size))
            masks[:, entries] = sampling.masks(
                np.abs(M.ravel()[entries]), size, ROWS, design="poisson", rng=rng
            ).toarray()
            kept.append(masks.reshape(ROWS, *M.shape) * M)
        gaps = np.einsum("tji,ti->tj", *kept) - AB
        errors.append(np.square(gaps).sum(axis=1))
    return simulated_mean(case, np.concatenate(errors), risk)


def _sketched_mean(case: Case, risk: float, signs: int, corrected: bool) -> Interval:
    """Measure the error of many sketches at once: of sparse signs, or of Gaussian entries (0)."""
    product, rng, s = _triangle(case), case.rng(6), case.s
    A, B = product.A, product.B
    errors = []
    for _ in range(MASKS // ROWS):
        shape = (ROWS, product.d, s)
        if signs:
            # The least of s uniforms each: distinct columns, all sets alike.
            places = np.argpartition(rng.random(shape), signs - 1, axis=2)[:, :, :signs]
            S = np.zeros(shape)
            np.put_along_axis(S, places, rng.choice([-1.0, 1.0], places.shape) / signs**0.5, axis=2)
        else:
            S = rng.standard_normal(shape) / s**0.5
        left, right = A @ S, np.einsum("i,tis->ts", B, S)
        if corrected:
            left *= (np.linalg.norm(A, axis=1) / np.linalg.norm(left, axis=2))[:, :, None]
            right *= (np.linalg.norm(B) / np.linalg.norm(right, axis=1))[:, None]
        gaps = np.einsum("tjs,ts->tj", left, right) - product.value
        errors.append(np.square(gaps).sum(axis=1))
    return simulated_mean(case, np.concatenate(errors), risk)


def _signs_mean(case: Case, risk: float) -> Interval:
    return _sketched_mean(case, risk, SIGNS, False)


def _corrected_mean(case: Case, risk: float) -> Interval:
    return _sketched_mean(case, risk, 0, True)


def _nearest(case: Case, risk: float) -> Interval:
    """Return the squared error of eight bits, by its definition."""
    A, B = case.product.A, case.product.B
    gap = sketches.multiply(A, B, 127, method="int8") - A @ B
    error = float(np.square(gap).sum())
    return intervals.exact(error, ROUNDING * case.product.total**2)


def _directions(case: Case, risk: float) -> Interval:
    A, B = case.product.A, case.product.B
    gap = sketches.multiply(A, B, case.s, method="co_occurring") - A @ B
    spectral = float(np.linalg.norm(gap, 2))
    return intervals.exact(spectral, ROUNDING * case.product.total)


DIVISIBLE = Assumption(
    "M divides the number of features", lambda case: case.product.d % PATTERN[1] == 0
)
ENTRIES = Assumption(
    "both factors have as many nonzero entries as are kept of them",
    lambda case: (
        case.s * _triangle(case).q <= int(np.count_nonzero(_triangle(case).A))
        and case.s <= int(np.count_nonzero(case.product.B))
    ),
)

DESIGNS = (
    Statement(
        "S5",
        "pivotal: E||err||^2 as a sum over duels",
        "identity",
        lambda case: float(moments.pivotal(case.product, case.p, case.s)),
        design_mean("pivotal"),
        COMMON,
        (FIXED_SIZE,),
        design="pivotal",
        figure="designs",
    ),
    Statement(
        "S5",
        "conditional Poisson: E||err||^2 from the exact pi_ij on the circle",
        "identity",
        lambda case: float(moments.conditional(case.product, case.p, case.s)),
        design_mean("conditional"),
        COMMON,
        (FIXED_SIZE,),
        design="conditional",
        figure="designs",
    ),
    Statement(
        "S8",
        "hybrid: E||err||^2 = (sum_R u_i^2 / q_i - ||A_R B_R||^2) / (s - c)",
        "identity",
        lambda case: float(moments.hybrid(case.product, case.p, case.s)),
        design_mean("hybrid"),
        COMMON,
        figure="designs",
    ),
    Statement(
        "S9",
        "2 of 4: E||err||^2 from the exact pi_ij of each group",
        "identity",
        lambda case: float(moments.grouped(case.product, case.p, PATTERN)),
        _grouped_mean,
        ("thumbnail",),
        (DIVISIBLE,),
        figure="designs",
    ),
    Statement(
        "S10",
        "sparse signs: E||A S S^T B - AB||^2 is that of the CountSketch",
        "identity",
        lambda case: float(moments.sparse_signs(case.product, case.s)),
        _signs_mean,
        ("standardised",),
        figure="sketches",
    ),
    Statement(
        "S11",
        "entries sampled by size: E||A~ B~ - AB||^2 = sum v_i b_i^2 + a_i^2 w_i + v_i w_i",
        "identity",
        lambda case: float(moments.elementwise(_triangle(case), case.s)),
        _entries_mean,
        ("thumbnail",),
        (ENTRIES,),
        design="elementwise",
        figure="sketches",
    ),
    Statement(
        "S11",
        "true norms on a Gaussian sketch: squared bias plus variance",
        "identity",
        lambda case: float(moments.norm_corrected(_triangle(case), case.s).total),
        _corrected_mean,
        ("thumbnail",),
        design="norm_corrected",
        figure="sketches",
    ),
    Statement(
        "S11",
        "eight bits, nearest: the squared error, all of it bias",
        "identity",
        lambda case: moments.int8(case.product),
        _nearest,
        ("kernel",),
        design="int8",
        figure="sketches",
    ),
    Statement(
        "S11",
        "co-occurring directions: ||L N^T - AB||_2 <= ||A|| ||B|| / (s + 1)",
        "bound",
        lambda case: float(bounds.co_occurring(case.product, case.s)),
        _directions,
        ("kernel",),
        trivial=lambda case: float(np.linalg.norm(case.product.value, 2)),
        design="co_occurring",
        figure="sketches",
    ),
)
