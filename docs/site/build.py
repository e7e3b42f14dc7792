"""Build the site into docs/site/out: make its pages, call Sphinx, follow every link.

`make docs` calls it. Nothing is read from the network; any warning, any broken link and any picture
without words is an error.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]

import links
from making import adopted, gallery, notebooks, reference, theory

MADE, OUT = HERE / "made", HERE / "out"


def main() -> int:
    """Return 0 if the site is whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--figures", type=Path, help="a folder that `python -m figures` has filled; drawn if absent"
    )
    parser.add_argument("--data", nargs="+", default=["digits"], help="what figures are drawn on")
    parser.add_argument("--trials", type=int, default=20_000, help="masks a row of the certificate")
    parser.add_argument("--statements", nargs="+", help="labels to judge; all by default")
    parser.add_argument("--draft", action="store_true", help="run no notebook")
    chosen = parser.parse_args()
    executed = HERE / "jupyter_execute"
    for folder in (MADE, OUT, executed):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE / "source", MADE)
    extra = MADE / "extra"
    extra.mkdir()
    adopted.write(ROOT, MADE)
    theory.write(ROOT / "docs" / "theory.md", MADE / "theory")
    reference.write(MADE / "reference")
    notebooks.write(ROOT / "docs" / "notebooks", MADE / "notebooks", run=not chosen.draft)
    gallery.write(MADE, extra, chosen.figures, chosen.data, chosen.trials, chosen.statements)

    from sphinx.cmd.build import main as sphinx

    options = ["-b", "html", "-c", str(HERE), "-W", "--keep-going", "-q", "-T", "-j", "1"]
    failed = sphinx([*options, str(MADE), str(OUT)])
    shutil.rmtree(executed, ignore_errors=True)
    broken = links.check(OUT)
    for line in broken:
        print(line, file=sys.stderr)
    if failed == 0 and not broken:
        print(f"the site: {OUT / 'index.html'}")
    return 1 if failed or broken else 0


if __name__ == "__main__":
    sys.exit(main())
