"""Products in tiles: the product itself, the same bits everywhere, BLAS left as it was."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import scipy.sparse
import threadpoolctl

from lth_sketch.parallel import products
from lth_sketch.parallel.products import matmul
from lth_sketch.tolerances import EXACT

SHAPES = [(1, 1, 1), (1, 5, 1), (3, 0, 2), (7, 5, 1), (1, 5, 7), (13, 9, 11), (40, 3, 30)]


def factors(q, n, r):
    rng = np.random.default_rng(q + n + r)
    return rng.normal(size=(q, n)), rng.normal(size=(n, r))


@pytest.fixture(params=[None, (3, 4), (1, 1)], ids=["whole", "tiles", "entries"])
def tiles(request, monkeypatch):
    monkeypatch.setattr(products, "TINY", 0)
    monkeypatch.setattr(products, "TINY_VECTOR", 0)
    if request.param:
        monkeypatch.setattr(products, "SMALL", 1)
        monkeypatch.setattr(products, "ROWS", request.param[0])
        monkeypatch.setattr(products, "COLUMNS", request.param[1])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order", ["CC", "CF", "FC", "FF"])
def test_the_product(shape, order, tiles):
    left, right = (np.asarray(M, order=o) for M, o in zip(factors(*shape), order, strict=True))
    expected = np.einsum("ij,jk->ik", left, right)
    np.testing.assert_allclose(matmul(left, right), expected, rtol=0, atol=EXACT * shape[1])


@pytest.mark.parametrize("kind", [scipy.sparse.csr_array, scipy.sparse.csc_array])
def test_sparse_factors(kind):
    left, right = factors(4, 6, 3)
    for pair in ((kind(left), right), (left, kind(right)), (kind(left), kind(right))):
        product = matmul(*pair)
        product = product.toarray() if scipy.sparse.issparse(product) else product
        np.testing.assert_allclose(product, left @ right, rtol=EXACT, atol=EXACT)


def test_tiles_cover_the_product_once():
    for q, n, r in ((1000, 2000, 1000), (1025, 4096, 3000), (500, 100, 1000), (2, 10**7, 3)):
        seen = np.zeros((q, r), int)
        for rows, columns in products._tiles(q, n, r):
            seen[rows, columns] += 1
            assert rows.stop - rows.start <= products.ROWS
            assert columns.stop - columns.start <= products.COLUMNS
        assert (seen == 1).all()
    # Two threads share a product that is worth it, one takes what is not.
    assert len(products._tiles(1000, 2000, 1000)) == 2
    assert len(products._tiles(1500, 2000, 1000)) == 4
    assert len(products._tiles(100, 100, 100)) == 1


# Matrices and vectors, tiny and larger.
THREADED = [
    (300, 500, 200),
    (64, 64, 63),
    (64, 64, 64),
    (2, 60_000, 2),
    (400, 2, 300),
    (1, products.TINY_VECTOR - 1, 1),
    (products.TINY_VECTOR - 1, 1, 1),
    (1, 300_000, 1),
    (1, 500, 2000),
    (2000, 500, 1),
]


@pytest.mark.parametrize("shape", THREADED)
def test_same_bits_for_any_number_of_threads(shape, monkeypatch):
    left, right = factors(*shape)
    computed = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(products.validation, "workers", lambda n, threads=threads: threads)
        with threadpoolctl.threadpool_limits(threads):
            computed.append(matmul(left, right))
    np.testing.assert_array_equal(computed[0], computed[1])
    np.testing.assert_array_equal(computed[0], computed[2])


def blas_threads():
    return [lib["num_threads"] for lib in threadpoolctl.threadpool_info()]


def test_the_number_of_threads_of_blas_is_set_back():
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        callers = [threading.Thread(target=matmul, args=factors(200, 300, 100)) for _ in range(8)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert blas_threads() == before
        with pytest.raises(ValueError, match="matmul"):
            matmul(np.ones((200, 300)), np.ones((200, 300)))
        assert blas_threads() == before


def test_what_is_not_finite_passes_without_a_warning(tiles):
    left, right = np.ones((6, 2)), np.ones((2, 5))
    left[1, 0], left[5, 1], right[0, 3] = np.nan, np.inf, -np.inf
    product = matmul(left, right)
    assert np.isnan(product[1]).all()
    np.testing.assert_array_equal(np.isneginf(product[0]), [False, False, False, True, False])
    assert np.isnan(product[5, 3])
    assert np.isposinf(product[5, 0])
    assert np.isposinf(matmul(np.full((1, 2), 1e200), np.full((2, 1), 1e200))).all()
