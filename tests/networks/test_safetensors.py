"""Files .safetensors: names, types and damage."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

from lth_sketch import checkpoints

W = {"a.weight": np.arange(12.0).reshape(3, 4) - 6, "a.bias": np.ones(3)}
NAMES = ["file", "allow_pickle", "a/b", "", "x.npy", "x", "\u00e9\u4e2d", " ", "a\0b", '"']


def archive(**members):
    handle = io.BytesIO()
    with zipfile.ZipFile(handle, "w") as made:
        for name, content in members.items():
            made.writestr(name, content)
    return handle.getvalue()


def attempt(path):
    """What is said of a file; its own name where it can be read."""
    try:
        checkpoints.read(path)
    except (TypeError, ValueError) as error:
        return str(error)
    return str(path)


def header(path):
    whole = path.read_bytes()
    size = int.from_bytes(whole[:8], "little")
    return json.loads(whole[8 : 8 + size]), whole[8 + size :]


def with_header(path, entries, content):
    text = json.dumps(entries).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)


def test_safetensors_keep_every_name_but_their_own(tmp_path):
    path = tmp_path / "w.safetensors"
    arrays = {name: np.full((2, 2), i, np.float32) for i, name in enumerate(NAMES)}
    arrays |= {"number": np.array(3), "half": np.ones(3, np.float16), "turned": np.eye(3)[::-1]}
    checkpoints.write(path, arrays)
    stored = checkpoints.read(path)
    assert set(stored) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(stored[name], array)
        assert stored[name].shape == array.shape
    for name, array, words in (
        ("__metadata__", np.ones(2), "for itself"),
        ("long", np.ones(2, np.longdouble), "has no type"),
        ("text", np.array(["a"]), "has no type"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            checkpoints.write(path, {name: array})


def test_damaged_safetensors(tmp_path):
    path = tmp_path / "w.safetensors"
    checkpoints.write(path, W)
    entries, content = header(path)
    whole = path.read_bytes()
    spoilt = {
        "overlap": {**entries, "b": entries["a.bias"]},
        "offsets": {**entries, "a.bias": {**entries["a.bias"], "data_offsets": [96, 9999]}},
        "type": {**entries, "a.bias": {**entries["a.bias"], "dtype": "F3x"}},
        "no type": {**entries, "a.bias": {"shape": [3], "data_offsets": [0, 24]}},
        "list": {**entries, "a.bias": {**entries["a.bias"], "dtype": ["F64"]}},
        "metadata": {**entries, "__metadata__": {"x": ["a.bias"]}},
        "shape": {**entries, "a.bias": {**entries["a.bias"], "shape": [4]}},
    }
    for entry in spoilt.values():
        with_header(path, entry, content)
        with pytest.raises(ValueError, match=r"w\.safetensors is no \.safetensors file"):
            checkpoints.read(path)
    for other in (archive(x=b"x"), b"[]", b"\xff" * 64, (2**62).to_bytes(8, "little")):
        path.write_bytes(other)
        with pytest.raises(ValueError, match=r"w\.safetensors is no \.safetensors file"):
            checkpoints.read(path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"w\.safetensors is no \.safetensors file"):
            checkpoints.read(path)
    for place in range(8 + len(json.dumps(entries))):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 21]) + whole[place + 1 :])
        assert "w.safetensors" in attempt(path)
