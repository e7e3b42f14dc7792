"""Patterns that leave arrays out by name: each must match something."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Collection, Sequence


def left_out(names: Collection[str], skip: str | Sequence[str]) -> set[str]:
    """Return the names that a pattern matches.

    Parameters
    ----------
    names : collection of str
        All names.
    skip : str or sequence of str
        Patterns as of a shell, of which each also stands for the very name that it is: a name may
        hold brackets.

    Raises
    ------
    TypeError
        If a pattern is no text.
    ValueError
        If a pattern matches none of the names.

    Examples
    --------
    >>> left_out(["fc.weight", "fc.bias"], "*.bias")
    {'fc.bias'}
    """
    skipped: set[str] = set()
    for pattern in (skip,) if isinstance(skip, str) else skip:
        if not isinstance(pattern, str):
            raise TypeError(f"skip must hold patterns as text; got {pattern!r}")
        # The same on every system: upper and lower case differ.
        matched = {n for n in names if n == pattern or fnmatch.fnmatchcase(n, pattern)}
        if not matched:
            raise ValueError(
                f"skip pattern {pattern!r} matches none of the {len(names)} arrays"
                f"{_hint(names, pattern)}; correct it, or leave it out"
            )
        skipped |= matched
    return skipped


def remaining(names: list[str], skip: str | Sequence[str], source: object) -> list[str]:
    """Return the names that no pattern matches, of which there must be one where there are names.

    Raises
    ------
    TypeError, ValueError
        As `left_out`, or if every name is matched.
    """
    dropped = left_out(names, skip)
    if dropped and len(dropped) == len(names):
        raise ValueError(
            f"there are no prunable weights left: skip leaves out all {len(names)} arrays of "
            f"{source}; narrow its patterns"
        )
    return [name for name in names if name not in dropped]


def _hint(names: Collection[str], pattern: str) -> str:
    if not names:
        return ""
    near = difflib.get_close_matches(pattern.strip("*"), sorted(names)[:2000], n=3, cutoff=0.3)
    shown = near or list(names)[:3]
    return f", which are called for instance {', '.join(map(repr, shown))}"
