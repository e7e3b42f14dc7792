"""The figures of the experiments, published as those of `figures` are."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from experiments.figures import collapse, layers, networks, tangent_kernel
from figures import gallery, publish
from lth_sketch import datasets
from lth_sketch.networks.statements import NETWORKS
from lth_sketch.plots.tables import Table
from lth_sketch.statements import REGISTER


def publish_all(
    rows: list[dict[str, Any]], names: Sequence[str], size: str, seed: int, out: Path
) -> Path:
    """Compute and draw the four figures; return the page that shows them."""
    own = (tangent_kernel, collapse, layers)
    tables: dict[str, Table] = {script.NAME: [] for script in own}
    described = []
    for name in names:
        data = datasets.load(name)
        n, d = data.X.shape
        described.append({"name": name, "split": data.split, "samples": n, "features": d})
        for script in own:
            rng = gallery.generator(seed, script.NAME, name)
            tables[script.NAME] += script.compute(data, script.SIZES[size], rng)
    tables[networks.NAME] = networks.tabulate(rows)
    trained: dict[tuple[str, int], dict[str, Any]] = {}
    for row in rows:
        key = str(row["dataset"]), int(row["n_train"])
        trained[key] = {"name": key[0], "split": "train", "samples": key[1], "features": "pixels"}
    files, entries = {}, []
    for script in (tangent_kernel, networks, collapse, layers):
        made = publish.render(script, tables[script.NAME])
        shown = list(trained.values()) if script is networks else described
        entry = publish.entry(script, made, shown, size, seed, (*REGISTER, *NETWORKS))
        entry["versions"]["torch"] = version("torch")
        entries.append(entry)
        files.update({f"{script.NAME}.{kind}": content for kind, content in made.items()})
    publish.write(out, files | publish.overview(entries))
    return out / "index.html"
