"""From tables to files: PDF, PNG and CSV of each figure, a page and a manifest for all."""

from __future__ import annotations

import html
import io
import json
import os
import platform
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from matplotlib import rc_context, style
from matplotlib.figure import Figure

from figures.gallery import Script, shown
from lth_sketch.display import mathematics
from lth_sketch.plots import panels
from lth_sketch.plots.tables import Table, digest, distinct, read, to_csv
from lth_sketch.statements import REGISTER, Statement

PAGE = Path(__file__).with_name("page.html")
PACKAGES = ("numpy", "scipy", "numba", "matplotlib", "scikit-learn", "lth_sketch")
# No dates: the same numbers give the same files.
METADATA: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None},
    "png": {"Software": None},
    "svg": {"Date": None},
    "pgf": {},
}
# What is written if nothing else is asked for; the page shows the PNG, whatever is.
FORMATS = ("pdf", "png")
# Columns of panels side by side are as wide as one, or two, columns of a page.
WIDTHS = {"one": 3.4, "two": 7.0}


def render(
    script: Script, table: Table, formats: Sequence[str] = FORMATS, width: str | None = None
) -> dict[str, bytes]:
    """Return the files of one figure by their endings.

    Each panel is as wide as one column of a page; `width` "one" stacks the panels of a row in one
    column, "two" puts two of them side by side into two.

    Raises
    ------
    ValueError
        If there is nothing to draw.
    """
    if not table:
        raise ValueError(f"{script.NAME} has computed no numbers")
    rows, columns = script.shape(len(distinct(table, "data")))
    files = {"csv": to_csv(table)}
    # What is drawn is what the CSV holds, so that a reader of it can draw the same.
    table = read(files["csv"])
    with style.context(str(panels.STYLE)), rc_context({"svg.hashsalt": script.NAME}):
        figure, axes = _paper(rows, columns, width)
        script.draw(table, axes)
        for kind in dict.fromkeys((*formats, "png")):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, metadata=METADATA[kind])
            files[kind] = buffer.getvalue()
    return files


def _paper(rows: int, columns: int, width: str | None) -> tuple[Figure, Any]:
    """Return an empty figure and its panels, (rows, columns) of them wherever they lie."""
    if width == "one" and columns > 1:
        # Legends hang below the last row: every column of panels keeps room for its own.
        height = columns * (panels.HEIGHT * rows + 1.3 * panels.LEGEND)
        figure = Figure(figsize=(WIDTHS["one"], height))
        parts = figure.subfigures(columns, 1, squeeze=False)[:, 0]
        stacks = [part.subplots(rows, 1, squeeze=False)[:, 0] for part in parts]
        return figure, np.array(stacks, dtype=object).T
    wide, high = panels.figsize(rows, columns)
    if width is not None:
        wide = WIDTHS[width]
    figure = Figure(figsize=(wide, high))
    return figure, figure.subplots(rows, columns, squeeze=False)


def entry(
    script: Script,
    files: Mapping[str, bytes],
    data: Sequence[Mapping[str, Any]],
    size: str,
    seed: int,
    register: Iterable[Statement] = REGISTER,
) -> dict[str, Any]:
    """Return what the manifest and the page say about one figure."""
    return {
        "name": script.NAME,
        "title": script.TITLE,
        "caption": script.CAPTION,
        "alt": script.ALT,
        "shows": list(script.SHOWS),
        "claims": shown(script, register),
        "files": {kind: f"{script.NAME}.{kind}" for kind in sorted(files)},
        "seed": seed,
        "size": size,
        "sizes": dict(script.SIZES[size]),
        "data": list(data),
        "versions": versions(),
        "digest": digest(files["csv"]),
    }


def versions() -> dict[str, str]:
    """Return the versions that a figure's numbers may depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def write(out: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder: each appears whole, and none before all lie on the disk."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=out) as unfinished:
        for name, content in files.items():
            Path(unfinished, name).write_bytes(content)
        for name in files:
            os.replace(Path(unfinished, name), out / name)


def overview(entries: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    """Return the page and the manifest that list all figures."""
    manifest = json.dumps({"figures": list(entries)}, indent=2, ensure_ascii=False) + "\n"
    contents = "\n".join(
        f'<li><a href="#{item["name"]}">{html.escape(item["title"])}</a></li>' for item in entries
    )
    page = Template(PAGE.read_text(encoding="utf-8")).substitute(
        contents=contents, figures="\n".join(map(_section, entries))
    )
    return {"index.html": page.encode(), "manifest.json": manifest.encode()}


def _section(item: Mapping[str, Any]) -> str:
    files, name = item["files"], item["name"]
    shapes = "; ".join(f"{d['name']} {d['samples']} × {d['features']}" for d in item["data"])
    facts = {
        "shows": ", ".join(item["shows"]),
        "data": shapes,
        "size": f"{item['size']} (" + _pairs(item["sizes"]) + ")",
        "seed": str(item["seed"]),
        "versions": _pairs(item["versions"]),
        "digest of the numbers": item["digest"],
    }
    links = " · ".join(f'<a href="{files[kind]}">{kind.upper()}</a>' for kind in files)
    listed = "\n".join(
        f"<dt>{key}</dt><dd>{html.escape(value)}</dd>" for key, value in facts.items()
    )
    claims = "\n".join(
        f"<li><strong>{html.escape(label)}</strong> {mathematics(claim)}</li>"
        for label, texts in item["claims"].items()
        for claim in texts
    )
    paragraphs = html.escape(item["caption"]).splitlines()
    caption = "\n".join(f'<p class="caption">{paragraph}</p>' for paragraph in paragraphs)
    return f"""<section id="{name}">
<h2>{html.escape(item["title"])}</h2>
<a href="{files.get("pdf", files["png"])}">
<img src="{files["png"]}" alt="{html.escape(item["alt"])}"></a>
{caption}
<ul class="claims">
{claims}
</ul>
<p class="links">{links}</p>
<dl>
{listed}
</dl>
</section>"""


def _pairs(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in facts.items())
