"""Forest plots as inline SVG: the verdicts of one data set, an interval a row, without scripts."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from lth_sketch import display
from lth_sketch.statements.statement import APPROXIMATION_WIDTH, IDENTITY_WIDTH
from lth_sketch.verify import NOT_MET, Verdict

# Hues that the colour-blind tell apart; the markers differ in shape too, for print in grey.
COLOURS = {
    "certified": "#0060a8",
    "refuted": "#b34700",
    "inconclusive": "#7a5a00",
    "vacuous": "#5f5f5f",
    NOT_MET: "#5f5f5f",
}
INK, PALE, SHADE, GRID = "#1a1a1a", "#5f5f5f", "#f4f4f4", "#d0d0d0"
# Columns: label and product, claim, plot, number; then rows, what is above and below, in pixels.
CLAIM, PLOT, NUMBER, WIDTH = 126, 452, 790, 880
ROW, ABOVE, BELOW = 16, 26, 24
# Characters of a claim that fit beside the plot.
LETTERS = 54
# Ends of the axis of identities and approximations, and its marks.
NEAR = (0.88, 1 / 0.88)
MARKS = (0.9, 0.95, 1.0, 1.05, 1.1)


@dataclass(frozen=True)
class Axis:
    """A horizontal scale: logarithmic, or linear for effects."""

    low: float
    high: float
    marks: tuple[tuple[float, str], ...]
    logarithmic: bool = True

    def at(self, x: float) -> float:
        """Return the place of a number, held inside the plot."""
        held = min(max(x, self.low), self.high)
        low, x, high = self.low, held, self.high
        if self.logarithmic:
            low, x, high = math.log(low), math.log(x), math.log(high)
        return PLOT + (NUMBER - PLOT) * (x - low) / (high - low)


def panels(rows: Sequence[Verdict], reach: float) -> Iterator[str]:
    """Yield a drawing for each kind of statement among some verdicts.

    Parameters
    ----------
    rows : sequence of Verdict
        Those of one data set.
    reach : float
        Largest tightness that the axis of the bounds has to hold, the same for all data sets.
    """
    near = Axis(*NEAR, tuple((mark, f"{mark:g}") for mark in MARKS))
    far = 10 ** math.ceil(math.log10(min(max(reach, 2.0), 1e6)))
    decades = [10**k for k in range(round(math.log10(far)) + 1)]
    steps = [c * ten for ten in decades for c in (1, 2, 5)] if far <= 1000 else decades
    loose = Axis(0.5, far, tuple((step, f"{step:g}") for step in (0.5, *steps) if step <= far))
    effect = Axis(-0.5, 2.5, ((0, "no effect"), (1, "measured"), (2, "twice")), logarithmic=False)
    for heading, status, axis, number in (
        ("Identities", "identity", near, "value / measured"),
        ("Approximations", "approximation", near, "value / measured"),
        ("Bounds", "bound", loose, "bound / measured"),
        ("Demonstrations", "demonstration", effect, "measured (no effect)"),
    ):
        chosen = [row for row in rows if row.status == status]
        if chosen:
            yield _panel(heading, chosen, axis, number)


def loosest(rows: Iterable[Verdict]) -> float:
    """Return the largest finite tightness of any bound, 1 if there is none."""
    ratios = (row.tightness for row in rows if row.status == "bound")
    return max((ratio for ratio in ratios if math.isfinite(ratio)), default=1.0)


def glyph(verdict: str) -> str:
    """Return the marker of a verdict as a drawing of its own, for tables and legends."""
    return f'<svg class="glyph" viewBox="0 0 12 12" aria-hidden="true">{_mark(verdict, 6, 6)}</svg>'


def _panel(heading: str, rows: Sequence[Verdict], axis: Axis, number: str) -> str:
    bottom = ABOVE + ROW * len(rows)
    parts = [
        f'<svg class="panel" viewBox="0 0 {WIDTH} {bottom + BELOW}" role="img" '
        f'font-size="11" fill="{INK}" aria-label="{escape(heading)}: {len(rows)} intervals">',
        _text(0, ABOVE - 10, heading, weight=600),
        _text(WIDTH, ABOVE - 10, number, PALE, anchor="end"),
    ]
    top = ABOVE
    # Rows of one statement lie on one ground, shaded for every second statement, and share its
    # claim, cut to the lines that there are.
    for i, ((label, claim), group) in enumerate(groupby(rows, lambda row: (row.label, row.claim))):
        count = len(list(group))
        if i % 2 == 0:
            parts.append(_box(0, WIDTH, top, ROW * count, SHADE))
        parts.append(_text(4, top + 12, label, weight=600))
        lines = textwrap.wrap(display.symbols(claim), LETTERS, max_lines=count, placeholder=" …")
        parts += [_text(CLAIM, top + 12 + ROW * j, line, PALE) for j, line in enumerate(lines)]
        top += ROW * count
    width = {"identity": IDENTITY_WIDTH, "approximation": APPROXIMATION_WIDTH}.get(rows[0].status)
    if width is not None:
        low, high = axis.at(1 / (1 + width)), axis.at(1 / (1 - width))
        parts.append(_box(low, high, ABOVE, bottom - ABOVE, "#dbe9f4"))
    for mark, text in axis.marks:
        x = axis.at(mark)
        parts.append(_line(x, x, ABOVE, bottom + 3, GRID))
        parts.append(_text(x, bottom + 15, text, anchor="middle"))
    one = axis.at(1.0 if axis.logarithmic else 0.0)
    parts.append(_line(one, one, ABOVE, bottom + 3, INK))
    for i, row in enumerate(rows):
        parts.append(_row(row, ABOVE + ROW * (i + 0.5), axis))
    return "".join([*parts, "</svg>"])


def _row(row: Verdict, y: float, axis: Axis) -> str:
    parts = [
        f"<g><title>{escape(f'{row.label}, {row.product}, {row.verdict}: {row.claim}')}</title>",
        _text(34, y + 4, row.product),
    ]
    if math.isnan(row.value) or math.isnan(row.measured):
        middle = (PLOT + NUMBER) / 2
        return "".join([*parts, _text(middle, y + 4, row.verdict, PALE, anchor="middle"), "</g>"])
    low, middle, high = _scaled(row)
    colour, left, right = COLOURS[row.verdict], axis.at(low), axis.at(high)
    parts.append(f'<path d="M{left:.1f} {y}H{right:.1f}" stroke="{colour}" stroke-width="2.5"/>')
    # An arrow where the interval goes on beyond the axis.
    for beyond, x, way in ((low < axis.low, left, -1), (high > axis.high, right, 1)):
        if beyond:
            parts.append(f'<path d="M{x:.1f} {y - 4}v8l{6 * way} -4z" fill="{colour}"/>')
    parts.append(_mark(row.verdict, axis.at(middle), y))
    text = "" if math.isnan(row.tightness) else f"{row.tightness:.4g}"
    if row.status == "demonstration":
        text = f"{row.measured:.3g} ({row.value:.3g})"
    return "".join([*parts, _text(WIDTH - 4, y + 4, text, anchor="end"), "</g>"])


def _scaled(row: Verdict) -> tuple[float, float, float]:
    """Return low end, middle and high end on the axis of a row's status."""
    if row.status == "demonstration":
        effect = abs(row.measured - row.value) or 1.0
        low, middle, high = ((x - row.value) / effect for x in (row.low, row.measured, row.high))
        return low, middle, high
    return _over(row.value, row.high), _over(row.value, row.measured), _over(row.value, row.low)


def _over(value: float, x: float) -> float:
    """Return ``value / x`` for numbers that cannot be negative: without limit if x may be zero."""
    if x == value:
        return 1.0
    return value / x if x > 0 else math.inf


def _mark(verdict: str, x: float, y: float) -> str:
    colour = COLOURS[verdict]
    open_ = f'fill="#fff" stroke="{colour}" stroke-width="1.6"'
    match verdict:
        case "certified":
            return f'<circle cx="{x:.1f}" cy="{y}" r="4" fill="{colour}"/>'
        case "refuted":
            cross = f"M{x - 4.5:.1f} {y - 4.5}l9 9m0 -9l-9 9"
            return f'<path d="{cross}" fill="none" stroke="{colour}" stroke-width="3"/>'
        case "inconclusive":
            return f'<circle cx="{x:.1f}" cy="{y}" r="3.6" {open_}/>'
        case "vacuous":
            return f'<path d="M{x:.1f} {y - 5}l5 5l-5 5l-5 -5z" {open_}/>'
    return f'<path d="M{x - 4:.1f} {y}h8" stroke="{colour}" stroke-width="1.6"/>'


def _text(
    x: float, y: float, text: str, fill: str = INK, *, anchor: str = "start", weight: int = 400
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}" text-anchor="{anchor}" '
        f'font-weight="{weight}">{escape(text)}</text>'
    )


def _line(x1: float, x2: float, y1: float, y2: float, colour: str) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}"/>'


def _box(left: float, right: float, top: float, height: float, colour: str) -> str:
    return (
        f'<rect x="{left:.1f}" y="{top}" width="{right - left:.1f}" height="{height}" '
        f'fill="{colour}"/>'
    )
