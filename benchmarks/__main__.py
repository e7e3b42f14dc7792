"""`python -m benchmarks [NAME ...]`: run the comparisons and print one table for each."""

from __future__ import annotations

import importlib
import sys

from benchmarks.timing import table

NAMES = ("montecarlo", "draws", "multiply", "regression", "masks", "moments")


def main(names: list[str]) -> None:
    """Run the named benchmarks, all by default."""
    for name in names or NAMES:
        rows = importlib.import_module(f"benchmarks.{name}").run()
        print(f"\n## {name}\n\n{table(rows)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
