"""Tables and small drawings as HTML, for what notebooks show: no script, no style sheet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import numpy as np

from lth_sketch.validation import Floats

# Names of Greek letters in claims, as they are typed.
GREEK = {
    "alpha": "α",
    "beta": "β",
    "chi": "χ",
    "delta": "δ",
    "eps": "ε",
    "kappa": "κ",
    "lam": "λ",
    "lambda": "λ",
    "omega": "ω",
    "pi": "π",
    "sigma": "σ",
}
# How claims are typed, and how they are printed; a sum is one where terms with indices follow.
SIGNS = (
    (r"\|\|", "‖"),
    (r"<=", "≤"),
    (r">=", "≥"),
    (r"(?<= )-(?= )", "−"),
    (r"\^(\{?)-", r"^\1−"),
    (r"(?<== )-", "−"),
    (r"\bsum(?=_| \S*_| VIF| sqrt VIF)", "∑"),
    (r"\bsqrt\b", "√"),
    (r"\b([A-Z])~", "\\1\N{COMBINING TILDE}"),
    (r"\bp\*", "p^*"),
    # A letter whose name has a number behind it is squared: sigma2, chi2_1.
    (rf"(?<![A-Za-z])({'|'.join(GREEK)})2(?![A-Za-z0-9])", "\\1^2"),
)
# Pixels of a drawing within a line of text.
WIDTH, HEIGHT = 160, 36


def symbols(text: str) -> str:
    """Return a claim with the signs and the letters that it names, as plain text.

    Examples
    --------
    >>> symbols("||err||^2 <= sum u_i^2 / pi_i - beta")
    '‖err‖^2 ≤ ∑ u_i^2 / π_i − β'
    """
    for typed, printed in SIGNS:
        text = re.sub(typed, printed, text)
    names = "|".join(sorted(GREEK, key=len, reverse=True))
    return re.sub(rf"(?<![A-Za-z])({names})(?![A-Za-z0-9])", lambda name: GREEK[name[1]], text)


def mathematics(text: str) -> str:
    """Return a claim as HTML: its signs, and what stands above and below the line.

    Examples
    --------
    >>> mathematics("(A S)^T K_lam^{-1/2} <= pi_ij")
    '(A S)<sup>T</sup> K<sub>λ</sub><sup>−1/2</sup> ≤ π<sub>ij</sub>'
    """
    marked = escape(symbols(text))
    # In braces, or one word, number or star.
    for sign, tag in (("_", "sub"), (r"\^", "sup")):
        marked = re.sub(sign + r"\{([^}]*)\}", rf"<{tag}>\1</{tag}>", marked)
        marked = re.sub(sign + r"(−?[^\W_]+|\*)", rf"<{tag}>\1</{tag}>", marked)
    return marked


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Return a table of plain text.

    Examples
    --------
    >>> table(["a"], [["<"]])
    '<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>&lt;</td></tr></tbody></table>'
    """
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def facts(title: str, entries: Mapping[str, str], drawing: str = "") -> str:
    """Return a table of names and texts under a title, with a drawing in its last row.

    Examples
    --------
    >>> facts("Product", {"d": "2"})
    '<table><caption>Product</caption><tbody><tr><th>d</th><td>2</td></tr></tbody></table>'
    """
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in entries.items()
    )
    if drawing:
        rows += f'<tr><td colspan="2">{drawing}</td></tr>'
    return f"<table><caption>{escape(title)}</caption><tbody>{rows}</tbody></table>"


def falling(values: Floats, words: str) -> str:
    """Return a drawing of values >= 0, the largest first, as areas; `words` say what is seen.

    Examples
    --------
    >>> import numpy as np
    >>> falling(np.array([1.0, 2.0]), "two norms").count("<svg")
    1
    """
    top = float(values.max(initial=0.0)) or 1.0
    # At most a value a pixel, the largest among them.
    places = np.unique(np.linspace(0, len(values) - 1, min(len(values), WIDTH)).astype(np.int64))
    heights = np.sort(values)[::-1][places] / top * HEIGHT
    step = WIDTH / len(places)
    path = "".join(
        f"L{i * step:.1f} {HEIGHT - y:.1f}H{(i + 1) * step:.1f}" for i, y in enumerate(heights)
    )
    return (
        f'<svg role="img" aria-label="{escape(words)}" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}"><path d="M0 {HEIGHT}{path}V{HEIGHT}z" fill="#0060a8"/>'
        "</svg>"
    )
