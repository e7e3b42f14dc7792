"""Data of one's own: from arrays, from a file, and prepared as the data sets of the library are."""

from __future__ import annotations

import csv
import os
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lth_sketch import validation
from lth_sketch.datasets.loading import Dataset
from lth_sketch.validation import Array

# The last column of a table is the target where none has this name.
TARGET = "y"


def given(X: Any, y: npt.ArrayLike, name: str = "given", *, feature_names: Any = None) -> Dataset:
    """Return a data set made by hand, checked.

    Parameters
    ----------
    X : (n, d) array or data frame
        Samples in rows. The columns of a data frame give the names of the features.
    y : (n,) array
        Class labels: whole numbers, or texts, which are numbered in their order; or real targets.
    name : str
        What figures and tables call it.
    feature_names : sequence of str, optional
        One for each column.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If the shapes do not fit, an entry is not finite, or a name is empty.

    Examples
    --------
    >>> given([[0.0, 2.0], [1.0, 3.0]], ["cat", "dog"], "pets")
    Dataset('pets', X: (2, 2) float64, y: labels of 2 classes,
            features: from 0 to 3, split: all, source: given)
    """
    if not isinstance(name, str) or not name:
        raise ValueError(f"name must be a text that is not empty; got {name!r}")
    if feature_names is None and hasattr(X, "columns"):
        feature_names = [str(column) for column in X.columns]
    data = validation.array("X", np.asarray(X), ndim=2)
    labels = np.asarray(y)
    if labels.shape != data.shape[:1]:
        raise ValueError(
            f"y must have one entry for each of the {len(data)} rows of X; got shape {labels.shape}"
        )
    names = None if feature_names is None else tuple(map(str, feature_names))
    if names is not None and len(names) != data.shape[1]:
        raise ValueError(
            f"feature_names must be {data.shape[1]}, one for each column of X; got {len(names)}"
        )
    if labels.dtype.kind in "fiub":
        labels = validation.array("y", labels, ndim=1)
        if (labels == np.round(labels)).all():
            labels = labels.astype(np.int64)
    else:
        labels = np.unique(labels.astype(str), return_inverse=True)[1].astype(np.int64)
    return Dataset(data, labels, name, feature_names=names)


def read(path: str | os.PathLike[str]) -> Dataset:
    r"""Read data of one's own from a file: .npz with X and y, or .csv with a head.

    Parameters
    ----------
    path : path
        ``numpy.savez(path, X=X, y=y)`` writes such an archive. A table has one sample a row; its
        target is the column ``y``, or else the last one, and all other columns are numbers.

    Returns
    -------
    Dataset
        Called by the name of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is something else, or lacks X or y.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "flowers.csv"
    >>> _ = path.write_text("length,width,y\n1.5,0.2,rose\n1.4,0.3,lily\n")
    >>> data = read(path)
    >>> data.feature_names, data.y
    (('length', 'width'), array([1, 0]))
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if path.suffix == ".npz":
        return _archive(path)
    if path.suffix == ".csv":
        return _table(path)
    raise ValueError(f"path must end in .npz or .csv; got {path.name!r}")


def prepare(data: Dataset, preprocess: str | None) -> Dataset:
    """Return a data set whose features are centred or standardised, as `load` prepares them.

    Parameters
    ----------
    data : Dataset
        Not prepared yet.
    preprocess : {None, "centre", "standardise"}
        See `load`. Constant features become 0.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If the data are prepared already, or `preprocess` is unknown.

    Examples
    --------
    >>> prepare(given([[1.0, 5.0], [3.0, 5.0]], [0, 1]), "centre").X
    array([[-1.,  0.],
           [ 1.,  0.]])
    """
    if preprocess is None:
        return data
    validation.choice("preprocess", preprocess, ("centre", "standardise"))
    if data.preprocess is not None:
        raise ValueError(f"data must not be prepared yet; they are: {data.preprocess}")
    X: Array = data.X - data.X.mean(axis=0, dtype=np.float64)
    # A mean is rounded: what is constant is told from the data themselves.
    X[:, np.ptp(data.X, axis=0) == 0] = 0.0
    if preprocess == "standardise":
        deviation = np.sqrt(np.square(X).mean(axis=0))
        deviation[deviation == 0] = 1.0
        X /= deviation
    return replace(data, X=X.astype(data.X.dtype), preprocess=preprocess)


def _archive(path: Path) -> Dataset:
    broken = f"{path.name} is no archive of numpy that can be read"
    if not zipfile.is_zipfile(path):
        raise ValueError(broken)
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in ("X", "y") if name not in archive]
            if missing:
                raise ValueError(
                    f"{path.name} must hold the arrays X and y; it lacks {' and '.join(missing)} "
                    f"and holds {', '.join(archive) or 'nothing'}"
                )
            names = archive.get("feature_names")
            return given(archive["X"], archive["y"], path.stem, feature_names=names)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(broken) from error


def _table(path: Path) -> Dataset:
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if row]
    if len(rows) < 2 or len(rows[0]) < 2:
        raise ValueError(f"{path.name} must have a head, a sample, and two columns at least")
    head, *body = rows
    for i, row in enumerate(body, start=2):
        if len(row) != len(head):
            raise ValueError(f"{path.name}, row {i}: {len(head)} cells are wanted; got {len(row)}")
    target = head.index(TARGET) if TARGET in head else len(head) - 1
    features = [i for i in range(len(head)) if i != target]
    X = np.empty((len(body), len(features)))
    for i, row in enumerate(body):
        for j, column in enumerate(features):
            X[i, j] = _number(row[column], f"{path.name}, row {i + 2}, column {head[column]!r}")
    texts = [row[target] for row in body]
    try:
        y = np.array([float(text) for text in texts])
    except ValueError:
        return given(X, texts, path.stem, feature_names=[head[i] for i in features])
    return given(X, y, path.stem, feature_names=[head[i] for i in features])


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{where}: a number is wanted; got {text!r}") from None
