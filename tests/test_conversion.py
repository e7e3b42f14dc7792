"""Whatever holds numbers is read as those numbers or refused, by every public function alike."""

from __future__ import annotations

import decimal
import warnings
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from lth_sketch import (
    Product,
    bounds,
    conversion,
    intervals,
    moments,
    montecarlo,
    probabilities,
    pruning,
    quadratic_forms,
    regression,
    sampling,
    sketches,
)
from lth_sketch.tolerances import EXACT, LAYER, QUADRATURE, SINGLE

# Whole numbers: every dtype and every container holds them exactly.
X = np.array([[1.0, 2.0, 0.0], [3.0, 1.0, 1.0], [0.0, 1.0, 4.0], [2.0, 2.0, 1.0]])
P = np.array([3.0, 1.0, 2.0])
Y = np.array([1.0, 2.0, 0.0, 3.0])
ORDER = np.array([2, 0, 1])
LAYERS = [np.array([3.0, 1.0]), np.array([1.0, 2.0])]
product = Product(X, P)

# Functions of one vector (d,), of one matrix (n, d), of targets (n,), of integers.
VECTORS = {
    "Product B": lambda v: Product(X, v).term_norms,
    "data_free": probabilities.data_free,
    "squared": probabilities.squared,
    "from_scores": probabilities.from_scores,
    "mixture p": lambda v: probabilities.mixture(v, P, 0.5),
    "mixture q": lambda v: probabilities.mixture(P, v, 0.5),
    "chi2": lambda v: probabilities.chi2(v, P),
    "inclusion": lambda v: probabilities.inclusion(v, 2),
    "draw": lambda v: sampling.draw(v, 2, rng=0)[0],
    "mask": lambda v: sampling.mask(v, 2, design="poisson", rng=0, binary=True),
    "masks": lambda v: sampling.masks(v, 2, 3, rng=0).toarray(),
    "multiply p": lambda v: sketches.multiply(X, X.T, 2, p=v, rng=0),
    "moments": lambda v: moments.multinomial(product, v, 2),
    "poisson": lambda v: moments.poisson(product, v, 2),
    "distinct": lambda v: moments.distinct(v, 2),
    "variance": lambda v: moments.variance(product, v, 2),
    "nearness": lambda v: bounds.nearness(product, v),
    "sharpest": lambda v: bounds.sharpest(product, v, 2, 0.1),
    "minimax": lambda v: bounds.minimax(v)[0],
    "worst_case": lambda v: bounds.worst_case(P, v)[0],
    "top": lambda v: bounds.top(v, P, 1)[0],
    "poisson_minimax": lambda v: bounds.poisson_minimax(v, 1)[0],
    "price": lambda v: bounds.price(v, P),
    "flow mask": lambda v: regression.gradient_flow(X, Y, mask=v),
    "ridge w0": lambda v: regression.ridge(X, Y, v, penalty=1.0),
    "loss": lambda v: regression.Problem(X, Y).loss(v),
    "errors": lambda v: montecarlo.squared_errors(product, v, 2, trials=3, rng=0),
    "magnitude": lambda v: pruning.magnitude(v),
    "select": lambda v: pruning.select(v, 0.5),
    "survival": lambda v: quadratic_forms.survival(4.0, v),
    "mean": lambda v: intervals.quantile(v, 0.5, 0.5),
}
MATRICES = {
    "Product A": lambda M: Product(M, P).term_norms,
    "leverage": probabilities.leverage,
    "multiply A": lambda M: sketches.multiply(M, X.T, 2, rng=0),
    "sketch": lambda M: pruning.sketch(M, P),
    "snip": lambda M: pruning.snip(M, Y, P),
    "flow": lambda M: regression.gradient_flow(M, Y),
    "path": lambda M: regression.path(M, Y, ORDER),
    "Problem": lambda M: regression.Problem(M, Y).singular_values,
    "spectral": lambda M: bounds.spectral(M, P, 9, 0.1),
}
TARGETS = {
    "flow y": lambda v: regression.gradient_flow(X, v),
    "path y": lambda v: regression.path(X, v, ORDER),
    "grasp": lambda v: pruning.grasp(X, v, P),
}
INTEGERS = {
    "order": lambda v: regression.path(X, Y, v),
    "steps": lambda v: regression.gradient_descent(X, Y, rate=0.01, steps=v),
    "s": lambda v: moments.multinomial(product, P, np.add(v, 1) if np.ndim(v) == 0 else v + 1),
}
DTYPES = ["f2", "f4", "f8", "g", "i1", "i4", "i8", "u1", "u8"]
ORDERS = ["<", ">"]


def numbers(values):
    return np.asarray(values, dtype=np.float64)


class Subclass(np.ndarray):
    """A subclass that adds nothing."""


def containers(M):
    """The numbers of an array in everything that can only mean them."""
    yield M.tolist()
    yield tuple(M.tolist())
    yield list(M)
    yield M.astype(object)
    yield np.vectorize(Fraction, otypes=[object])(M.astype(float))
    yield np.vectorize(decimal.Decimal, otypes=[object])(M.astype(float))
    yield M.view(Subclass)
    yield np.asfortranarray(M)[..., ::-1].copy()[..., ::-1]
    if M.ndim == 2:
        yield np.matrix(M)


@pytest.mark.parametrize("name", VECTORS)
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_vectors_mean_the_same_in_every_form(name):
    call, expected = VECTORS[name], numbers(VECTORS[name](P))
    for form in containers(P):
        np.testing.assert_array_equal(numbers(call(form)), expected)
    for dtype in DTYPES:
        for order in ORDERS:
            typed = P.astype(np.dtype(dtype).newbyteorder(order))
            # float32 results of float32 input.
            np.testing.assert_allclose(numbers(call(typed)), expected, rtol=SINGLE)


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_matrices_mean_the_same_in_every_form(name):
    call, expected = MATRICES[name], numbers(MATRICES[name](X))
    for form in containers(X):
        # Memory order may change the last bits of a BLAS.
        np.testing.assert_allclose(numbers(call(form)), expected, rtol=EXACT, atol=EXACT)
    for dtype in DTYPES:
        for order in ORDERS:
            typed = X.astype(np.dtype(dtype).newbyteorder(order))
            np.testing.assert_allclose(numbers(call(typed)), expected, rtol=LAYER, atol=SINGLE)


@pytest.mark.parametrize("name", TARGETS)
def test_targets_mean_the_same_in_every_form(name):
    call, expected = TARGETS[name], numbers(TARGETS[name](Y))
    for form in [*containers(Y), *(Y.astype(f"{o}{d}") for o in ORDERS for d in ("f4", "f8"))]:
        np.testing.assert_allclose(numbers(call(form)), expected, rtol=SINGLE, atol=QUADRATURE)


@pytest.mark.parametrize("name", ["order", "steps"])
def test_integers_mean_the_same_in_every_form(name):
    call, expected = INTEGERS[name], numbers(INTEGERS[name](ORDER))
    forms = [ORDER.tolist(), tuple(ORDER.tolist()), list(ORDER), ORDER.view(Subclass)]
    forms += [ORDER.astype(f"{o}{d}") for o in ORDERS for d in ("i2", "i8", "u4", "u8")]
    for form in forms:
        np.testing.assert_array_equal(numbers(call(form)), expected)
    for form in ([0.0, 1.0, 2.0], [True, False, True], ["0", "1", "2"], np.ma.array(ORDER)):
        with pytest.raises(TypeError, match=name):
            call(form)


def refused(v):
    """Forms of an array that mean something else, or nothing: with a word of the mend."""
    yield np.ma.array(v, mask=np.arange(v.size).reshape(v.shape) == 1), "filled"
    yield [np.ma.array(row) for row in np.atleast_2d(v)], "filled"
    yield v + 0j, "real part"
    yield v.astype("U8"), "text"
    yield v.astype("S8"), "bytes"
    yield v.astype("M8[D]"), "dates"
    yield v.astype("m8[s]"), "durations"
    yield np.rec.fromarrays([v.ravel(), v.ravel()]), "field"
    holes = v.astype(object)
    holes.flat[1] = None
    yield holes, "missing"
    mixed = v.astype(object)
    mixed.flat[1] = "1.0"
    yield mixed, "convert"
    yield [*v.tolist()[:-1], [1.0] * 7], "shape"
    yield np.array([1.0, [2.0]], dtype=object), "convert"
    yield {"a": 1.0}, "list"
    yield (x for x in v), "list"
    yield "1, 2, 3", "text"
    yield None, "missing"


CALLS = [
    *((name, call, P) for name, call in VECTORS.items()),
    *((name, call, X) for name, call in MATRICES.items()),
    *((name, call, Y) for name, call in TARGETS.items()),
]
OPTIONAL = {"ridge w0", "flow mask", "multiply p"}


@pytest.mark.parametrize(("name", "call", "plain"), CALLS, ids=[name for name, *_ in CALLS])
def test_what_means_more_is_refused_in_words(name, call, plain):
    for form, mend in refused(plain):
        if form is None and name in OPTIONAL:
            continue
        with pytest.raises((TypeError, ValueError), match=mend):
            call(form)
    for form in (scipy.sparse.coo_array(np.atleast_2d(plain)), scipy.sparse.lil_array([[1.0]])):
        with pytest.raises((TypeError, ValueError), match="sparse"):
            call(form)


@given(
    st.sampled_from(CALLS),
    st.sampled_from(["f2", "f4", "f8", "g", "i2", "u8", "?", "c8", "U3", "S2", "M8[s]", "O", "V8"]),
    st.sampled_from(["=", ">", "<"]),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from([np.asarray, list, np.ma.asarray, lambda v: v.view(Subclass)]),
)
def test_no_message_of_numpy_gets_out(call, dtype, order, shape, form):
    _, function, _ = call
    value = form(np.ones(shape or [1], dtype=np.dtype(dtype).newbyteorder(order)))
    said = ""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            function(value)
        except (TypeError, ValueError) as error:
            said = str(error)
    # Ours name an argument and what to do; numpy's and numba's have these words.
    for word in ("inhomogeneous", "setting an array", "ufunc", "broadcast", "non-precise", "ctype"):
        assert word not in said


def test_layers_as_lists_and_several_types():
    expected = pruning.select(LAYERS, 0.5)
    for form in (tuple(LAYERS), [LAYERS[0], [1.0, 2.0]], [M.astype(">f8") for M in LAYERS]):
        for ours, theirs in zip(pruning.select(form, 0.5), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    # Lists of numbers are one array.
    np.testing.assert_array_equal(
        pruning.select([M.tolist() for M in LAYERS], 0.5), pruning.select(np.array(LAYERS), 0.5)
    )
    with pytest.raises(ValueError, match=r"scores\[1\] has shape \(3,\)"):
        pruning.select([[1.0, 2.0], [1.0, 2.0, 3.0]], 0.5)
    with pytest.raises(TypeError, match=r"scores\[1\] is a masked array"):
        pruning.select([LAYERS[0], np.ma.array([1.0, 2.0], mask=[True, False])], 0.5)


class Column:
    """What the room asks of a column of a frame."""

    def __init__(self, values, dtype=None):
        self.values, self.dtype = values, dtype

    def to_numpy(self):
        return np.asarray(self.values)


class Frame:
    """What the room asks of a frame, of pandas or of polars."""

    def __init__(self, **columns):
        self.by_label, self.columns, self.to_numpy = columns, list(columns), None

    def __getitem__(self, label):
        return self.by_label[label]


def test_frames_by_column():
    frame = Frame(a=Column([1, 2]), b=Column([0.5, 1.5]), c=Column([True, False]))
    np.testing.assert_array_equal(conversion.plain("X", frame), [[1, 0.5, 1], [2, 1.5, 0]])
    missing = Frame(a=Column([1, 2]), b=Column(np.array([1, None], dtype=object)))
    with pytest.raises(TypeError, match=r"A\['b'\].*missing.*drop the column"):
        Product(missing, [1.0, 1.0])
    for column in (Column(["x", "y"]), Column([0, 1], dtype="category")):
        with pytest.raises(TypeError, match=r"X\['b'\].*drop the column"):
            conversion.plain("X", Frame(a=Column([1, 2]), b=column))


def test_numbers_of_no_axis():
    for value in (np.array(0.25), np.float32(0.25), Fraction(1, 4), np.array(0.25, ">f8")):
        assert bounds.frobenius(product, np.array(2), value) == bounds.frobenius(product, 2, 0.25)
    for value in ("0.25", True, None, 0.25j, [0.25], np.ma.masked, 10**400):
        with pytest.raises((TypeError, ValueError), match="beta"):
            bounds.frobenius(product, 2, value)
    for value in (2.0, "2", True, [1, 2.0], None, np.array("2"), np.ma.array([2])):
        with pytest.raises(TypeError, match="s must be an integer"):
            bounds.frobenius(product, value)
