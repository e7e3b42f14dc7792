"""Mutants that give the same result on every input, as listed in `equivalent.toml`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple


class Equivalent(NamedTuple):
    """A change of a line that changes no result."""

    path: str
    before: str
    after: str
    reason: str


EQUIVALENT = tuple(
    Equivalent(entry["path"], entry["before"], after, entry["reason"])
    for entry in tomllib.loads(Path(__file__).with_suffix(".toml").read_text())["mutant"]
    for after in entry["after"]
)
REASONS = {(each.path, each.before, each.after): each.reason for each in EQUIVALENT}
