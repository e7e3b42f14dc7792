"""Data sets: digits (bundled with scikit-learn), MNIST, Fashion-MNIST and CIFAR-10.

Images are read from local files in their published formats (`formats`), else from OpenML.
"""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lth_sketch import extras, validation
from lth_sketch.datasets import formats
from lth_sketch.datasets.formats import CLASSES, Bytes
from lth_sketch.validation import Array

ENVIRONMENT = "LTH_SKETCH_DATA"


@dataclass(frozen=True, repr=False, eq=False)
class Dataset:
    """Samples in rows, what to predict for them, and where both came from.

    Parameters
    ----------
    X : array of shape (n, d), float64 or float32
        Pixels in [0, 1], or what `preprocess` made of them.
    y : array of shape (n,)
        Class labels (int64), or +1 and -1 in the type of `X` for a binary target. One made by hand
        may have real targets.
    name : str
        The name it was loaded by.
    feature_shape : tuple of int, optional
        The shape of one image: (28, 28), or (3, 32, 32) for red, green and blue planes; by default
        that of a row of `X`.
    split : {"train", "test", "all"}
        Which part of the data set these samples belong to; "all" where it has no parts.
    source : str
        The files, or the service, that it was read from.
    preprocess : {None, "centre", "standardise"}
        What was done to the features.
    target : None, int or tuple of two int
        The class, or the pair of classes, behind a binary target.
    n_classes : int, optional
        Classes that there are; by default those among the labels.
    feature_names : tuple of str, optional
        Names of the columns of `X`.

    Examples
    --------
    >>> from lth_sketch import datasets
    >>> datasets.load("digits", target=(3, 8))
    Dataset('digits', X: (357, 64) float64, y: classes 3 and 8 as +1 and -1,
            features: pixels in [0, 1], split: all, source: scikit-learn)
    """

    X: Array
    y: Array
    name: str
    feature_shape: tuple[int, ...] = ()
    split: str = "all"
    source: str = "given"
    preprocess: str | None = None
    target: int | tuple[int, int] | None = None
    n_classes: int | None = None
    feature_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not self.feature_shape:
            object.__setattr__(self, "feature_shape", tuple(self.X.shape[1:]))

    @property
    def labelled(self) -> bool:
        """Whether `y` holds class labels."""
        return self.target is None and self.y.dtype.kind in "iu"

    def _features(self) -> str:
        if self.preprocess is not None:
            return {"centre": "centred", "standardise": "standardised"}[self.preprocess]
        low, high = float(self.X.min()), float(self.X.max())
        if len(self.feature_shape) > 1 and low >= 0 and high <= 1:
            return "pixels in [0, 1]"
        return f"from {low:.4g} to {high:.4g}"

    def __repr__(self) -> str:
        match self.target:
            case None if not self.labelled:
                labels = "real targets"
            case None:
                labels = f"labels of {self.n_classes or len(np.unique(self.y))} classes"
            case (first, second):
                labels = f"classes {first} and {second} as +1 and -1"
            case one:
                labels = f"class {one} as +1, the rest as -1"
        return (
            f"Dataset({self.name!r}, X: {self.X.shape} {self.X.dtype}, y: {labels},\n"
            f"        features: {self._features()}, split: {self.split}, "
            f"source: {self.source})"
        )

    def one_hot(self) -> Array:
        """Return the labels as a matrix: 1 in the column of the class, 0 elsewhere.

        Returns
        -------
        array of shape (n, 10), or (n, n_classes)
            In the type of `X`; a regression on it has one output a class.

        Raises
        ------
        ValueError
            If the labels were replaced by a binary target, or are none.

        Examples
        --------
        >>> from lth_sketch import datasets
        >>> datasets.load("digits", subset=3).one_hot()
        array([[1., 0., 0., 0., 0., 0., 0., 0., 0., 0.],
               [0., 1., 0., 0., 0., 0., 0., 0., 0., 0.],
               [0., 0., 1., 0., 0., 0., 0., 0., 0., 0.]])
        """
        if self.target is not None:
            raise ValueError(
                f"one_hot needs class labels; this data set has the binary target {self.target!r}: "
                "load it without target"
            )
        if not self.labelled:
            raise ValueError(f"one_hot needs class labels; {self.name!r} has real targets")
        columns = self.y
        if self.n_classes is None:
            # Labels of any numbers: a column for each that there is, in their order.
            columns = np.unique(self.y, return_inverse=True)[1]
        result = np.zeros((len(self.y), self.n_classes or int(columns.max()) + 1), self.X.dtype)
        result[np.arange(len(self.y)), columns] = 1.0
        return result


class _Images(NamedTuple):
    openml: str
    train_rows: int
    shape: tuple[int, ...]
    find: Callable[[Path, str], list[Path]]
    read: Callable[[list[Path]], tuple[Bytes, Bytes]]
    files: dict[str, str]


_IDX = (formats.find_idx, formats.read_idx, formats.IDX_FILES)
_CIFAR = (formats.find_cifar, formats.read_cifar, formats.CIFAR_FILES)
# OpenML keeps the training rows first, then the test rows.
_IMAGES = {
    "mnist": _Images("mnist_784", 60_000, (28, 28), *_IDX),
    "fashion_mnist": _Images("Fashion-MNIST", 60_000, (28, 28), *_IDX),
    "cifar10": _Images("CIFAR_10", 50_000, (3, 32, 32), *_CIFAR),
}
_TEST_ROWS = 10_000


class _Raw(NamedTuple):
    pixels: Bytes
    labels: Bytes
    shape: tuple[int, ...]
    levels: int
    split: str
    source: str


def load(
    name: str,
    data_home: str | os.PathLike[str] | None = None,
    *,
    preprocess: str | None = None,
    subset: int | None = None,
    target: int | tuple[int, int] | None = None,
    split: str | None = None,
    dtype: npt.DTypeLike = np.float64,
) -> Dataset:
    """Load a data set by name, from this machine when its files are there, else from OpenML.

    The first place that holds any file of the data set decides: `data_home`/`name`, then
    `name` in the folder that the environment variable LTH_SKETCH_DATA names, then OpenML (which
    scikit-learn downloads once and keeps). The digits come with scikit-learn.

    Parameters
    ----------
    name : {"digits", "mnist", "fashion_mnist", "cifar10"}
        The digits are 1797 images of 8 x 8 pixels.
    data_home : path, optional
        Folder with a folder for each data set.
    preprocess : {None, "centre", "standardise"}
        None keeps the pixels, scaled to [0, 1]; "centre" subtracts the mean of each feature;
        "standardise" divides by its standard deviation as well, so that all feature norms agree and
        a data-free draw costs nothing (D1). Constant features become 0. Means and deviations are
        those of the samples returned.
    subset : int, optional
        Keep the first `subset` samples (of the two classes, when `target` is a pair).
    target : int or tuple of two int, optional
        A binary target in place of labels: +1 for this class and -1 for the rest; or, for a pair,
        +1 for the first and -1 for the second, without the other classes.
    split : {"train", "test"}, optional
        By default the training samples if their files are there, otherwise the test samples; the
        result says which. Of CIFAR-10's training batches those that exist are read. The digits have
        no parts.
    dtype : float64 or float32
        The type of `X`.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If an argument or a file is not what it should be.
    FileNotFoundError
        If no place holds the data set, or the one that does lacks a file or the split.
    ImportError
        If scikit-learn is needed and missing.

    Notes
    -----
    Sums over features are sums of whole numbers here, so that means and variances are exact up to
    their last rounding and a constant feature is recognised without a tolerance.

    References
    ----------
    Y. LeCun, C. Cortes, C. Burges, *The MNIST database of handwritten digits* (1998): the IDX
    format. H. Xiao, K. Rasul, R. Vollgraf, arXiv 1708.07747 (2017): Fashion-MNIST. A. Krizhevsky,
    *Learning Multiple Layers of Features from Tiny Images* (2009): CIFAR-10.

    Examples
    --------
    >>> from lth_sketch import datasets
    >>> digits = datasets.load("digits", preprocess="standardise", subset=500)
    >>> digits.X.shape, digits.y[:5]
    ((500, 64), array([0, 1, 2, 3, 4]))
    >>> digits
    Dataset('digits', X: (500, 64) float64, y: labels of 10 classes,
            features: standardised, split: all, source: scikit-learn)
    """
    validation.choice("name", name, ("digits", *_IMAGES))
    if data_home is not None and not isinstance(data_home, str | os.PathLike):
        raise TypeError(f"data_home must be a path; got {data_home!r}")
    if preprocess is not None:
        validation.choice("preprocess", preprocess, ("centre", "standardise"))
    if subset is not None:
        validation.count("subset", subset)
    classes = _classes(target)
    if split is not None:
        validation.choice("split", split, ("train", "test"))
    precision = _precision(dtype)

    raw = _digits(split) if name == "digits" else _images(name, data_home, split)
    pixels, labels = raw.pixels, raw.labels
    for c in classes:
        if not (labels == c).any():
            raise ValueError(f"target asks for class {c}; there is no such sample in {raw.source}")
    if len(classes) == 2:
        kept = np.isin(labels, classes)
        pixels, labels = pixels[kept], labels[kept]
    if subset is not None:
        if subset > len(labels):
            raise ValueError(f"subset must be at most {len(labels)} here; got {subset}")
        pixels, labels = pixels[:subset], labels[:subset]
    signs = np.where(labels == classes[0], 1, -1).astype(precision) if classes else None
    return Dataset(
        X=_features(pixels, raw.levels, preprocess, precision),
        y=labels.astype(np.int64) if signs is None else signs,
        name=name,
        feature_shape=raw.shape,
        split=raw.split,
        source=raw.source,
        preprocess=preprocess,
        target=target,
        n_classes=CLASSES,
    )


def _classes(target: Any) -> tuple[int, ...]:
    pair = isinstance(target, tuple | list)
    listed = target if pair else () if target is None else (target,)
    classes = tuple(validation.count("target", c, minimum=0) for c in listed)
    if max(classes, default=0) >= CLASSES or (pair and (len(classes), len(set(classes))) != (2, 2)):
        raise ValueError(
            f"target must be a class from 0 to {CLASSES - 1}, a pair of two such classes, or None; "
            f"got {target!r}"
        )
    return classes


def _precision(dtype: npt.DTypeLike) -> np.dtype[Any]:
    try:
        result = np.dtype(dtype)
    except TypeError:
        result = np.dtype(object)
    if result not in (np.dtype(np.float64), np.dtype(np.float32)):
        raise ValueError(f"dtype must be float64 or float32; got {dtype!r}")
    return result


def _features(
    pixels: Bytes, levels: int, preprocess: str | None, precision: np.dtype[Any]
) -> Array:
    """Return (pixels - shift) / scale; shift and scale come from exact sums of integers."""
    X = np.empty(pixels.shape, precision)
    if preprocess is None:
        return np.divide(pixels, float(levels), out=X, casting="same_kind")
    n = len(pixels)
    total = pixels.sum(axis=0, dtype=np.int64)
    np.subtract(pixels, total / n, out=X, casting="same_kind")
    if preprocess == "centre":
        X /= levels
        return X
    squares = np.einsum("ij,ij->j", pixels, pixels, dtype=np.int64)
    deviation = np.sqrt(n * squares - total * total) / n
    deviation[deviation == 0] = 1.0
    X /= deviation
    return X


def _digits(split: str | None) -> _Raw:
    if split is not None:
        raise ValueError(
            f"split must be left out for the digits, which have no parts; got {split!r}"
        )
    bunch = _sklearn_datasets("the data set digits").load_digits()
    pixels, labels = bunch.data.astype(np.uint8), bunch.target.astype(np.uint8)
    return _Raw(pixels, labels, (8, 8), 16, "all", "scikit-learn")


def _sklearn_datasets(what: str) -> Any:
    try:
        import sklearn.datasets
    except ImportError as error:
        raise extras.missing(what, "figures") from error
    return sklearn.datasets


def _images(name: str, data_home: str | os.PathLike[str] | None, split: str | None) -> _Raw:
    images = _IMAGES[name]
    homes = [home for home in (data_home, os.environ.get(ENVIRONMENT)) if home]
    folders = [Path(home).expanduser() / name for home in homes]
    for folder in folders:
        present = {part: paths for part in images.files if (paths := images.find(folder, part))}
        if not present:
            continue
        chosen = split or next(iter(present))
        if chosen not in present:
            ((other, paths),) = present.items()
            raise FileNotFoundError(
                f"split={chosen!r} of {name} is not in {folder}, which holds only "
                f"{_names(paths)}; put {images.files[chosen]} there, or ask for split={other!r}"
            )
        pixels, labels = images.read(present[chosen])
        source = f"{present[chosen][0].parent}: {_names(present[chosen])}"
        return _Raw(pixels, labels, images.shape, 255, chosen, source)
    return _openml(name, split or "train", folders)


def _names(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths)


def _openml(name: str, split: str, folders: list[Path]) -> _Raw:
    # Here, not above: it takes a tenth of the time that the whole library takes to import.
    import http.client

    images = _IMAGES[name]
    looked = " or ".join(map(str, folders)) or f"a folder (data_home and {ENVIRONMENT} are not set)"
    sklearn_datasets = _sklearn_datasets(f"{name} is not in {looked}; fetching it from OpenML")
    # scikit-learn's fast parser needs pandas, which this library does not.
    parser = "pandas" if importlib.util.find_spec("pandas") else "liac-arff"
    try:
        bunch = sklearn_datasets.fetch_openml(
            images.openml, version=1, as_frame=False, parser=parser
        )
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise FileNotFoundError(
            f"{name} is not in {looked}, and OpenML could not be reached ({error}); "
            f"put {images.files[split]} into <data_home>/{name} or ${ENVIRONMENT}/{name}"
        ) from error
    source = f"OpenML: {images.openml}, version 1"
    expected = (images.train_rows + _TEST_ROWS, math.prod(images.shape))
    if bunch.data.shape != expected:
        raise ValueError(f"{source} must have shape {expected}; got {bunch.data.shape}")
    rows = slice(images.train_rows) if split == "train" else slice(images.train_rows, None)
    labels = formats.class_labels(source, np.asarray(bunch.target[rows]).astype(np.int64))
    return _Raw(bunch.data[rows].astype(np.uint8), labels, images.shape, 255, split, source)
