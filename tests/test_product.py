"""S0: every product is one vector product."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from lth_sketch import Product
from lth_sketch import product as module
from lth_sketch.testing import products, squared_errors
from lth_sketch.tolerances import EPS, EXACT, SINGLE, ULPS


@given(products(), st.data())
def test_factor_gives_the_error_of_every_mask(product, data):
    entries = st.floats(0, 4, width=32)
    mask = np.array(data.draw(st.lists(entries, min_size=product.d, max_size=product.d)))
    C = product.factor() / product.total
    A, B = reference.wide(product.A), reference.wide(product.B)
    left, right = np.abs(A).max(), np.abs(B).max()
    scale = product.total / left / right
    direct = np.sqrt(reference.squared_error(A / left, B / right, mask)) / scale
    assert abs(np.linalg.norm(C @ (mask - 1)) - direct) < np.sqrt(EXACT) * 2**-4
    assert abs(np.sum((C @ (mask - 1)) ** 2) - direct**2) < EXACT * 16


@pytest.mark.parametrize(
    ("q", "r", "exact"), [(2, 1, True), (3, 2, True), (4, 2, False), (9, 1, False)]
)
def test_few_terms_are_the_factor_themselves(q, r, exact):
    """Fewer entries in a term than there are terms: no triangle, no rounding but of products."""
    rng = np.random.default_rng(q)
    product = Product(rng.normal(size=(q, 8)), rng.normal(size=(8, r)))
    terms = np.einsum("ji,ik->ijk", product.A, product.B).reshape(8, -1)
    assert (product.unit_error == 2 * EPS) == exact
    if exact:
        np.testing.assert_allclose(product.unit_factor * product.total, terms, rtol=ULPS)


@given(products())
def test_factor_keeps_norms(product):
    C = product.factor()
    np.testing.assert_allclose(np.linalg.norm(C, axis=0), product.term_norms, rtol=EXACT)
    assert abs(np.sum(C.sum(axis=1) ** 2) - product.norm2) <= EXACT * product.total**2
    assert C.shape[0] <= min(product.d, product.q * product.r)


@given(products())
def test_norms(product):
    A, B = reference.wide(product.A), reference.wide(product.B)
    rows = B.reshape(product.d, -1)
    np.testing.assert_allclose(product.total, reference.total_norm(A, B), rtol=EXACT)
    np.testing.assert_allclose(product.column_norms, np.linalg.norm(A, axis=0), rtol=EXACT)
    np.testing.assert_allclose(product.row_norms, np.linalg.norm(rows, axis=1), rtol=EXACT)
    narrow = product.A.dtype == product.B.dtype == np.float32
    if narrow and np.abs(A @ B).max() > np.finfo(np.float32).max:
        with pytest.raises(ValueError, match=r"AB has an entry of size .*leaves float32"):
            _ = product.value
    else:
        assert product.value.dtype == (np.float32 if narrow else np.float64)
        # Below the normal numbers of float32 digits are lost.
        rtol, faint = (SINGLE, np.finfo(np.float32).tiny) if narrow else (0.0, 0.0)
        np.testing.assert_allclose(
            product.value, A @ B, rtol=rtol, atol=EXACT * product.total + faint
        )
    np.testing.assert_allclose(
        product.norm2, np.sum((A @ B) ** 2), atol=EXACT * product.total**2, rtol=0
    )
    assert -EXACT <= product.coherence <= product.d * (1 + EXACT)


def assert_same_errors(one, other):
    """Factors are fixed up to a rotation: compare C^T C."""
    first, second = one.factor(), other.factor()
    np.testing.assert_allclose(
        first.T @ first, second.T @ second, rtol=0, atol=EXACT * other.total**2
    )


def test_many_rows_and_narrow_factors(size):
    rng = np.random.default_rng(0)
    A = rng.normal(size=(size(20_000, 300), 7)).astype(np.float32)
    B = rng.normal(size=(7, 3)).astype(np.float32)
    product = Product(A, B)
    wide = Product(A.astype(np.float64), B.astype(np.float64))
    assert product.value.dtype == np.float32
    np.testing.assert_allclose(product.value, wide.value, rtol=SINGLE, atol=SINGLE)
    np.testing.assert_allclose(product.norm2, wide.norm2, rtol=EXACT)
    np.testing.assert_allclose(product.term_norms, wide.term_norms, rtol=EXACT)
    assert_same_errors(product, wide)


@pytest.mark.parametrize("form", [scipy.sparse.csr_array, scipy.sparse.csc_array])
def test_sparse_factors_equal_dense_ones(form):
    rng = np.random.default_rng(1)
    A = rng.normal(size=(30, 8)) * (rng.random((30, 8)) < 0.3)
    A[:, 5] = 0.0
    B = rng.normal(size=(8, 2)) * (rng.random((8, 2)) < 0.7)
    dense = Product(A, B)
    for product in (Product(form(A), B), Product(form(A), form(B))):
        np.testing.assert_allclose(product.term_norms, dense.term_norms, rtol=EXACT)
        np.testing.assert_allclose(product.value, dense.value, atol=EXACT)
        np.testing.assert_allclose(product.norm2, dense.norm2, rtol=EXACT)
        assert_same_errors(product, dense)


def test_memory_order_does_not_matter():
    rng = np.random.default_rng(2)
    A = rng.normal(size=(9, 5))
    for other in (np.asfortranarray(A), np.repeat(A, 2, axis=0)[::2], A[:, ::-1][:, ::-1]):
        np.testing.assert_array_equal(Product(other, A[0]).term_norms, Product(A, A[0]).term_norms)


def test_wide_results_never_form_the_product():
    rng = np.random.default_rng(3)
    A = rng.normal(size=(400, 3))
    product = Product(A, A.T)
    np.testing.assert_allclose(product.norm2, np.sum((A @ A.T) ** 2), rtol=EXACT)
    assert "_value" not in vars(product)


def test_a_tiny_term_keeps_its_norm_beside_a_huge_one():
    rng = np.random.default_rng(4)
    A = rng.normal(size=(50, 6))
    w = 10.0 ** np.array([0, -20, -40, 20, -60, 3])
    product = Product(A, w)
    np.testing.assert_allclose(
        np.linalg.norm(product.factor(), axis=0) / product.term_norms, 1, rtol=EXACT
    )


def test_inputs_are_left_alone():
    A, B = np.eye(3), np.arange(3.0)
    before = A.copy(), B.copy()
    Product(A, B).factor()
    assert (before[0] == A).all()
    assert (before[1] == B).all()


def test_repr_says_what_it_is():
    assert repr(Product([[3.0, 4.0]], [1.0, 1.0])) == (
        "Product(A (1, 2), B (2,): d=2, U=7, ||AB||=7, coherence=1.96)"
    )


@pytest.mark.parametrize(
    ("A", "B", "error", "text"),
    [
        ([[1.0, np.nan]], [1, 1], ValueError, r"A\[0, 1\] = nan"),
        ([[1.0, 1.0]], [1, np.inf], ValueError, r"B\[1\] = inf"),
        ([[1.0, 1.0]], [1, 1, 1], ValueError, r"inner dimension.*\(1, 2\) and \(3,\)"),
        (np.empty((3, 0)), [1], ValueError, "A must not be empty"),
        ([[0.0, 1.0]], [1, 0], ValueError, "product of zeros"),
        ([[1j, 1.0]], [1, 1], TypeError, "complex"),
        ([1.0, 1.0], [1, 1], ValueError, "A must have 2 axes"),
        ([[1e160, 1.0]], [1, 1], ValueError, r"A has a column or row of norm inf.*rescale A"),
        ([[1e-160, 1.0]], [1, 1], ValueError, r"A has a column.*rescale A"),
        ([[1e-200, 1.0]], [1, 1], ValueError, r"A has a column.*rescale A"),
        ([[1e100, 1.0]], [1e100, 1], ValueError, r"total norm 1e\+200.*rescale A or B"),
    ],
)
def test_bad_factors(A, B, error, text):
    with pytest.raises(error, match=text):
        Product(A, B)


def test_a_factor_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(module, "FACTOR_ENTRIES", 8)
    with pytest.raises(ValueError, match=r"min\(d, q r\) x d = 3 x 3 entries"):
        Product(np.ones((4, 3)), np.ones(3)).factor()


def test_squared_errors_of_testing_are_the_definition():
    rng = np.random.default_rng(5)
    A, B, mask = rng.normal(size=(3, 4)), rng.normal(size=(4, 2)), rng.random(4)
    np.testing.assert_allclose(
        squared_errors(Product(A, B), [mask]), [reference.squared_error(A, B, mask)], rtol=EXACT
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(700, 900, 700), (5000, 300, 300)])
def test_no_number_of_blas_threads_changes_a_bit_of_the_value(shape, dtype):
    q, d, r = shape
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(q, d)).astype(dtype), rng.normal(size=(d, r)).astype(dtype)
    values = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            values.append(Product(A, B).value)
    assert values[0].tobytes() == values[1].tobytes()
