"""Squared norms of columns: every form of a matrix, in one part or in many."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from lth_sketch.parallel import blockwise, norms
from lth_sketch.tolerances import EXACT

FORMS = {
    "rows": np.ascontiguousarray,
    "columns": np.asfortranarray,
    "strided": lambda M: np.repeat(M, 2, axis=1)[:, ::2],
    "backwards": lambda M: np.ascontiguousarray(M[::-1])[::-1],
    "csr": scipy.sparse.csr_array,
    "csc": scipy.sparse.csc_array,
}


def matrices():
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in ((1, 1), (13, 1), (1, 13), (20, 3), (9, 21))]


@pytest.fixture(params=[(1 << 18, 1 << 23, 1 << 13), (1, 8, 4)], ids=["whole", "in parts"])
def sizes(request, monkeypatch):
    for module, name, value in zip(
        (blockwise, norms, norms), ("SMALL", "PART", "TILE"), request.param, strict=True
    ):
        monkeypatch.setattr(module, name, value)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("form", FORMS)
def test_every_form(form, dtype, sizes):
    given = [FORMS[form](M.astype(dtype)) for M in matrices()]
    sums = norms.column_squares(*given)
    for M, squares in zip(matrices(), sums, strict=True):
        assert squares.dtype == np.float64
        expected = (M.astype(dtype).astype(float) ** 2).sum(axis=0)
        np.testing.assert_allclose(squares, expected, rtol=EXACT)


def test_no_number_of_threads_changes_a_bit(monkeypatch):
    for module, name, value in (
        (blockwise, "SMALL", 1),
        (norms, "PART", 8),
        (norms, "TILE", 4),
    ):
        monkeypatch.setattr(module, name, value)
    squares = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(blockwise.validation, "workers", lambda n, threads=threads: threads)
        squares.append(np.concatenate(norms.column_squares(*matrices())))
    np.testing.assert_array_equal(squares[0], squares[1])
    np.testing.assert_array_equal(squares[0], squares[2])


def test_alike_whatever_the_order(sizes):
    for M in matrices():
        forms = [FORMS[name](M) for name in ("rows", "columns", "strided", "backwards")]
        sums = norms.column_squares(*forms, alike=True)
        for squares in sums[1:]:
            np.testing.assert_array_equal(squares, sums[0])


@pytest.mark.parametrize("form", FORMS)
def test_what_is_not_finite_shows(form, sizes):
    M = np.ones((9, 5))
    M[3, 1], M[4, 2], M[8, 3] = np.nan, np.inf, 1e200
    (squares,) = norms.column_squares(FORMS[form](M))
    np.testing.assert_array_equal(squares, [9.0, np.nan, np.inf, np.inf, 9.0])


def test_which_matrices_lie_by_column():
    M = np.ones((3, 2))
    assert norms.by_column(np.asfortranarray(M))
    assert not norms.by_column(M)
    assert not norms.by_column(M[:, :1])
    assert not norms.by_column(M[::2])
    assert not norms.by_column(scipy.sparse.csc_array(M))
