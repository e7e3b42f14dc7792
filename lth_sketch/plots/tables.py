"""Tidy tables: every plotted number is one row, and the digest of a figure is that of its rows."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Row = dict[str, str | int | float]
Table = list[Row]

# Five digits are what a reader can see and what no order of summation changes. Numbers such as
# 45/64 lie exactly between two of them: the nudge takes them off that edge.
FORMAT = "%.5g"
NUDGE = 1.0 + 2.0**-30


def rows(**columns: npt.ArrayLike) -> Table:
    """Return one row for each entry of the columns; a single value is repeated.

    Examples
    --------
    >>> rows(draw="uniform", s=[1, 2])
    [{'draw': 'uniform', 's': 1}, {'draw': 'uniform', 's': 2}]
    """
    values = [array.ravel().tolist() for array in np.broadcast_arrays(*columns.values())]
    return [dict(zip(columns, entry, strict=True)) for entry in zip(*values, strict=True)]


def select(table: Table, **where: str) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of those rows that have the values given.

    Examples
    --------
    >>> select([{"draw": "top", "s": 1}, {"draw": "uniform", "s": 2}], draw="uniform")["s"]
    array([2])
    """
    rows = [row for row in table if all(row[name] == value for name, value in where.items())]
    if not rows:
        raise LookupError(f"no row has {where}")
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def distinct(table: Table, column: str) -> list[Any]:
    """Return the different entries of a column in the order of their first appearance."""
    return list(dict.fromkeys(row[column] for row in table))


def to_csv(table: Table) -> bytes:
    r"""Return the table as CSV, its numbers with five digits.

    Examples
    --------
    >>> to_csv(rows(s=[1, 2], value=[0.703125, 1e-9]))
    b's,value\n1,0.70313\n2,1e-09\n'
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _text(value) for name, value in row.items()} for row in table)
    return buffer.getvalue().encode()


def read(content: bytes) -> Table:
    r"""Return the table of a CSV file: columns of numbers are numbers, names of data are texts.

    Examples
    --------
    >>> read(b"data,s,value\n7,1,0.5\n8,2,inf\n")
    [{'data': '7', 's': 1, 'value': 0.5}, {'data': '8', 's': 2, 'value': inf}]
    """
    heads, *lines = csv.reader(io.StringIO(content.decode()))
    columns = [
        list(column) if head == "data" else _numbers(column)
        for head, column in zip(heads, zip(*lines, strict=True), strict=True)
    ]
    return [dict(zip(heads, entry, strict=True)) for entry in zip(*columns, strict=True)]


def _numbers(column: Sequence[str]) -> list[Any]:
    """Return integers if all entries are, else numbers if all are, else the texts."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return [kind(text) for text in column]
    return list(column)


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file's content, as ``sha256sum`` prints it."""
    return hashlib.sha256(content).hexdigest()


def _text(value: str | int | float) -> str:
    return FORMAT % (value * NUDGE) if isinstance(value, float) else str(value)
