"""Approximate products: every outcome of small sketches, every format, nothing read in vain."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import reference
import scipy.linalg
import scipy.sparse
import scipy.stats
import threadpoolctl
from hypothesis import given
from hypothesis import strategies as st

from lth_sketch import Product, bounds, methods, moments, probabilities, sampling, sketches
from lth_sketch.kernels import transforms
from lth_sketch.parallel import blockwise
from lth_sketch.sketches import _operands, multiplication
from lth_sketch.testing import products
from lth_sketch.tolerances import CONDITIONED, EXACT, LAYER, PUBLISHED, QUADRATURE, SINGLE

KNOWN = json.loads((Path(__file__).parent / "known_answers.json").read_text())
# Each statistical test below errs with probability 1e-9 at most.
SIGNIFICANCE = 1e-9
METHODS = list(methods.METHODS)
# Their laws have few outcomes, all listed by the slow twin.
DENSE = ["gaussian", "rademacher", "countsketch", "srht"]


def factors(q=7, d=50, r=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(q, d)), rng.normal(size=(d, r))


# --- S7: the moments ----------------------------------------------------------------------------


def test_the_register_names_what_is_there():
    """Every method runs, and its moment and its tail are functions of the library."""
    A, B = factors()
    for name, record in methods.METHODS.items():
        assert record.name == name
        assert sketches.multiply(A, B, 4, method=name, rng=0).shape == (7, 4)
        assert record.moment is None or callable(getattr(moments, record.moment))
        assert record.tail is None or callable(getattr(bounds, record.tail))
        again = [sketches.multiply(A, B, 4, method=name, rng=seed) for seed in (1, 2)]
        assert np.array_equal(*again) != record.random


@given(products(max_d=3, max_q=2, max_r=2), st.sampled_from([*DENSE, "replaced"]), st.data())
def test_moments_against_every_outcome(product, kind, data):
    s = data.draw(st.integers(1, 1 if kind == "gaussian" and product.d == 3 else 2))
    A = product.A / np.abs(product.A).max()
    B = np.reshape(product.B / np.abs(product.B).max(), (product.d, -1))
    size = float(np.sum(A * A) * np.sum(B * B))
    law = reference.sketch_law(kind, product.d, s)
    mean, square = reference.sketch_moments(A, B, law)
    np.testing.assert_allclose(mean, A @ B, atol=EXACT * size**0.5)
    if kind == "replaced":
        exact = moments.srht(Product(A, B), s, replace=True)
    else:
        exact = getattr(moments, kind)(Product(A, B), s)
    assert abs(exact - square) <= EXACT * size


@pytest.mark.parametrize("case", KNOWN)
def test_known_answers(case):
    product, s = Product(case["A"], case["B"]), case["s"]
    np.testing.assert_allclose(moments.gaussian(product, s), case["S7_gaussian"], rtol=PUBLISHED)
    for moment in (moments.rademacher, moments.countsketch):
        np.testing.assert_allclose(moment(product, s), case["S7_countsketch"], rtol=PUBLISHED)


def test_moments_at_their_ends():
    alone = Product([[3.0], [4.0]], [2.0])
    # One term: signs square to one.
    assert moments.rademacher(alone, 3) == moments.srht(alone, 2) == 0.0
    product = Product(*factors(3, 5, 2))
    assert moments.srht(product, 8) == 0.0
    grid = moments.srht(product, [[1, 2], [8, 1]])
    assert grid.shape == (2, 2)
    assert grid[0, 0] == grid[1, 1] == moments.rademacher(product, 1)
    with pytest.raises(ValueError, match=r"s must be at most 8, .* d = 5; got 9; use replace=True"):
        moments.srht(product, [1, 9])
    assert moments.srht(product, 9, replace=True) == moments.rademacher(product, 9)


@pytest.mark.parametrize(("d", "order"), [(1, 2), (2, 2), (3, 4), (4, 4), (5, 8), (8, 8), (9, 16)])
def test_order_of_the_transform(d, order):
    """The least power of two that holds d, at least 2: all of its rows make no error."""
    product = Product(*factors(3, d, 2))
    assert moments.srht(product, order) == 0.0
    assert d == 1 or moments.srht(product, order - 1) > 0.0
    with pytest.raises(ValueError, match=f"s must be at most {order}, the order"):
        moments.srht(product, order + 1)


# --- the estimates ------------------------------------------------------------------------------


class Scripted:
    """A stand-in for a Generator: what it is asked for is known, what it answers is given."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def _next(self, *asked):
        expected, answer = self.answers.pop(0)
        assert asked == expected
        return np.array(answer)

    def integers(self, low, high, size, dtype=np.int64):
        return self._next(low, high, size).reshape(size).astype(dtype)

    def standard_normal(self, size):
        return self._next(size).reshape(size)

    def choice(self, count, size, replace):
        return self._next(count, size, replace)


def scripts(method, d, s):
    """Every outcome of what the method asks its Generator for, as many as in the reference."""
    nodes = [-np.sqrt(3), 0.0, np.sqrt(3)]
    bits = list(itertools.product([0, 1], repeat=d))
    if method == "rademacher":
        return [[((0, 2, (d, s)), x)] for x in itertools.product([0, 1], repeat=d * s)]
    if method == "gaussian":
        return [[(((d, s),), x)] for x in itertools.product(nodes, repeat=d * s)]
    if method == "countsketch":
        buckets = itertools.product(range(s), repeat=d)
        return [[((0, s, d), h), ((0, 2, d), x)] for h in buckets for x in bits]
    picks = list(itertools.combinations(range(4), s))
    return [[((0, 2, d), x), ((4, s, False), pick)] for x in bits for pick in picks]


@pytest.mark.parametrize("method", DENSE)
def test_every_outcome_of_a_dense_sketch(method, monkeypatch):
    """The estimates are those of the law that the moments belong to, one for one."""
    monkeypatch.setattr(multiplication.validation, "generator", lambda rng: rng)
    d, s = (2, 2) if method == "gaussian" else (3, 2)
    A, B = factors(2, d, 2)
    law = [(A @ S) @ (S.T @ B) for S, _ in reference.sketch_law(method, d, s)]
    outcomes = [
        sketches.multiply(A, B, s, method=method, rng=Scripted(*script))
        for script in scripts(method, d, s)
    ]
    assert len(outcomes) == len(law)
    order = [np.lexsort(np.round(np.reshape(x, (len(x), -1)), 9).T) for x in (outcomes, law)]
    np.testing.assert_allclose(
        np.array(outcomes)[order[0]], np.array(law)[order[1]], rtol=EXACT, atol=EXACT
    )


@pytest.mark.parametrize("method", [m for m, record in methods.METHODS.items() if record.random])
def test_errors_are_as_large_as_predicted(method, size):
    """Estimates in sixteen groups, whose means are all but normal: a t-test."""
    A, B = factors(5, 20, 3)
    product, s = Product(A, B), 12
    record = methods.METHODS[method]
    exact = (
        moments.optimal(product, s)
        if method == "sampling"
        else moments.int8(product, s, stochastic=True)
        if method == "int8_stochastic"
        else getattr(moments, record.moment)(product, s)
    )
    exact = exact.total if isinstance(exact, moments.MeanSquare) else exact
    rng = np.random.default_rng(1)
    errors = [
        np.sum((sketches.multiply(A, B, s, method=method, rng=rng) - A @ B) ** 2)
        for _ in range(size(16 * 200, 16 * 12))
    ]
    groups = np.reshape(errors, (16, -1)).mean(axis=1)
    spread = groups.std(ddof=1) / 4
    limit = scipy.stats.t.isf(SIGNIFICANCE / 2, 15)
    assert abs(groups.mean() - exact) <= limit * spread
    # The interval is narrow enough to tell a missing factor of two.
    assert limit * spread < size(0.5, 3.0) * exact


@pytest.mark.parametrize("method", METHODS)
def test_all_formats_give_one_answer(method, monkeypatch):
    # Blocks of nine rows: eight abreast, and one by itself.
    monkeypatch.setattr(_operands, "ROWS", 9)
    monkeypatch.setattr(_operands, "DENSE", 128)
    A, B = factors(q=20)
    A[:, 7] = 0.0
    A[2, ::3] = 0.0
    formats = [
        np.asarray,
        np.asfortranarray,
        scipy.sparse.csr_array,
        scipy.sparse.csc_array,
        lambda M: np.repeat(M, 2, axis=1)[:, ::2],
    ]
    one = sketches.multiply(A, B, 20, method=method, rng=5)
    assert one.shape == (20, 4)
    for left, right in itertools.product(formats, formats):
        estimate = sketches.multiply(left(A), right(B), 20, method=method, rng=5)
        np.testing.assert_allclose(estimate, one, rtol=EXACT, atol=EXACT * 50)
    for right in formats[:2]:
        estimate = sketches.multiply(A, right(B)[:, 1], 20, method=method, rng=5)
        if method not in ("sampling", "elementwise", "int8_stochastic"):
            np.testing.assert_allclose(estimate, one[:, 1], rtol=EXACT, atol=EXACT * 50)
        assert estimate.shape == (20,)


@pytest.mark.parametrize("method", METHODS)
def test_float32_in_and_out_float64_between(method):
    A, B = (x.astype(np.float32) for x in factors())
    p = np.ones(50, np.float32) if method == "sampling" else None
    narrow = sketches.multiply(A, B, 20, method=method, p=p, rng=5)
    wide = sketches.multiply(A.astype(float), B.astype(float), 20, method=method, p=p, rng=5)
    assert narrow.dtype == np.float32
    assert wide.dtype == np.float64
    # Weights of float32 p are float32.
    np.testing.assert_allclose(narrow, wide, rtol=SINGLE, atol=SINGLE * np.abs(wide).max())
    assert sketches.multiply(A, B.astype(float), 20, method=method, rng=5).dtype == np.float64


def test_a_result_too_large_for_float32_is_refused():
    A, B = np.full((2, 3), 1e25, np.float32), np.full(3, 1e25, np.float32)
    with pytest.raises(ValueError, match=r"sketched product has an entry of size 3e\+50.*float64"):
        sketches.multiply(A, B, 2, rng=0)
    np.testing.assert_allclose(sketches.multiply(A.astype(float), B, 2, rng=0), 3e50, rtol=SINGLE)


def test_sampling_is_the_mask():
    """S1: the same seed gives the product with the mask of `sampling.mask`."""
    A, B = factors()
    p = np.random.default_rng(2).random(50)
    for design_p in (p, None):
        chances = probabilities.optimal(Product(A, B)) if design_p is None else p
        mask = sampling.mask(chances, 12, rng=3)
        estimate = sketches.multiply(A, B, 12, p=design_p, rng=3)
        np.testing.assert_allclose(estimate, A @ np.diag(mask) @ B, rtol=EXACT, atol=EXACT * 50)


@pytest.mark.parametrize("form", [np.ascontiguousarray, np.asfortranarray, scipy.sparse.csr_array])
def test_only_what_is_drawn_is_read(form):
    """With p given, entries that are never drawn may be anything; a drawn one must be finite."""
    A, B = factors()
    p = np.where(np.arange(50) < 25, 1.0, 0.0)
    expected = sketches.multiply(A, B, 10, p=p, rng=4)
    A[:, 30], B[40] = np.nan, np.inf
    np.testing.assert_allclose(sketches.multiply(form(A), form(B), 10, p=p, rng=4), expected)
    drawn = int(sampling.draw(p, 10, rng=4)[0][0])
    B[drawn, 1] = np.nan
    with pytest.raises(ValueError, match="must be finite"):
        sketches.multiply(form(A), form(B), 10, p=p, rng=4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_finite_is_named(method, value):
    A, B = factors()
    A[2, 3] = value
    with pytest.raises(ValueError, match=r"A must be finite; got A\[2, 3\]"):
        sketches.multiply(A, B, 10, method=method, rng=0)
    A, B = factors()
    B[49, 0] = value
    for right in (B, scipy.sparse.csr_array(B)):
        with pytest.raises(ValueError, match="must be finite"):
            sketches.multiply(A, right, 10, method=method, rng=0)


@pytest.mark.parametrize("exponent", [-300, -170, 170, 300])
def test_the_best_draw_at_any_scale(exponent):
    """Squares of such entries leave float64; the draw is the same."""
    A, B = factors()
    scale = 10.0**exponent
    plain = sketches.multiply(A, B, 10, rng=6)
    np.testing.assert_allclose(
        sketches.multiply(A * scale, B / scale, 10, rng=6), plain, rtol=EXACT
    )
    sparse = scipy.sparse.csc_array(A * scale)
    np.testing.assert_allclose(sketches.multiply(sparse, B / scale, 10, rng=6), plain, rtol=EXACT)
    # One column of that scale among others.
    A[:, 5] *= scale
    estimate = sketches.multiply(A, B, 10, rng=6)
    chances = np.linalg.norm(A / max(1.0, scale), axis=0) * np.linalg.norm(B, axis=1)
    mask = sampling.mask(chances, 10, rng=6)
    np.testing.assert_allclose(estimate, A @ (mask[:, None] * B), rtol=EXACT)


def test_a_product_of_zeros():
    A, B = factors()
    np.testing.assert_array_equal(sketches.multiply(A * 0, B, 3), np.zeros((7, 4)))
    np.testing.assert_array_equal(sketches.multiply(A[:, :1] * 0, B[:1, 0], 3), np.zeros(7))


@pytest.mark.parametrize("d", [1, 2, 3, 8, 11])
def test_a_whole_transform_is_exact(d):
    A, B = factors(3, d, 2)
    order = max(2, 1 << (d - 1).bit_length())
    estimate = sketches.multiply(A, B, order, method="srht", rng=7)
    np.testing.assert_allclose(estimate, A @ B, rtol=EXACT, atol=EXACT)
    with pytest.raises(ValueError, match=f"s must be at most {order}, .*got {order + 1}"):
        sketches.multiply(A, B, order + 1, method="srht")


@pytest.mark.parametrize("method", METHODS)
def test_same_bits_for_any_number_of_threads(method, monkeypatch):
    monkeypatch.setattr(_operands, "ROWS", 2)
    monkeypatch.setattr(_operands, "DENSE", 128)
    monkeypatch.setattr(blockwise, "SMALL", 1)
    A, B = factors(9, 40, 9)
    sketched = []
    for threads in (1, 2, 4):
        monkeypatch.setattr(
            multiplication.validation, "workers", lambda n, threads=threads: threads
        )
        sketched.append(sketches.multiply(A, B, 16, method=method, rng=8))
    np.testing.assert_array_equal(sketched[0], sketched[1])
    np.testing.assert_array_equal(sketched[0], sketched[2])


@pytest.mark.parametrize("method", METHODS)
def test_same_bits_for_any_number_of_threads_of_blas(method, size):
    """A product that BLAS cuts by its threads has other bits for two of them than for one."""
    A, B = factors(300, size(2000, 500), 200)
    s = size(500, 300) if not method.startswith("int8") else methods.LEVELS
    sketched = []
    for threads in (1, 2):
        with threadpoolctl.threadpool_limits(threads):
            sketched.append(sketches.multiply(A, B, s, method=method, rng=8))
    np.testing.assert_array_equal(*sketched)


def test_inputs_are_not_changed():
    A, B = factors()
    kept = A.copy(), B.copy()
    for method in METHODS:
        sketches.multiply(A, B, 10, method=method, rng=9)
    np.testing.assert_array_equal(A, kept[0])
    np.testing.assert_array_equal(B, kept[1])


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"s": 0}, ValueError, "s must be at least 1"),
        ({"s": 2.0}, TypeError, "s must be an integer"),
        ({"method": "best"}, ValueError, "method must be one of co_occurring.*got 'best'"),
        ({"method": "srht", "p": np.ones(5)}, ValueError, "p is for the method 'sampling' only"),
        ({"p": np.ones(4)}, ValueError, "p must have length 5; got length 4"),
        ({"p": -np.ones(5)}, ValueError, r"p\[0\] = -1"),
        ({"B": np.ones((4, 2))}, ValueError, r"inner dimension; got shapes \(3, 5\) and \(4, 2\)"),
        ({"B": np.ones((5, 2, 1))}, ValueError, "B must have 1 or 2 axes"),
        ({"A": np.ones((3, 5)) * 1j}, TypeError, "A must hold real numbers"),
        ({"A": scipy.sparse.coo_array(np.ones((3, 5)))}, TypeError, "A is sparse in format 'coo'"),
        ({"rng": "seed"}, TypeError, "rng must be"),
        ({"nonzeros": 2}, ValueError, "nonzeros is for the method 'sparse_signs' only"),
        ({"blocks": True}, ValueError, "blocks is for the method 'sparse_signs' only"),
        ({"method": "sparse_signs", "nonzeros": 3}, ValueError, "at most s = 2, .* got 3"),
        ({"method": "sparse_signs", "nonzeros": 0}, ValueError, "nonzeros must be at least 1"),
        (
            {"method": "sparse_signs", "s": 5, "nonzeros": 2, "blocks": True},
            ValueError,
            "multiple of nonzeros = 2; got s = 5: take 4 or 6",
        ),
        ({"method": "int8", "s": 128}, ValueError, "at most 127 in eight bits; got 128"),
    ],
)
def test_bad_input(change, error, text):
    arguments = {"A": np.ones((3, 5)), "B": np.ones((5, 2)), "s": 2} | change
    with pytest.raises(error, match=text):
        sketches.multiply(**arguments)


# --- S10: sparse signs --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sparse_signs 1", "sparse_signs 2", "sparse_signs 2 blocks"])
@pytest.mark.parametrize("d", [2, 3])
def test_sparse_signs_by_every_outcome(kind, d, size):
    s = 2 if d == size(3, 2) + 1 else 4 if d == 2 else 2
    A, B = factors(2, d, 2, seed=d)
    law = reference.sketch_law(kind, d, s)
    mean, square = reference.sketch_moments(A, B, law)
    np.testing.assert_allclose(mean, A @ B, rtol=EXACT, atol=EXACT)
    assert moments.sparse_signs(Product(A, B), s) == pytest.approx(square, rel=EXACT)


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize("nonzeros", [1, 2, 8])
def test_sparse_signs_have_the_moment_of_countsketch(nonzeros, blocks, size):
    """Whatever their number: in sixteen groups, a t-test."""
    A, B = factors(5, 20, 3)
    product, rng = Product(A, B), np.random.default_rng(nonzeros)
    options = {"method": "sparse_signs", "nonzeros": nonzeros, "blocks": blocks}
    errors = [
        np.sum((sketches.multiply(A, B, 16, **options, rng=rng) - A @ B) ** 2)
        for _ in range(size(16 * 150, 16 * 12))
    ]
    groups = np.reshape(errors, (16, -1)).mean(axis=1)
    limit = scipy.stats.t.isf(SIGNIFICANCE / 2, 15) * groups.std(ddof=1) / 4
    assert abs(groups.mean() - moments.countsketch(product, 16)) <= limit


@pytest.mark.parametrize("blocks", [False, True])
def test_signs_lie_in_distinct_columns(blocks):
    """The sketch itself, read off with A = B^T = the unit matrix: rows of unit norm."""
    d, s, k = 30, 12, 4
    estimate = sketches.multiply(
        np.eye(d), np.eye(d), s, method="sparse_signs", nonzeros=k, blocks=blocks, rng=1
    )
    np.testing.assert_allclose(np.diag(estimate), 1.0, rtol=EXACT)
    np.testing.assert_allclose(estimate * k, np.rint(estimate * k), atol=EXACT)
    assert np.abs(estimate - np.eye(d)).max() <= 1.0


def test_one_sign_a_row_is_the_countsketch():
    A, B = factors()
    options = {"nonzeros": 1, "blocks": True, "rng": 5}
    one = sketches.multiply(A, B, 20, method="sparse_signs", **options)
    np.testing.assert_array_equal(one, sketches.multiply(A, B, 20, method="countsketch", rng=5))


# --- S11: entries, norms, rank ------------------------------------------------------------------


@pytest.mark.parametrize("s", [1, 2])
def test_kept_entries_by_every_outcome(s):
    A, B = np.array([[3.0, -1.0, 0.5], [0.0, 2.0, 4.0]]), np.array([[1.0], [0.0], [-2.0]])
    left, right = reference.entries_law(A, 2 * s), reference.entries_law(B, s)
    mean, square = reference.independent_product_moments(A, B, left, right)
    np.testing.assert_allclose(mean, A @ B, rtol=EXACT)
    assert moments.elementwise(Product(A, B), s) == pytest.approx(square, rel=EXACT)
    grid = moments.elementwise(Product(A, B), [[s, 3]])
    assert grid.shape == (1, 2)
    assert grid[0, 1] == 0.0


@pytest.mark.parametrize("levels", [1, 3, 127])
def test_roundings_by_every_outcome(levels):
    A, B = np.array([[3.0, -1.0, 0.5], [0.0, 0.0, 0.0]]), np.array([[1.0], [0.3], [-2.0]])
    laws = reference.rounding_law(A, levels), reference.rounding_law(B.T, levels)
    right = [(R.T, chance) for R, chance in laws[1]]
    mean, square = reference.independent_product_moments(A, B, laws[0], right)
    np.testing.assert_allclose(mean, A @ B, rtol=EXACT)
    product = Product(A, B)
    assert moments.int8(product, levels, stochastic=True) == pytest.approx(square, rel=EXACT)
    nearest = sketches.multiply(A, B, levels, method="int8")
    error = float(np.sum((nearest - A @ B) ** 2))
    assert moments.int8(product, levels) == pytest.approx(error, rel=EXACT, abs=EXACT)
    with pytest.raises(ValueError, match="at most 127"):
        moments.int8(product, 128)


@pytest.mark.parametrize("largest", [254, 255, 200, 85])
def test_eight_bits_of_pixels_are_rounded_as_the_moment_says(largest):
    """Half of all pixels lie half-way between two levels where the brightest is 254."""
    pixels = np.random.default_rng(6).integers(0, largest, (20, 50))
    pixels[:, 0] = largest
    A = pixels / 255.0
    for left, right in ((A, A.T), (3.0 * A, A.T), (A, A[0]), (np.float32(A), A.T)):
        product = Product(left, right)
        gap = sketches.multiply(left, right, 127, method="int8") - left.astype(np.float64) @ right
        error = float(np.square(gap).sum())
        assert moments.int8(product) == pytest.approx(error, rel=CONDITIONED)


@pytest.mark.parametrize("s", [1, 2, 5, 40, 120, 400])
@pytest.mark.parametrize("rho", [0.0, 0.3, -0.8, 1.0])
def test_correlations_by_their_density(s, rho):
    A = np.array([[1.2, 1.6]])
    B = 3.0 * (rho * A.T / 2 + np.sqrt(1.0 - rho * rho) * np.array([[-0.8], [0.6]]))
    split = moments.norm_corrected(Product(A, B), s)
    if abs(rho) == 1.0:
        mean, square = rho, 1.0
    elif s == 1:
        mean, square = 2 / np.pi * np.arcsin(rho), 1.0
    else:
        mean, square = reference.correlation_moments(rho, s)
    assert split.bias2 == pytest.approx(36 * (mean - rho) ** 2, rel=QUADRATURE, abs=36 * EXACT)
    assert split.variance == pytest.approx(36 * (square - mean**2), rel=QUADRATURE, abs=36 * EXACT)
    assert split.total == split.bias2 + split.variance


def test_the_bias_of_correlations_of_many_pairs():
    """Towards zero by rho (1 - rho^2) / (2 s), whatever s is; none where rows are parallel."""
    for rho in (0.5, 1 - 1e-9, 1.0):
        A, B = np.array([[1.0, 0.0]]), np.array([[rho], [np.sqrt(1.0 - rho * rho)]])
        for s in (10**4, 10**6):
            bias = float(moments.norm_corrected(Product(A, B), s).bias2) ** 0.5
            assert bias == pytest.approx(rho * (1 - rho * rho) / (2 * s), rel=1e-3, abs=EXACT)


def test_the_best_product_of_a_rank():
    A, B = factors(6, 5, 4)
    sigma = np.linalg.svd(A @ B, compute_uv=False)
    product = Product(A, B)
    for s in range(1, 6):
        for left, right in ((A, B), (B.T, A.T)):
            error = sketches.multiply(left, right, s, method="truncated") - left @ right
            assert np.sum(error**2) == pytest.approx(np.sum(sigma[s:] ** 2), rel=EXACT, abs=EXACT)
        assert moments.truncated(product, s) == pytest.approx(np.sum(sigma[s:] ** 2), abs=EXACT)
    tall = sketches.multiply(*factors(30, 3, 20), 2, method="truncated")
    assert np.linalg.matrix_rank(tall) == 2
    assert moments.truncated(Product(A, B[:, 0]), 1) == 0.0


@pytest.mark.parametrize("s", [1, 2, 3, 5])
def test_co_occurring_directions_by_a_slow_twin(s):
    A, B = factors(6, 23, 5)
    estimate = sketches.multiply(A, B, s, method="co_occurring")
    np.testing.assert_allclose(
        estimate, reference.co_occurring(A, B, s), rtol=EXACT, atol=EXACT * 50
    )


@given(products(max_d=9, max_q=5, max_r=4), st.integers(1, 6))
def test_co_occurring_directions_keep_their_bound(product, s):
    A, B = (np.asarray(M, dtype=float) for M in (product.A, product.B))
    error = sketches.multiply(A, B, s, method="co_occurring") - A @ B
    spectral = np.linalg.norm(np.reshape(error, (product.q, -1)), 2)
    scale = float(np.linalg.norm(A / product.total) * np.linalg.norm(B)) * product.total
    assert spectral <= bounds.co_occurring(product, s) + EXACT * scale


# --- kernels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [2, 4, 8, 16, 4096])
def test_hadamard(order):
    rows = np.random.default_rng(10).normal(size=(2, order))
    # The matrix is the Kronecker product of smaller ones.
    right = scipy.linalg.hadamard(min(order, 64))
    left = scipy.linalg.hadamard(order // len(right))
    expected = (left @ rows.reshape(2, len(left), -1) @ right).reshape(2, -1)
    transforms.hadamard(rows)
    np.testing.assert_allclose(rows, expected, atol=EXACT * order)


@pytest.mark.parametrize("s", [1, 2, 3, 8])
@pytest.mark.parametrize("tilt", [1e-6, 1e-7, 3e-8, 1e-9])
def test_nearly_parallel_rows_cost_what_parallel_ones_cost(s, tilt):
    # The series of the moments grows without limit there for s = 1 and 2: its factor vanishes.
    split = moments.norm_corrected(Product([[1.0, tilt], [0.0, 1.0]], [1.0, 0.0]), s)
    limit = moments.norm_corrected(Product([[1.0, 0.0], [0.0, 1.0]], [1.0, 0.0]), s)
    assert split.bias2 == pytest.approx(limit.bias2, abs=1e-5)
    assert split.variance == pytest.approx(limit.variance, abs=1e-5)
    assert limit.variance > 0


# --- forms of the work: the same numbers ----------------------------------------------------------


@pytest.mark.parametrize("method", ["sampling", "countsketch", "sparse_signs", "elementwise"])
@pytest.mark.parametrize("density", [0.02, 0.9])
def test_sparse_sketches_are_multiplied_in_the_cheaper_form(method, density, monkeypatch):
    """Nearly full sketches of sparse factors as arrays, the others as they are: one result."""
    rng = np.random.default_rng(8)
    A, B = (
        scipy.sparse.csr_array(rng.normal(size=shape) * (rng.random(shape) < density))
        for shape in ((20, 60), (60, 30))
    )
    forms = []

    def told(left, right):
        forms.append(scipy.sparse.issparse(left))
        return left @ right

    monkeypatch.setattr("lth_sketch.sketches.multiplication.matmul", told)
    options = {"nonzeros": 1} if method == "sparse_signs" else {}
    estimate = sketches.multiply(A, B, 40, method=method, rng=1, **options)
    monkeypatch.setattr("lth_sketch.sketches.multiplication.SCATTERED", 0)
    sparse = sketches.multiply(A, B, 40, method=method, rng=1, **options)
    np.testing.assert_allclose(estimate, sparse, rtol=EXACT, atol=EXACT * 100)
    assert forms == [density < 0.5, True]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_full_factors_have_their_entries_drawn_without_a_list_of_places(dtype):
    """The bits are those of the same factors in CSR form, whatever their order in memory."""
    rng = np.random.default_rng(9)
    A, B = rng.normal(size=(6, 50)).astype(dtype), rng.normal(size=(50, 4)).astype(dtype)
    for s in (1, 10, 49, 50):
        estimate = sketches.multiply(A, B, s, method="elementwise", rng=2)
        for form in (scipy.sparse.csr_array, np.asfortranarray):
            other = sketches.multiply(form(A), form(B), s, method="elementwise", rng=2)
            np.testing.assert_array_equal(estimate, other)
    np.testing.assert_allclose(estimate, A.astype(float) @ B, rtol=LAYER, atol=LAYER)


def test_the_work_of_each_method_by_hand():
    """A of 3 x 5, B of 5 x 7, s = 2: both have 50 entries, the last product 42 multiplications."""
    expected = {
        "sampling": 50 + 42,
        "gaussian": 50 * 2 + 42,
        "rademacher": 50 * 2 + 42,
        "norm_corrected": 50 * 2 + 42,
        "countsketch": 50 + 42,
        "sparse_signs": 50 * 2 + 42,
        # Eight rows of Hadamard's matrix, three halvings.
        "srht": 10 * 8 * 3 + 42,
        "elementwise": 50 + 3 * 7 * 2 * 2 / 5,
        "co_occurring": 5 / 2 * (10 * 4 * 4 + 20 * 8) + 42,
        "truncated": 3 * 5 * 7 + 10 * 3 * 3 * 7,
        "int8": 50 + 3 * 5 * 7,
        "int8_stochastic": 50 + 3 * 5 * 7,
    }
    assert expected.keys() == methods.METHODS.keys()
    for name, work in expected.items():
        assert methods.work(name, 2, 3, 5, 7) == work, name
        assert (methods.work(name, [2, 2], 3, 5, 7) == work).all(), name


@pytest.mark.parametrize("s", [3, 4, 30])
def test_co_occurring_directions_that_cut_nothing_are_the_product(s):
    A, B = factors(3, 8, 5)
    AB = sketches.multiply(A, B, s, method="co_occurring")
    np.testing.assert_allclose(AB, A @ B, rtol=EXACT, atol=EXACT)
