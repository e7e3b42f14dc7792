"""S0': a triangle answers like its rows, however they are cut; faults are named by row."""

from __future__ import annotations

import itertools
import subprocess
import sys

import dask
import dask.array as da
import numpy as np
import pytest
import reference
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from lth_sketch import Product, bounds, moments, montecarlo, probabilities, pruning, regression
from lth_sketch.regression import Problem
from lth_sketch.scale import columns, norms, rows, trees, triangles
from lth_sketch.testing import problems
from lth_sketch.tolerances import EXACT, ROUNDING, STIFF, ULPS

S = [3, 9, 40]
# Each of them asks dask for a dozen graphs.
EXAMPLES = 1 + settings.default.max_examples // 2


@pytest.fixture(autouse=True)
def synchronous():
    with dask.config.set(scheduler="synchronous"):
        yield


def cuts(draw, length):
    """Lengths of chunks, empty ones and such of one row among them."""
    inner = draw(st.lists(st.integers(0, length), max_size=6))
    ends = [0, *sorted(inner), length]
    return tuple(b - a for a, b in itertools.pairwise(ends))


@st.composite
def chunked(draw):
    """A problem, its rows as a collection of dask cut on both axes, and its targets."""
    case = draw(problems())
    X, y = np.ascontiguousarray(case.X), np.ascontiguousarray(case.y)
    heights = cuts(draw, X.shape[0])
    widths = tuple(n for n in cuts(draw, X.shape[1]) if n)
    x = da.from_array(X, chunks=(heights, widths))
    if draw(st.booleans()):
        x = x.map_blocks(scipy.sparse.csr_array, dtype=X.dtype)
    outputs = (tuple([1] * y.shape[1]),) if y.ndim == 2 else ()
    return case, x, da.from_array(y, chunks=(cuts(draw, len(y)), *outputs))


def close(value, expected, size, tolerance=EXACT):
    assert np.shape(value) == np.shape(expected)
    assert np.abs(np.asarray(value) - expected).max(initial=0.0) <= tolerance * size


@settings(max_examples=EXAMPLES)
@given(chunked())
def test_the_triangle_has_the_inner_products_of_the_rows(drawn):
    case, x, y = drawn
    data = rows(x, y)
    X, Y = (reference.wide(a) for a in (case.X, case.y))
    assert data.n_samples == len(X)
    assert data.X.shape == (min(len(X), X.shape[1] + (1 if Y.ndim == 1 else Y.shape[1])), len(X.T))
    assert data.y.shape == (len(data.X), *Y.shape[1:])
    sizes, targets = np.linalg.norm(X, axis=0), np.linalg.norm(Y, axis=0)
    close(data.X.T @ data.X, X.T @ X, np.outer(sizes, sizes).max(initial=1e-300))
    close(data.X.T @ data.y, X.T @ Y, max(sizes.max() * targets.max(), 1e-300))
    close(np.linalg.norm(data.y, axis=0), targets, max(targets.max(), 1e-300))
    close(norms(x), sizes, sizes.max())
    alone = rows(x)
    assert alone.y is None
    close(alone.X.T @ alone.X, X.T @ X, np.outer(sizes, sizes).max(initial=1e-300))


@settings(max_examples=EXAMPLES)
@given(chunked())
def test_training_on_the_triangle_is_training_on_the_rows(drawn):
    case, x, y = drawn
    data = rows(x, y)
    here = Problem(data.X, data.y, case.w0, n_samples=data.n_samples)
    there = Problem(case.X, case.y, case.w0)
    assert here.rank == there.rank
    close(here.singular_values, there.singular_values, case.sigma, ROUNDING)
    w = there.gradient_flow(1 / case.sigma**2)
    close(here.gradient_flow(1 / case.sigma**2), w, np.linalg.norm(w) + case.size / case.sigma)
    for weights, expected in (
        (here.gradient_flow(), there.gradient_flow()),
        (here.ridge(case.sigma**2), there.ridge(case.sigma**2)),
    ):
        off = reference.wide(case.X) @ (weights - expected)
        assert np.linalg.norm(off) <= ROUNDING * max(case.condition, 100) * case.size
    order = np.arange(len(case.w0))[::-1]
    close(np.sqrt(here.path(order)), np.sqrt(there.path(order)), case.size, 2**20 * ROUNDING)


def gaussian(n=400, d=12, r=2, condition=1.0):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((n, d))
    if condition > 1:
        U, _, Vt = np.linalg.svd(X, full_matrices=False)
        X = U * np.geomspace(1.0, 1.0 / condition, d) @ Vt
    return X, rng.standard_normal((n, r)), rng.standard_normal((d, r))


def answers(X, y, w, n_samples):
    """Every public function that takes rows, or a product of them."""
    product = Product(X, w)
    p = probabilities.optimal(product)
    uniform = np.full(len(p), 1.0)
    problem = Problem(X, y, w, n_samples=n_samples)
    keeps = np.random.default_rng(3).random((5, len(p))) < 0.6
    keeps[:, 0] = True
    values = {
        "norms": product.column_norms,
        "norm2": product.norm2,
        "leverage": probabilities.leverage(X),
        "ridge leverage": probabilities.leverage(X, 3.0),
        "defensive": probabilities.defensive(product, 0.3),
        "snip": pruning.snip(X, y, w),
        "snip_rms": pruning.snip_rms(X, w, 0.5),
        "grasp": pruning.grasp(X, y, w),
        "sketch": pruning.sketch(X, w),
        "excess": pruning.excess(product, uniform, np.array([3, 9])),
        "flow": problem.gradient_flow([0.0, 1e-3, np.inf]),
        "masked flow": problem.gradient_flow(mask=keeps[0] * 1.5),
        "descent": problem.gradient_descent(1e-4, [0, 1, 10**6]),
        "ridge": problem.ridge([0.0, 1.0, 100.0]),
        "loss": problem.loss(w),
        "path": problem.path(np.argsort(p)),
        "fit_masks": problem.fit_masks(scipy.sparse.csr_array(keeps * 1.0))[0],
        "displacement": bounds.displacement(X, X @ w - y, "flow", time=[0.1, 1e-3]),
        "retrained": bounds.retrained([0.1], X, y, penalty=2.0),
        "spectral": bounds.spectral(X, p, S, 0.1, ridge=1.0),
        "simulated": montecarlo.squared_errors(product, uniform, S, trials=50, rng=1),
    }
    for name in ("multinomial", "poisson", "systematic", "priority", "top"):
        values[f"moment {name}"] = getattr(moments, name)(product, uniform, [3, 9])
    for name in ("gaussian", "rademacher", "countsketch", "srht", "optimal"):
        values[f"moment {name}"] = getattr(moments, name)(product, [3, 9])
    values["variance"] = moments.variance(product, uniform, S)
    for name in ("mcdiarmid", "bousquet", "radial", "cantelli", "sharpest", "asymptotic_quantile"):
        values[name] = getattr(bounds, name)(product, uniform, S, 0.05)
    values["B2"] = bounds.dkm(product, S, 0.05)
    values["B1"] = bounds.frobenius(product, S)
    values["priority bound"] = bounds.priority(product, S)
    return {name: np.asarray(value, dtype=float) for name, value in values.items()}


CHUNKS = [((400,), (12,)), ((1, 0, 13, 386), (5, 7)), ((57,) * 7 + (1,), (12,))]


@pytest.mark.parametrize("chunks", CHUNKS)
def test_every_function_answers_alike(chunks):
    X, y, w = gaussian()
    expected = answers(X, y, w, None)
    data = rows(da.from_array(X, chunks=chunks), da.from_array(y, chunks=(chunks[0], (2,))))
    ours = answers(data.X, data.y, w, data.n_samples)
    for name, value in expected.items():
        scale = np.abs(value).max()
        assert np.abs(ours[name] - value).max() <= EXACT * scale, name


def test_least_squares_at_condition_1e9_keeps_its_digits():
    X, y, w = gaussian(condition=1e9)
    y = X @ w + 1e-10 * y
    data = rows(da.from_array(X, chunks=(61, 5)), da.from_array(y, chunks=(61, 1)))
    order = np.arange(12)
    problem = Problem(data.X, data.y, n_samples=data.n_samples)
    expected = Problem(X, y)
    # A Gram matrix would have lost everything: 1e-16 of 1e18.
    w, v = problem.gradient_flow(), expected.gradient_flow()
    assert np.linalg.norm(w - v) <= STIFF * np.linalg.norm(v)
    close(problem.path(order), expected.path(order), expected.path(order).max(), 1e-11)


# --- one tree, whatever holds the rows ----------------------------------------------------------


def forms(X, y, tmp_path):
    """The same rows in the same parts, held by everything that may hold them."""
    path = tmp_path / "rows.dat"
    X.tofile(path)
    mapped = np.memmap(path, X.dtype, "r", shape=X.shape)
    yield "array", lambda: rows(X, y)
    yield "map", lambda: rows(mapped, y)
    yield "part of a map", lambda: rows(mapped[3:], y[3:])
    yield "sparse", lambda: rows(scipy.sparse.csr_array(X), y)
    yield "columns", lambda: rows(np.asfortranarray(X), y)
    yield "pairs", lambda: rows(iter([(X, y)]))
    yield "blocks", lambda: rows(iter([X]), y)


def test_arrays_maps_and_iterators_give_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr("lth_sketch.scale.parts.ENTRIES", 1)
    X, y, _ = gaussian()
    made = {name: make() for name, make in forms(X, y, tmp_path)}
    plain = made.pop("array")
    for name in ("map", "sparse", "columns"):
        np.testing.assert_array_equal(made[name].X, plain.X)
        np.testing.assert_array_equal(made[name].y, plain.y)
    for name in ("pairs", "blocks"):
        close(made[name].X.T @ made[name].y, X.T @ y, 400)
    part = made["part of a map"]
    assert part.n_samples == 397
    close(part.X.T @ part.y, X[3:].T @ y[3:], 400)


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 63, 64, 65, 200])
def test_the_tree_of_an_iterator_is_that_of_dask(count):
    X, y, _ = gaussian(n=count * 3, d=4, r=1)
    lazy = rows(da.from_array(X, chunks=(3, 4)), da.from_array(y[:, 0], chunks=3))
    local = rows(iter([X[i : i + 3] for i in range(0, len(X), 3)]), y[:, 0])
    np.testing.assert_array_equal(lazy.X, local.X)
    np.testing.assert_array_equal(lazy.y, local.y)
    # The tree keeps the order, and merges at most so many at a time.
    assert trees.gathered((str(i) for i in range(count)), lambda *a: "+".join(a)) == "+".join(
        map(str, range(count))
    )


def test_no_number_of_threads_changes_a_bit(monkeypatch):
    monkeypatch.setattr("lth_sketch.scale.parts.ENTRIES", 1)
    X, y, _ = gaussian(n=2000)
    one, many = (rows(X, y, n_jobs=n) for n in (1, 3))
    np.testing.assert_array_equal(one.X, many.X)
    np.testing.assert_array_equal(one.y, many.y)
    np.testing.assert_array_equal(norms(X, n_jobs=1), norms(X, n_jobs=3))


def test_unknown_chunks_float32_and_integers():
    X, y, _ = gaussian()
    keep = X[:, 0] > 0
    x, t = da.from_array(X, chunks=(57, 5)), da.from_array(y[:, 0], chunks=57)
    data = rows(x[x[:, 0] > 0], t[x[:, 0] > 0])
    assert data.n_samples == keep.sum()
    close(data.X.T @ data.y, X[keep].T @ y[keep, 0], 400)
    single = rows(x.astype(np.float32))
    wide = X.astype(np.float32).astype(float)
    assert single.X.dtype == np.float64
    close(single.X.T @ single.X, wide.T @ wide, 400)
    whole = rows(da.from_array(np.arange(24).reshape(8, 3), chunks=(3, 2)))
    close(whole.X.T @ whole.X, np.arange(24.0).reshape(8, 3).T @ np.arange(24).reshape(8, 3), 1e3)


def test_norms_of_any_size():
    X = np.array([[1e200, 3e-200, 0.0, 1.0], [1e200, 4e-200, 0.0, 1.0]])
    expected = [2**0.5 * 1e200, 5e-200, 0.0, 2**0.5]
    for source in (X, da.from_array(X, chunks=(1, 3)), scipy.sparse.csr_array(X), X.T.copy().T):
        np.testing.assert_allclose(norms(source), expected, rtol=ULPS)
    block = np.vstack([np.full((3, 2), 1e200), np.full((5, 2), 1e-200), np.ones((2, 2))])
    of_block = norms(da.from_array(block, chunks=(2, 1)))
    np.testing.assert_allclose(of_block, 3**0.5 * 1e200, rtol=ULPS)


def test_lapack_by_its_address_gives_the_bits_of_scipy(monkeypatch):
    X, y, _ = gaussian()
    direct = rows(X, y)
    monkeypatch.setattr("lth_sketch.scale.lapack._pointer", lambda: None)
    wrapped = rows(X, y)
    np.testing.assert_array_equal(direct.X, wrapped.X)


# --- what is wrong is named ---------------------------------------------------------------------


def first_fault(call):
    try:
        call()
    except (TypeError, ValueError) as error:
        return str(error)
    return "nothing was raised"


def test_the_first_entry_that_is_not_finite_is_named():
    X, y, _ = gaussian(n=300, d=3, r=1)
    X[250, 1], X[17, 2] = np.inf, np.nan
    wanted = "X must be finite; got X[17, 2] = nan"
    for source in (X, da.from_array(X, chunks=(1, 2)), scipy.sparse.csr_array(X)):
        assert wanted in first_fault(lambda source=source: rows(source))
        assert wanted in first_fault(lambda source=source: norms(source))
    assert wanted in first_fault(lambda: rows(iter(np.split(X, 10))))
    X[17, 2] = X[250, 1] = 0.0
    y[40] = np.nan
    assert "y must be finite; got y[40, 0] = nan" in first_fault(lambda: rows(X, y))
    for position in range(300):
        X[position, 1] = np.nan
        assert f"X[{position}, 1]" in first_fault(lambda: rows(X))
        X[position, 1] = 1.0


def test_bad_rows_are_refused_in_our_words():
    X, y, w = gaussian(n=20, d=3, r=1)
    x = da.from_array(X, chunks=(7, 3))
    unknown = x[x[:, 0] > 0]
    refused = {
        "y must have one row for each of the 20 rows of X": [
            lambda: rows(X, y[1:]),
            lambda: rows(x, y[1:]),
            lambda: rows(x, da.from_array(y[1:])),
            lambda: rows(iter([X]), y[1:]),
            lambda: rows(iter([X[:10], X[10:]]), np.vstack([y, y])),
        ],
        "y must have one row for each row of X": [
            lambda: rows(iter([(X, y[1:])])),
            lambda: rows(unknown, da.from_array(y, chunks=7)),
        ],
        "y must have a chunk for each": [lambda: rows(unknown, da.from_array(y, chunks=5))],
        "call X.compute_chunk_sizes()": [lambda: rows(unknown, y), lambda: rows(unknown.T)],
        "blocks must have as many columns each; the one from row 10 on": [
            lambda: rows(iter([X[:10], X[10:, 1:]])),
            lambda: norms(iter([X[:10], X[10:, 1:]])),
        ],
        "X must have 2 axes": [
            lambda: rows(X[0]),
            lambda: rows(x[:, 0]),
            lambda: rows(iter([X[0]])),
            lambda: norms(iter([X[0]])),
        ],
        "X must hold real numbers": [lambda: rows(X + 0j), lambda: rows(x + 0j)],
        "X must not be empty": [lambda: rows(iter([])), lambda: rows(x[:0]), lambda: norms(x[:0])],
        "must be arrays, or pairs": [lambda: rows(iter([(X, y)]), y)],
        "y is a dask array and X is not": [lambda: rows(X, da.from_array(y))],
        "squares leave the range": [lambda: rows(np.full((9, 2), 1e308))],
        "executor must be a concurrent.futures.Executor": [lambda: rows(X, executor=3)],
        "n_samples must be at least the 20 rows": [lambda: Problem(X, y, n_samples=19)],
        "lth_sketch.scale.rows": [
            lambda: Problem(x, y),
            lambda: Product(x, w),
            lambda: Product(X, da.from_array(w)),
            lambda: probabilities.from_scores(x[0]),
            lambda: regression.path(x, y, [0, 1, 2]),
        ],
    }
    for text, calls in refused.items():
        for number, call in enumerate(calls):
            assert text in first_fault(call), (number, first_fault(call))


def test_faults_of_sums_and_triangles_are_merged_in_order():
    for room in (triangles, columns):
        good, bad = np.ones((2, 2)), np.array([[1.0, np.nan]])
        merged = room.merged(room.chunk(good), room.chunk(bad), room.chunk(good), room.chunk(bad))
        assert merged.fault.row == 2
        assert merged.n == 6


def test_importing_the_library_imports_no_engine():
    code = (
        "import sys, lth_sketch, lth_sketch.scale, lth_sketch.cli\n"
        "print([n for n in ('dask', 'distributed', 'safetensors', 'torch', 'mpi4py') "
        "if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
