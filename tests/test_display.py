"""What notebooks show: whole tables, pictures with words, nothing that is not escaped."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest

from lth_sketch import Product, datasets, verify
from lth_sketch.regression import Problem
from lth_sketch.statements import REGISTER, Statement
from lth_sketch.tolerances import EXACT


class Whole(HTMLParser):
    """Tags are closed in order; there is no script; pictures have words."""

    def __init__(self, text):
        super().__init__()
        self.open, self.words = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        assert tag != "script"
        if tag == "svg":
            assert dict(attrs)["aria-label"]
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def report():
    return verify.run([s for s in REGISTER if s.label == "S0"], trials=10)


def shown(value) -> list[str]:
    return Whole(value._repr_html_()).words


def test_a_product_is_shown_with_its_norms():
    words = shown(Product(np.array([[3.0, 0.0], [4.0, 1.0]]), [1.0, 2.0]))
    assert words[0] == "Product"
    assert "6.7082" in words
    assert "2 x 2, float64" in words


def test_a_problem_is_shown_with_its_rank():
    words = shown(Problem([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]], [3.0, 4.0, 5.0]))
    assert words[words.index("rank") + 1] == "2"
    assert "2 to 1" in words
    assert "none" in shown(Problem([[0.0]], [1.0]))


def test_a_report_is_shown_whole(report):
    words = shown(report)
    assert words[0] == report.summary()
    assert words.count("certified") == len(report.verdicts)
    assert repr(report) == f"Report(5 verdicts: {report.summary()})"


def test_a_verdict_and_a_statement_are_shown(report):
    row = report.verdicts[0]
    assert row.claim in shown(row)
    assert repr(row).startswith(f"Verdict(S0 on digits, {row.product}: certified, measured=")
    for statement in REGISTER:
        words = shown(statement)
        assert words[:3] == [f"Statement {statement.label}", "claim", statement.claim]
        assert "<" not in repr(statement).replace(statement.claim, "")


def test_what_is_shown_is_escaped():
    mine = Statement("<b>", "1 < 2 & 3", "bound", lambda case: 1.0, lambda case, risk: None)
    assert "1 &lt; 2 &amp; 3" in mine._repr_html_()
    assert "<b>" not in mine._repr_html_()


# Data made by hand


def test_a_data_set_made_by_hand_tells_the_truth():
    data = datasets.Dataset(np.array([[-3.0, 2.0], [5.0, 0.5]]), np.array([7, 9]), "mine")
    text = repr(data)
    assert "labels of 2 classes" in text
    assert "from -3 to 5" in text
    assert "pixels" not in text
    assert (data.feature_shape, data.split, data.source) == ((2,), "all", "given")
    np.testing.assert_array_equal(data.one_hot(), np.eye(2))


def test_real_targets_have_no_classes():
    data = datasets.given(np.eye(3), [0.5, 1.0, 2.0])
    assert "real targets" in repr(data)
    with pytest.raises(ValueError, match="one_hot needs class labels; 'given' has real targets"):
        data.one_hot()


@pytest.mark.parametrize("how", ["centre", "standardise"])
def test_prepared_as_the_data_sets_of_the_library_are(how):
    raw = datasets.load("digits", subset=200)
    expected = datasets.load("digits", subset=200, preprocess=how)
    data = datasets.prepare(raw, how)
    np.testing.assert_allclose(data.X, expected.X, rtol=0, atol=EXACT)
    # What is constant is exactly zero, not nearly.
    np.testing.assert_array_equal(data.X.any(axis=0), expected.X.any(axis=0))
    with pytest.raises(ValueError, match=f"prepared yet; they are: {how}"):
        datasets.prepare(data, how)
    assert datasets.prepare(raw, None) is raw


def test_columns_of_a_data_frame_name_the_features():
    class Frame(np.ndarray):
        """As much of a data frame as is asked for."""

        columns = ("height", "width")

    frame = np.eye(2).view(Frame)
    assert datasets.given(frame, [0, 1]).feature_names == ("height", "width")


def test_an_archive_is_read(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.eye(2), y=[3, 4], feature_names=["u", "v"])
    data = datasets.read(tmp_path / "a.npz")
    assert (data.name, data.feature_names, data.y.tolist()) == ("a", ("u", "v"), [3, 4])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "x,y\n1,2\n3\n", "a.csv, row 3: 2 cells are wanted; got 1"),
        ("a.csv", "x,y\nred,2\n", "a.csv, row 2, column 'x': a number is wanted; got 'red'"),
        ("a.csv", "x,y\n", "must have a head, a sample"),
        ("a.csv", "x,y\nnan,1\n", "X"),
        ("a.txt", "", r"path must end in .npz or .csv"),
        ("a.npz", "no archive", "a.npz is no archive of numpy"),
    ],
)
def test_files_that_are_something_else_are_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        datasets.read(tmp_path / name)


def test_what_an_archive_lacks_is_told(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.eye(2), labels=[0, 1])
    with pytest.raises(ValueError, match="it lacks y and holds X, labels"):
        datasets.read(tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        datasets.read(tmp_path / "b.npz")


@pytest.mark.parametrize(
    ("X", "y", "options", "message"),
    [
        (np.eye(2), [1], {}, "y must have one entry for each of the 2 rows"),
        (np.eye(2), [1, 2], {"feature_names": ["a"]}, "feature_names must be 2"),
        (np.eye(2), [1, 2], {"name": ""}, "name must be a text"),
        (np.eye(2), [1, np.nan], {}, "y"),
    ],
)
def test_data_that_do_not_fit_are_refused(X, y, options, message):
    with pytest.raises(ValueError, match=message):
        datasets.given(X, y, **options)
