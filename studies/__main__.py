"""`python -m studies NAME [DATA ...]`: print one table of docs/theory.md."""

from __future__ import annotations

import importlib
import sys

NAMES = ("tiny_risks", "anticipated_draw")
DATA = ("digits", "mnist", "fashion_mnist", "cifar10")


def main(arguments: list[str]) -> None:
    """Print the named table, on all data sets by default."""
    if not arguments or arguments[0] not in NAMES or not set(arguments[1:]) <= set(DATA):
        raise SystemExit(f"usage: python -m studies {'|'.join(NAMES)} [{'|'.join(DATA)} ...]")
    print(importlib.import_module(f"studies.{arguments[0]}").table(arguments[1:] or list(DATA)))


if __name__ == "__main__":
    main(sys.argv[1:])
