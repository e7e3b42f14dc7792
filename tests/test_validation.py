"""Errors name the argument, the value and the mend."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from lth_sketch import validation


def test_real_arrays_pass_unchanged():
    for dtype in (np.float32, np.float64):
        given = np.arange(6, dtype=dtype).reshape(2, 3)
        assert validation.array("A", given, ndim=2) is given


@pytest.mark.parametrize("given", [[1, 2], [True, False], np.array([1, 2], np.float16)])
def test_other_reals_become_float64(given):
    assert validation.vector("w", given).dtype == np.float64


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ([[1.0, np.nan]], ValueError, r"A\[0, 1\] = nan"),
        ([[1.0, np.inf]], ValueError, r"A\[0, 1\] = inf"),
        ([[-np.inf, 1.0]], ValueError, r"A\[0, 0\] = -inf"),
        ([1.0, 2.0], ValueError, r"2 axes; got shape \(2,\)"),
        (np.empty((2, 0)), ValueError, r"not be empty; got shape \(2, 0\)"),
        ([[1j]], TypeError, "complex128"),
        ([["a"]], TypeError, "<U1"),
        (np.array([[None]]), TypeError, "object"),
        (scipy.sparse.csr_array([[1.0]]), TypeError, "A.toarray"),
    ],
)
def test_bad_arrays(given, error, text):
    with pytest.raises(error, match=text):
        validation.array("A", given, ndim=2)


def test_sparse_matrices():
    dense = np.array([[1, 0], [0, 2]], np.int32)
    for form in (scipy.sparse.csr_matrix, scipy.sparse.csc_array):
        got = validation.matrix("A", form(dense))
        assert got.dtype == np.float64
        assert (got.toarray() == dense).all()
    with pytest.raises(TypeError, match=r"format 'coo'.*A\.tocsr"):
        validation.matrix("A", scipy.sparse.coo_array(dense))
    with pytest.raises(ValueError, match=r"A\.data\[0\] = nan"):
        validation.matrix("A", scipy.sparse.csr_array([[np.nan]]))
    with pytest.raises(ValueError, match="empty"):
        validation.matrix("A", scipy.sparse.csr_array((2, 0)))
    # A sparse matrix without a stored entry is a matrix of zeros, not an empty one.
    assert validation.matrix("A", scipy.sparse.csr_array((2, 3))).shape == (2, 3)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([0.5, -0.25], r"p\[1\] = -0\.25"),
        ([0.0, 0.0], "all 2 are zero"),
        ([1.0, np.nan], r"p\[1\] = nan"),
        ([1.0, 2.0, 3.0], "length 2; got length 3"),
    ],
)
def test_bad_weights(given, text):
    with pytest.raises(ValueError, match=text):
        validation.probabilities("p", given, size=2)


def test_probabilities_are_normalised_at_any_scale():
    for scale in (1e-300, 1.0, 1e300):
        got = validation.probabilities("p", np.array([1.0, 3.0]) * scale)
        np.testing.assert_array_equal(got, [0.25, 0.75])


def test_probabilities_accumulate_in_float64():
    p = np.full(2**16, 0.1, np.float32)
    assert abs(validation.probabilities("p", p).sum() - 1) < 2**12 * np.finfo(float).eps


def test_covering_refuses_bias():
    assert validation.covering([1, 0], np.array([2.0, 0.0])).tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"p\[1\] = 0.*norm there is 3\.0.*biased \(1 such"):
        validation.covering([1, 0], np.array([2.0, 3.0]))


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (0, ValueError, "at least 1; got 0"),
        (2.0, TypeError, "integer; got 2.0"),
        (True, TypeError, "integer; got True"),
        ("2", TypeError, "integer; got '2'"),
    ],
)
def test_bad_counts(given, error, text):
    with pytest.raises(error, match=text):
        validation.count("trials", given)


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ([], ValueError, "at least one"),
        (0, ValueError, "s must be at least 1; got 0"),
        ([3, -1], ValueError, "got -1"),
        (1.5, TypeError, "got 1.5"),
        ([True], TypeError, "got"),
    ],
)
def test_bad_sizes(given, error, text):
    with pytest.raises(error, match=text):
        validation.sizes(given)


def test_sizes_keep_their_shape():
    assert validation.sizes(3).shape == ()
    assert validation.sizes(np.array([[1, 2]], np.uint8)).tolist() == [[1, 2]]


@pytest.mark.parametrize("given", [0.0, 1.0, -0.5, np.nan, np.inf])
def test_bad_risks(given):
    with pytest.raises(ValueError, match=r"delta must lie in \(0, 1\)"):
        validation.risk("delta", given)


def test_numbers():
    assert validation.number("time", np.inf, low=0.0) == np.inf
    with pytest.raises(TypeError, match="ridge must be a number; got 'x'"):
        validation.number("ridge", "x")
    with pytest.raises(ValueError, match=r"ridge must lie in \[0, inf\]; got -1.0"):
        validation.number("ridge", -1, low=0.0)


def test_choices():
    assert validation.choice("design", "top", {"top", "poisson"}) == "top"
    for wrong in ("best", 3):
        with pytest.raises(ValueError, match="design must be one of poisson, top; got"):
            validation.choice("design", wrong, {"top", "poisson"})


def test_generators():
    given = np.random.default_rng(0)
    assert validation.generator(given) is given
    assert validation.generator(7).random() == np.random.default_rng(7).random()
    assert validation.generator(None).random() != validation.generator(None).random()
    for wrong in (1.5, "0", True, np.random):
        with pytest.raises(TypeError, match="rng must be"):
            validation.generator(wrong)
    with pytest.raises(ValueError, match=">= 0; got -1"):
        validation.generator(-1)
