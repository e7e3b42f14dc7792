"""The first minute: imports that are quick, and caches that are missing or spoilt."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lth_sketch.kernels import _cache

ROOT = Path(__file__).parents[1]


def run(code: str, *options: str, root: Path = ROOT, **variables: str) -> tuple[str, str]:
    """Run code in a new process; return what it prints, and what it complains of."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "NUMBA_CACHE"))}
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        cwd=root,
        env=inherited | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_what_takes_long_to_import_is_imported_where_it_is_used():
    # numba imports the top of scipy, which brings its packages on demand.
    late = ["sparse", "linalg", "special", "stats", "optimize"]
    rooms = ["verify", "statements", "bounds", "sketches", "kernels.draws"]
    others = [f"lth_sketch.{room}" for room in rooms]
    others += ["http.client", "sklearn", "matplotlib", "hypothesis", "torch", "pandas"]
    printed, _ = run(
        "import sys, lth_sketch;"
        f"late = ['scipy.' + name for name in {late}] + {others};"
        "print([name for name in late if name in sys.modules])"
    )
    assert printed == "[]\n"


def test_every_room_is_there_when_it_is_asked_for():
    printed, _ = run(
        "import lth_sketch; rooms = [getattr(lth_sketch, name) for name in lth_sketch.__all__];"
        "print(len(rooms) == len(lth_sketch.__all__) and set(lth_sketch.__all__) <= "
        "set(dir(lth_sketch)) and not hasattr(lth_sketch, 'nothing'))"
    )
    assert printed == "True\n"


def test_strategies_compile_nothing(tmp_path):
    code = (
        "from hypothesis import HealthCheck, given, settings, strategies as st\n"
        "from lth_sketch.testing import masks, probabilities, problems, products\n"
        "@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])\n"
        "@given(products(sparse=True), problems(), st.integers(1, 9).flatmap(masks), st.data())\n"
        "def draw(product, problem, mask, data):\n"
        "    data.draw(probabilities(product))\n"
        "draw()\n"
    )
    run(code, "-W", "error", NUMBA_CACHE_DIR=str(tmp_path))
    assert not list(tmp_path.rglob("*.nb?"))


def kernel(folder: Path) -> Callable[[float], float]:
    """Return a new kernel, of one source, whose cache lies in `folder`."""
    source = folder / "doubling.py"
    if not source.exists():
        source.write_text(
            "from lth_sketch.kernels._jit import compiled\n"
            "@compiled\ndef double(x):\n    return 2 * x\n"
        )
    spec = importlib.util.spec_from_file_location("doubling", source)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.double


@pytest.fixture
def unsaid(monkeypatch):
    monkeypatch.setattr(_cache, "_said", [])


@pytest.mark.large
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", ["cut", "emptied", "other"])
def test_a_spoilt_cache_is_made_again(tmp_path, suffix, damage, unsaid):
    first = kernel(tmp_path)
    assert first(4.0) == 8.0
    folder = Path(first.stats.cache_path)
    (file,) = folder.glob(f"doubling*.{suffix}")
    whole = file.read_bytes()
    damaged = {"cut": whole[: len(whole) // 2], "emptied": b"", "other": b"\0" * 99}
    file.write_bytes(damaged[damage])
    again = kernel(tmp_path)
    assert again(4.0) == 8.0
    assert not again.stats.cache_hits
    # It is a cache again.
    once_more = kernel(tmp_path)
    assert once_more(4.0) == 8.0
    assert once_more.stats.cache_hits


@pytest.mark.large
def test_a_cache_that_cannot_be_written_is_one_warning(tmp_path, unsaid):
    # Its folder goes after the kernel has found it.
    early = kernel(tmp_path)
    folder = Path(early.stats.cache_path)
    shutil.rmtree(folder)
    folder.touch()
    with pytest.warns(RuntimeWarning, match="NUMBA_CACHE_DIR"):
        assert early(4.0) == 8.0
    assert early(1) == 2


@pytest.mark.large
def test_no_place_for_a_cache_is_one_warning(tmp_path):
    # Even for root: a file where the folder would be, beside the library and at home.
    ignored = shutil.ignore_patterns("__pycache__", "networks")
    shutil.copytree(ROOT / "lth_sketch", tmp_path / "lth_sketch", ignore=ignored)
    for folder in [tmp_path / "lth_sketch", *(tmp_path / "lth_sketch").rglob("*")]:
        if folder.is_dir():
            (folder / "__pycache__").touch()
    home = tmp_path / "home"
    home.touch()
    printed, said = run(
        "import numpy, lth_sketch.kernels.draws as draws;"
        "bins = numpy.zeros(draws.BINS, int); draws.histogram(numpy.zeros(3, int), bins);"
        "print(bins[0])",
        root=tmp_path,
        HOME=str(home),
        XDG_CACHE_HOME=str(home / "cache"),
    )
    assert printed == "3\n"
    assert said.count("RuntimeWarning") == 1
    assert "NUMBA_CACHE_DIR" in said
