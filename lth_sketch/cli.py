"""The command ``lth-sketch``: one subcommand for each job."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from lth_sketch import bounds, checkpoints, datasets, moments, named, validation, verify
from lth_sketch.certificate import page
from lth_sketch.designs import DESIGNS
from lth_sketch.pruning.selection import SCOPES
from lth_sketch.statements import PRODUCTS, REGISTER


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
        0, or 2 after an error, which is told on stderr in one line.

    Examples
    --------
    >>> main(["mask", "missing.npz", "--density", "0.1", "--out", "mask.npz"])
    2
    """
    parser = argparse.ArgumentParser(
        prog="lth-sketch", description="Pruning at initialization as matrix sketching."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_verify(commands)
    _add_bounds(commands)
    _add_mask(commands)
    chosen = parser.parse_args(argv)
    try:
        result: int = chosen.run(chosen)
    except (ImportError, OSError, TypeError, ValueError) as error:
        print(f"lth-sketch {chosen.command}: error: {error}", file=sys.stderr)
        return 2
    return result


def _add_verify(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "verify",
        help="certify the statements of the theory on data",
        description="Judge every statement of the register on data. The exit status is 0 only if "
        "nothing is refuted, 1 if something is, and 2 after an error.",
    )
    parser.add_argument("--data", nargs="+", default=["digits"], metavar="NAME")
    parser.add_argument("--data-home", help="folder of local data; LTH_SKETCH_DATA by default")
    parser.add_argument(
        "--statements", nargs="+", metavar="LABEL", help="labels such as S2 B7; all by default"
    )
    parser.add_argument(
        "--networks",
        action="store_true",
        help="add N1, N2 and the statements on products for a network's Jacobian (needs PyTorch)",
    )
    parser.add_argument(
        "--risk",
        type=float,
        default=1e-6,
        help="chance of any false verdict (default: %(default)g)",
    )
    parser.add_argument(
        "--trials", type=int, default=200_000, help="masks for each mean (default: %(default)d)"
    )
    parser.add_argument("--rng", type=int, default=0, help="seed (default: %(default)d)")
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    parser.add_argument("--out", type=Path, help="write a self-contained HTML page as well")
    parser.add_argument(
        "--figures",
        type=Path,
        metavar="FOLDER",
        help="what `make figures` has drawn: the page then holds the figures of its statements",
    )
    parser.set_defaults(run=_verify)


def _verify(chosen: argparse.Namespace) -> int:
    statements, products = list(REGISTER), PRODUCTS
    if chosen.networks:
        networks = _networks()
        statements += networks.NETWORKS
        products = networks.PRODUCTS
    if chosen.statements is not None:
        labels = {statement.label for statement in statements}
        for label in chosen.statements:
            missing = label.startswith("N") and not chosen.networks
            hint = " (N1 and N2 need --networks)" if missing else ""
            validation.choice(f"--statements{hint}", label, labels)
        statements = [s for s in statements if s.label in chosen.statements]
    if chosen.out is not None and not chosen.out.parent.is_dir():
        raise FileNotFoundError(f"--out: there is no folder {chosen.out.parent}; make it first")
    drawn = {}
    if chosen.figures is not None:
        if chosen.out is None:
            raise ValueError("--figures needs --out, the page that will hold them; got none")
        names = dict.fromkeys(s.figure for s in statements if s.figure is not None)
        drawn = page.pictures(chosen.figures, names)
    show = sys.stderr.isatty()

    def progress(text: str) -> None:
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    found = verify.run(
        statements,
        chosen.data,
        trials=chosen.trials,
        risk=chosen.risk,
        rng=chosen.rng,
        data_home=chosen.data_home,
        progress=progress if show else None,
        products=products,
    )
    if show:
        progress("")
    if chosen.out is not None:
        unfinished = chosen.out.with_name(f".{chosen.out.name}.unfinished")
        unfinished.write_text(page.html(found, drawn=drawn), encoding="utf-8")
        unfinished.replace(chosen.out)
    print(found.json() if chosen.json else found.table())
    return 1 if found.refuted else 0


def _networks() -> ModuleType:
    """Return the register of networks, imported only when it is asked for."""
    try:
        from lth_sketch.networks import statements
    except ModuleNotFoundError as error:
        raise ImportError(
            "--networks needs PyTorch: pip install 'lth_sketch[networks]', or leave it out"
        ) from error
    return statements


def _add_bounds(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "bounds",
        help="exact moments and bounds of a draw on a data set",
        description="Print, relative to the error of the empty mask, the root mean square error "
        "and every bound of draws with replacement. A number above 1 says nothing about pruning.",
    )
    parser.add_argument("--data", default="digits", metavar="NAME")
    parser.add_argument("--data-home", help="folder of local data; LTH_SKETCH_DATA by default")
    parser.add_argument("--product", choices=PRODUCTS, default="initial")
    parser.add_argument("--draws", type=int, nargs="+", default=[16, 64, 256, 1024], metavar="S")
    parser.add_argument("--delta", type=float, default=0.05, help="risk (default: %(default)g)")
    parser.add_argument("--rng", type=int, default=0, help="seed of the weights")
    parser.set_defaults(run=_bounds)


def _bounds(chosen: argparse.Namespace) -> int:
    draws = validation.sizes(chosen.draws, name="--draws")
    delta = validation.risk("--delta", chosen.delta)
    data = datasets.load(chosen.data, chosen.data_home)
    product, p = PRODUCTS[chosen.product](data, validation.count("--rng", chosen.rng, minimum=0))
    print(product)
    columns = {
        "kept": 100 * moments.distinct(p, draws) / product.d,
        "exact": np.sqrt(moments.multinomial(product, p, draws)),
        "B2": bounds.dkm(product, draws, delta, bounds.nearness(product, p)),
        "B3": bounds.mcdiarmid(product, p, draws, delta, sharp=True),
        "B4": bounds.bousquet(product, p, draws, delta),
        "B6": bounds.radial(product, p, draws, delta),
        "B7": bounds.cantelli(product, p, draws, delta),
        "A1": bounds.asymptotic_quantile(product, p, draws, delta),
    }
    print("".join(f"{name:>9}" for name in ("s", *columns)))
    empty = product.norm2**0.5
    for i, s in enumerate(draws):
        numbers = [value[i] / (1 if name == "kept" else empty) for name, value in columns.items()]
        shown = [f"{numbers[0]:8.1f}%", *(f"{number:9.3g}" for number in numbers[1:])]
        print(f"{s:9d}" + "".join(shown))
    return 0


def _add_mask(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "mask",
        help="a pruning mask for the weights in a file",
        description="Score the weights in a file, select a mask, and write it under their names: "
        "booleans, or with --rescale the weights that make a draw unbiased.",
    )
    parser.add_argument(
        "weights", type=Path, help=".npz, .safetensors, or a state_dict (.pt, .pth, .bin, .ckpt)"
    )
    parser.add_argument("--density", type=float, required=True, help="share that is kept, (0, 1]")
    parser.add_argument("--score", choices=checkpoints.SCORES, default="magnitude")
    parser.add_argument("--design", choices=DESIGNS, default="top")
    parser.add_argument(
        "--scope", choices=SCOPES, default="global", help="layers compete, or each keeps its share"
    )
    parser.add_argument("--floor", type=int, default=0, help="weights kept in each layer at least")
    parser.add_argument("--rescale", action="store_true", help="unbiased weights, not ones")
    parser.add_argument("--rng", type=int, help="seed; another mask each time without it")
    parser.add_argument(
        "--skip", action="append", default=[], metavar="PATTERN", help="weights to leave whole"
    )
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.set_defaults(run=_mask)


def _mask(chosen: argparse.Namespace) -> int:
    checkpoints.check_suffix(chosen.out)
    if chosen.out.resolve() == chosen.weights.resolve():
        raise ValueError(f"--out must differ from the weights; got {chosen.out} for both")
    found = checkpoints.masks(
        checkpoints.read(chosen.weights),
        chosen.density,
        score=chosen.score,
        skip=chosen.skip,
        rng=chosen.rng,
        design=chosen.design,
        binary=not chosen.rescale,
        scope=chosen.scope,
        floor=chosen.floor,
    )
    checkpoints.write(chosen.out, found)
    counts = named.kept(found)
    width = max(len(name) for name in counts)
    for name, (kept, size) in counts.items():
        print(f"{name:{width}}  {kept:>12,} of {size:>12,}  {100 * kept / size:8.3f}%")
    kept, size = (sum(column) for column in zip(*counts.values(), strict=True))
    print(f"{'all':{width}}  {kept:>12,} of {size:>12,}  {100 * kept / size:8.3f}%")
    return 0
