"""Files of every kind: names that survive, damage that is named, paths that cannot be meant."""

from __future__ import annotations

import gzip
import io
import json
import os
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lth_sketch import checkpoints, cli
from lth_sketch.checkpoints.sharing import repeats, shared

W = {"a.weight": np.arange(12.0).reshape(3, 4) - 6, "a.bias": np.ones(3)}
NAMES = [
    "file",
    "allow_pickle",
    "a/b",
    "a\\b",
    "../up",
    "",
    "arr_0",
    "x.npy",
    "kwds",
    "é\u4e2d",
    " ",
    "/",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_comes_back(tmp_path, name):
    arrays = {"first": np.ones((2, 2)), name: np.eye(3, dtype=np.float32), "number": np.array(3)}
    path = tmp_path / "w.npz"
    checkpoints.write(path, arrays)
    stored = checkpoints.read(path)
    assert set(stored) == set(arrays)
    for key, array in arrays.items():
        assert stored[key].dtype == array.dtype
        np.testing.assert_array_equal(stored[key], array)
        # numpy's own reader finds the same.
        with np.load(path) as content:
            np.testing.assert_array_equal(content[key], array)


@settings(max_examples=20)
@given(st.dictionaries(st.text(max_size=5), st.integers(0, 3), max_size=4))
def test_any_names_come_back_or_are_refused(tmp_path_factory, wanted):
    path = tmp_path_factory.mktemp("names") / "w.npz"
    arrays = {name: np.full((2, 2), value) for name, value in wanted.items()}
    try:
        checkpoints.write(path, arrays)
    except ValueError:
        assert not list(path.parent.iterdir())
        assert any("\0" in n or n.endswith(".npy") or not n.isprintable() for n in wanted)
    else:
        assert {n: x[0, 0] for n, x in checkpoints.read(path).items()} == wanted


@pytest.mark.parametrize(
    ("arrays", "kind", "words"),
    [
        ({"a": np.ones(2), "a.npy": np.ones(2)}, ValueError, "numpy takes 'a' and 'a.npy'"),
        ({"a\0b": np.ones(2)}, ValueError, "zero byte"),
        ({"\ud800": np.ones(2)}, ValueError, "UTF-8"),
        ({0: np.ones(2)}, TypeError, "must be text; got 0"),
        ({"a": np.array([{}], dtype=object)}, TypeError, "a must hold numbers"),
        ({"a": np.ma.masked_array([1.0, 2.0], [0, 1])}, TypeError, "a is a masked array"),
        ({"x" * 70_000: np.ones(2)}, ValueError, "cannot be written"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_old_file_goes(tmp_path, arrays, kind, words):
    path = tmp_path / "w.npz"
    checkpoints.write(path, W)
    before = path.read_bytes()
    with pytest.raises(kind, match=words):
        checkpoints.write(path, arrays)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_any_layout_and_byte_order_is_written(tmp_path):
    base = np.arange(24.0).reshape(4, 6)
    arrays = {
        "turned": base[::-1, ::2],
        "fortran": np.asfortranarray(base),
        "big": base.astype(">f4"),
        "half": base.astype(np.float16),
        "none": np.ones((0, 3)),
        "number": np.float32(2.5),
    }
    checkpoints.write(tmp_path / "w.npz", arrays)
    stored = checkpoints.read(tmp_path / "w.npz")
    for name, array in arrays.items():
        np.testing.assert_array_equal(stored[name], array)
        assert stored[name].shape == np.shape(array)
    assert stored["half"].dtype == stored["big"].dtype == np.float32


def test_a_file_that_changes_what_is_written_is_noticed(tmp_path, monkeypatch):
    save = np.savez_compressed
    for spoil in (
        lambda arrays: {name: -array for name, array in arrays.items()},
        lambda arrays: dict(list(arrays.items())[1:]),
        lambda arrays: {**arrays, "more": np.ones(1)},
        lambda arrays: {name: array.astype(np.float32) for name, array in arrays.items()},
    ):
        monkeypatch.setattr(
            np,
            "savez_compressed",
            lambda handle, spoil=spoil, **arrays: save(handle, **spoil(arrays)),
        )
        with pytest.raises(ValueError, match=r"come back|not written"):
            checkpoints.write(tmp_path / "w.npz", W)
        assert not list(tmp_path.iterdir())


def attempt(path):
    """The arrays of a file, or what is said of it."""
    try:
        return checkpoints.read(path)
    except ValueError as error:
        return str(error)


def archive(**members):
    handle = io.BytesIO()
    with zipfile.ZipFile(handle, "w") as made:
        for name, content in members.items():
            made.writestr(name, content)
    return handle.getvalue()


def npy(array):
    handle = io.BytesIO()
    np.save(handle, array)
    return handle.getvalue()


LONG = npy(np.ones((2, 2)))
FOREIGN = {
    "a web page": (b"\n<!DOCTYPE html><html><body>404</body></html>", "it is a web page"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "nothing": (b"", "it is empty"),
    "json": (b'{"metadata": {}}', "text in JSON"),
    "gzip": (gzip.compress(b"x"), "compressed by gzip"),
    "one array": (LONG, "numpy.savez"),
    "other members": (archive(**{"data.pkl": b"x"}), "'data.pkl', which is no array"),
    "short member": (archive(**{"a.npy": LONG[:-1]}), "a is not as long as its shape"),
    "long member": (archive(**{"a.npy": LONG + b"x"}), "a is not as long as its shape"),
    "no header": (archive(**{"a.npy": b"x"}), "no .npz file"),
    "bad header": (archive(**{"a.npy": LONG.replace(b"'descr'", b"'d\"scr'")}), "no .npz file"),
    "vast shape": (archive(**{"a.npy": LONG.replace(b"(2, 2), }  ", b"(9999999, 9)}")}), "no .npz"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_other_content_is_told(tmp_path, name):
    content, words = FOREIGN[name]
    path = tmp_path / "w.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"w\.npz is no \.npz file of plain arrays") as caught:
        checkpoints.read(path)
    assert words in str(caught.value)


def test_members_of_one_name_are_refused(tmp_path):
    path = tmp_path / "w.npz"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("a.npy", LONG)
        with pytest.warns(UserWarning, match="Duplicate"):
            made.writestr("a.npy", npy(np.zeros((2, 2))))
    with pytest.raises(ValueError, match="two of its members have one name"):
        checkpoints.read(path)


def test_npz_truncated_at_every_length_and_with_flipped_bytes(tmp_path):
    path = tmp_path / "w.npz"
    for compress in (np.savez, np.savez_compressed):
        compress(path, **W)
        whole = path.read_bytes()
        for length in range(0, len(whole), 7):
            path.write_bytes(whole[:length])
            with pytest.raises(ValueError, match=r"w\.npz is no \.npz file"):
                checkpoints.read(path)
        rng = np.random.default_rng(0)
        for place in range(0, len(whole), 2):
            spoilt = bytearray(whole)
            spoilt[place] ^= int(rng.integers(1, 256))
            path.write_bytes(spoilt)
            outcome = attempt(path)
            if isinstance(outcome, dict):
                # Dates and the like may differ, an entry may not.
                assert all((outcome[n] == W[n]).all() for n in outcome if n in W)
            else:
                assert "w.npz is no .npz file" in outcome


BASE = np.arange(24.0).reshape(4, 6)


@pytest.mark.parametrize(
    ("one", "two", "together"),
    [
        (BASE, BASE.T, True),
        (BASE, BASE[1:3], True),
        (BASE[1:], BASE[:, 2:], True),
        (BASE, BASE.reshape(6, 4)[::-1], True),
        (BASE, BASE.ravel()[5:9], True),
        (BASE[:2], BASE[2:], False),
        (BASE[:, ::2], BASE[:, 1::2], False),
        (BASE, BASE.copy(), False),
    ],
)
def test_views_are_told_by_the_bytes_that_they_touch(one, two, together):
    arrays = {"x": np.ones((2, 2)), "one": one, "two": two}
    assert shared(arrays, arrays) == (("one", "two") if together else None)
    assert shared(arrays, {"x"}) is None


def test_repeated_entries_are_told_by_strides():
    assert repeats(np.broadcast_to(np.ones(3), (2, 3)))
    assert repeats(np.lib.stride_tricks.sliding_window_view(np.ones(5), 2))
    for array in (BASE, BASE.T, BASE[::-2, ::3], BASE[:, :1], BASE[None, :, None]):
        assert not repeats(array)
    with pytest.raises(ValueError, match="an expanded tensor"):
        checkpoints.prunable({"w": np.broadcast_to(np.ones(3), (2, 3))})


@pytest.mark.parametrize(
    "arrays",
    [
        {"attn_mask": np.ones((4, 4))},
        {"fc.weight": np.ones((4, 4)), "fc.weight_mask": np.ones((4, 4))},
        {"causal_mask": np.ones((4, 4)), "causal_orig": np.ones((2, 2))},
        {"q_v": np.ones((4, 4)), "q_g": np.ones((2, 3))},
        {"weight_v": np.ones((4, 4))},
        {"x_orig": np.ones((4, 4))},
        {"parametrizations.w.scale": np.ones((4, 4))},
        {"layer.original0": np.ones((4, 4))},
    ],
)
def test_a_suffix_alone_is_no_parametrisation(arrays):
    assert list(checkpoints.prunable(arrays)) == list(arrays)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"w_orig": (4, 4), "w_mask": (4, 4)}, "prune.remove"),
        ({"weight_hh_l0_orig": (4, 4), "weight_hh_l0_mask": (4, 4)}, "prune.remove"),
        ({"a.weight_orig": (4, 4)}, "prune.remove"),
        ({"a.weight_g": (4, 1), "a.weight_v": (4, 4)}, "remove_weight_norm"),
        ({"a.weight_g": (), "a.weight_v": (4, 4)}, "remove_weight_norm"),
        ({"c.weight_g": (1, 3, 1), "c.weight_v": (4, 3, 2)}, "remove_weight_norm"),
        ({"a.weight_orig": (4, 4), "a.weight_u": (4,), "a.weight_v": (4,)}, "remove_spectral_norm"),
        ({"parametrizations.w.original": (4, 4)}, "remove_parametrizations"),
        (
            {"a.parametrizations.w.original1": (4, 4), "a.parametrizations.w.original0": (4, 1)},
            "ons",
        ),
        ({"parametrizations.w.original": (4,), "parametrizations.w.0.A": (4, 2)}, "remove_par"),
    ],
)
def test_partners_tell_a_parametrisation(names, words):
    with pytest.raises(ValueError, match=f"belongs to .*{words}"):
        checkpoints.prunable({name: np.ones(shape) for name, shape in names.items()})


def test_patterns(tmp_path):
    arrays = {"layers[0].weight": np.ones((2, 2)), "embed.weight": np.ones((2, 3)), "b": np.ones(2)}
    assert list(checkpoints.prunable(arrays, skip="embed*")) == ["layers[0].weight"]
    assert list(checkpoints.prunable(arrays, skip=["layers[0].weight"])) == ["embed.weight"]
    with pytest.raises(ValueError, match=r"'embbed\*' matches none of the 3.*'embed.weight'"):
        checkpoints.prunable(arrays, skip=["embbed*"])
    with pytest.raises(ValueError, match=r"'Embed\*' matches none"):
        checkpoints.masks(arrays, 0.5, skip=["Embed*"])
    with pytest.raises(ValueError, match="'' matches none"):
        checkpoints.masks(arrays, 0.5, skip=[""])
    with pytest.raises(TypeError, match="got 3"):
        checkpoints.masks(arrays, 0.5, skip=[3])
    checkpoints.write(tmp_path / "w.npz", arrays)
    assert list(checkpoints.read(tmp_path / "w.npz", skip="*.weight")) == ["b"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "w.npz"
    checkpoints.write(path, W)
    return path


def refused(capsys, *arguments):
    assert cli.main(["mask", *map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize("density", ["nan", "inf", "0", "2", "-1", "-inf", "1e400"])
def test_no_density_outside_of_its_range(file, capsys, density):
    out = file.with_name("m.npz")
    told = refused(capsys, file, f"--density={density}", "--out", out)
    assert "--density must lie in (0, 1]" in told
    assert not out.exists()


def test_paths_that_cannot_be_meant(file, capsys, monkeypatch):
    read = checkpoints.read
    monkeypatch.setattr(checkpoints, "read", lambda *a, **k: pytest.fail("it read the weights"))
    folder = file.parent
    link, hard = folder / "link.npz", folder / "hard.npz"
    link.symlink_to(file)
    os.link(file, hard)
    for out, words in (
        (folder / "no" / "m.npz", "there is no folder"),
        (folder, "is a folder; name a file in it"),
        ("", "is a folder"),
        (file, "must differ"),
        (link, "must differ"),
        (hard, "must differ"),
        (folder / "m.txt", "suffix"),
        (file / "m.npz", "there is no folder"),
    ):
        assert words in refused(capsys, file, "--density", "0.5", "--out", out)
    (folder / "m.npz").mkdir()
    assert "is a folder" in refused(capsys, file, "--density", 0.5, "--out", folder / "m.npz")
    out = ("--density", "0.5", "--out", folder / "new.npz")
    for name, words in (
        ("model.safetensors.index.json", "index of a model in several files"),
        ("w.pth.tar", "rename it to w.pth"),
        ("w.npy", "numpy.savez"),
        ("w.npz.gz", "unpack it first"),
        ("pytorch_model-00002-of-00003.bin", "part 2 of 3 of a model"),
        ("part.npz", r"one of the 2 parts that model.index.json names"),
    ):
        (folder / name).write_bytes(b"x")
        (folder / "model.index.json").write_text(
            json.dumps({"weight_map": {"a": "part.npz", "b": "rest.npz"}})
        )
        assert words in refused(capsys, folder / name, *out)
    # A folder is a model in several files, by its index, and this one is none.
    assert "is no index of a model in several files" in refused(capsys, folder, *out)
    assert "there is no file" in refused(capsys, folder / "none.npz", *out)
    whole = folder / "model-00001-of-00001.npz"
    whole.write_bytes(file.read_bytes())
    assert list(read(whole)) == list(W)


def test_a_failed_system_call_is_told_in_our_words(file, capsys, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    out = file.with_name("m.npz")
    told = refused(capsys, file, "--density", "0.5", "--out", out)
    assert "m.npz cannot be written (No space left on device); make room" in told
    assert list(file.parent.iterdir()) == [file]
