"""`python -m benchmarks [NAME ...]`: run the comparisons and print one table for each."""

from __future__ import annotations

import argparse
import importlib

from benchmarks.timing import table

NAMES = ("montecarlo", "draws", "multiply", "regression", "masks", "moments")


def main() -> None:
    """Run the named benchmarks, all by default."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    for name in parser.parse_args().names or NAMES:
        rows = importlib.import_module(f"benchmarks.{name}").run()
        print(f"\n## {name}\n\n{table(rows)}", flush=True)


if __name__ == "__main__":
    main()
