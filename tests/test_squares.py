"""Squared norms of columns: every form of a matrix, in one part or in many."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from lth_sketch import _blocks, _squares
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
        (_blocks, _squares, _squares), ("SMALL", "PART", "TILE"), request.param, strict=True
    ):
        monkeypatch.setattr(module, name, value)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("form", FORMS)
def test_every_form(form, dtype, sizes):
    given = [FORMS[form](M.astype(dtype)) for M in matrices()]
    found = _squares.column_squares(*given)
    for M, squares in zip(matrices(), found, strict=True):
        assert squares.dtype == np.float64
        expected = (M.astype(dtype).astype(float) ** 2).sum(axis=0)
        np.testing.assert_allclose(squares, expected, rtol=EXACT)


def test_no_number_of_threads_changes_a_bit(monkeypatch):
    for module, name, value in (
        (_blocks, "SMALL", 1),
        (_squares, "PART", 8),
        (_squares, "TILE", 4),
    ):
        monkeypatch.setattr(module, name, value)
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(_blocks.validation, "workers", lambda n, threads=threads: threads)
        found.append(np.concatenate(_squares.column_squares(*matrices())))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_alike_whatever_the_order(sizes):
    for M in matrices():
        forms = [FORMS[name](M) for name in ("rows", "columns", "strided", "backwards")]
        found = _squares.column_squares(*forms, alike=True)
        for squares in found[1:]:
            np.testing.assert_array_equal(squares, found[0])


@pytest.mark.parametrize("form", FORMS)
def test_what_is_not_finite_shows(form, sizes):
    M = np.ones((9, 5))
    M[3, 1], M[4, 2], M[8, 3] = np.nan, np.inf, 1e200
    (found,) = _squares.column_squares(FORMS[form](M))
    np.testing.assert_array_equal(found, [9.0, np.nan, np.inf, np.inf, 9.0])


def test_which_matrices_lie_by_column():
    M = np.ones((3, 2))
    assert _squares.by_column(np.asfortranarray(M))
    assert not _squares.by_column(M)
    assert not _squares.by_column(M[:, :1])
    assert not _squares.by_column(M[::2])
    assert not _squares.by_column(scipy.sparse.csc_array(M))
