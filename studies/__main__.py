"""`python -m studies NAME [DATA ...]`: print one table of docs/theory.md."""

from __future__ import annotations

import importlib
import sys

NAMES = ("tiny_risks", "anticipated_draw", "pattern_price")
# Studies that make their own weights and inputs.
WITHOUT_DATA = ("pattern_price",)
DATA = ("digits", "mnist", "fashion_mnist", "cifar10")


def main(arguments: list[str]) -> None:
    """Print the named table, on all data sets by default."""
    if not arguments or arguments[0] not in NAMES or not set(arguments[1:]) <= set(DATA):
        raise SystemExit(f"usage: python -m studies {'|'.join(NAMES)} [{'|'.join(DATA)} ...]")
    study = importlib.import_module(f"studies.{arguments[0]}")
    if arguments[0] in WITHOUT_DATA:
        print(study.table())
    else:
        print(study.table(arguments[1:] or list(DATA)))


if __name__ == "__main__":
    main(sys.argv[1:])
