"""`python -m studies NAME [DATA ...]`: print one table of docs/theory.md."""

from __future__ import annotations

import argparse
import importlib

NAMES = ("tiny_risks", "anticipated_draw", "pattern_price")
# Studies that make their own weights and inputs.
WITHOUT_DATA = ("pattern_price",)
DATA = ("digits", "mnist", "fashion_mnist", "cifar10")


def main() -> None:
    """Print the named table, on all data sets by default."""
    parser = argparse.ArgumentParser(prog="python -m studies", description=__doc__)
    parser.add_argument("name", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("data", nargs="*", choices=DATA, metavar="DATA", help=", ".join(DATA))
    chosen = parser.parse_args()
    study = importlib.import_module(f"studies.{chosen.name}")
    if chosen.name in WITHOUT_DATA:
        print(study.table())
    else:
        print(study.table(chosen.data or list(DATA)))


if __name__ == "__main__":
    main()
