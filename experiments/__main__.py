"""Run experiments, and draw the figures that need PyTorch.

Each run is saved as it ends; what is in the table already is not run again.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch

from experiments import deciders, gallery, kernels, known, plans, store
from experiments.runs import Run, perform
from experiments.summary import describe, markdown
from lth_sketch.parallel.executors import connected

RESULTS = Path(__file__).parents[1] / "docs" / "results"
KNOWN = RESULTS / "known"


class Plan(NamedTuple):
    """An experiment of which only the seeds can be chosen: its runs, table and help."""

    runs: Callable[[int], Iterable[Run]]
    table: str
    text: str


FIXED = {
    "who": Plan(plans.who, "who_digits.csv", "what decides who wins: weights, densities"),
    "unseen": Plan(plans.unseen, "unseen_fashion_mnist.csv", "cells that advice was not fitted to"),
    "patterns": Plan(plans.patterns, "patterns_digits.csv", "two of every four inputs"),
}


def options() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m experiments", description=__doc__)
    parser.add_argument("--threads", type=int, help="threads of PyTorch; one at smoke size")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="run on a dask cluster")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the runs")
    parser.add_argument(
        "--minutes",
        type=float,
        default=math.inf,
        help="start no run after so long; the same command goes on from there",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_runs(commands, "trial", "the trial: 1%% kept, five scores, top-k and draw")
    _add_runs(commands, "grid", "scores x data x designs x densities, and controls")
    for name, plan in FIXED.items():
        fixed = commands.add_parser(name, help=plan.text)
        fixed.add_argument("--seeds", type=int, default=5)
        fixed.add_argument("--out", type=Path, default=RESULTS / plan.table)
        fixed.set_defaults(job=_fixed, plan=name)
    widening = commands.add_parser("kernels", help="tangent kernels of pruned networks by width")
    widening.add_argument("--widths", type=int, nargs="+", default=kernels.WIDTHS)
    widening.add_argument("--seeds", type=int, default=5)
    widening.add_argument("--out", type=Path, default=RESULTS / "kernels" / "widths_digits.csv")
    widening.set_defaults(job=_kernels)
    telling = commands.add_parser("summary", help="a Markdown table of finished runs")
    telling.add_argument("files", type=Path, nargs="+", metavar="FILE", help="tables of runs (CSV)")
    telling.set_defaults(job=_summary)
    ranking = commands.add_parser("deciders", help="rank correlations of what is known before")
    ranking.add_argument("files", type=Path, nargs="+", metavar="FILE")
    ranking.set_defaults(job=_deciders)
    looking = commands.add_parser("known", help="look at the masks of a finished table again")
    looking.add_argument("files", type=Path, nargs="+", metavar="FILE")
    looking.add_argument("--seeds", type=int, default=1)
    looking.add_argument("--out", type=Path, default=KNOWN, help="a folder")
    looking.set_defaults(job=_known)
    drawing = commands.add_parser("figures", help="tangent_kernel, networks, collapse, layers")
    drawing.add_argument("--size", choices=("smoke", "paper"), default="paper")
    drawing.add_argument("--out", type=Path, default=Path("figures/out/networks"))
    drawing.add_argument("--data", nargs="+", default=["digits"], metavar="NAME")
    drawing.add_argument("--seed", type=int, default=0)
    drawing.add_argument(
        "--stored", action="store_true", help="train nothing: draw the results that are stored"
    )
    drawing.set_defaults(job=_figures)
    return parser


def main() -> None:
    """Parse the arguments and run."""
    parser = options()
    chosen = parser.parse_args()
    if chosen.workers < 1:
        parser.error(f"argument --workers: must be >= 1; got {chosen.workers}")
    if not chosen.minutes > 0:
        parser.error(f"argument --minutes: must be > 0; got {chosen.minutes}")
    # Networks that small gain nothing from threads, which stall where other processes run.
    threads = chosen.threads or (1 if getattr(chosen, "size", None) == "smoke" else None)
    if threads:
        torch.set_num_threads(threads)
    chosen.job(chosen)


def _add_runs(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], plan: str, text: str
) -> None:
    parser = commands.add_parser(plan, help=text)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="default: docs/results/<experiment>.csv")
    if plan == "grid":
        parser.add_argument("--densities", type=float, nargs="+", default=plans.DENSITIES)
        parser.add_argument("--no-controls", action="store_true")
        parser.add_argument(
            "--scores",
            type=_score,
            nargs="+",
            default=plans.SCORES,
            metavar="NAME:DATA",
            help="for instance snip:random synflow:none:100, the last in 100 rounds; default: all",
        )
    for name, value in plans.FC._asdict().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.set_defaults(job=_runs, plan=plan)


def _runs(chosen: argparse.Namespace) -> None:
    setting = plans.Setting(*(getattr(chosen, name) for name in plans.Setting._fields))
    wanted = plans.trial(chosen.seeds, setting)
    if chosen.plan == "grid":
        densities = tuple(chosen.densities)
        scores, controls = tuple(chosen.scores), not chosen.no_controls
        wanted = plans.grid(chosen.seeds, setting, densities, scores, controls)
    out = chosen.out or RESULTS / f"{chosen.plan}_{setting.architecture}_{setting.dataset}.csv"
    print(describe(_completed(chosen, wanted, out)))


def _score(text: str) -> tuple[str, str, int]:
    """Return a score, its data and its rounds from NAME:DATA or NAME:DATA:ROUNDS."""
    parts = text.split(":")
    name, data, rounds = (*parts, *("none", "1")[len(parts) - 1 :])[:3]
    if data not in ("real", "random", "none") or not rounds.isdecimal():
        raise argparse.ArgumentTypeError(
            f"{text!r} is no NAME:DATA or NAME:DATA:ROUNDS, with the data real, random or none"
        )
    return name, data, int(rounds)


def _completed(
    chosen: argparse.Namespace, wanted: Iterable[Run], out: Path
) -> list[dict[str, Any]]:
    """Perform what the table lacks, as the options say: where, by how many, and for how long."""
    until = time.time() + 60 * chosen.minutes
    with ExitStack() as stack:
        if chosen.scheduler is None and chosen.workers > 1:
            # A process that was forked could not use a GPU.
            pool: Executor | None = ProcessPoolExecutor(
                chosen.workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=torch.set_num_threads,
                initargs=(chosen.threads or 1,),
            )
            assert pool is not None
            stack.enter_context(pool)
        else:
            pool = stack.enter_context(connected(chosen.scheduler))
        return store.complete(wanted, out, perform, _say, pool, until)


def _fixed(chosen: argparse.Namespace) -> None:
    wanted = FIXED[chosen.plan].runs(chosen.seeds)
    print(describe(_completed(chosen, wanted, chosen.out)))


def _summary(chosen: argparse.Namespace) -> None:
    try:
        print(markdown([row for path in chosen.files for row in store.table(path)]))
    except (OSError, ValueError) as error:
        raise SystemExit(f"summary: error: {error}") from None


def _kernels(chosen: argparse.Namespace) -> None:
    rows: list[dict[str, Any]] = list(store.read(chosen.out, {}))
    done = {(int(row["width"]), int(row["seed"])) for row in rows}
    until = time.time() + 60 * chosen.minutes
    for width, seed in product(chosen.widths, range(chosen.seeds)):
        if (width, seed) not in done and time.time() < until:
            rows.append(kernels.measure(width, seed))
            store.write(chosen.out, rows)
            _say(str(rows[-1]))


def _deciders(chosen: argparse.Namespace) -> None:
    rows = [row for path in chosen.files for row in store.table(path)]
    apart = [row for path in chosen.files for row in store.read(KNOWN / path.name)]
    print(deciders.markdown(known.joined(rows, apart)))


def _known(chosen: argparse.Namespace) -> None:
    until = time.time() + 60 * chosen.minutes
    for path in chosen.files:
        known.complete(path, chosen.out / path.name, chosen.seeds, _say, until)


def _figures(chosen: argparse.Namespace) -> None:
    if chosen.stored:
        rows = [row for path in sorted(RESULTS.glob("*.csv")) for row in store.read(path)]
    else:
        wanted = plans.smoke() if chosen.size == "smoke" else plans.paper()
        rows = _completed(chosen, wanted, chosen.out / f"runs_{chosen.size}.csv")
    print(gallery.publish_all(rows, chosen.data, chosen.size, chosen.seed, chosen.out))


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
