"""What docstrings say of parameters, next to what signatures have."""

from __future__ import annotations

import inspect
import re
from types import ModuleType
from typing import Any


def parameters(value: Any) -> set[str]:
    """The names of a signature, without what is private."""
    taken = inspect.signature(value).parameters
    return {
        ("**" if p.kind is p.VAR_KEYWORD else "*" if p.kind is p.VAR_POSITIONAL else "") + name
        for name, p in taken.items()
        if not name.startswith("_") and name not in ("self", "cls")
    }


def documented(value: Any) -> set[str]:
    """The names of the section on parameters (or attributes) of a docstring."""
    text = inspect.getdoc(value) or ""
    sections = re.findall(
        r"^(?:Parameters|Attributes|Other Parameters)\n-+\n(.*?)(?=^\S[^\n]*\n-{3,}$|\Z)",
        text,
        re.M | re.S,
    )
    names: set[str] = set()
    for section in sections:
        for line in section.splitlines():
            if line and not line.startswith(" "):
                names |= {name.strip() for name in line.split(" : ")[0].split(",")}
    return names


def _read_only(value: type) -> bool:
    """Whether a class is for reading: named tuples, errors, and what only lists its attributes."""
    text = inspect.getdoc(value) or ""
    listed = "\nAttributes\n-" in text and "\nParameters\n-" not in text
    return issubclass(value, tuple | BaseException) or listed


def differing(module: ModuleType, names: list[str]) -> dict[str, tuple[set[str], set[str]]]:
    """Public functions and classes whose docstring has other parameters than they take."""
    gaps = {}
    for name in names:
        value = getattr(module, name)
        if not callable(value) or (inspect.isclass(value) and _read_only(value)):
            continue
        # What Hypothesis hands to a strategy is no argument of its caller.
        said, taken = documented(value) - {"draw"}, parameters(value)
        if said != taken:
            gaps[name] = said - taken, taken - said
    return gaps
