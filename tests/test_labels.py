"""Names of features, from data frames to scores, masks and tables; no pandas is needed to tell."""

from __future__ import annotations

import numpy as np
import pytest

from lth_sketch import Product, labels, pruning, regression, sampling

NAMES = ["height", "width", "depth", "age"]
X = np.array([[1.0, 2, 0, 1], [0, 1, 3, 1], [2, 0, 1, -1], [1, 1, 1, 4], [0.5, 2, -1, 1]])
w = np.array([1.0, -2, 0.5, 3])


class Labelled:
    """What a series and a frame have in common."""

    def __init__(self, values, index=None):
        self.values = np.asarray(values, dtype=float)
        self.index = list(range(len(self.values))) if index is None else list(index)

    @property
    def shape(self):
        return self.values.shape

    @property
    def ndim(self):
        return self.values.ndim

    def to_numpy(self):
        return self.values


class Series(Labelled):
    """What the library asks of a series of pandas."""

    def __init__(self, values, index=None):
        super().__init__(values, index)
        self.iloc = self.values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)

    def __len__(self):
        return len(self.values)


class Frame(Labelled):
    """What the library asks of a frame of pandas: columns by place, with their own type."""

    class Places:
        def __init__(self, frame):
            self.frame = frame

        def __getitem__(self, place):
            return Series(self.frame.values[place], self.frame.index)

    def __init__(self, values, columns, index=None):
        super().__init__(values, index)
        self.columns = list(columns)
        self.iloc = self.Places(self)


def kinds():
    """The stand-ins, and pandas where it is installed."""
    params = [pytest.param((Series, Frame), id="stand-in")]
    try:
        import pandas
    except ModuleNotFoundError:
        return params
    return [*params, pytest.param((pandas.Series, pandas.DataFrame), id="pandas")]


@pytest.fixture(params=kinds())
def kind(request):
    return request.param


def test_scores_and_masks_keep_the_names_of_columns(kind):
    series, frame = kind
    data, y = frame(X, columns=NAMES), X @ w + 1
    for score, plain in (
        (pruning.sketch(data, w), pruning.sketch(X, w)),
        (pruning.leverage(data), pruning.leverage(X)),
        (pruning.snip(data, y, w), pruning.snip(X, y, w)),
        (pruning.snip_rms(data, w, 1.0), pruning.snip_rms(X, w, 1.0)),
        (pruning.grasp(data, y, w), pruning.grasp(X, y, w)),
    ):
        assert type(score) is series
        assert list(score.index) == NAMES
        np.testing.assert_array_equal(np.asarray(score), plain)
        mask = pruning.select(score, 0.5)
        assert type(mask) is series
        assert list(mask.index) == NAMES
        np.testing.assert_array_equal(np.asarray(mask), pruning.select(plain, 0.5))
    drawn = sampling.mask(pruning.sketch(data, w), 2, rng=0)
    assert list(drawn.index) == NAMES
    np.testing.assert_array_equal(np.asarray(drawn), sampling.mask(pruning.sketch(X, w), 2, rng=0))


def test_labelled_weights_name_their_scores(kind):
    series, frame = kind
    for weights in (series(w, index=NAMES), frame(w[:, None], columns=["out"], index=NAMES)):
        for score in (pruning.magnitude, pruning.synflow):
            scores = score(weights)
            assert type(scores) is series
            assert list(scores.index) == NAMES
            np.testing.assert_array_equal(np.asarray(scores), abs(w))


def test_layers_come_back_as_they_came(kind):
    series, frame = kind
    layers = {"a": series(w, index=NAMES), "b": frame(X, columns=NAMES), "c": abs(X)}
    masks = pruning.select(layers, 0.5)
    assert list(masks["a"].index) == NAMES
    assert list(masks["b"].columns) == NAMES
    assert type(masks["c"]) is np.ndarray
    plain = pruning.select([w, X, abs(X)], 0.5)
    for mask, expected in zip(masks.values(), plain, strict=True):
        np.testing.assert_array_equal(
            mask.to_numpy() if hasattr(mask, "to_numpy") else mask, expected
        )
    assert list(pruning.shuffle(masks["a"], rng=0).index) == NAMES


def test_products_and_problems_name_their_features(kind):
    series, frame = kind
    data = frame(X, columns=NAMES)
    product = Product(data, series(w, index=NAMES))
    assert product.names == tuple(NAMES)
    order = np.argsort(-product.term_norms)
    lines = product.table(most=2).splitlines()
    assert [line.split()[0] for line in lines] == ["term", *(NAMES[i] for i in order[:2])]
    assert f"{NAMES[order[0]]} {product.term_norms[order[0]] / product.total:.1%}" in (
        product._repr_html_()
    )
    problem = regression.Problem(data, X @ w, series(w, index=NAMES))
    assert problem.names == tuple(NAMES)
    assert "4: height, width, depth, age" in problem._repr_html_()


def test_without_a_frame_there_are_no_names():
    product = Product(X, w)
    assert product.names is None
    assert regression.Problem(X, X @ w).names is None
    assert "largest terms" not in product._repr_html_()
    assert product.table([1, 0, 0, 2.5]).splitlines()[1].split() == ["3", "56.0%", "2.5"]
    for array in (pruning.sketch(X, w), pruning.select(w, 0.5), sampling.mask(abs(w), 2, rng=0)):
        assert type(array) is np.ndarray


def test_another_order_is_refused(kind):
    series, frame = kind
    data = frame(X, columns=NAMES)
    turned = series(w[::-1], index=NAMES[::-1])
    message = r"column 0 of X is 'height', and row 0 of w is 'age': pass w.loc\[X.columns\]"
    with pytest.raises(ValueError, match=message):
        pruning.sketch(data, turned)
    with pytest.raises(ValueError, match=r"column 0 of A .* row 0 of B .* pass B.loc"):
        Product(data, turned)
    with pytest.raises(ValueError, match=r"of X .* of w0 is 'age'"):
        regression.Problem(data, X @ w, turned)
    other = series(w, index=["height", "width", "depth", "mass"])
    with pytest.raises(ValueError, match=r"column 3 of X is 'age'.*pass w.to_numpy\(\)"):
        pruning.sketch(data, other)
    # Numbers are no names, and arrays have none.
    for plain in (series(w), w):
        assert list(pruning.sketch(data, plain).index) == NAMES


def test_names_of_other_frames_are_read_only():
    class Other:
        columns = NAMES

        def __getitem__(self, name):
            return Series(X[:, NAMES.index(name)])

        def to_numpy(self):
            return X

    assert labels.names(Other()) == tuple(NAMES)
    assert Product(Other(), w).names == tuple(NAMES)
    assert type(pruning.sketch(Other(), w)) is np.ndarray


def test_bad_input():
    product = Product(X, w)
    with pytest.raises(ValueError, match="mask must have 4 entries; got 3"):
        product.table([1.0, 0.0, 2.0])
    with pytest.raises(ValueError, match="most must be at least 1"):
        product.table(most=0)
