"""Data sets: where they are looked for, what is made of them, and the facts of the real ones."""

from __future__ import annotations

import http.client
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import sklearn.datasets
from image_files import images, write_binary, write_idx, write_python

from lth_sketch import datasets
from lth_sketch.datasets import loading
from lth_sketch.tolerances import EPS32, EXACT

REAL = os.environ.get("LTH_SKETCH_DATA")
SQUARE, PLANES = (28, 28), (3, 32, 32)


@pytest.fixture(autouse=True)
def _closed_world(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*arguments: object, **options: object) -> None:
        raise AssertionError("a test reached for the network")

    monkeypatch.delenv("LTH_SKETCH_DATA", raising=False)
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", offline)


@pytest.fixture
def fetch(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], list[Any]]:
    """Let fetch_openml return a bunch or raise an error; the calls are listed."""

    def install(answer: Any) -> list[Any]:
        calls: list[Any] = []

        def fetch_openml(name: str, **options: Any) -> Any:
            calls.append((name, options))
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch_openml)
        return calls

    return install


def bunch(rows: int, d: int, train: int) -> SimpleNamespace:
    """As OpenML has it: labels are text. Training pixels are 51, test pixels 204."""
    data = np.full((rows, d), 51, np.uint8)
    data[train:] = 204
    return SimpleNamespace(data=data, target=np.array([str(i % 10) for i in range(rows)], object))


def test_digits() -> None:
    digits, source = datasets.load("digits"), sklearn.datasets.load_digits()
    np.testing.assert_array_equal(digits.X, source.data / 16)
    np.testing.assert_array_equal(digits.y, source.target)
    assert (digits.X.min(), digits.X.max()) == (0.0, 1.0)
    assert (digits.X.dtype, digits.y.dtype) == (np.float64, np.int64)
    assert (digits.name, digits.split, digits.feature_shape) == ("digits", "all", (8, 8))
    assert (digits.source, digits.preprocess, digits.target) == ("scikit-learn", None, None)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, "float32"])
@pytest.mark.parametrize("subset", [None, 40, 1])
@pytest.mark.parametrize("preprocess", ["centre", "standardise"])
def test_preprocess(preprocess: str, subset: int | None, dtype: Any) -> None:
    raw = datasets.load("digits", subset=subset).X
    wanted = raw - raw.mean(axis=0)
    constant = raw.min(axis=0) == raw.max(axis=0)
    assert constant.any()
    if preprocess == "standardise":
        wanted[:, ~constant] /= raw[:, ~constant].std(axis=0)
    result = datasets.load("digits", preprocess=preprocess, subset=subset, dtype=dtype)
    assert (result.X.dtype, result.preprocess) == (np.dtype(dtype), preprocess)
    tolerance = EXACT if result.X.dtype == np.float64 else 4 * EPS32
    np.testing.assert_allclose(result.X, wanted, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(result.X[:, constant], 0.0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("preprocess", ["centre", "standardise"])
def test_constant_features_become_zero(tmp_path: Path, preprocess: str, dtype: Any) -> None:
    # c/255 has no finite binary expansion: a mean of rounded pixels would miss it.
    pixels, labels = images(7, SQUARE)
    pixels[:, 0] = np.arange(1, 29, dtype=np.uint8)
    write_idx(tmp_path / "mnist", "train", pixels, labels, zipped=False)
    X = datasets.load("mnist", tmp_path, preprocess=preprocess, dtype=dtype).X
    np.testing.assert_array_equal(X[:, :28], 0.0)
    assert np.all(np.abs(X[:, 28:]).max(axis=0) > 0)


def test_standardised_norms_agree() -> None:
    X = datasets.load("digits", preprocess="standardise").X
    norms = np.linalg.norm(X, axis=0)
    np.testing.assert_allclose(norms[norms > 0], np.sqrt(len(X)), rtol=EXACT)


def test_subset_is_the_head() -> None:
    whole, part = datasets.load("digits"), datasets.load("digits", subset=np.int64(25))
    np.testing.assert_array_equal(part.X, whole.X[:25])
    np.testing.assert_array_equal(part.y, whole.y[:25])
    assert len(datasets.load("digits", subset=1797).y) == 1797


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_target(dtype: Any) -> None:
    whole = datasets.load("digits", dtype=dtype)
    one = datasets.load("digits", target=3, dtype=dtype)
    assert one.y.dtype == dtype
    np.testing.assert_array_equal(one.y, np.where(whole.y == 3, 1.0, -1.0))
    np.testing.assert_array_equal(one.X, whole.X)
    kept = (whole.y == 8) | (whole.y == 1)
    pair = datasets.load("digits", target=(8, 1), subset=100, dtype=dtype)
    np.testing.assert_array_equal(pair.X, whole.X[kept][:100])
    np.testing.assert_array_equal(pair.y, np.where(whole.y[kept] == 8, 1.0, -1.0)[:100])
    assert (one.target, pair.target) == (3, (8, 1))


def test_one_hot() -> None:
    digits = datasets.load("digits", subset=30, dtype=np.float32)
    hot = digits.one_hot()
    assert (hot.shape, hot.dtype) == ((30, 10), np.float32)
    np.testing.assert_array_equal(hot, digits.y[:, None] == np.arange(10))
    with pytest.raises(ValueError, match=r"one_hot needs class labels; .* \(1, 2\)"):
        datasets.load("digits", target=(1, 2)).one_hot()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ["'digits'", "(1797, 64) float64", "labels of 10", "[0, 1]", "all", "scikit-learn"]),
        ({"target": 0, "preprocess": "centre"}, ["class 0 as +1, the rest as -1", "centred"]),
        ({"target": (0, 1), "preprocess": "standardise"}, ["0 and 1 as +1 and", "standardised"]),
    ],
)
def test_repr(options: dict[str, Any], words: list[str]) -> None:
    text = repr(datasets.load("digits", **options))
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_local_idx(tmp_path: Path, name: str, zipped: bool, dtype: Any) -> None:
    train, test = images(6, SQUARE, seed=1), images(4, SQUARE, seed=2)
    write_idx(tmp_path / name, "train", *train, zipped=zipped)
    write_idx(tmp_path / name, "t10k", *test, zipped=zipped)
    for split, (pixels, labels), prefix in (("train", train, "train"), ("test", test, "t10k")):
        result = datasets.load(name, str(tmp_path), split=split, dtype=dtype)
        np.testing.assert_array_equal(result.X, (pixels.reshape(-1, 784) / 255).astype(dtype))
        np.testing.assert_array_equal(result.y, labels)
        assert (result.split, result.feature_shape) == (split, SQUARE)
        assert result.X.dtype == dtype
        assert f"{tmp_path / name}: {prefix}-images-idx3-ubyte" in result.source
    assert datasets.load(name, tmp_path).split == "train"


@pytest.mark.parametrize("write", ["binary", "python"])
def test_local_cifar(tmp_path: Path, write: str) -> None:
    folder = tmp_path / "cifar10"
    parts = {
        name: images(3, PLANES, seed) for seed, name in enumerate(("data_batch_2", "test_batch"))
    }
    for name, (pixels, labels) in parts.items():
        if write == "binary":
            write_binary(folder, name, pixels, labels)
        else:
            write_python(folder, name, {b"data": pixels.reshape(3, -1), b"labels": labels.tolist()})
    for split, name in ((None, "data_batch_2"), ("train", "data_batch_2"), ("test", "test_batch")):
        result = datasets.load("cifar10", tmp_path, split=split)
        np.testing.assert_array_equal(result.X.reshape(-1, *PLANES), parts[name][0] / 255)
        np.testing.assert_array_equal(result.y, parts[name][1])
        assert (result.split, result.feature_shape) == (split or "train", PLANES)
        assert name in result.source


def test_only_the_other_split_is_there(tmp_path: Path) -> None:
    write_binary(tmp_path / "cifar10", "test_batch", *images(3, PLANES))
    assert datasets.load("cifar10", tmp_path).split == "test"
    message = (
        r"split='train' of cifar10 is not in .*cifar10, which holds only test_batch.bin; "
        r"put .*data_batch_1.bin .* there, or ask for split='test'"
    )
    with pytest.raises(FileNotFoundError, match=message):
        datasets.load("cifar10", tmp_path, split="train")


def test_data_home_before_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n, home in ((2, "given"), (3, "set")):
        write_idx(tmp_path / home / "mnist", "train", *images(n, SQUARE), zipped=False)
    monkeypatch.setenv("LTH_SKETCH_DATA", str(tmp_path / "set"))
    assert len(datasets.load("mnist").y) == 3
    assert len(datasets.load("mnist", tmp_path / "given").y) == 2
    assert len(datasets.load("mnist", tmp_path / "nowhere").y) == 3
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(datasets.load("mnist", "~/given").y) == 2


@pytest.mark.parametrize(
    ("name", "title", "train", "d"),
    [
        ("mnist", "mnist_784", 60_000, 784),
        ("fashion_mnist", "Fashion-MNIST", 60_000, 784),
        ("cifar10", "CIFAR_10", 50_000, 3072),
    ],
)
@pytest.mark.parametrize("pandas", [False, True])
def test_openml(
    fetch: Callable[[Any], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    title: str,
    train: int,
    d: int,
    pandas: bool,
) -> None:
    calls = fetch(bunch(train + 10_000, d, train))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: pandas or None)
    first = datasets.load(name, subset=11)
    np.testing.assert_array_equal(first.X, np.full((11, d), 0.2))
    np.testing.assert_array_equal(first.y, np.arange(11) % 10)
    assert (first.split, first.source) == ("train", f"OpenML: {title}, version 1")
    with pytest.raises(ValueError, match=f"subset must be at most {train} here; got {train + 1}"):
        datasets.load(name, split="train", subset=train + 1)
    test = datasets.load(name, split="test", dtype=np.float32)
    assert (test.X.shape, test.split) == ((10_000, d), "test")
    np.testing.assert_array_equal(test.X, np.full((10_000, d), 0.8, np.float32))
    parser = "pandas" if pandas else "liac-arff"
    assert calls == [(title, {"version": 1, "as_frame": False, "parser": parser})] * 3


def test_openml_of_another_shape(fetch: Callable[[Any], list[Any]]) -> None:
    fetch(bunch(7, 784, 5))
    with pytest.raises(ValueError, match=r"mnist_784.* shape \(70000, 784\); got \(7, 784\)"):
        datasets.load("mnist")


@pytest.mark.parametrize(
    "error", [URLError("no route"), ValueError("no route"), http.client.HTTPException("no route")]
)
def test_nothing_found(
    tmp_path: Path,
    fetch: Callable[[Any], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    fetch(error)
    message = "data_home and LTH_SKETCH_DATA are not set.*; put train-images-idx3-ubyte and train-"
    with pytest.raises(FileNotFoundError, match=message):
        datasets.load("mnist")
    monkeypatch.setenv("LTH_SKETCH_DATA", str(tmp_path / "set"))
    message = (
        "mnist is not in .*given/mnist or .*set/mnist, and OpenML .*no route.*; put "
        "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte .* into <data_home>/mnist or "
    )
    with pytest.raises(FileNotFoundError, match=message) as caught:
        datasets.load("mnist", tmp_path / "given", split="test")
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("name", ["digits", "cifar10"])
def test_without_scikit_learn(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    message = rf"{name}.* needs scikit-learn.*pip install -e \'\.\[figures\]\' in a checkout"
    with pytest.raises(ImportError, match=message):
        datasets.load(name)


def test_local_files_need_no_scikit_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    write_binary(tmp_path / "cifar10", "test_batch", *images(3, PLANES))
    assert len(datasets.load("cifar10", tmp_path).y) == 3


def test_scikit_learn_is_imported_late() -> None:
    code = "import sys, lth_sketch.datasets; sys.exit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("error", "options", "message"),
    [
        (ValueError, {"name": "imagenet"}, "name must be one of cifar10, .*'imagenet'"),
        (ValueError, {"name": None}, "name must be one of"),
        (TypeError, {"data_home": 3}, "data_home must be a path; got 3"),
        (ValueError, {"preprocess": "whiten"}, "preprocess must be one of .*'whiten'"),
        (TypeError, {"subset": 2.0}, "subset must be an integer; got 2.0"),
        (ValueError, {"subset": 0}, "subset must be at least 1; got 0"),
        (ValueError, {"target": 10}, "target must be .*; got 10"),
        (ValueError, {"target": -1}, "target must be at least 0; got -1"),
        (TypeError, {"target": "3"}, "target must be an integer; got '3'"),
        (TypeError, {"target": True}, "target must be an integer; got True"),
        (ValueError, {"target": ()}, r"target must be .*; got \(\)"),
        (ValueError, {"target": (3,)}, r"target must be .*; got \(3,\)"),
        (ValueError, {"target": (3, 3)}, r"target must be .*; got \(3, 3\)"),
        (ValueError, {"target": (3, 10)}, r"target must be .*; got \(3, 10\)"),
        (ValueError, {"target": (3, 4, 3)}, r"target must be .*; got \(3, 4, 3\)"),
        (ValueError, {"split": "valid"}, "split must be one of test, train; got 'valid'"),
        (ValueError, {"dtype": np.int64}, "dtype must be float64 or float32"),
        (ValueError, {"dtype": "float16"}, "dtype must be float64 or float32; got 'float16'"),
        (ValueError, {"dtype": "sngl"}, "dtype must be float64 or float32; got 'sngl'"),
    ],
)
def test_bad_arguments_before_any_reading(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
    options: dict[str, Any],
    message: str,
) -> None:
    monkeypatch.setattr(loading, "_images", lambda *arguments: pytest.fail("it read files"))
    with pytest.raises(error, match=message):
        datasets.load(**{"name": "mnist", "data_home": tmp_path, **options})


def test_bad_arguments_for_these_samples(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="subset must be at most 1797 here; got 1798"):
        datasets.load("digits", subset=1798)
    with pytest.raises(ValueError, match=r"split must be left out for the digits.*'train'"):
        datasets.load("digits", split="train")
    pixels, _ = images(3, SQUARE)
    labels = np.array([0, 4, 4], np.uint8)
    write_idx(tmp_path / "mnist", "train", pixels, labels, zipped=True)
    for target in (7, (4, 7)):
        with pytest.raises(ValueError, match="target asks for class 7; there is no such sample"):
            datasets.load("mnist", tmp_path, target=target)


# mean pixel, size of the least class, features that are zero everywhere, ratio of norms, rank
REAL_FACTS = {
    "mnist": (0.1307, 5421, 67, 5390, 712),
    "fashion_mnist": (0.2860, 6000, 0, 1895, 784),
}
real = pytest.mark.skipif(REAL is None, reason="LTH_SKETCH_DATA names no folder of real data")


@real
@pytest.mark.parametrize("name", REAL_FACTS)
def test_real_images(name: str) -> None:
    mean, least, dead, ratio, _ = REAL_FACTS[name]
    data = datasets.load(name, REAL)
    assert (data.X.shape, data.split) == ((60_000, 784), "train")
    assert round(data.X.mean(), 4) == mean
    assert np.bincount(data.y, minlength=10).min() == least
    norms = np.linalg.norm(data.X, axis=0)
    assert (norms == 0).sum() == dead
    assert round(norms.max() / norms[norms > 0].min()) == ratio
    test = datasets.load(name, REAL, split="test", dtype=np.float32)
    assert (test.X.shape, test.split) == ((10_000, 784), "test")


@real
def test_real_cifar10() -> None:
    # Any of its batches may be there: these facts hold for each.
    data = datasets.load("cifar10", REAL)
    assert data.X.shape[1] == 3072
    norms = np.linalg.norm(data.X, axis=0)
    assert round(norms.max() / norms.min(), 1) == 1.4
    shares = np.bincount(data.y, minlength=10) / len(data.y)
    np.testing.assert_allclose(shares, 0.1, atol=0.02)
    # Neighbours in a plane are alike, pixels a plane apart less so: the planes are where they are.
    red, green, _ = data.X[:500].reshape(-1, *PLANES).transpose(1, 0, 2, 3)
    assert np.abs(red[:, :, 1:] - red[:, :, :-1]).mean() < np.abs(red - green[:, ::-1]).mean()


@pytest.mark.large
@real
@pytest.mark.parametrize("name", REAL_FACTS)
def test_real_rank(name: str) -> None:
    X = datasets.load(name, REAL).X
    norms = np.linalg.norm(X, axis=0)
    factor = np.linalg.qr(X[:, norms > 0] / norms[norms > 0], mode="r")
    assert np.linalg.matrix_rank(factor) == REAL_FACTS[name][-1]
