"""A picture of an advice: the kept fraction of each layer, as SVG, without any package."""

from __future__ import annotations

import html
import math

from lth_sketch.advice import DANGER, Advice

# Pixels: a layer's row, the names at the left, the bars, and the numbers at the right.
ROW, NAMES, BARS, NUMBERS = 34, 260, 420, 110
# The least fraction that is drawn; a layer that keeps nothing has no bar.
LEAST = 1e-5
LOOKS = {"top": ("#000000", "top-k"), "poisson": ("#0060A8", "draw")}
RED = "#D55E00"


def svg(advice: Advice) -> str:
    """Return a picture: two bars a layer, top-k and the draw, on a logarithmic scale.

    Parameters
    ----------
    advice : Advice
        What `advice.advise` or `networks.advise` returned.

    Returns
    -------
    str
        An SVG document; layers that are emptied, or likely to be, are named in red.

    Examples
    --------
    >>> import numpy as np
    >>> from lth_sketch.advice import advise
    >>> svg(advise({"a": np.array([2.0, 1.0])}, 0.5))[:4]
    '<svg'
    """
    width = NAMES + BARS + NUMBERS
    height = ROW * len(advice.layers) + 90
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        _text(10, 20, f"{advice.score}: {100 * advice.density:g}% of all weights kept", bold=True),
    ]
    for step in range(-5, 1):
        x = _place(10.0**step)
        parts.append(
            f'<line x1="{x:.1f}" y1="32" x2="{x:.1f}" y2="{height - 48}" stroke="#ddd"/>'
            + _text(x, height - 34, f"{100 * 10.0**step:g}%", anchor="middle")
        )
    for place, layer in enumerate(advice.layers):
        y = 40 + ROW * place
        risk = max(layer.emptied[name] for name in LOOKS)
        color = RED if risk > DANGER else "black"
        parts.append(_text(NAMES - 8, y + 16, layer.name[-38:], anchor="end", color=color))
        for line, (name, (fill, _)) in enumerate(LOOKS.items()):
            share = layer.kept[name]
            length = _place(share) - NAMES if share > 0 else 0.0
            top = y + 12 * line
            parts.append(
                f'<rect x="{NAMES}" y="{top}" width="{length:.1f}" height="9" fill="{fill}"/>'
            )
            empty = layer.emptied[name]
            note = f"{100 * share:.3g}%" + (f", empty {empty:.2g}" if empty > DANGER else "")
            tint = RED if empty > DANGER else "#444"
            parts.append(_text(NAMES + BARS + 6, top + 9, note, color=tint))
    x = 10
    for fill, label in LOOKS.values():
        parts.append(f'<rect x="{x}" y="{height - 58}" width="18" height="9" fill="{fill}"/>')
        parts.append(_text(x + 24, height - 49, label))
        x += 90
    parts.append(_text(10, height - 12, advice.sentence))
    return "\n".join([*parts, "</svg>\n"])


def _place(share: float) -> float:
    span = -math.log10(LEAST)
    return NAMES + BARS * (1 + math.log10(max(share, LEAST)) / span)


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    color: str = "black",
    bold: bool = False,
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}"{weight}>'
        f"{html.escape(text)}</text>"
    )
