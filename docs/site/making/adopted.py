"""Pages that the project keeps for readers of its repository, taken over with links that hold."""

from __future__ import annotations

import re
from pathlib import Path

# From the root of the repository to a page of the site.
PAGES = {
    "docs/guide.md": "guide/tour.md",
    "docs/beyond_one_machine.md": "guide/beyond_one_machine.md",
    "docs/results/README.md": "results/index.md",
    "docs/mutants.md": "project/mutants.md",
    "CHANGELOG.md": "project/changes.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "RELEASING.md": "project/releasing.md",
}
# Links to these go to pages that are made from them.
MADE = {"docs/theory.md": "theory/index.md"}


def write(root: Path, made: Path) -> None:
    """Write every adopted page that there is, and the indices that list them."""
    pages = {source: target for source, target in PAGES.items() if (root / source).exists()}
    pages |= {
        f"docs/results/{path.name}": f"results/{path.name}"
        for path in sorted((root / "docs" / "results").glob("*.md"))
        if path.name != "README.md"
    }
    for source, target in pages.items():
        text = (root / source).read_text(encoding="utf-8")
        text = _links(text, source, target, pages | MADE)
        path = made / target
        path.parent.mkdir(parents=True, exist_ok=True)
        if target.startswith("results/"):
            text = _sortable(text)
        if source == "docs/results/README.md":
            others = sorted(Path(t).stem for s, t in pages.items() if t.startswith("results/"))
            text += _contents([name for name in others if name != "index"])
        path.write_text(text, encoding="utf-8")
    guide = made / "guide" / "index.md"
    names = [line for line in _listed(guide) if not (made / "guide" / f"{line}.md").exists()]
    if names:
        text = guide.read_text(encoding="utf-8")
        for name in names:
            text = text.replace(f"\n{name}\n", "\n")
        guide.write_text(text, encoding="utf-8")


def _listed(page: Path) -> list[str]:
    tree = re.search(r"```\{toctree\}\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    assert tree is not None
    return [line for line in tree[1].splitlines() if line and not line.startswith(":")]


def _contents(names: list[str]) -> str:
    return "\n".join(["\n```{toctree}", ":hidden:", "", *names, "```\n"])


def _links(text: str, source: str, target: str, pages: dict[str, str]) -> str:
    """Return the text with links to pages of the site, and plain words for other files."""
    here, there = Path(source).parent, Path(target).parent

    def link(match: re.Match[str]) -> str:
        words, goal, place = match["words"], match["goal"], match["place"] or ""
        if "://" in goal:
            return match[0]
        whole = _normal(here / goal)
        if whole in pages:
            return f"[{words}]({_relative(pages[whole], there)}{place})"
        return words if "`" in words else f"`{whole}`"

    return re.sub(r"\[(?P<words>[^\]\n]+)\]\((?P<goal>[^)#\s]+)(?P<place>#[^)]*)?\)", link, text)


def _normal(path: Path) -> str:
    parts: list[str] = []
    for part in path.parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(part for part in parts if part != ".")


def _relative(target: str, there: Path) -> str:
    return "../" * len(there.parts) + target if there.parts else target


# What is said below the title of a page of results: the order of a page is part of what it says.
ORDER = (
    "*The rows of tables stand in the order of the experiment. Where JavaScript runs, a press on "
    "the head of a column sorts by it, and a second press the other way round.*"
)


def _sortable(text: str) -> str:
    """Return the text with every table in a box whose heads can be pressed, and a word on that.

    A number and its uncertainty stay in one line.
    """
    text = re.sub(r"(?<=\d) \+- (?=\d)", "\u00a0\u00b1\u00a0", text)
    text = re.sub(r"((?:^\|.*\n)+)", r":::{container} sortable\n\n\1\n:::\n", text, flags=re.M)
    title, rest = text.split("\n", 1)
    return f"{title}\n\n{ORDER}\n{rest}"
