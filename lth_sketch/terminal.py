"""What is printed for people: whatever the terminal is, and at most 80 columns wide."""

from __future__ import annotations

import contextlib
import os
import sys
import textwrap
from collections.abc import Iterable, Sequence

COLUMNS = 80
# A name is not shortened below this.
LEAST = 5


def say(text: str) -> None:
    """Print to standard output; a reader that has left, or a poor encoding, is no error.

    Characters that the output cannot encode are written as escapes. Where nobody reads any more (a
    closed pipe, a full disk), the rest is dropped: what the command was asked to do is done.
    """
    out = sys.stdout
    if out is None or out.closed:
        return
    try:
        try:
            out.write(text + "\n")
        except UnicodeEncodeError:
            encoding = getattr(out, "encoding", None) or "ascii"
            out.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        out.flush()
    except OSError:
        # At its exit Python would flush once more, and fail once more.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def note(text: str) -> None:
    """Print one line to standard error, if anybody reads it."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def aligned(
    rows: Sequence[Sequence[str]], *, right: bool | Sequence[bool] = False, gap: int = 2
) -> str:
    """Return rows of cells as text in columns, set to the left or to the right.

    Where the gap would make a line longer than `COLUMNS`, it is a single space.

    Examples
    --------
    >>> print(aligned([("a", "1"), ("long", "10")], right=(False, True)))
    a      1
    long  10
    """
    widths = _widths(rows)
    sides = [right] * len(widths) if isinstance(right, bool) else list(right)
    if width(rows, gap) > COLUMNS:
        gap = 1
    lines = []
    for row in rows:
        cells = [
            cell.rjust(size) if side else cell.ljust(size)
            for cell, size, side in zip(row, widths, sides, strict=True)
        ]
        lines.append((" " * gap).join(cells).rstrip())
    return "\n".join(lines)


def wrapped(lines: Iterable[str]) -> str:
    """Return lines as text, where those longer than `COLUMNS` go on in the next line."""
    return "\n".join(
        line if len(line) <= COLUMNS else textwrap.fill(line, COLUMNS, break_long_words=False)
        for line in lines
    )


def width(rows: Sequence[Sequence[str]], gap: int = 1) -> int:
    """Return how many columns `aligned` needs with a gap."""
    widths = _widths(rows)
    return sum(widths) + gap * (len(widths) - 1)


def fitted(rows: Sequence[Sequence[str]], columns: Sequence[int]) -> list[list[str]]:
    """Return rows that `aligned` can set in `COLUMNS`: the longest of some columns are shortened.

    Examples
    --------
    >>> rows = fitted([("x" * 90, "1"), ("y", "2")], [0])
    >>> [len(row[0]) for row in rows]
    [78, 1]
    """
    folded = [list(row) for row in rows]
    while (over := width(folded) - COLUMNS) > 0:
        widths = _widths(folded)
        longest = max(columns, key=lambda i: widths[i])
        others = [widths[i] for i in columns if i != longest]
        room = max(widths[longest] - over, *others, LEAST) if others else widths[longest] - over
        room = max(min(room, widths[longest] - 1), LEAST)
        if widths[longest] <= LEAST:
            break
        for row in folded:
            row[longest] = shortened(row[longest], room)
    return folded


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]


def shortened(text: str, width: int) -> str:
    """Return a text of at most so many characters: dots stand for its middle.

    Examples
    --------
    >>> shortened("encoder.layers.11.attention.weight", 20)
    'encoder...ion.weight'
    """
    if len(text) <= width:
        return text
    left = max(0, (width - 3) // 2 - 1)
    right = max(0, width - 3 - left)
    return f"{text[:left]}...{text[len(text) - right :]}"
