"""`python -m figures`: compute, draw and publish the figures, on data sets or data of one's own."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from figures import publish
from figures.gallery import SCRIPTS, generator
from lth_sketch import datasets
from lth_sketch.datasets import Dataset
from lth_sketch.parallel.executors import connected, spread
from lth_sketch.plots.tables import Table

# Endings of files with data of one's own.
FILES = (".npz", ".csv")


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the figures that the command line asks for; OUT changes only when all are made."""
    options = _options(arguments)
    if options.list:
        for script in SCRIPTS:
            print(textwrap.fill(f"{script.NAME}: {script.TITLE}", 80, subsequent_indent="  "))
        return
    scripts = [script for script in SCRIPTS if script.NAME in options.only]
    tables: dict[str, Table] = {script.NAME: [] for script in scripts}
    described = []
    total = len(scripts) * len(options.data)
    for name in options.data:
        data = _load(name)
        samples, features = data.X.shape
        described.append(
            {"name": data.name, "split": data.split, "samples": samples, "features": features}
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
        computed = spread(_computed, parts, executor, threads=1)
        for (figure, name, *_), table in zip(parts, computed, strict=True):
            bar.set_description(f"{figure}, {name}")
            tables[figure] += table
            bar.update()
    files, entries = {}, []
    for script in scripts:
        made = publish.render(script, tables[script.NAME], options.format, options.width)
        entries.append(publish.entry(script, made, described, options.size, options.seed))
        files.update({f"{script.NAME}.{kind}": content for kind, content in made.items()})
    publish.write(options.out, files | publish.overview(entries))
    number = "1 figure" if len(scripts) == 1 else f"{len(scripts)} figures"
    print(f"{number}: {options.out / 'index.html'}")


def _computed(_: None, part: tuple[str, str, str, int]) -> Table:
    """Compute the numbers of one figure on one data set."""
    figure, name, size, seed = part
    script = next(script for script in SCRIPTS if figure == script.NAME)
    data = _load(name)
    return script.compute(data, script.SIZES[size], generator(seed, script.NAME, data.name))


def _load(name: str, subset: int | None = None) -> Dataset:
    if Path(name).suffix in FILES:
        return datasets.read(name)
    return datasets.load(name, subset=subset)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = [script.NAME for script in SCRIPTS]
    parser = argparse.ArgumentParser(prog="python -m figures", description=__doc__)
    parser.add_argument("--size", choices=("tiny", "smoke", "paper"), default="paper")
    parser.add_argument(
        "--data",
        nargs="+",
        default=["digits"],
        metavar="NAME",
        help="data sets by name, or files: .npz with X and y, or .csv with a head",
    )
    parser.add_argument("--out", type=Path, default=Path("figures/out"))
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="FIGURE")
    parser.add_argument("--list", action="store_true", help="name the figures, and make none")
    parser.add_argument(
        "--format",
        nargs="+",
        choices=sorted(publish.METADATA),
        default=list(publish.FORMATS),
        help="files of each figure, beside its table and the PNG of the page; pgf needs LaTeX",
    )
    parser.add_argument(
        "--width",
        choices=sorted(publish.WIDTHS),
        help="fit one column (3.4 in) or two (7 in) of a page",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scheduler", metavar="ADDRESS", help="compute on a dask cluster")
    options = parser.parse_args(arguments)
    if options.seed < 0:
        parser.error(f"argument --seed: must be >= 0; got {options.seed}")
    if options.list:
        return options
    options.data = list(dict.fromkeys(options.data))
    for name in options.data:
        # Reading one sample finds a data set that is unknown or missing before any work is done.
        try:
            _load(name, subset=1)
        except (ValueError, TypeError, FileNotFoundError, ImportError) as error:
            parser.error(f"argument --data: {name}: {error}")
    if "pgf" in options.format and shutil.which("xelatex") is None:
        parser.error(
            "argument --format: pgf needs xelatex, to measure its texts; install it (a package "
            "texlive-xetex), or take pdf or svg"
        )
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"argument --out: {error}")
    if not os.access(options.out, os.W_OK):
        parser.error(f"argument --out: no permission to write into {options.out}")
    return options


if __name__ == "__main__":
    main()
