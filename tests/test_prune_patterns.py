"""Patterns in the masks of checkpoints: the bits of pruning.select, however the weights are cut."""

from __future__ import annotations

import numpy as np
import pytest
from test_prune import masks, model, same, save, sharded, small

from lth_sketch import checkpoints, cli, pruning
from lth_sketch.checkpoints import plans, reading
from lth_sketch.parallel import blockwise

__all__ = ["small"]

# Rows of 12, 24 or 48: one layer of a single block, some that straddle blocks and pieces of rows.
SHAPES = ((30, 48), (7, 3, 8), (2, 12), (60, 24), (3, 240))
PATTERNS = ((2, 4), (1, 2), (5, 6), (3, 3), (2, 12))


def layers(dtype, **options):
    arrays = model(dtype, shapes=SHAPES, **options)
    # Draws need a weight that is not zero.
    _, codes = arrays["layer1.weight"]
    codes.flat[5] = 1
    return arrays


def sizes(tensors):
    """Magnitudes by name, as the command takes them."""
    return {
        name: np.abs(reading.decoded(codes, kind)).reshape(codes.shape)
        for name, (kind, codes) in sorted(tensors.items())
        if codes.ndim > 1
    }


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32", "mixed"])
@pytest.mark.parametrize("design", ["top", "systematic"])
def test_any_sharding_gives_the_bits_of_a_selection(design, dtype, tmp_path):
    tensors = layers(dtype)
    folders = [sharded(tmp_path / f"model{count}", tensors, count) for count in (1, 3)]
    total = sum(codes.nbytes for _, codes in tensors.values() if codes.ndim > 1)
    for n, M in PATTERNS:
        for binary in (True, False):
            options = {"pattern": (n, M), "design": design, "rng": 5}
            wanted = pruning.select(sizes(tensors), binary=binary, **options)
            wanted = {k: m != 0 if binary else m for k, m in wanted.items()}
            for mask in wanted.values():
                assert (np.count_nonzero(mask.reshape(-1, M), axis=1) == n).all()
            for number, folder in enumerate(folders):
                out = tmp_path / f"{n}-{M}-{binary}-{number}"
                report = checkpoints.prune(folder, out, rescale=not binary, n_jobs=2, **options)
                same(masks(out), wanted)
                assert report.kept == {k: (m.size // M * n, m.size) for k, m in wanted.items()}
                assert report.read == 2 * total


def test_the_sizes_of_blocks_are_those_of_the_draw(tmp_path, monkeypatch):
    # No block of the plan cuts through a group where M does not divide the usual length.
    tensors = layers("F32")
    folder = sharded(tmp_path / "model", tensors, 2)
    for length in (250, 8, 5):
        monkeypatch.setattr(blockwise, "BLOCK", length)
        wanted = pruning.select(sizes(tensors), design="systematic", pattern=(5, 6), rng=1)
        out = tmp_path / str(length)
        checkpoints.prune(folder, out, design="systematic", pattern=(5, 6), rng=1)
        same(masks(out), {name: mask != 0 for name, mask in wanted.items()})


def test_applied_patterns_keep_types_and_the_other_arrays(tmp_path):
    tensors = layers("BF16")
    folder = sharded(tmp_path / "model", tensors, 2)
    checkpoints.prune(folder, tmp_path / "out", pattern=(2, 4), apply=True)
    wanted = pruning.select(sizes(tensors), pattern=(2, 4))
    stored = masks(tmp_path / "out")
    for name, (_, codes) in tensors.items():
        kept = wanted[name] != 0 if name in wanted else True
        np.testing.assert_array_equal(stored[name], codes * kept)


def test_random_scores_keep_n_of_every_group(tmp_path):
    tensors = layers("F32")
    tensors["layer1.weight"][1][:] = 0
    folder = sharded(tmp_path / "model", tensors, 2)
    checkpoints.prune(folder, tmp_path / "out", pattern=(2, 4), score="random", rng=3)
    alike = {name: np.ones_like(part) for name, part in sizes(tensors).items()}
    wanted = pruning.select(alike, design="systematic", pattern=(2, 4), rng=3)
    same(masks(tmp_path / "out"), {name: mask != 0 for name, mask in wanted.items()})


def test_files_that_are_drawn_in_memory(tmp_path):
    rng = np.random.default_rng(2)
    weights = {"b.weight": rng.normal(size=(5, 8)), "a.weight": rng.normal(size=(40, 16))}
    options = {"pattern": (2, 4), "design": "systematic", "rng": 9}
    ordered = {name: np.abs(weights[name]) for name in sorted(weights)}
    wanted = pruning.select(ordered, **options)
    for file in ("model.npz", "model.safetensors"):
        checkpoints.write(tmp_path / file, weights)
        out = tmp_path / f"out-{file}"
        report = checkpoints.prune(tmp_path / file, out, **options)
        same(checkpoints.read(out), {name: mask != 0 for name, mask in wanted.items()})
        assert report.kept == {"a.weight": (320, 640), "b.weight": (20, 40)}
    # Without a seed of files: masks in the order of the mapping.
    plain = {name: np.abs(array) for name, array in weights.items()}
    given = checkpoints.masks(weights, 0.5, binary=False, **options)
    exact = pruning.select(plain, binary=False, **options)
    same(given, {name: mask.astype(np.float32) for name, mask in exact.items()})
    assert given["a.weight"].dtype == np.float32
    random = checkpoints.masks({"w": np.zeros((2, 4))}, pattern=(1, 4), score="random", rng=0)
    assert random["w"].sum(1).tolist() == [1, 1]


@pytest.mark.parametrize("kind", ["folder", "file", "npz"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pattern": (2, 4)}, r"multiple of 4; layer1.weight has rows of 6: leave it out .--skip "),
        ({"pattern": (2, 2), "density": 0.5}, "density must be 1, or None"),
        ({"pattern": (1, 2), "design": "poisson"}, "'top' or 'systematic'"),
        ({"pattern": (3, 2)}, "at most as many"),
        ({"pattern": (1, 2), "floor": 1}, "floor must be 0 with a pattern"),
    ],
)
def test_bad_patterns_are_refused_before_any_work(kind, options, words, tmp_path, monkeypatch):
    values = np.ones((2, 3, 2), np.float32)
    names = ("layer0.weight", "layer1.weight")
    shapes = ((4, 4), values.shape)
    if kind == "npz":
        path = tmp_path / "model.npz"
        checkpoints.write(path, {n: np.ones(s) for n, s in zip(names, shapes, strict=True)})
    else:
        tensors = {n: ("F32", np.ones(s, np.float32)) for n, s in zip(names, shapes, strict=True)}
        path = tmp_path / "model.safetensors"
        save(path, tensors)
        monkeypatch.setattr(reading, "blocks", None)
    if kind == "folder":
        path = [path]
    out = tmp_path / ("out" if kind == "folder" else f"out{path.suffix}")
    with pytest.raises(ValueError, match=words):
        checkpoints.prune(path, out, **options)
    assert not out.exists()


def test_entries_that_are_no_weights_are_named_and_nothing_is_written(tmp_path):
    tensors = layers("F32")
    tensors["layer3.weight"][1].view(np.float32)[50, 3] = np.nan
    folder = sharded(tmp_path / "model", tensors, 3)
    with pytest.raises(ValueError, match=r"layer3.weight\[50, 3\] = nan"):
        checkpoints.prune(folder, tmp_path / "out", pattern=(2, 4))
    tensors = layers("F32")
    tensors["layer3.weight"][1][:] = 0
    zeros = sharded(tmp_path / "zeros", tensors, 3)
    with pytest.raises(ValueError, match=r"layer3.weight are all zero: .*--skip 'layer3.weight'"):
        checkpoints.prune(zeros, tmp_path / "out", pattern=(2, 4), design="systematic")
    assert not (tmp_path / "out").exists()
    arrays = {"w": np.zeros((2, 4))}
    with pytest.raises(ValueError, match="weights of w are all zero"):
        checkpoints.masks(arrays, pattern=(2, 4), design="systematic")
    # The largest of equals are the first, and a seed asks nothing of zeros.
    checkpoints.prune(zeros, tmp_path / "out", pattern=(2, 4))
    kept = masks(tmp_path / "out")["layer3.weight"]
    assert kept.reshape(-1, 4).tolist() == [[True, True, False, False]] * 360


def test_a_killed_run_of_a_pattern_goes_on(tmp_path, monkeypatch):
    tensors = layers("BF16")
    folder = sharded(tmp_path / "model", tensors, 3)
    options = {"pattern": (2, 4), "design": "systematic", "rng": 4}
    checkpoints.prune(folder, tmp_path / "whole", **options)
    finish, calls = checkpoints.runs.Run._finish, []

    def killed(self, shard, plan, done):
        if calls:
            raise KeyboardInterrupt
        calls.append(shard)
        finish(self, shard, plan, done)

    monkeypatch.setattr(checkpoints.runs.Run, "_finish", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.prune(folder, tmp_path / "out", **options)
    monkeypatch.setattr(checkpoints.runs.Run, "_finish", finish)
    left = sorted(tmp_path.joinpath("out").glob("*.safetensors"))
    before = [file.stat().st_mtime_ns for file in left]
    checkpoints.prune(folder, tmp_path / "out", **options)
    assert [file.stat().st_mtime_ns for file in left] == before
    assert len(left) == 1
    same(masks(tmp_path / "out"), masks(tmp_path / "whole"))
    # Another pattern is another plan.
    checkpoints.prune(folder, tmp_path / "out", pattern=(1, 4), rng=4)
    assert plans.tasks([]) == []
    assert all(mask.mean() == 0.25 for mask in masks(tmp_path / "out").values())


def test_the_command(tmp_path, capsys):
    tensors = layers("F32")
    folder = sharded(tmp_path / "model", tensors, 2)
    out = tmp_path / "out"
    command = ["mask", str(folder), "--out", str(out), "--pattern", "2:4"]
    assert cli.main([*command, "--design", "systematic", "--rng", "3", "--rescale"]) == 0
    wanted = pruning.select(
        sizes(tensors), design="systematic", binary=False, pattern=(2, 4), rng=3
    )
    same(masks(out), wanted)
    single, mask = tmp_path / "one.npz", tmp_path / "mask.npz"
    values = {"w": np.random.default_rng(0).normal(size=(4, 8))}
    checkpoints.write(single, values)
    command = ["mask", str(single), "--out", str(mask), "--pattern"]
    assert cli.main([*command, "1:4", "--density", "0.25"]) == 0
    top = pruning.select(np.abs(values["w"]), pattern=(1, 4))
    same(checkpoints.read(mask), {"w": top != 0})
    capsys.readouterr()
    for text, words in (
        ("2-4", "--pattern must be two numbers with a colon, as 2:4; got '2-4'"),
        ("1:3", "w has rows of 8: leave it out (--skip 'w'), or pad it to 9"),
        ("1:0", "pattern[1] must be at least 1"),
    ):
        assert cli.main([*command, text]) == 2
        assert words in capsys.readouterr().err
    assert cli.main([*command[:-1]]) == 2
    assert "--density" in capsys.readouterr().err
