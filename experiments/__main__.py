"""Run experiments, and draw the figures that need PyTorch.

Each run is saved as it ends; what is in the table already is not run again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from experiments import deciders, gallery, kernels, plans, store
from experiments.runs import perform
from experiments.summary import describe, markdown
from lth_sketch.parallel.executors import connected

RESULTS = Path(__file__).parents[1] / "docs" / "results"


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m experiments", description=__doc__)
    parser.add_argument("--threads", type=int, help="threads of PyTorch; one at smoke size")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="run on a dask cluster")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_runs(commands, "trial", "the trial: 1% kept, five scores, top-k and draw")
    _add_runs(commands, "grid", "scores x data x designs x densities, and controls")
    deciding = commands.add_parser("who", help="what decides who wins: initial weights, densities")
    deciding.add_argument("--seeds", type=int, default=5)
    deciding.add_argument("--out", type=Path, default=RESULTS / "who_digits.csv")
    deciding.set_defaults(job=_who)
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
    drawing = commands.add_parser("figures", help="tangent_kernel, networks, collapse, layers")
    drawing.add_argument("--size", choices=("smoke", "paper"), default="paper")
    drawing.add_argument("--out", type=Path, default=Path("figures/out/networks"))
    drawing.add_argument("--data", nargs="+", default=["digits"], metavar="NAME")
    drawing.add_argument("--seed", type=int, default=0)
    drawing.add_argument(
        "--stored", action="store_true", help="train nothing: draw the results that are stored"
    )
    drawing.set_defaults(job=_figures)
    chosen = parser.parse_args()
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
    for name, value in plans.FC._asdict().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.set_defaults(job=_runs, plan=plan)


def _runs(chosen: argparse.Namespace) -> None:
    setting = plans.Setting(*(getattr(chosen, name) for name in plans.Setting._fields))
    wanted = plans.trial(chosen.seeds, setting)
    if chosen.plan == "grid":
        densities = tuple(chosen.densities)
        wanted = plans.grid(chosen.seeds, setting, densities, controls=not chosen.no_controls)
    out = chosen.out or RESULTS / f"{chosen.plan}_{setting.architecture}_{setting.dataset}.csv"
    with connected(chosen.scheduler) as executor:
        print(describe(store.complete(wanted, out, perform, _say, executor)))


def _who(chosen: argparse.Namespace) -> None:
    wanted = [*plans.who(chosen.seeds), *plans.sequences(chosen.seeds)]
    print(describe(store.complete(wanted, chosen.out, perform, _say)))


def _summary(chosen: argparse.Namespace) -> None:
    try:
        print(markdown([row for path in chosen.files for row in store.table(path)]))
    except (OSError, ValueError) as error:
        raise SystemExit(f"summary: error: {error}") from None


def _kernels(chosen: argparse.Namespace) -> None:
    rows: list[dict[str, Any]] = []
    for width in chosen.widths:
        for seed in range(chosen.seeds):
            rows.append(kernels.measure(width, seed))
            store.write(chosen.out, rows)
            _say(str(rows[-1]))


def _deciders(chosen: argparse.Namespace) -> None:
    print(deciders.markdown([row for path in chosen.files for row in store.table(path)]))


def _figures(chosen: argparse.Namespace) -> None:
    if chosen.stored:
        rows = [row for path in sorted(RESULTS.glob("*.csv")) for row in store.read(path)]
    else:
        wanted = plans.smoke() if chosen.size == "smoke" else plans.paper()
        table = chosen.out / f"runs_{chosen.size}.csv"
        with connected(chosen.scheduler) as executor:
            rows = store.complete(wanted, table, perform, _say, executor)
    print(gallery.publish_all(rows, chosen.data, chosen.size, chosen.seed, chosen.out))


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
