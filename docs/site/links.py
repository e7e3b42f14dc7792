"""Every link of a folder of pages leads somewhere, and whoever does not see or click can read it.

Pictures say in words what is seen, pages say their language, and the keyboard goes through them in
the order in which they are written.
"""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a page may ask for from elsewhere, when somebody clicks: papers, never a file of the page.
CLICKED = ("a",)


class Page(HTMLParser):
    """Anchors, links, pictures without words and leaps of the keyboard of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[tuple[str, str]] = []
        self.mute: list[str] = []
        self.leaps: list[str] = []
        self.language = ""
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
        if tag == "svg" and named.get("role") == "img" and not named.get("aria-label"):
            self.mute.append("svg")
        if tag == "html":
            self.language = named.get("lang") or ""
        if (named.get("tabindex") or "0").strip() not in ("0", "-1"):
            self.leaps.append(tag)


def check(folder: Path) -> list[str]:
    """Return a line for each link that leads nowhere, and for whatever some readers would miss."""
    pages = {
        path.resolve(): Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")
    }
    faults = []
    for path, page in pages.items():
        where = path.relative_to(folder.resolve())
        faults += [f"{where}: picture without words: {source}" for source in page.mute]
        faults += [f"{where}: the keyboard leaps to: {tag}" for tag in page.leaps]
        if not page.language:
            faults.append(f"{where}: no language")
        for tag, target in page.links:
            parts = urlsplit(target)
            if parts.scheme in ("data", "mailto"):
                continue
            if parts.scheme or parts.netloc:
                if tag not in CLICKED:
                    faults.append(f"{where}: reads from the network: {target}")
                continue
            goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not goal.exists():
                faults.append(f"{where}: no such file: {target}")
            elif goal in pages and unquote(parts.fragment) not in pages[goal].anchors | {""}:
                faults.append(f"{where}: no such place: {target}")
    return faults
