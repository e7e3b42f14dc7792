"""`python -m mutants`: seeded faults, and a sample of cosmic-ray's mutants of each room.

Fails if a seeded fault survives or the score of the sample is below TARGET. A result is saved as it
ends: an interrupted run goes on where it stopped, and a run after new tests tries again only what
has survived. A kill counts as long as the library stands as it is; a survival, no longer than the
tests do.
"""

from __future__ import annotations

import os

# Both are read when numba and BLAS are imported.
os.environ["NUMBA_DISABLE_JIT"] = "1"
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import sys
from pathlib import Path

from mutants.rooms import ROOMS, ROOT

TARGET = 0.95


def main() -> int:
    """Parse the arguments, run what is not known yet, and print the report."""
    parser = argparse.ArgumentParser(prog="python -m mutants", description=__doc__)
    parser.add_argument("--size", type=int, default=100, help="mutants drawn from each room")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rooms", nargs="+", choices=ROOMS, default=list(ROOMS))
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "mutants.jsonl")
    chosen = parser.parse_args()
    # They need cosmic-ray, which telling the options does not.
    from mutants import campaign
    from mutants.report import summary

    done = campaign.run(chosen.rooms, chosen.size, chosen.seed, chosen.jobs, chosen.out)
    print(summary(done, chosen.seed))
    return int(done.living_faults > 0 or campaign.score(done.tally()) < TARGET)


if __name__ == "__main__":
    sys.exit(main())
