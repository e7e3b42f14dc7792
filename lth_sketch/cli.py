"""The command ``lth-sketch``: one subcommand for each job."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from lth_sketch import (
    advice,
    advice_picture,
    bounds,
    checkpoints,
    datasets,
    extras,
    moments,
    named,
    terminal,
    validation,
    verify,
)
from lth_sketch.certificate import page
from lth_sketch.designs import DESIGNS
from lth_sketch.parallel.executors import connected
from lth_sketch.pruning.selection import SCOPES
from lth_sketch.statements import FIELD, MISTAKES, PRODUCTS, REGISTER
from lth_sketch.version import __version__


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
    parser.add_argument("--version", action="version", version=f"lth-sketch {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_verify(commands)
    _add_bounds(commands)
    _add_mask(commands)
    _add_advise(commands)
    chosen = parser.parse_args(argv)
    try:
        result: int = chosen.run(chosen)
    except (ImportError, OSError, TypeError, ValueError) as error:
        told = " ".join(str(error).split())
        terminal.note(f"lth-sketch {chosen.command}: error: {told}")
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
        help="add N1 to N3 and the statements on products for a network's Jacobian (needs PyTorch)",
    )
    parser.add_argument(
        "--field",
        action="store_true",
        help="try mistakes of public code in place of our statements: they are to be refuted, and "
        "the exit status tells if they were, and what is right certified",
    )
    parser.add_argument(
        "--risk",
        type=float,
        default=1e-6,
        help="chance of any false verdict (default: %(default)g)",
    )
    parser.add_argument(
        "--trials", type=int, help="masks for each mean (default: 200000, more for --accuracy)"
    )
    parser.add_argument(
        "--accuracy",
        type=float,
        default=0.05,
        help="certify identities whose interval reaches at most this share of the value to either "
        "side (default: %(default)g)",
    )
    parser.add_argument("--rng", type=int, default=0, help="seed (default: %(default)d)")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="judge on a dask cluster")
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
    statements, products = list(FIELD if chosen.field else REGISTER), PRODUCTS
    if chosen.networks:
        networks = _networks()
        statements += networks.NETWORKS
        products = networks.PRODUCTS
    if chosen.statements is not None:
        labels = {statement.label for statement in statements}
        for label in chosen.statements:
            missing = label.startswith("N") and not chosen.networks
            hint = " (N1 to N3 need --networks)" if missing else ""
            validation.choice(f"--statements{hint}", label, labels)
        statements = [s for s in statements if s.label in chosen.statements]
    if chosen.out is not None:
        _check_page(chosen.out)
    drawn = {}
    if chosen.figures is not None:
        if chosen.out is None:
            raise ValueError("--figures needs --out, the page that will hold them; got none")
        names = dict.fromkeys(s.figure for s in statements if s.figure is not None)
        drawn = page.pictures(chosen.figures, names)
    show = sys.stderr.isatty()

    def progress(text: str) -> None:
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    with connected(chosen.scheduler) as executor:
        report = verify.run(
            statements,
            chosen.data,
            trials=chosen.trials,
            risk=chosen.risk,
            rng=chosen.rng,
            accuracy=chosen.accuracy,
            data_home=chosen.data_home,
            progress=progress if show else None,
            products=products,
            executor=executor,
        )
    if show:
        progress("")
    if chosen.out is not None:
        unfinished = chosen.out.with_name(f".{chosen.out.name}.unfinished")
        unfinished.write_text(page.html(report, drawn=drawn), encoding="utf-8")
        unfinished.replace(chosen.out)
    if chosen.json:
        terminal.say(report.json())
    else:
        said = [*report.table().splitlines(), *report.notes(), *report.conditions()]
        terminal.say(terminal.wrapped(said))
    if chosen.field:
        mistakes = {mistake.claim for mistake in MISTAKES}
        judged = [(row.claim in mistakes, row.verdict) for row in report.verdicts]
        return 0 if set(judged) <= {(True, "refuted"), (False, "certified")} else 1
    return 1 if report.refuted else 0


def _check_page(out: Path) -> None:
    """Refuse, before any work, a page that cannot be written."""
    if out.is_dir():
        raise IsADirectoryError(f"--out: {out} is a folder; name a file in it")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"--out: there is no folder {out.parent}; make it first")
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise PermissionError(f"--out: the folder {out.parent} may not be written; name another")


def _networks() -> ModuleType:
    """Return the register of networks, imported only when it is asked for."""
    try:
        from lth_sketch.networks import statements
    except ModuleNotFoundError as error:
        raise extras.missing("--networks", "networks") from error
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
    columns = {
        "exact": np.sqrt(moments.multinomial(product, p, draws)),
        "B2": bounds.dkm(product, draws, delta, bounds.nearness(product, p)),
        "B3": bounds.mcdiarmid(product, p, draws, delta, sharp=True),
        "B4": bounds.bousquet(product, p, draws, delta),
        "B6": bounds.radial(product, p, draws, delta),
        "B7": bounds.cantelli(product, p, draws, delta),
        "A1": bounds.asymptotic_quantile(product, p, draws, delta),
    }
    kept = 100 * moments.distinct(p, draws) / product.d
    empty = product.norm2**0.5
    rows = [["s", "kept", *columns]]
    for i, s in enumerate(draws.tolist()):
        number = f"{s}" if s < 10**10 else f"{s:.3g}"
        shown = [f"{value[i] / empty:.3g}" for value in columns.values()]
        rows.append([number, f"{kept[i]:.1f}%", *shown])
    terminal.say(terminal.wrapped([repr(product)]))
    terminal.say(terminal.aligned(rows, right=True))
    return 0


def _add_mask(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "mask",
        help="a pruning mask for the weights in a file",
        description="Score the weights in a file, select a mask, and write it under their names: "
        "booleans, or with --rescale the weights that make a draw unbiased.",
    )
    parser.add_argument(
        "weights",
        type=Path,
        nargs="+",
        help=".npz, .safetensors, or a state_dict (.pt, .pth, .bin, .ckpt); for many files the "
        "index of the shards, their folder, or all of them",
    )
    parser.add_argument("--density", type=float, help="share that is kept, (0, 1]")
    parser.add_argument(
        "--pattern",
        metavar="N:M",
        help="keep N of every M consecutive weights of a row, as 2:4, in place of --density",
    )
    parser.add_argument("--score", choices=checkpoints.SCORES, default="magnitude")
    parser.add_argument("--design", choices=DESIGNS, default="top")
    parser.add_argument(
        "--scope", choices=SCOPES, default="global", help="layers compete, or each keeps its share"
    )
    parser.add_argument("--floor", type=int, default=0, help="weights kept in each layer at least")
    parser.add_argument("--rescale", action="store_true", help="unbiased weights, not ones")
    parser.add_argument("--rng", type=int, help="seed; another mask each time without it")
    parser.add_argument(
        "--skip",
        action="append",
        default=[],
        metavar="PATTERN",
        help="arrays to leave whole, by a pattern as of a shell; may be repeated",
    )
    parser.add_argument(
        "--key", help="which part to prune of a file that holds several state_dicts; . for all"
    )
    parser.add_argument(
        "--apply", action="store_true", help="write the weights under their mask, not the mask"
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="work on a dask cluster, whose workers see the files under the same names",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="file to write, or a folder for many files"
    )
    parser.set_defaults(run=_mask)


def _mask(chosen: argparse.Namespace) -> int:
    pattern = None if chosen.pattern is None else checkpoints.parsed_pattern(chosen.pattern)
    density = chosen.density
    if pattern is None or density is not None:
        density = validation.share("--density", density)
    floor = validation.count("--floor", chosen.floor, minimum=0)
    generator = validation.generator(chosen.rng)
    weights = chosen.weights[0] if len(chosen.weights) == 1 else chosen.weights
    pieces = checkpoints.in_pieces(weights, chosen.design)
    if pieces or chosen.apply or chosen.scheduler:
        if chosen.key is not None:
            raise ValueError(f"--key is for state_dicts, drawn whole; got {weights}")
        with connected(chosen.scheduler) as executor:
            _tell(
                checkpoints.prune(
                    weights,
                    chosen.out,
                    density=density,
                    pattern=pattern,
                    score=chosen.score,
                    design=chosen.design,
                    scope=chosen.scope,
                    floor=floor,
                    skip=chosen.skip,
                    rescale=chosen.rescale,
                    apply=chosen.apply,
                    rng=chosen.rng,
                    executor=executor,
                ).kept
            )
        return 0
    checkpoints.check_weights(weights)
    checkpoints.check_output(chosen.out, weights=weights)
    masks = checkpoints.masks(
        checkpoints.read(weights, key=chosen.key, skip=chosen.skip),
        density,
        pattern=pattern,
        score=chosen.score,
        rng=generator,
        design=chosen.design,
        binary=not chosen.rescale,
        scope=chosen.scope,
        floor=floor,
    )
    checkpoints.write(chosen.out, masks)
    _tell(named.kept(masks))
    return 0


def _add_advise(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "advise",
        help="shall I draw, or keep the largest weights of a file?",
        description="Print what top-k and each draw keep of every layer by magnitude, the "
        "probability that a layer is emptied, and one plain sentence. A file does not hold the "
        "network: networks.advise sees its data and its paths, and says more.",
    )
    parser.add_argument(
        "weights", type=Path, help=".npz, .safetensors, or a state_dict (.pt, .pth, .bin, .ckpt)"
    )
    parser.add_argument("--density", type=float, required=True, help="share that is kept, (0, 1]")
    parser.add_argument("--floor", type=int, default=0, help="weights kept in each layer at least")
    parser.add_argument(
        "--skip", action="append", default=[], metavar="PATTERN", help="arrays to leave whole"
    )
    parser.add_argument("--key", help="which part of a file that holds several state_dicts")
    parser.add_argument("--out", type=Path, metavar="SVG", help="write a picture as well")
    parser.set_defaults(run=_advise)


def _advise(chosen: argparse.Namespace) -> int:
    density = validation.share("--density", chosen.density)
    floor = validation.count("--floor", chosen.floor, minimum=0)
    checkpoints.check_weights(chosen.weights)
    if chosen.out is not None and chosen.out.suffix != ".svg":
        raise ValueError(f"--out must end in .svg, the picture's format; got {chosen.out.name!r}")
    if chosen.out is not None and not chosen.out.parent.is_dir():
        raise FileNotFoundError(f"--out: there is no folder {chosen.out.parent}; make it first")
    arrays = checkpoints.read(chosen.weights, key=chosen.key, skip=chosen.skip)
    weights = checkpoints.prunable(arrays)
    advised = advice.advise(weights, density, score="magnitude", floor=floor)
    terminal.say(advised.table())
    if chosen.out is not None:
        unfinished = chosen.out.with_name(f".{chosen.out.name}.unfinished")
        unfinished.write_text(advice_picture.svg(advised), encoding="utf-8")
        unfinished.replace(chosen.out)
    return 0


def _tell(counts: dict[str, named.Kept]) -> None:
    """Print how much of each layer is kept, and which layers are left empty."""
    total = named.Kept(*(sum(column) for column in zip(*counts.values(), strict=True)))
    rows = [
        [name, f"{kept:,}", "of", f"{size:,}", f"{100 * kept / size:.3f}%"]
        for name, (kept, size) in [*counts.items(), ("all", total)]
    ]
    rows = terminal.fitted(rows, [0])
    terminal.say(terminal.aligned(rows, right=(False, True, True, True, True)))
    empty = [name for name, (kept, _) in counts.items() if not kept]
    if empty:
        terminal.note(
            f"lth-sketch mask: note: the mask leaves {', '.join(empty)} empty, and a network cut "
            "through computes nothing; --floor 1 keeps a weight in each layer"
        )
