"""What the README shows runs as it stands there, in a project that only installs the package."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S)
# What follows is about networks, and needs PyTorch.
FIRST, OWN_TEST, OWN_STATEMENT, *NETWORKS = BLOCKS


def project(folder: Path, test: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on one test file in a folder that holds nothing else."""
    (folder / "test_my_bound.py").write_text(test, encoding="utf-8")
    # Nothing of this suite reaches the project: no paths, no options, no workers.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST"))}
    # Nothing was compiled before, as on the user's first day.
    inherited["NUMBA_CACHE_DIR"] = str(folder / "cache")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:randomly", "--hypothesis-seed=0"],
        cwd=folder,
        env=inherited,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.large
def test_the_first_example(capsys):
    names: dict[str, object] = {}
    exec(compile(FIRST, "README.md", "exec"), names)
    assert names["mask"].shape == (64,)
    assert names["errors"].shape == (3, 10_000)
    # What it prints is what stands below it.
    assert f"```\n{FIRST}```\n".replace("```\n", "```python\n", 1) in README
    assert f"```\n\n```\n{capsys.readouterr().out}```\n" in README


@pytest.mark.parametrize("block", NETWORKS)
def test_what_needs_another_package_is_python_at_least(block):
    compile(block, "README.md", "exec")


@pytest.mark.large
def test_a_true_bound_passes_in_an_empty_project(tmp_path):
    done = project(tmp_path, OWN_TEST)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    # Nothing was compiled in it, for Hypothesis times what it draws and runs.
    assert not list((tmp_path / "cache").rglob("*.nbc"))


@pytest.mark.large
def test_a_false_bound_is_refuted_by_the_smallest_shapes(tmp_path):
    squares = "(product.term_norms**2).sum()"
    assert f"`{squares}`" in README
    assert OWN_TEST.count("product.total**2") == 1
    done = project(tmp_path, OWN_TEST.replace("product.total**2", squares))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed" in done.stdout
    # One sample and two terms, for a single term has no cross terms to forget.
    match = re.search(
        r"for A = \[\[(\S+), (\S+)\]\], B = \[\[?(\S+?)\]?, \[?(\S+?)\]\]?, p", done.stdout
    )
    assert match is not None, done.stdout
    a1, a2, b1, b2 = map(float, match.groups())
    assert a1 * b1 == -a2 * b2 != 0


@pytest.mark.large
def test_a_statement_of_ones_own_is_judged(capsys):
    exec(compile(OWN_STATEMENT, "README.md", "exec"), {})
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("M1")]
    assert [line.split()[3] for line in rows] == ["certified", "certified"]


def test_every_statement_and_every_figure_has_a_row():
    theory = (Path(__file__).parents[1] / "docs" / "theory.md").read_text(encoding="utf-8")
    rows = re.search(r"^\| label \|.*\n\| --- .*\n((?:\|.*\n)+)", README, re.M)
    assert rows is not None
    named = set()
    for row in rows[1].splitlines():
        for label in row.split("|")[1].split(","):
            first, *last = label.strip().split("-")
            kind, numbers = first.rstrip("0123456789"), [first, *last]
            if last:
                low, high = (int(name.removeprefix(kind)) for name in numbers)
                numbers = [f"{kind}{k}" for k in range(low, high + 1)]
            named |= set(numbers)
    assert named == set(re.findall(r"^### (.+?) -- ", theory, re.M))
    figures = Path(__file__).parents[1] / "figures"
    scripts = {path.stem for path in figures.glob("*.py") if "\nSHOWS = " in path.read_text()}
    assert set(re.findall(r"^\| `(\w+)` \| (?!for)", README, re.M)) >= scripts
