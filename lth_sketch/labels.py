"""Names of features: read off a data frame, and put back on scores and masks.

Nothing here imports pandas: whatever has columns, or an index and `iloc`, brings its own types.
"""

from __future__ import annotations

from typing import Any, TypeVar

from lth_sketch import conversion

Values = TypeVar("Values")


def names(X: Any) -> tuple[str, ...] | None:
    """Return the names of the columns of a frame (pandas, polars); None for anything else.

    Examples
    --------
    >>> names([[1.0, 2.0]]) is None
    True
    """
    return tuple(map(str, X.columns)) if conversion.is_frame(X) else None


def like(values: Values, source: Any) -> Values:
    """Return values as a series or a frame of pandas with the labels of one, else as they are.

    A series or a frame of the same shape is meant; it takes the place of an array in numpy.
    """
    if not _indexed(source):
        return values
    axes = {"columns": source.columns} if conversion.is_frame(source) else {}
    labelled: Values = type(source)(values, index=source.index, **axes)
    return labelled


def over(values: Values, X: Any, w: Any = None) -> Values:
    """Return a number for each feature as a series, named by the columns of X or the rows of w.

    Where neither is of pandas the values are returned as they are.
    """
    if _indexed(X) and conversion.is_frame(X):
        kind, index = type(X.iloc[:, 0]), X.columns
    elif _indexed(w):
        kind, index = type(w.iloc[:, 0] if conversion.is_frame(w) else w), w.index
    else:
        return values
    labelled: Values = kind(values, index=index)
    return labelled


def agree(left: str, X: Any, right: str, w: Any) -> None:
    """Refuse weights whose labels stand in another order than the columns of the data.

    Weights numbered 0, 1, .. have no labels of their own: they are taken in their order.
    """
    if not (conversion.is_frame(X) and _indexed(w)):
        return
    columns, rows = list(X.columns), list(w.index)
    if rows in (columns, list(range(len(rows)))) or len(rows) != len(columns):
        return
    at = next(i for i, (a, b) in enumerate(zip(columns, rows, strict=True)) if a != b)
    mend = (
        f"pass {right}.loc[{left}.columns]"
        if sorted(map(str, rows)) == sorted(map(str, columns))
        else f"pass {right}.to_numpy() if they belong together as they stand"
    )
    raise ValueError(
        f"{left} and {right} must name the features alike; column {at} of {left} is "
        f"{columns[at]!r}, and row {at} of {right} is {rows[at]!r}: {mend}"
    )


def _indexed(value: Any) -> bool:
    """Whether a value is a series or a frame of pandas, or behaves as one."""
    return hasattr(value, "iloc") and hasattr(value, "index") and hasattr(value, "to_numpy")
