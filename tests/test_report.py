"""The page of a certificate: self-contained, the same bytes each time, every row in its figure."""

from __future__ import annotations

import base64
import copy
import math
import re
from html import unescape
from html.parser import HTMLParser

import pytest

from lth_sketch.certificate import forest, page
from lth_sketch.statements.statement import STATUSES
from lth_sketch.verify import NOT_MET, Report, Verdict

# Tags that are never closed, and attributes that load something.
VOID = {"meta", "img", "br"}
LOADING = {"src", "href", "xlink:href", "action", "data", "poster", "srcset"}
PIXEL = b"\x89PNG made up"


def row(status="bound", verdict="certified", numbers=(1.0, 0.9, 1.1, 2.0), **change):
    measured, low, high, value = numbers
    facts = {
        "label": "B7",
        "data": "digits",
        "product": "initial",
        "claim": "a < b & c",
        "note": "",
        "seconds": 0.5,
        "figure": "designs",
    } | change
    return Verdict(
        status=status, verdict=verdict, measured=measured, low=low, high=high, value=value, **facts
    )


NONE = (math.nan,) * 4
ROWS = (
    row("identity", numbers=(1.0, 0.99, 1.01, 1.0), label="S2"),
    row("identity", "inconclusive", (1.0, -math.inf, math.inf, 1.0), label="S2"),
    row("identity", "refuted", (1.0, 0.99, 1.01, 3.0), label="S3", data="mnist"),
    row("approximation", numbers=(1.0, 0.98, 1.02, 1.0), label="A1"),
    row("bound", "vacuous"),
    row("bound", "refuted", (1.0, 0.9, 1.1, 0.01)),
    row("bound", NOT_MET, NONE, label="D3", note="s >= 4", figure=None),
    row("demonstration", numbers=(0.05, 0.04, 0.06, 0.0), label="R1"),
)


class Page(HTMLParser):
    """Tags closed in order, what the page loads, and the rows of its table."""

    def __init__(self, page):
        super().__init__()
        self.open, self.loaded, self.tags, self.ids = [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.loaded += [value for name, value in attrs if name in LOADING]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def count(self, tag, **attributes):
        return sum(name == tag and attributes.items() <= given.items() for name, given in self.tags)


def of(*rows, **options):
    return page.html(Report(rows, 1e-6, 10, 0), **options)


def draw(folder, name, *, ending="png", caption="first\nsecond"):
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.{ending}").write_bytes(PIXEL)
    listed = f'{{"figures": [{{"name": "{name}", "title": "T < U", "caption": "{caption}"}}]}}'
    (folder / "manifest.json").write_text(listed.replace("\n", "\\n"), encoding="utf-8")


def test_page_is_whole_and_loads_nothing(tmp_path):
    draw(tmp_path, "designs")
    text = of(*ROWS, drawn=page.pictures(tmp_path, ["designs"]))
    shown = Page(text)
    assert not shown.open
    assert "http" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert not shown.count("script")
    assert len(shown.ids) == len(set(shown.ids))
    for target in shown.loaded:
        inside = target.startswith("#") and target[1:] in shown.ids
        assert inside or target.startswith("data:image/png;base64,"), target


@pytest.mark.parametrize(
    ("numbers", "within"),
    [
        ((2.0, 1.95, 2.02, 3.0), "2.5%"),
        ((-4.0, -4.0, -3.9, 0.0), "2.5%"),
        ((2e4, 2e4 - 1, 2e4 + 1, 3e4), "<0.01%"),
        ((1e4, 1e4 - 1, 1e4 + 1, 3e4), "0.01%"),
        ((1e-3, -0.1, 0.1, 1.0), "0.1"),
        ((0.0, -0.02, 0.02, 1.0), "0.02"),
        ((1.0, -math.inf, math.inf, 1.0), "inf"),
        (NONE, ""),
    ],
)
def test_how_far_an_interval_reaches_is_said_in_per_cent_where_that_tells(numbers, within):
    """Of what was measured; in its own units where that is nothing, or tiny beside it."""
    assert unescape(row(numbers=numbers)._repr_html_()).count(f"({within})") == 1


def test_the_same_run_gives_the_same_bytes():
    assert of(*ROWS) == of(*map(copy.copy, ROWS))
    # How long a row took is not on the page.
    assert of(row(seconds=1.0)) == of(row(seconds=2.0))
    assert of(row()) != of(row(numbers=(1.0, 0.9, 1.1, 2.001)))


def test_every_row_is_in_the_table_and_in_a_figure_of_its_data():
    text = of(*ROWS)
    shown = Page(text)
    assert shown.count("tr", **{"class": "row"}) == len(ROWS)
    assert (
        shown.count("figure", id="forest-digits") == shown.count("figure", id="forest-mnist") == 1
    )
    digits, mnist = text.split('id="forest-mnist"')
    drawn = digits.split('id="forest-digits"')[1]
    assert drawn.count("<g><title>") == len(ROWS) - 1
    assert mnist.split("</figure>")[0].count("<g><title>") == 1
    assert drawn.count('class="panel"') == len(STATUSES)
    assert "a &lt; b &amp; c" in text
    assert "a < b" not in text
    assert "s &gt;= 4" in text


def test_rows_name_the_figure_that_shows_them():
    text = of(*ROWS)
    assert text.count('<a href="#figure-designs">designs</a>') == len(ROWS) - 1
    assert "In no figure" in text


def test_each_verdict_is_counted_and_explained():
    text = of(*ROWS)
    for verdict, meaning in page.MEANINGS.items():
        number = sum(row.verdict == verdict for row in ROWS)
        assert f'<td class="number">{number}</td><td>{meaning}</td>' in text
    assert set(page.MEANINGS) == set(forest.COLOURS)


def test_verdicts_differ_in_shape():
    shapes = {re.sub(r"#\w+", "", forest.glyph(verdict)) for verdict in forest.COLOURS}
    assert len(shapes) == len(forest.COLOURS)


def places(*rows):
    """Left end, middle and right end of each interval that is drawn."""
    panels = "".join(forest.panels(rows, forest.loosest(rows)))
    lines = re.findall(r'd="M([\d.]+) [\d.]+H([\d.]+)"', panels)
    circles = re.findall(r'<circle cx="([\d.]+)"', panels)
    return [
        (float(low), float(x), float(high)) for (low, high), x in zip(lines, circles, strict=True)
    ]


def test_intervals_lie_where_their_tightness_is():
    one, two, ten = (
        places(row(numbers=(1.0, 1.0, 1.0, value)), row(numbers=(1, 1, 1, 10)))[0]
        for value in (1.0, 2.0, 10.0)
    )
    assert one[0] == one[1] == one[2]
    # Logarithmic: from 1 to 2 is as far as log10(2) of the way from 1 to 10.
    assert (two[1] - one[1]) / (ten[1] - one[1]) == pytest.approx(math.log10(2), abs=1e-3)
    low, middle, high = places(row(numbers=(1.0, 0.5, 2.0, 4.0)))[0]
    assert low < middle < high
    assert high - middle == pytest.approx(middle - low, abs=0.2)


def test_what_goes_beyond_the_axis_is_held_and_has_an_arrow():
    wide = row("identity", "inconclusive", (1.0, -math.inf, math.inf, 1.0))
    [low, _, high] = places(wide)[0]
    assert (low, high) == (forest.PLOT, forest.NUMBER)
    panel = "".join(forest.panels([wide], 1.0))
    assert panel.count("v8l") == 2
    assert "v8l" not in "".join(forest.panels([row()], 2.0))


def test_effects_are_measured_from_none():
    none, some = (row("demonstration", numbers=(1.0, low, 1.5, 0.5)) for low in (0.5, 0.75))
    (low, middle, high), (half, _, _) = places(none)[0], places(some)[0]
    assert middle - low == pytest.approx(high - middle, abs=0.2)
    assert middle - half == pytest.approx((middle - low) / 2, abs=0.2)


@pytest.mark.parametrize(
    "numbers",
    [
        (0, 0, 0, 0),
        (0, 0, 0, 1),
        (1, 0, 2, 0),
        (1, 1, 1, math.inf),
        (-1, -2, 0, 1),
        (1, 1, 1, 1e30),
    ],
)
@pytest.mark.parametrize("status", STATUSES)
def test_odd_numbers_are_drawn_inside(status, numbers):
    for low, middle, high in places(row(status, numbers=tuple(map(float, numbers)))):
        assert forest.PLOT <= low <= high <= forest.NUMBER
        assert forest.PLOT <= middle <= forest.NUMBER


def test_pictures_are_put_over_their_statements(tmp_path):
    draw(tmp_path, "designs")
    draw(tmp_path / "networks", "tangent_kernel", ending="svg")
    names = ["designs", "tangent_kernel", "heavy_tail"]
    drawn = page.pictures(tmp_path, names)
    assert list(drawn) == names[:2]
    assert drawn["tangent_kernel"].uri.startswith("data:image/svg+xml;base64,")
    text = of(*ROWS, drawn=drawn)
    uri = f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"
    assert text.count(uri) == 1
    assert text.index('id="figure-designs"') < text.index(uri) < text.index("In no figure")
    assert "<strong>T &lt; U</strong><p>first</p><p>second</p>" in text


def test_pictures_without_a_manifest_go_by_their_names(tmp_path):
    (tmp_path / "designs.png").write_bytes(PIXEL)
    assert page.pictures(tmp_path, ["designs"])["designs"].title == "designs"


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no picture of designs; draw them with"):
        page.pictures(tmp_path, ["designs"])
