"""What the command prints: on any terminal, into any pipe, at most 80 columns wide."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import lth_sketch
from lth_sketch import checkpoints, cli, terminal

LONG = "encoder.layers.11.crossattention.self.query_projection.down.weight"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "w.npz"
    arrays = {"\u4e2d.weight": np.arange(1.0, 13.0).reshape(3, 4), LONG: np.full((2, 2), 1e-3)}
    checkpoints.write(path, arrays)
    return path


def command(file, out, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "lth_sketch", "mask", file, "--density", "0.5", "--out", out],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        **options,
    )


def test_a_closed_pipe_and_a_full_disk_do_not_fail_what_is_written(file):
    outs = [file.with_name(name) for name in ("pipe.npz", "full.npz", "plain.npz")]
    read, write = os.pipe()
    os.close(read)
    with open("/dev/full", "wb") as full:
        done = [
            command(file, out, stdout=target)
            for out, target in zip(outs, (write, full, subprocess.PIPE), strict=True)
        ]
        os.close(write)
        told = [process.communicate() for process in done]
    assert [process.returncode for process in done] == [0, 0, 0]
    assert all(out.exists() for out in outs)
    # Nothing but the note of the layer that is left empty.
    assert all(errors.count(b"\n") == 1 and b"--floor" in errors for _, errors in told)
    assert b"\\u4e2d.weight" in told[2][0]


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"lth-sketch {lth_sketch.__version__}\n"


def test_an_empty_layer_is_reported_with_the_mend(file, capsys):
    options = ["mask", str(file), "--density", "0.5", "--out", str(file.with_name("m.npz"))]
    assert cli.main(options) == 0
    shown = capsys.readouterr()
    assert f"the mask leaves {LONG} empty" in shown.err
    assert "--floor 1" in shown.err
    assert max(map(len, shown.out.splitlines())) <= terminal.COLUMNS
    assert cli.main([*options, "--floor", "1"]) == 0
    assert not capsys.readouterr().err


def test_no_error_where_nobody_reads(monkeypatch):
    for out in (None, open(os.devnull, "w", encoding="ascii")):  # noqa: SIM115
        monkeypatch.setattr(sys, "stdout", out)
        terminal.say("\u4e2d")
    sys.stdout.close()
    terminal.say("more")
    monkeypatch.setattr(sys, "stderr", sys.stdout)
    terminal.note("more")


@pytest.mark.parametrize("draws", [["1"], ["16", "1024", "100000000000", str(2**53)]])
@pytest.mark.parametrize("product", ["initial", "coherent"])
def test_the_table_of_bounds_is_narrow(capsys, draws, product):
    assert cli.main(["bounds", "--draws", *draws, "--product", product]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= terminal.COLUMNS
    assert len({len(line.split()) for line in lines[-1 - len(draws) :]}) == 1


def test_cells_are_set_in_columns_and_long_names_shortened():
    rows = [["x" * 50, "y" * 40, "1"], ["a", "b", "22"]]
    text = terminal.aligned(terminal.fitted(rows, (0, 1)), right=(False, False, True))
    assert max(map(len, text.splitlines())) <= terminal.COLUMNS
    assert text.splitlines()[0].endswith(" 1")
    assert terminal.shortened("abcdefghij", 7) == "a...hij"
    assert terminal.shortened("abc", 3) == "abc"
    # What cannot be made narrow enough is left as it is.
    assert terminal.fitted([["1" * 90, "name"]], [1]) == [["1" * 90, "name"]]
