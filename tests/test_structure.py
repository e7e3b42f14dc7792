"""The house keeps its rooms: imports point one way, files stay short, options in one place."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "lth_sketch").rglob("*.py"))

# Who must never be imported, directly or through others.
FORBIDDEN = {
    "moments": {"sampling", "sketches", "montecarlo", "bounds", "regression"},
    "bounds": {"sampling", "sketches", "montecarlo"},
    "sampling": {"moments", "bounds", "montecarlo"},
    "sketches": {"moments", "bounds", "montecarlo"},
    "montecarlo": {"moments", "bounds"},
    "product": {"probabilities", "sampling", "moments", "bounds", "montecarlo", "regression"},
    "probabilities": {"sampling", "moments", "bounds", "montecarlo", "regression"},
    "kernels": {"product", "probabilities", "sampling", "moments", "bounds", "montecarlo"},
    "validation": {"product", "kernels", "parallel"},
}


def room(path: Path) -> str:
    """The module, or the package, that a file belongs to."""
    return path.relative_to(ROOT / "lth_sketch").parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Rooms of the library that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lth_sketch"):
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {name.name for name in node.names}
        if isinstance(node, ast.Import):
            found |= {n.name.split(".")[1] for n in node.names if n.name.startswith("lth_sketch.")}
    return found


def reach() -> dict[str, set[str]]:
    direct: dict[str, set[str]] = {}
    for path in FILES:
        direct.setdefault(room(path), set()).update(imports(path) - {room(path)})
    known = {name: set(found) for name, found in direct.items()}
    for _ in known:
        for found in known.values():
            found.update(*(direct.get(name, set()) for name in list(found)))
    return known


@pytest.mark.parametrize("name", FORBIDDEN)
def test_imports_point_one_way(name):
    assert not reach().get(name, set()) & FORBIDDEN[name]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_stay_short(path):
    assert len(path.read_text().splitlines()) <= 400


def test_numba_is_imported_in_one_place():
    for path in FILES:
        if path.name != "_jit.py":
            assert "numba" not in {
                name.name.split(".")[0]
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Import)
                for name in node.names
            }, path


def test_packages_of_scipy_are_imported_on_demand():
    # `import scipy` brings them where they are first used: together they take longer than numba.
    for path in FILES:
        if room(path) not in {"testing", "networks"}:
            assert not {
                name
                for node in ast.parse(path.read_text()).body
                for name in (
                    [alias.name for alias in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module or ""]
                    if isinstance(node, ast.ImportFrom)
                    else []
                )
                if name.startswith("scipy.")
            }, path


def test_the_slow_twins_import_nothing_of_the_package():
    assert not imports(ROOT / "tests" / "reference.py")
