"""The certificate as one self-contained HTML page: the table, and every interval drawn."""

from __future__ import annotations

import math
from html import escape

from lth_sketch.verify import Report, Verdict

COLOURS = {
    "certified": "#0b6e4f",
    "refuted": "#b3261e",
    "inconclusive": "#8a6d00",
    "vacuous": "#6b6b6b",
    "assumptions not met": "#6b6b6b",
}
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem;
       color: #1a1a1a; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th { text-align: left; border-bottom: 2px solid #1a1a1a; }
th, td { padding: .25rem .5rem; vertical-align: top; }
td { border-bottom: 1px solid #ddd; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { display: block; }
.note { color: #555; }
"""
# The drawing shows measured / value from LEAST to MOST on a logarithmic axis.
LEAST, MOST, WIDTH, HEIGHT = 0.03, 3.0, 160, 14


def html(report: Report, *, title: str = "lth_sketch: certificate") -> str:
    """Return the page.

    Parameters
    ----------
    report : Report
        What `verify.run` returned.
    title : str
        Heading of the page.

    Returns
    -------
    str
        HTML with style and drawings inside, no links.
    """
    rows = "\n".join(_row(verdict) for verdict in report.verdicts)
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
<h1>{escape(title)}</h1>
<p><strong>{escape(report.summary())}</strong>. Means: Catoni's interval, right for any law of
bounded kurtosis. Quantiles and probabilities: Clopper and Pearson. {report.trials} simulated masks
for each mean. The risk is split evenly over the rows.</p>
<p class="note">Drawn is the interval of measured / value on a logarithmic axis from {LEAST:g} to
{MOST:g}; the line marks 1. An identity is certified when the interval holds 1 and reaches at most
5% to each side; a bound when it lies left of 1, and it is vacuous when the empty mask does as well;
an approximation when it lies within 7%; a demonstration when it lies right of the value without an
effect.</p>
<table>
<tr><th>label</th><th>claim</th><th>data</th><th>product</th><th>status</th><th>verdict</th>
<th class="number">measured</th><th class="number">interval</th><th class="number">value</th>
<th>measured / value</th></tr>
{rows}
</table>
</html>
"""


def _row(row: Verdict) -> str:
    colour = COLOURS[row.verdict]
    verdict = f'<strong style="color:{colour}">{escape(row.verdict)}</strong>'
    if row.note:
        verdict += f'<br><span class="note">{escape(row.note)}</span>'
    interval = "" if math.isnan(row.low) else f"[{row.low:.4g}, {row.high:.4g}]"
    cells = [
        escape(row.label),
        escape(row.claim),
        escape(row.data),
        escape(row.product),
        escape(row.status),
        verdict,
    ]
    numbers = [_number(row.measured), interval, _number(row.value)]
    return (
        "<tr>"
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "".join(f'<td class="number">{cell}</td>' for cell in numbers)
        + f"<td>{_drawing(row, colour)}</td></tr>"
    )


def _drawing(row: Verdict, colour: str) -> str:
    if math.isnan(row.value) or row.value <= 0:
        return ""
    low, middle, high = (_place(x / row.value) for x in (row.low, row.measured, row.high))
    one, half = _place(1.0), HEIGHT / 2
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="measured over value {row.measured / row.value:.3g}">'
        f'<line x1="{one:.1f}" x2="{one:.1f}" y1="0" y2="{HEIGHT}" stroke="#1a1a1a"/>'
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{half}" y2="{half}" stroke="{colour}" '
        f'stroke-width="3"/><circle cx="{middle:.1f}" cy="{half}" r="3.5" fill="{colour}"/></svg>'
    )


def _place(ratio: float) -> float:
    """Return the horizontal position of a ratio, held inside the drawing."""
    held = min(max(ratio, LEAST), MOST)
    return WIDTH * (math.log(held) - math.log(LEAST)) / (math.log(MOST) - math.log(LEAST))


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"
