"""The theory page, cut at its sections, with an anchor at every statement."""

from __future__ import annotations

import re
from pathlib import Path

LABEL = re.compile(r"^### (?P<label>.+?) -- (?P<title>.+)$", re.M)


def slug(title: str) -> str:
    """Return a file's name for a title."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def anchor(label: str) -> str:
    """Return the place of a statement: `statement-s2`, or `statement-s0-prime` for S0'."""
    return "statement-" + slug(label.replace("'", " prime"))


def write(page: Path, folder: Path) -> None:
    """Write an index and a page for each section."""
    folder.mkdir(parents=True)
    head, *sections = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.M)
    names, rows = [], []
    for section in sections:
        title, body = section.split("\n", 1)
        name = slug(title)
        names.append(name)
        for match in LABEL.finditer(body):
            label, words = match["label"], match["title"]
            status = re.search(r"\*\*Status\*\* (\w+)", body[match.end() :])
            kind = status[1] if status else ""
            rows.append(f"| [{label}](#{anchor(label)}) | {words} | {kind} |")
        body = LABEL.sub(
            lambda match: f"({anchor(match['label'])})=\n## {match['label']} -- {match['title']}",
            body,
        )
        body = re.sub(r"^### ", "## ", body, flags=re.M)
        (folder / f"{name}.md").write_text(_linked(f"# {title}\n{body}"), encoding="utf-8")
    table = "\n".join(["| label | statement | status |", "| --- | --- | --- |", *rows])
    contents = "\n".join(["```{toctree}", ":maxdepth: 1", "", *names, "```"])
    index = f"{head}\n## All statements\n\n{table}\n\n## Pages\n\n{contents}\n"
    (folder / "index.md").write_text(_linked(index), encoding="utf-8")


def _linked(text: str) -> str:
    """Return the text with links that hold on the site."""
    return re.sub(r"\]\((?:\.\./)?theory\.md(#[\w-]*)?\)", "](index.md)", text)
