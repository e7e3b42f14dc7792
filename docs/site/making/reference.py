"""The reference: a page for each public module, with every public name on it, from docstrings."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from types import ModuleType

# In the order in which a reader meets them; those of lth_sketch itself first.
MODULES = (
    "probabilities",
    "sampling",
    "sketches",
    "moments",
    "bounds",
    "montecarlo",
    "regression",
    "pruning",
    "pruning.deep",
    "statements",
    "verify",
    "intervals",
    "plots",
    "datasets",
    "scale",
    "checkpoints",
    "testing",
    "networks",
    "designs",
    "methods",
)


def public(module: ModuleType) -> list[str]:
    """Return the public names of a module: those it lists, or functions and classes of its own."""
    listed = getattr(module, "__all__", None)
    if listed is None:
        listed = [
            name
            for name, value in vars(module).items()
            if not name.startswith("_")
            and (inspect.isfunction(value) or inspect.isclass(value))
            and value.__module__ == module.__name__
        ]
    return [name for name in listed if not inspect.ismodule(getattr(module, name))]


def modules() -> dict[str, ModuleType]:
    """Return the public modules that there are."""
    imported = {}
    for name in MODULES:
        whole = f"lth_sketch.{name}"
        try:
            imported[whole] = importlib.import_module(whole)
        except ModuleNotFoundError as error:
            if error.name != whole:
                raise
    return imported


def write(folder: Path) -> None:
    """Write the index and the pages."""
    folder.mkdir(parents=True)
    (folder / "product.rst").write_text(
        _page("Product", "lth_sketch", ["Product"], "the one noun of the library"), encoding="utf-8"
    )
    names = ["product"]
    for whole, module in modules().items():
        short = whole.removeprefix("lth_sketch.")
        names.append(short)
        text = _page(short, whole, public(module), None)
        (folder / f"{short}.rst").write_text(text, encoding="utf-8")
    listed = "\n".join(f"   {name}" for name in names)
    (folder / "index.rst").write_text(
        "Reference\n=========\n\nEvery public name, from its docstring: shapes, errors, the label "
        "of the statement,\nthe source, and an example that the tests run.\n\n"
        f".. toctree::\n   :maxdepth: 1\n\n{listed}\n",
        encoding="utf-8",
    )


def _page(title: str, module: str, names: list[str], about: str | None) -> str:
    lines = [title, "=" * len(title), ""]
    lines += [f"{about}." if about else f".. automodule:: {module}", ""]
    lines += [f".. currentmodule:: {module}", "", ".. autosummary::", "   :nosignatures:", ""]
    door = importlib.import_module(module)
    lines += [f"   {name}" for name in names if callable(getattr(door, name))]
    lines.append("")
    for name in names:
        value = getattr(door, name)
        if inspect.isclass(value):
            lines += [f".. autoclass:: {name}", "   :members:", ""]
        elif inspect.isfunction(value):
            lines += [f".. autofunction:: {name}", ""]
        else:
            lines += [f".. py:data:: {name}", "", f"   A {type(value).__name__}.", ""]
    return "\n".join(lines)
