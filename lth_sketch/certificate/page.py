"""The certificate as one self-contained HTML page: summary, statements, figures, every row.

The page holds its style and pictures, no script and no date: the same run gives the same bytes.
"""

from __future__ import annotations

import base64
import json
import math
import platform
from collections.abc import Iterable, Mapping
from html import escape
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from lth_sketch import display
from lth_sketch.certificate import forest
from lth_sketch.verify import NOT_MET, Report, Verdict

PACKAGES = ("numpy", "scipy", "numba", "lth_sketch")
# Kinds of pictures, in the order in which they are looked for.
KINDS = {".svg": "image/svg+xml", ".png": "image/png"}
MEANINGS = {
    "certified": "An identity: the interval holds the value and reaches at most 5% to each side. "
    "A bound: the whole interval lies below it, and it is not above the error of the empty mask. "
    "An approximation: the whole interval lies within 7% of it. A demonstration: the whole "
    "interval lies above what would be measured if there were no effect.",
    "refuted": "The interval contradicts the statement: it misses the value of an identity, lies "
    "above a bound, more than 7% off an approximation, or below what no effect would give.",
    "inconclusive": "The interval is too wide to tell. Nothing speaks against the statement; more "
    "trials narrow the interval.",
    "vacuous": "The bound is not contradicted, but it is above the error of the empty mask, which "
    "keeps nothing. On this product it says nothing about pruning.",
    NOT_MET: "A condition of the statement fails on this product, and it is not judged. The "
    "table names the condition.",
}
STYLE = """
body { font: 15px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; margin: 2rem auto;
       max-width: 72rem; padding: 0 1rem; color: #1a1a1a; background: #fff; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .4rem; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th { text-align: left; border-bottom: 2px solid #1a1a1a; }
th, td { padding: .2rem .5rem; vertical-align: top; }
td { border-bottom: 1px solid #ddd; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.verdict { white-space: nowrap; font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: 13px; }
dt { font-weight: 600; } dd { margin: 0; }
figure { margin: 0; max-width: 60rem; } figcaption, .note { color: #555; font-size: 13px; }
img { max-width: 100%; height: auto; }
.glyph { width: 12px; height: 12px; vertical-align: -1px; margin-right: .35em; }
.panel { display: block; width: 100%; height: auto; margin: .6rem 0; break-inside: avoid; }
tbody th { border-bottom: 0; padding-top: .6rem; } tbody th span { font-weight: 400; }
@media (prefers-color-scheme: dark) {
  body { color: #e4e4e4; background: #16181a; } a { color: #7cc4ff; }
  th { border-color: #e4e4e4; } td { border-color: #3a3d40; }
  figcaption, .note { color: #b0b0b0; }
  .panel, img { background: #fff; border-radius: 4px; }
  .verdict span { filter: brightness(1.9) saturate(.8); } }
@media (max-width: 40rem) { body { margin: 1rem auto; padding: 0 .7rem; }
  table { display: block; overflow-x: auto; } dl { grid-template-columns: 1fr; }
  #counts thead { display: none; } #counts tr { display: grid; grid-template-columns: 1fr auto; }
  #counts td:last-child { grid-column: 1 / -1; }
  figure { overflow-x: auto; } .panel { min-width: 46rem; } }
@media print { body { font-size: 11px; margin: 0; max-width: none; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  h2, h3 { break-after: avoid; } tr, img { break-inside: avoid; }
  table, dl, figcaption { font-size: 9px; }
  th, td { padding: .1rem .25rem; } th.number { white-space: normal; } }
"""


class Picture(NamedTuple):
    """A drawn figure: its content as a data URI, its headline, its caption, and what is seen."""

    uri: str
    title: str
    caption: str
    alt: str


def pictures(folder: Path, names: Iterable[str]) -> dict[str, Picture]:
    """Read the figures that `make figures` has drawn into a folder.

    Parameters
    ----------
    folder : Path
        Holds ``NAME.svg`` or ``NAME.png``, and the manifest with titles and captions if there is
        one. Figures of networks may lie in its subfolder ``networks``.
    names : iterable of str
        Names of figures; one that is not drawn is left out.

    Returns
    -------
    dict of str to Picture
        By name.

    Raises
    ------
    FileNotFoundError
        If the folder holds none of them.
    """
    names = list(names)
    shown: dict[str, Picture] = {}
    for place in (folder, folder / "networks"):
        manifest = place / "manifest.json"
        listed = json.loads(manifest.read_text("utf-8"))["figures"] if manifest.exists() else []
        about = {item["name"]: item for item in listed}
        for name in names:
            for ending, kind in KINDS.items():
                path = place / f"{name}{ending}"
                if name not in shown and path.is_file():
                    content = base64.b64encode(path.read_bytes()).decode()
                    item = about.get(name, {"title": name, "caption": ""})
                    uri = f"data:{kind};base64,{content}"
                    words = item.get("alt", item["title"])
                    shown[name] = Picture(uri, item["title"], item["caption"], words)
    if not shown:
        raise FileNotFoundError(
            f"{folder} holds no picture of {', '.join(names)}; draw them with `make figures`"
        )
    return shown


def html(
    report: Report,
    *,
    title: str = "lth_sketch: certificate",
    drawn: Mapping[str, Picture] | None = None,
) -> str:
    """Return the page.

    Parameters
    ----------
    report : Report
        What `verify.run` returned.
    title : str
        Heading of the page.
    drawn : mapping of str to Picture, optional
        Figures to show above their statements, as `pictures` reads them.

    Returns
    -------
    str
        HTML with style and drawings inside; its links stay on the page.

    Examples
    --------
    >>> from lth_sketch import statements, verify
    >>> S0 = [statement for statement in statements.REGISTER if statement.label == "S0"]
    >>> html(verify.run(S0, trials=10)).count('<svg class="panel"')
    1
    """
    rows = report.verdicts
    reach = forest.loosest(rows)
    names = list(dict.fromkeys(row.data for row in rows))
    figures = "\n".join(
        _figure(name, [row for row in rows if row.data == name], reach) for name in names
    )
    statements = _statements(rows, drawn or {})
    table = "\n".join(_judged(*key, group) for key, group in groupby(rows, _statement))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p><strong>{escape(report.summary())}</strong>.</p>
{_counts(report)}
<p>Each row of this certificate compares a number from theory with an interval that was measured
without it. Means come with Catoni's interval, with the exact variance of the law or, where a row
says so, a limit on its kurtosis; quantiles and probabilities with that of Clopper and Pearson. The
risk is split evenly over the rows: with probability at least 1 - {report.risk:g} no verdict on this
page is false.</p>
<p>{escape(" ".join(report.conditions()))}</p>
{_facts(report, names)}
<h2 id="figures">Measured against theory</h2>
{figures}
<h2 id="statements">The statements, and the figures that show them</h2>
<p>Labels are those of <code>docs/theory.md</code>, where the proofs are; <code>make figures</code>
draws the figures.</p>
{statements}
<h2 id="table">Every row</h2>
<table id="verdicts">
<thead><tr><th>label</th><th>data</th><th>product</th><th>verdict</th>
<th class="number">measured</th><th class="number">interval</th><th class="number">value</th>
<th class="number">value / measured</th><th>figure</th></tr></thead>
{table}
</table>
</body>
</html>
"""


def _counts(report: Report) -> str:
    verdicts = [row.verdict for row in report.verdicts]
    body = "\n".join(
        f'<tr><td class="verdict">{_named(verdict)}</td>'
        f'<td class="number">{verdicts.count(verdict)}</td><td>{meaning}</td></tr>'
        for verdict, meaning in MEANINGS.items()
    )
    return f"""<table id="counts">
<thead><tr><th>verdict</th><th class="number">rows</th><th>what it means</th></tr></thead>
<tbody>
{body}
</tbody>
</table>"""


def _facts(report: Report, names: Iterable[str]) -> str:
    versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    facts = {
        "data": ", ".join(names),
        "rows": str(len(report.verdicts)),
        "simulated masks": f"{report.trials} for each mean of few draws",
        "risk": f"{report.risk:g} in all, {report.risk / len(report.verdicts):.3g} a row",
        "seed": str(report.seed),
        "versions": ", ".join(f"{name} {number}" for name, number in versions.items()),
    }
    listed = "\n".join(f"<dt>{key}</dt><dd>{escape(value)}</dd>" for key, value in facts.items())
    return f"<dl>\n{listed}\n</dl>"


def _figure(name: str, rows: list[Verdict], reach: float) -> str:
    drawings = "\n".join(forest.panels(rows, reach))
    legend = " &ensp; ".join(_named(verdict) for verdict in MEANINGS)
    return f"""<h3>{escape(name)}</h3>
<figure id="forest-{escape(name)}">
{drawings}
<figcaption>{legend}<br>
Marker and line are the measured number and its interval, as the ratio of value to measured; an
arrow says that the interval goes on. Identities and approximations: the line at 1 is agreement, the
shaded band is how far an interval may reach. Bounds, on a logarithmic axis: the further to the
right of 1, the looser; left of 1 a bound is false. Demonstrations: the effect in units of the
measured one.</figcaption>
</figure>"""


def _statements(rows: Iterable[Verdict], drawn: Mapping[str, Picture]) -> str:
    by_figure: dict[str | None, list[Verdict]] = {}
    for row in rows:
        by_figure.setdefault(row.figure, []).append(row)
    return "\n".join(_shown(name, judged, drawn) for name, judged in by_figure.items())


def _shown(name: str | None, rows: list[Verdict], drawn: Mapping[str, Picture]) -> str:
    """Return one figure, if it is drawn, over the statements that it shows."""
    if name is None:
        heading, picture = "<h3>In no figure</h3>", ""
    else:
        heading = f'<h3 id="figure-{escape(name)}">Figure <code>{escape(name)}</code></h3>'
        picture = _picture(drawn[name]) if name in drawn else ""
    lines = []
    for (label, status, claim), group in groupby(rows, _statement):
        verdicts = [row.verdict for row in group]
        counts = ", ".join(f"{verdicts.count(v)} {v}" for v in MEANINGS if v in verdicts)
        lines.append(
            f"<tr><td><strong>{escape(label)}</strong></td><td>{status}</td>"
            f"<td>{display.mathematics(claim)}</td><td>{counts}</td></tr>"
        )
    body = "\n".join(lines)
    return f"""{heading}
{picture}<table>
<thead><tr><th>label</th><th>status</th><th>claim</th><th>verdicts</th></tr></thead>
<tbody>
{body}
</tbody>
</table>"""


def _picture(picture: Picture) -> str:
    paragraphs = "".join(f"<p>{escape(line)}</p>" for line in picture.caption.splitlines())
    return f"""<figure><img src="{picture.uri}" alt="{escape(picture.alt)}">
<figcaption><strong>{escape(picture.title)}</strong>{paragraphs}</figcaption></figure>
"""


def _judged(label: str, status: str, claim: str, rows: Iterable[Verdict]) -> str:
    """Return one statement of the table: its claim, and a row for each product."""
    lines = "\n".join(map(_row, rows))
    return f"""<tbody>
<tr><th colspan="9">{escape(label)} <span>{status}: {display.mathematics(claim)}</span></th></tr>
{lines}
</tbody>"""


def _row(row: Verdict) -> str:
    verdict = f'<span class="verdict">{_named(row.verdict)}</span>'
    for said in (row.note, row.rests_on):
        if said:
            verdict += f'<br><span class="note">{escape(said)}</span>'
    interval = "" if math.isnan(row.low) else f"[{row.low:.4g}, {row.high:.4g}]"
    numbers = [_number(row.measured), interval, _number(row.value), _number(row.tightness)]
    name = escape(row.figure or "")
    cells = [f"<td>{escape(word)}</td>" for word in (row.title, row.data, row.product)]
    cells.append(f"<td>{verdict}</td>")
    cells += [f'<td class="number">{number}</td>' for number in numbers]
    cells.append(f'<td><a href="#figure-{name}">{name}</a></td>' if name else "<td></td>")
    return f'<tr class="row">{"".join(cells)}</tr>'


def _statement(row: Verdict) -> tuple[str, str, str]:
    return row.label, row.status, row.claim


def _named(verdict: str) -> str:
    """Return a verdict with its marker, in its colour."""
    colour = forest.COLOURS[verdict]
    return f'{forest.glyph(verdict)}<span style="color:{colour}">{escape(verdict)}</span>'


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"
