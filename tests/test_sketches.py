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

from lth_sketch import Product, moments, probabilities, sampling, sketches
from lth_sketch.kernels import transforms
from lth_sketch.parallel import blockwise
from lth_sketch.testing import products
from lth_sketch.tolerances import EXACT, PUBLISHED, SINGLE

KNOWN = json.loads((Path(__file__).parent / "known_answers.json").read_text())
# Each statistical test below errs with probability 1e-9 at most.
SIGNIFICANCE = 1e-9
METHODS = ["sampling", "gaussian", "rademacher", "countsketch", "srht"]
DENSE = METHODS[1:]


def factors(q=7, d=50, r=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(q, d)), rng.normal(size=(d, r))


# --- S7: the moments ----------------------------------------------------------------------------


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
    monkeypatch.setattr(sketches.validation, "generator", lambda rng: rng)
    d, s = (2, 2) if method == "gaussian" else (3, 2)
    A, B = factors(2, d, 2)
    law = [(A @ S) @ (S.T @ B) for S, _ in reference.sketch_law(method, d, s)]
    found = [
        sketches.multiply(A, B, s, method=method, rng=Scripted(*script))
        for script in scripts(method, d, s)
    ]
    assert len(found) == len(law)
    order = [np.lexsort(np.round(np.reshape(x, (len(x), -1)), 9).T) for x in (found, law)]
    np.testing.assert_allclose(
        np.array(found)[order[0]], np.array(law)[order[1]], rtol=EXACT, atol=EXACT
    )


@pytest.mark.parametrize("method", METHODS)
def test_errors_are_as_large_as_predicted(method, size):
    """Estimates in sixteen groups, whose means are all but normal: a t-test."""
    A, B = factors(5, 20, 3)
    product, s = Product(A, B), 12
    moment = getattr(moments, "optimal" if method == "sampling" else method)
    rng = np.random.default_rng(1)
    errors = [
        np.sum((sketches.multiply(A, B, s, method=method, rng=rng) - A @ B) ** 2)
        for _ in range(size(16 * 200, 16 * 12))
    ]
    groups = np.reshape(errors, (16, -1)).mean(axis=1)
    spread = groups.std(ddof=1) / 4
    limit = scipy.stats.t.isf(SIGNIFICANCE / 2, 15)
    assert abs(groups.mean() - moment(product, s)) <= limit * spread
    # The interval is narrow enough to tell a missing factor of two.
    assert limit * spread < size(0.5, 3.0) * moment(product, s)


@pytest.mark.parametrize("method", METHODS)
def test_all_formats_give_one_answer(method, monkeypatch):
    # Blocks of nine rows: eight abreast, and one by itself.
    monkeypatch.setattr(sketches, "ROWS", 9)
    monkeypatch.setattr(sketches, "DENSE", 128)
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
        found = sketches.multiply(left(A), right(B), 20, method=method, rng=5)
        np.testing.assert_allclose(found, one, rtol=EXACT, atol=EXACT * 50)
    for right in formats[:2]:
        found = sketches.multiply(A, right(B)[:, 1], 20, method=method, rng=5)
        if method != "sampling":
            np.testing.assert_allclose(found, one[:, 1], rtol=EXACT, atol=EXACT * 50)
        assert found.shape == (20,)


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
        found = sketches.multiply(A, B, 12, p=design_p, rng=3)
        np.testing.assert_allclose(found, A @ np.diag(mask) @ B, rtol=EXACT, atol=EXACT * 50)


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
    found = sketches.multiply(A, B, 10, rng=6)
    chances = np.linalg.norm(A / max(1.0, scale), axis=0) * np.linalg.norm(B, axis=1)
    mask = sampling.mask(chances, 10, rng=6)
    np.testing.assert_allclose(found, A @ (mask[:, None] * B), rtol=EXACT)


def test_a_product_of_zeros():
    A, B = factors()
    np.testing.assert_array_equal(sketches.multiply(A * 0, B, 3), np.zeros((7, 4)))
    np.testing.assert_array_equal(sketches.multiply(A[:, :1] * 0, B[:1, 0], 3), np.zeros(7))


@pytest.mark.parametrize("d", [1, 2, 3, 8, 11])
def test_a_whole_transform_is_exact(d):
    A, B = factors(3, d, 2)
    order = max(2, 1 << (d - 1).bit_length())
    found = sketches.multiply(A, B, order, method="srht", rng=7)
    np.testing.assert_allclose(found, A @ B, rtol=EXACT, atol=EXACT)
    with pytest.raises(ValueError, match=f"s must be at most {order}, .*got {order + 1}"):
        sketches.multiply(A, B, order + 1, method="srht")


@pytest.mark.parametrize("method", METHODS)
def test_same_bits_for_any_number_of_threads(method, monkeypatch):
    monkeypatch.setattr(sketches, "ROWS", 2)
    monkeypatch.setattr(sketches, "DENSE", 128)
    monkeypatch.setattr(blockwise, "SMALL", 1)
    A, B = factors(9, 40, 9)
    found = []
    for threads in (1, 2, 4):
        monkeypatch.setattr(sketches.validation, "workers", lambda n, threads=threads: threads)
        found.append(sketches.multiply(A, B, 16, method=method, rng=8))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("method", METHODS)
def test_same_bits_for_any_number_of_threads_of_blas(method):
    """A product that BLAS cuts by its threads has other bits for two of them than for one."""
    A, B = factors(300, 2000, 200)
    found = []
    for threads in (1, 2):
        with threadpoolctl.threadpool_limits(threads):
            found.append(sketches.multiply(A, B, 500, method=method, rng=8))
    np.testing.assert_array_equal(*found)


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
        ({"method": "best"}, ValueError, "method must be one of countsketch.*got 'best'"),
        ({"method": "srht", "p": np.ones(5)}, ValueError, "p is for the method 'sampling' only"),
        ({"p": np.ones(4)}, ValueError, "p must have length 5; got length 4"),
        ({"p": -np.ones(5)}, ValueError, r"p\[0\] = -1"),
        ({"B": np.ones((4, 2))}, ValueError, r"inner dimension; got shapes \(3, 5\) and \(4, 2\)"),
        ({"B": np.ones((5, 2, 1))}, ValueError, "B must have 1 or 2 axes"),
        ({"A": np.ones((3, 5)) * 1j}, TypeError, "A must hold real numbers"),
        ({"A": scipy.sparse.coo_array(np.ones((3, 5)))}, TypeError, "A is sparse in format 'coo'"),
        ({"rng": "seed"}, TypeError, "rng must be"),
    ],
)
def test_bad_input(change, error, text):
    arguments = {"A": np.ones((3, 5)), "B": np.ones((5, 2)), "s": 2} | change
    with pytest.raises(error, match=text):
        sketches.multiply(**arguments)


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
