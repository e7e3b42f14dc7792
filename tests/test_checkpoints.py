"""Checkpoints: what is read, pruned and refused, and files that are whole or absent."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest

from lth_sketch import checkpoints, named

RNG = np.random.default_rng(5)
WEIGHTS = {
    "conv.weight": RNG.standard_normal((4, 2, 3, 3)).astype(np.float32),
    "bn.weight": np.ones(4, np.float32),
    "bn.num_batches_tracked": np.array(3),
    "fc.weight": RNG.standard_normal((5, 7)),
    "fc.bias": np.zeros(5),
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "weights.npz"
    checkpoints.write(path, WEIGHTS)
    return path


def test_arrays_survive_a_round_trip(file):
    arrays = checkpoints.read(str(file))
    assert list(arrays) == list(WEIGHTS)
    for name, array in WEIGHTS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype


def test_weights_of_two_axes_or_more_are_pruned():
    assert list(checkpoints.prunable(WEIGHTS)) == ["conv.weight", "fc.weight"]
    assert list(checkpoints.prunable(WEIGHTS, skip=["fc*"])) == ["conv.weight"]


@pytest.mark.parametrize("score", checkpoints.SCORES)
@pytest.mark.parametrize("design", ["top", "priority"])
def test_masks_keep_the_exact_count(score, design):
    masks = checkpoints.masks(WEIGHTS, 0.25, score=score, design=design, rng=0)
    again = checkpoints.masks(WEIGHTS, 0.25, score=score, design=design, rng=0)
    sizes = {name: (mask.shape, mask.dtype) for name, mask in masks.items()}
    assert sizes == {"conv.weight": ((4, 2, 3, 3), np.bool_), "fc.weight": ((5, 7), np.bool_)}
    # 107 / 4 = 26.75
    assert sum(layer.kept for layer in named.kept(masks).values()) == 27
    assert all((masks[name] == again[name]).all() for name in masks)


def test_the_largest_are_kept_and_random_ones_are_not_the_largest():
    masks = checkpoints.masks(WEIGHTS, 0.25)
    sizes = np.concatenate([np.abs(WEIGHTS[name]).ravel() for name in masks])
    kept = np.concatenate([mask.ravel() for mask in masks.values()])
    assert sizes[kept].min() >= sizes[~kept].max()
    other = checkpoints.masks(WEIGHTS, 0.25, score="random", rng=0)
    assert (np.concatenate([mask.ravel() for mask in other.values()]) != kept).any()


def test_unbiased_weights_are_float32():
    masks = checkpoints.masks(WEIGHTS, 0.25, design="priority", binary=False, rng=0)
    values = np.concatenate([mask.ravel() for mask in masks.values()])
    assert values.dtype == np.float32
    assert values.max() > 1
    assert set(np.sign(values)) == {0, 1}


def refused(name):
    broken = {
        "integers": ({"q.weight": np.ones((2, 2), np.int8)}, TypeError, "int8.*--skip"),
        "complex": ({"q.weight": np.ones((2, 2), complex)}, TypeError, "complex128"),
        "nan": ({"fc.weight": np.array([[1.0, np.nan]])}, ValueError, r"fc\.weight.*finite"),
        "none": ({"fc.bias": np.ones(3)}, ValueError, "no prunable weights among fc.bias"),
        "empty": ({}, ValueError, "no arrays"),
        "pruned": ({"fc.weight_mask": np.ones((2, 2))}, ValueError, "prune.remove"),
    }
    return broken[name]


@pytest.mark.parametrize("name", ["integers", "complex", "nan", "none", "empty", "pruned"])
def test_what_cannot_be_pruned_is_refused(name):
    arrays, kind, words = refused(name)
    with pytest.raises(kind, match=words):
        checkpoints.masks(arrays, 0.5)


def test_a_shared_parameter_is_refused():
    tied = np.ones((3, 2))
    with pytest.raises(ValueError, match=r"embed\.weight and head\.weight share"):
        checkpoints.prunable({"embed.weight": tied, "head.weight": tied})
    assert list(checkpoints.prunable({"a": tied, "b": tied.copy()})) == ["a", "b"]


def test_a_file_that_runs_code_is_refused(tmp_path):
    path = tmp_path / "objects.npz"
    np.savez(path, weight=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match=r"no \.npz file of plain arrays"):
        checkpoints.read(path)
    single = tmp_path / "single.npz"
    np.save(tmp_path / "single.npy", np.ones(3))
    (tmp_path / "single.npy").rename(single)
    with pytest.raises(ValueError, match=r"no \.npz file"):
        checkpoints.read(single)
    pickled = tmp_path / "pickled.npz"
    pickled.write_bytes(pickle.dumps({"weight": 1}))
    with pytest.raises(ValueError, match=r"no \.npz file"):
        checkpoints.read(pickled)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_refused(file, share):
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"weights\.npz is no .npz file.*truncated"):
        checkpoints.read(file)


def test_a_missing_file_and_an_unknown_suffix_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        checkpoints.read(tmp_path / "absent.npz")
    (tmp_path / "weights.onnx").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"must be one of \.npz, \.safetensors.*'\.onnx'"):
        checkpoints.read(tmp_path / "weights.onnx")
    with pytest.raises(ValueError, match="suffix"):
        checkpoints.check_suffix("mask")


@pytest.mark.parametrize(
    ("suffix", "package"), [("safetensors", "safetensors"), ("pt", "torch"), ("bin", "torch")]
)
def test_a_missing_package_is_named(tmp_path, monkeypatch, suffix, package):
    monkeypatch.setitem(sys.modules, package, None)
    path = tmp_path / f"weights.{suffix}"
    path.write_bytes(b"x")
    with pytest.raises(ImportError, match="pip install"):
        checkpoints.read(path)


def test_a_failed_write_leaves_the_old_file(file, monkeypatch):
    before = file.read_bytes()

    def fail(handle, **arrays):
        handle.write(b"half of it")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="disk full"):
        checkpoints.write(file, WEIGHTS)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]
