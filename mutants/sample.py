"""Draw mutants: every place where cosmic-ray would change a file, in a seeded order."""

from __future__ import annotations

import ast
import difflib
import random
import warnings
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from mutants.rooms import ROOT, files

# Without the JIT these decorators return what they are given.
IDLE_DECORATORS = {"compiled", "reduction"}


class Mutant(NamedTuple):
    """One change to one file."""

    room: str
    path: str
    operator: str
    occurrence: int
    line: int
    tests: tuple[str, ...]

    @property
    def key(self) -> str:
        """What identifies it among the mutants of one state of the file."""
        return f"{self.path}:{self.line} {self.operator.split('/')[1]} {self.occurrence}"

    @property
    def source(self) -> str:
        """The file with the change."""
        before = (ROOT / self.path).read_text()
        # cosmic-ray hands back None where there is nothing to change.
        return mutate_code(before, get_operator(self.operator)(), self.occurrence) or before


def change(mutant: Mutant) -> tuple[str, str]:
    """Return the lines that a mutant changes, before and after."""
    before, after = (ROOT / mutant.path).read_text().splitlines(), mutant.source.splitlines()
    lines = list(difflib.ndiff(before, after))
    old, new = (" ".join(x[2:].strip() for x in lines if x[0] == sign) for sign in "-+")
    return old, new


def population(room: str) -> list[Mutant]:
    """All mutants of a room, by file, operator and place."""
    mutants = []
    for path, tests in files(room).items():
        tree = get_ast((ROOT / path).read_text())
        for name in operator_names():
            kind = get_operator(name)
            # Those with arguments rename variables that one would have to name.
            if kind.arguments():
                continue
            positions = (
                start for node in ast_nodes(tree) for start, _ in kind().mutation_positions(node)
            )
            for occurrence, (line, _) in enumerate(positions):
                mutants.append(Mutant(room, path.as_posix(), name, occurrence, line, tests))
    return mutants


def draw(room: str, size: int, seed: int) -> tuple[int, list[Mutant]]:
    """Return the number of mutants of a room, and a simple random sample of those that are code."""
    order = population(room)
    random.Random(f"{seed} {room}").shuffle(order)
    return len(order), list(islice(_sound(order), size))


def _sound(mutants: list[Mutant]) -> Iterator[Mutant]:
    """Leave out what no interpreter runs, and changes of what is never run."""
    for mutant in mutants:
        meaning = _meaning(mutant.source)
        if meaning is not None and meaning != _meaning((ROOT / mutant.path).read_text()):
            yield mutant


def _meaning(source: str) -> str | None:
    """Return what a module does, without annotations; None if it does not compile."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(source, "mutant", "exec")
        except SyntaxError:
            return None
    return ast.dump(_Bare().visit(ast.parse(source)))


class _Bare(ast.NodeTransformer):
    """Drop annotations, and decorators that only compile."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        self.generic_visit(node)
        node.annotation = ast.Constant(None)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.returns = None
        node.decorator_list = [
            each
            for each in node.decorator_list
            if not (isinstance(each, ast.Name) and each.id in IDLE_DECORATORS)
        ]
        return node
