"""`python -m figures`: compute, draw and publish the figures."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from figures import publish
from figures.gallery import SCRIPTS, generator
from figures.tables import Table
from lth_sketch import datasets
from lth_sketch.parallel.executors import connected, spread


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the figures that the command line asks for; OUT changes only when all are made."""
    options = _options(arguments)
    scripts = [script for script in SCRIPTS if script.NAME in options.only]
    tables: dict[str, Table] = {script.NAME: [] for script in scripts}
    described = []
    total = len(scripts) * len(options.data)
    for name in options.data:
        data = datasets.load(name)
        samples, features = data.X.shape
        described.append(
            {"name": name, "split": data.split, "samples": samples, "features": features}
        )
    parts = [
        (script.NAME, name, options.size, options.seed)
        for name in options.data
        for script in scripts
    ]
    with (
        tqdm(total=total, unit="part", disable=None, file=sys.stderr) as bar,
        connected(options.scheduler) as executor,
    ):
        found = spread(_computed, parts, executor, threads=1)
        for (figure, name, *_), table in zip(parts, found, strict=True):
            bar.set_description(f"{figure}, {name}")
            tables[figure] += table
            bar.update()
    files, entries = {}, []
    for script in scripts:
        made = publish.render(script, tables[script.NAME])
        entries.append(publish.entry(script, made, described, options.size, options.seed))
        files.update({f"{script.NAME}.{kind}": content for kind, content in made.items()})
    publish.write(options.out, files | publish.overview(entries))
    number = "1 figure" if len(scripts) == 1 else f"{len(scripts)} figures"
    print(f"{number}: {options.out / 'index.html'}")


def _computed(_: None, part: tuple[str, str, str, int]) -> Table:
    """Compute the numbers of one figure on one data set."""
    figure, name, size, seed = part
    script = next(script for script in SCRIPTS if figure == script.NAME)
    return script.compute(
        datasets.load(name), script.SIZES[size], generator(seed, script.NAME, name)
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = [script.NAME for script in SCRIPTS]
    parser = argparse.ArgumentParser(prog="python -m figures", description=__doc__)
    parser.add_argument("--size", choices=("smoke", "paper"), default="paper")
    parser.add_argument("--data", nargs="+", default=["digits"], metavar="NAME")
    parser.add_argument("--out", type=Path, default=Path("figures/out"))
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scheduler", metavar="ADDRESS", help="compute on a dask cluster")
    options = parser.parse_args(arguments)
    if options.seed < 0:
        parser.error(f"argument --seed: must be >= 0; got {options.seed}")
    options.data = list(dict.fromkeys(options.data))
    for name in options.data:
        # Reading one sample finds a data set that is unknown or missing before any work is done.
        try:
            datasets.load(name, subset=1)
        except (ValueError, FileNotFoundError, ImportError) as error:
            parser.error(f"argument --data: {name}: {error}")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"argument --out: {error}")
    if not os.access(options.out, os.W_OK):
        parser.error(f"argument --out: no permission to write into {options.out}")
    return options


if __name__ == "__main__":
    main()
