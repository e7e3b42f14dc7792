"""Every link of a folder of pages leads somewhere, and every picture says in words what is seen."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a page may ask for from elsewhere, when somebody clicks: papers, never a file of the page.
CLICKED = ("a",)


class Page(HTMLParser):
    """Anchors, links and pictures without words of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[tuple[str, str]] = []
        self.mute: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag refers to, and by what it is referred to."""
        named = dict(attrs)
        self.anchors |= {value for key, value in attrs if key in ("id", "name") and value}
        rel = named.get("rel") or ""
        for key in ("href", "src", "srcset"):
            value = named.get(key)
            if value and "canonical" not in rel:
                self.links.append((tag, value))
        if tag == "img" and not named.get("alt"):
            self.mute.append(named.get("src") or "")


def check(folder: Path) -> list[str]:
    """Return a line for each link that leads nowhere, and for each picture without words."""
    pages = {
        path.resolve(): Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")
    }
    found = []
    for path, page in pages.items():
        where = path.relative_to(folder.resolve())
        found += [f"{where}: picture without words: {source}" for source in page.mute]
        for tag, target in page.links:
            parts = urlsplit(target)
            if parts.scheme in ("data", "mailto"):
                continue
            if parts.scheme or parts.netloc:
                if tag not in CLICKED:
                    found.append(f"{where}: reads from the network: {target}")
                continue
            goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not goal.exists():
                found.append(f"{where}: no such file: {target}")
            elif goal in pages and unquote(parts.fragment) not in pages[goal].anchors | {""}:
                found.append(f"{where}: no such place: {target}")
    return found
