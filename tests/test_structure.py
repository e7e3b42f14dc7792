"""The house keeps its rooms: the map in CONTRIBUTING.md is the law, and files stay short.

The map is an allow-list: a file that it does not place is refused, and so is an import that the row
of its room does not name.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "lth_sketch"
FILES = sorted(LIBRARY.rglob("*.py"))
MAP = (ROOT / "CONTRIBUTING.md").read_text()
# Rooms that every room may use.
FREE = {"conversion", "validation", "tolerances"}
# What says, and what measures: they share what the map says that they share.
CLAIMS = ("moments", "bounds")
MEASURES = ("sampling", "sketches", "simulations", "montecarlo")
# Where the two sides meet.
MEETING = {
    "statements",
    "verdicts",
    "verify",
    "certificate",
    "networks/statements",
    "plots",
    "cli",
    "__main__",
}
# Shared, but nothing is computed there that a twin could check.
TOOLS = {
    "designs",
    "display",
    "labels",
    "methods",
    "terminal",
    "kernels/_cache",
    "kernels/_jit",
    "parallel/blockwise",
}
COMPILERS = {"numba", "llvmlite"}


def table(head: str) -> list[list[str]]:
    """The cells of the rows of a table of the map, by the head of its first column."""
    lines = MAP.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {head} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        # A bar that is escaped belongs to its cell.
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))])
    return rows


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# Room -> the rooms that it may import, in the order of the map.
ALLOWED = {
    room: set(named(imported))
    for rooms, _, imported in table("room of `lth_sketch/`")
    for room in named(rooms)
}
SHARED = {room: named(twins) for rooms, _, twins in table("shared") for room in named(rooms)}


def module(path: Path) -> str:
    """The name of a file as the map would write it: `kernels/draws`, `sampling` for its door."""
    parts = path.relative_to(LIBRARY).with_suffix("").parts
    return "/".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in FILES}


def room(name: str) -> str:
    """The room of a module: its own row, or that of the nearest folder around it."""
    while name not in ALLOWED and "/" in name:
        name = name.rpartition("/")[0]
    return name


@cache
def imports(path: Path) -> frozenset[str]:
    """Modules of the library that a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative imports hide from the map"
            base = node.module.split(".")
            for alias in node.names if base[0] == "lth_sketch" else ():
                whole = "/".join([*base[1:], alias.name])
                names.add(whole if whole in MODULES else "/".join(base[1:]))
        if isinstance(node, ast.Import):
            paths = [alias.name.split(".") for alias in node.names]
            names |= {"/".join(parts[1:]) for parts in paths if parts[0] == "lth_sketch"}
    return frozenset(names)


def reach(*rooms: str) -> set[str]:
    """The rooms that some rooms may import, themselves or through others."""
    reached: set[str] = set()
    ahead = set(rooms)
    while ahead:
        reached |= ahead
        ahead = set().union(*(ALLOWED[name] for name in ahead)) - reached
    return reached - set(rooms) - FREE


@pytest.mark.parametrize("name", MODULES)
def test_every_file_has_its_place(name):
    bare_folder = MODULES[name].name == "__init__.py" and not imports(MODULES[name])
    assert room(name) in ALLOWED or name == "" or bare_folder, (
        f"{MODULES[name]} has no row in CONTRIBUTING.md: place it there, and say what it may import"
    )


def allowed(name: str, imported: str) -> bool:
    """Whether the row of a module names what it imports; private files are their own package's."""
    own = room(name)
    if "/_" in imported and not name.startswith(imported.rpartition("/")[0]):
        return imported in ALLOWED[own]
    return room(imported) in {own, *FREE, *ALLOWED.get(own, set())}


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {""}))
def test_a_file_imports_what_its_row_allows(name):
    for imported in imports(MODULES[name]):
        assert allowed(name, imported), (
            f"{name} imports {imported}, which its row in CONTRIBUTING.md does not name"
        )


@pytest.mark.parametrize(
    ("name", "imported"),
    [
        ("moments/draws", "sampling"),
        ("moments/new", "kernels/draws"),
        ("bounds/draws", "sampling/_ranks"),
        ("bounds/draws", "kernels/errors"),
        ("montecarlo", "single_draw"),
        ("pruning/selection", "sampling/_ranks"),
        ("product", "new"),
        ("validation", "product"),
    ],
)
def test_the_wall_stands_where_it_matters(name, imported):
    assert not allowed(name, imported)


@pytest.mark.parametrize("name", ["new", "kernels/new", "parallel/new"])
def test_a_new_file_has_no_place_by_itself(name):
    assert room(name) not in ALLOWED


def test_rows_name_rooms_above_them():
    order = list(ALLOWED)
    for i, name in enumerate(order):
        assert ALLOWED[name] <= set(order[:i]), name


def test_the_map_holds_no_room_and_no_import_that_is_not_there():
    used: dict[str, set[str]] = {name: set() for name in ALLOWED}
    for name in MODULES.keys() - {""}:
        used.get(room(name), set()).update(room(imported) for imported in imports(MODULES[name]))
    assert {room(name) for name in MODULES} >= ALLOWED.keys()
    assert {
        name: ALLOWED[name] - used[name] for name in ALLOWED if ALLOWED[name] - used[name]
    } == {}


def test_claims_and_measures_share_what_the_map_says():
    shared = (reach(*CLAIMS) | set(CLAIMS)) & (reach(*MEASURES) | set(MEASURES))
    assert shared == SHARED.keys() | TOOLS


def test_claims_and_measures_meet_nowhere_else():
    for name in ALLOWED.keys() - MEETING:
        below = reach(name) | {name}
        assert not (below & set(CLAIMS) and below & set(MEASURES)), name


@pytest.mark.parametrize("name", SHARED)
def test_what_is_shared_has_a_twin_in_use(name):
    tests = "".join(path.read_text() for path in (ROOT / "tests").glob("test_*.py"))
    reference = (ROOT / "tests" / "reference.py").read_text()
    assert SHARED[name]
    for twin in SHARED[name]:
        assert f"def {twin}(" in reference, twin
        assert f"reference.{twin}" in tests or reference.count(f"{twin}(") > 1, twin


def test_packages_of_scipy_are_imported_on_demand():
    # `import scipy` brings them where they are first used: together they take longer than numba.
    for path in FILES:
        if path.relative_to(LIBRARY).parts[0] not in {"testing", "networks"}:
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


@pytest.mark.parametrize("path", FILES, ids=module)
def test_files_stay_short(path):
    assert len(path.read_text().splitlines()) <= 400


def heads(text: str) -> set[str]:
    """The packages that a source imports."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {"kernels/_jit"}))
def test_numba_is_imported_in_one_place(name):
    assert not heads(MODULES[name].read_text()) & COMPILERS


@pytest.mark.parametrize("text", ["import numba", "from numba import njit", "import numba.core"])
def test_no_form_of_an_import_escapes(text):
    assert heads(text) & COMPILERS


PACKAGES = sorted(
    name for name, path in MODULES.items() if path.name == "__init__.py" and "networks" not in name
)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_function_takes_the_name_of_a_module_beside_it(package):
    door = importlib.import_module(".".join(["lth_sketch", *package.split("/")]).strip("."))
    for name in MODULES:
        if name.rpartition("/")[0] == package and name != package:
            assert not inspect.isfunction(getattr(door, name.rpartition("/")[2], None)), name
