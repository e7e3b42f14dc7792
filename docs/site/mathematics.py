"""Mathematics rendered by KaTeX while the site is built, so that a reader needs no JavaScript.

One process of Node.js renders every formula; one that KaTeX refuses is a warning, hence an error.
"""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util import logging

HERE = Path(__file__).parent
LOG = logging.getLogger(__name__)


@cache
def _server() -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["node", str(HERE / "mathematics.js")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


@cache
def render(formula: str, display: bool) -> tuple[str, str]:
    """Return the HTML (with MathML inside) of a formula, and what is wrong with it, if anything."""
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps({"formula": formula, "display": display}) + "\n")
    server.stdin.flush()
    answer = json.loads(server.stdout.readline())
    return answer.get("html", ""), answer.get("error", "")


def _visit(display: bool) -> Any:
    def visit(translator: Any, node: nodes.Element) -> None:
        formula = node.astext()
        html, error = render(formula, display)
        if error:
            LOG.warning("KaTeX: %s in %s", error, formula, location=node)
        if display:
            # Wide formulas scroll, with the keyboard too.
            html = f'<div class="math" tabindex="0" role="math">{html}</div>'
        else:
            html = f'<span class="math">{html}</span>'
        translator.body.append(html)
        raise nodes.SkipNode

    return visit


def setup(app: Any) -> dict[str, bool]:
    """Make it the renderer of the site."""
    app.add_html_math_renderer("katex", (_visit(False), None), (_visit(True), None))
    return {"parallel_read_safe": True, "parallel_write_safe": False}
