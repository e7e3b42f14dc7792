"""The gallery of all figures, and the certificate, from one run of each."""

from __future__ import annotations

import html
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from figures import __main__ as figures
from figures import publish
from figures.gallery import SCRIPTS
from lth_sketch import verify
from lth_sketch.certificate import page
from lth_sketch.plots.tables import read
from lth_sketch.statements import REGISTER
from making import theory

NEEDED = "png", "pdf", "csv"


def write(
    made: Path,
    extra: Path,
    drawn: Path | None,
    data: list[str],
    trials: int,
    labels: list[str] | None,
) -> None:
    """Write the gallery and the certificate; draw the figures where no folder has them."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = drawn or Path(scratch)
        if drawn is None:
            figures.main(["--size", "smoke", "--out", str(folder), "--data", *data])
        listed = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["figures"]
        (extra / "figures").mkdir()
        for item in listed:
            for kind in NEEDED:
                shutil.copy(folder / f"{item['name']}.{kind}", extra / "figures")
            (extra / "figures" / f"{item['name']}_narrow.png").write_bytes(_narrow(folder, item))
        names = [item["name"] for item in listed]
        judged = [s for s in REGISTER if labels is None or s.label in labels]
        report = verify.run(judged, data, trials=trials)
        text = page.html(report, drawn=page.pictures(folder, names))
    (extra / "full_certificate.html").write_text(text, encoding="utf-8")
    gallery = made / "gallery"
    gallery.mkdir()
    body = "\n".join(_figure(item, data) for item in listed)
    (gallery / "index.md").write_text(f"{HEAD}\n{body}", encoding="utf-8")
    (made / "certificate.md").write_text(_certificate(report, data, trials), encoding="utf-8")


def _narrow(folder: Path, item: dict[str, Any]) -> bytes:
    """Return a figure with its panels below one another, for a phone, from its table."""
    script = next(script for script in SCRIPTS if item["name"] == script.NAME)
    table = read((folder / f"{item['name']}.csv").read_bytes())
    return publish.render(script, table, ["png"], "one")["png"]


HEAD = """# Gallery

Every figure, with the command that draws it. Each comes as PDF, as PNG and as a table (CSV) with
every plotted number; `python -m figures --data FILE` draws them for data of your own. A label leads
to the statement and its proof.
"""


def _figure(item: dict[str, Any], data: list[str]) -> str:
    name = item["name"]
    shows = ", ".join(f"[{label}](#{theory.anchor(label)})" for label in item["shows"])
    links = " · ".join(
        f'<a href="../figures/{name}.{kind}">{kind.upper()}</a>' for kind in ("pdf", "png", "csv")
    )
    words = item.get("alt", item["title"]).replace("\n", " ")
    # Captions are plain text: nothing in them is markup.
    caption = "\n\n".join(_plain(part) for part in item["caption"].splitlines())
    command = f"python -m figures --only {name} --size {item['size']} --data {' '.join(data)}"
    return f"""## {item["title"]}

{picture(name, words, "../figures")}

{caption}

Shows {shows}.

```
{command}
```

<p>{links}</p>
"""


def picture(name: str, words: str, folder: str) -> str:
    """Return a figure as HTML: on a phone its panels stack."""
    return (
        f'<picture><source media="(max-width: 34rem)" srcset="{folder}/{name}_narrow.png">'
        f'<img src="{folder}/{name}.png" alt="{html.escape(words)}"></picture>'
    )


def _plain(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|$^~" else c for c in text)


def _certificate(report: verify.Report, data: list[str], trials: int) -> str:
    rows = "\n".join(
        f"| [{row.title}](#{theory.anchor(row.label)}) | {row.data} | {row.product} | {row.status} "
        f"| {row.verdict} | {row.measured:.4g} | {row.value:.4g} | {row.tightness:.3g} |"
        for row in report.verdicts
    )
    return f"""# The certificate

Every statement of the register, judged on {", ".join(data)} when this site was built:
**{report.summary()}**. The <a href="full_certificate.html">full certificate</a> is one page of its
own, with every interval drawn, what each verdict means, and the figures.
`lth-sketch verify --trials {trials} --out certificate.html` makes it;
[how to read it](guide/reading_a_bound.md). Rows stand in the order of the theory; where JavaScript
runs, a press on the head of a column sorts by it.

:::{{container}} sortable

| label | data | product | status | verdict | measured | value | ratio |
| --- | --- | --- | --- | --- | --- | --- | --- |
{rows}

:::
"""
