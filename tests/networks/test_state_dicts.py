"""Checkpoints as trainers save them: shared memory, nesting, number types, damage."""

from __future__ import annotations

import argparse
import collections
import datetime
import pathlib
import types
import warnings
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn
from torch.nn.utils import prune

from lth_sketch import checkpoints, cli, networks

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def weight(*shape, dtype=torch.float32, seed=0):
    torch.manual_seed(seed)
    return torch.randn(*(shape or (6, 4))).to(dtype)


def save(path, content, **options):
    torch.save(content, path, **options)
    return path


def views(base):
    """Pairs that share entries, and pairs that do not though they lie in one storage."""
    flat = base.reshape(-1)
    return {
        "transpose": (base, base.t(), True),
        "slice of rows": (base, base[2:], True),
        "slice of columns": (base, base[:, 1:3], True),
        "every other row": (base, base[::2], True),
        "overlapping parts": (base[:4], base[3:], True),
        "reshaped": (base, base.view(4, 6), True),
        "offset of another shape": (base[1:], flat[6:18].view(3, 4), True),
        "a vector of it": (base, flat[4:8], True),
        "two halves": (base[:3], base[3:], False),
        "odd and even rows": (base[::2], base[1::2], False),
        "odd and even columns": (base[:, ::2], base[:, 1::2], False),
    }


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", views(torch.zeros(6, 4)))
def test_sharing_is_told_by_memory_in_every_type(tmp_path, dtype, name):
    one, two, shared = views(weight(dtype=dtype))[name]
    arrays = checkpoints.read(save(tmp_path / "w.pt", {"one": one, "two": two}))
    np.testing.assert_array_equal(arrays["one"], one.float() if dtype in FLOATS[2:] else one)
    np.testing.assert_array_equal(arrays["two"], two.float() if dtype in FLOATS[2:] else two)
    if shared:
        with pytest.raises(ValueError, match="one and two share one parameter"):
            checkpoints.prunable(arrays)
        assert list(checkpoints.prunable(arrays, skip="two")) == ["one"]
    else:
        assert list(checkpoints.prunable(arrays)) == ["one", "two"]


def test_an_expanded_tensor_is_refused(tmp_path):
    path = save(tmp_path / "w.pt", {"w": weight(1, 4).expand(6, 4), "v": weight()})
    with pytest.raises(ValueError, match=r"w holds entries that share.*--skip 'w'"):
        checkpoints.prunable(checkpoints.read(path))


def test_tied_weights_that_safetensors_writes_once_are_tied(tmp_path):
    net = nn.ModuleDict({"embed": nn.Linear(3, 4), "head": nn.Linear(3, 4)})
    net["head"].weight = net["embed"].weight
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_model(net, str(path), metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"embed\.weight and head\.weight share"):
        checkpoints.prunable(checkpoints.read(path))


W = {"a.weight": weight(), "a.bias": torch.zeros(6)}
OTHER = {"a.weight": weight(seed=1), "a.bias": torch.ones(6)}


def trained():
    net = nn.Linear(4, 6)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    return optimizer.state_dict()


BESIDE = {
    "epoch": 3,
    "optimizer": trained(),
    "optimizer_states": [trained()],
    "loss": np.float64(0.5),
    "best": torch.tensor(0.1),
    "mean": torch.zeros(3),
    "history": [1.0, 2.0],
    "rng": ("MT19937", np.arange(5, dtype=np.uint32), 3),
    "path": pathlib.PurePosixPath("/a/b"),
    "where": pathlib.Path("c"),
    "args": argparse.Namespace(lr=0.1, out=pathlib.Path("d")),
    "more": types.SimpleNamespace(x=1),
    "when": datetime.datetime(2020, 1, 2),
    "counts": collections.Counter("aab"),
    "lists": collections.defaultdict(list, {"a": [1]}),
    "last": collections.deque([1, 2], maxlen=2),
    "device": torch.device("cpu"),
    "shape": torch.Size([2, 3]),
    "dtype": torch.float32,
    "names": {"a", "b"},
    "flag": None,
}
NESTS = ("state_dict", "model_state_dict", "model", "model_state", "net", "generator", "params_ema")


@pytest.mark.parametrize("nest", NESTS)
def test_weights_are_found_by_structure(tmp_path, nest):
    arrays = checkpoints.read(save(tmp_path / "w.pt", {**BESIDE, nest: W}))
    assert list(arrays) == list(W)
    np.testing.assert_array_equal(arrays["a.weight"], W["a.weight"])
    deep = {**BESIDE, "model": {"epoch": 2, "state_dict": W}}
    assert list(checkpoints.read(save(tmp_path / "deep.pt", deep))) == list(W)


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ([weight(), weight(seed=1)], ["0", "1"]),
        ({"params": [weight(), torch.zeros(3)], "epoch": 1}, ["0", "1"]),
        ((weight(), {"epoch": 3}), ["0"]),
        ({"w": weight(), "extra": {"scale": torch.ones(2)}}, ["w", "extra.scale"]),
        ({3: weight(), b"four": weight(seed=1)}, ["3", "four"]),
        ({"w": np.ones((2, 3)), "b": np.arange(3)}, ["w", "b"]),
        ({"biases": {"a": torch.ones(3)}}, ["a"]),
        (collections.OrderedDict(W), list(W)),
        ({"w": nn.Parameter(weight())}, ["w"]),
    ],
)
def test_other_forms(tmp_path, content, names):
    assert list(checkpoints.read(save(tmp_path / "w.pt", content))) == names


def test_arrays_of_numpy_keep_their_values(tmp_path):
    arrays = {
        "c": np.arange(6.0).reshape(2, 3),
        "f": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        "big": np.arange(6, dtype=">f8").reshape(2, 3),
        "half": np.ones((2, 2), np.float16),
        "flags": np.eye(2, dtype=bool),
    }
    stored = checkpoints.read(save(tmp_path / "w.pt", arrays))
    for name, array in arrays.items():
        np.testing.assert_array_equal(stored[name], array)
    assert stored["half"].dtype == np.float32
    path = save(tmp_path / "o.pt", {"w": weight(), "o": np.array([{}], dtype=object)})
    with pytest.raises(TypeError, match=r"o\.pt: o is an array of numpy that holds no plain"):
        checkpoints.read(path)
    assert list(checkpoints.read(path, skip="o")) == ["w"]


@pytest.mark.parametrize(
    ("content", "listed", "keys"),
    [
        ({"generator": W, "discriminator": OTHER}, "generator .2 arrays., discriminator", 2),
        ({"params": W, "params_ema": OTHER}, "params .2 arrays., params_ema", 2),
        ({"model": W, "ema": {"shadow": OTHER}}, r"model .2 arrays., ema\.shadow", 2),
        ({"model": {"encoder": W, "decoder": OTHER}}, r"model\.encoder", 2),
        ([W, OTHER], "0 .2 arrays., 1 .2 arrays.", 2),
        ({**W, "ema": OTHER}, r"\. .2 arrays., ema", 2),
    ],
)
def test_several_sets_are_listed_with_the_option_that_picks_one(tmp_path, content, listed, keys):
    path = save(tmp_path / "w.pt", content)
    with pytest.raises(ValueError, match=rf"w\.pt holds {keys} sets of weights: {listed}.*--key"):
        checkpoints.read(path)


def test_a_key_picks_one(tmp_path, capsys):
    path = save(tmp_path / "w.pt", {"g": W, "d": {"inner": OTHER}, "optimizer": trained()})
    np.testing.assert_array_equal(
        checkpoints.read(path, key="d.inner")["a.weight"], OTHER["a.weight"]
    )
    assert list(checkpoints.read(path, key="d")) == ["inner.a.weight", "inner.a.bias"]
    assert len(checkpoints.read(path, key=".")) == 4
    assert "state.0.exp_avg" in checkpoints.read(path, key="optimizer")
    with pytest.raises(ValueError, match="holds no arrays under the key 'e'; the keys that lead"):
        checkpoints.read(path, key="e")
    out = tmp_path / "m.npz"
    options = ["mask", str(path), "--density", "0.5", "--out", str(out)]
    assert cli.main(options) == 2
    assert "--key" in capsys.readouterr().err
    assert cli.main([*options, "--key", "g"]) == 0
    assert list(checkpoints.read(out)) == ["a.weight"]
    with pytest.raises(ValueError, match="has no parts"):
        checkpoints.read(out, key="g")


def test_keys_that_are_written_alike_collide(tmp_path):
    for content in (
        {0: weight(), "0": weight(seed=1)},
        {"a.b": weight(), "a": {"b": torch.ones(2)}},
    ):
        with pytest.raises(ValueError, match="two arrays are called"):
            checkpoints.read(save(tmp_path / "w.pt", content))


def test_what_holds_no_weights_is_told(tmp_path):
    for content, words in (
        ({"epoch": 3}, "no state_dict: there is no array beside epoch"),
        ({}, "no state_dict"),
        (trained(), "the state of an optimizer"),
        (3, "holds a int, no state_dict"),
    ):
        with pytest.raises(ValueError, match=words):
            checkpoints.read(save(tmp_path / "w.pt", content))
    itself = {"w": weight()}
    itself["again"] = itself
    with pytest.raises(ValueError, match="nested without end"):
        checkpoints.read(save(tmp_path / "w.pt", itself))


class Config:
    def __init__(self):
        self.rate = 0.1


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
def test_what_cannot_be_loaded_is_named_without_advice_to_trust_it(tmp_path, whole, zipped):
    content = nn.Linear(2, 3) if whole else {"state_dict": W, "config": Config()}
    options = {"_use_new_zipfile_serialization": zipped}
    path = save(tmp_path / "w.pt", content, **options)
    before = set(torch.serialization.get_safe_globals())
    with pytest.raises(ValueError, match=r"w\.pt is no checkpoint of tensors alone") as caught:
        checkpoints.read(path)
    text = str(caught.value)
    assert ("torch.nn.modules.linear.Linear" if whole else "test_state_dicts.Config") in text
    assert "torch.save(model.state_dict(), path)" in text
    for advice in ("weights_only", "safe_globals", "trust", "allowlist"):
        assert advice not in text
    assert set(torch.serialization.get_safe_globals()) == before


def test_number_types(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        foreign = {
            "q.fp8": weight().to(torch.float8_e4m3fn),
            "q.int": torch.quantize_per_tensor(weight(), 0.1, 0, torch.qint8),
            "q.half": torch.ones(2, 2, dtype=torch.complex64).to(torch.complex32),
            "q.sparse": weight().to_sparse(),
            "q.csr": weight().to_sparse_csr(),
            "q.meta": torch.empty(2, 2, device="meta"),
        }
    for name, tensor in foreign.items():
        path = save(tmp_path / "w.pt", {"w": weight(), name: tensor})
        with pytest.raises(TypeError, match=rf"w\.pt: {name} .*--skip '{name}'"):
            checkpoints.read(path)
        assert list(checkpoints.read(path, skip=["q.*"])) == ["w"]
        out = tmp_path / "m.npz"
        options = ["mask", str(path), "--density", "0.5", "--out", str(out)]
        assert cli.main(options) == 2
        assert cli.main([*options, "--skip", "q*"]) == 0
    conjugate = torch.complex(weight(), weight(seed=1)).conj()
    arrays = checkpoints.read(save(tmp_path / "c.pt", {"c": conjugate}))
    np.testing.assert_array_equal(arrays["c"], conjugate.resolve_conj())
    arrays = checkpoints.read(save(tmp_path / "i.pt", {"i": conjugate.imag}))
    np.testing.assert_array_equal(arrays["i"], -weight(seed=1))


def test_halves_and_fp8_of_safetensors(tmp_path):
    path = tmp_path / "w.safetensors"
    tensors = {
        "bf16": weight(dtype=torch.bfloat16),
        "f16": weight(dtype=torch.float16),
        "fp8": weight().to(torch.float8_e5m2),
    }
    safetensors.torch.save_file(tensors, path)
    with pytest.raises(TypeError, match=r"fp8 has type F8_E5M2.*--skip 'fp8'"):
        checkpoints.read(path)
    arrays = checkpoints.read(path, skip="fp8")
    assert set(arrays) == {"bf16", "f16"}
    for name, array in arrays.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, tensors[name].float())


def module(kind):
    layer = nn.Linear(4, 3)
    if kind == "prune":
        prune.random_unstructured(layer, "weight", 0.5)
    if kind == "old weight norm":
        nn.utils.weight_norm(layer)
    if kind == "old weight norm of all":
        nn.utils.weight_norm(layer, dim=None)
    if kind == "old spectral norm":
        nn.utils.spectral_norm(layer)
    if kind == "weight norm":
        nn.utils.parametrizations.weight_norm(layer)
    if kind == "spectral norm":
        nn.utils.parametrizations.spectral_norm(layer)
    return layer


REMOVERS = {
    "prune": "prune.remove",
    "old weight norm": "remove_weight_norm",
    "old weight norm of all": "remove_weight_norm",
    "old spectral norm": "remove_spectral_norm",
    "weight norm": "remove_parametrizations",
    "spectral norm": "remove_parametrizations",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", REMOVERS)
def test_each_parametrisation_is_told_with_its_remover(tmp_path, kind):
    with pytest.raises(ValueError, match=rf"pruned or parametrised already.*{REMOVERS[kind]}"):
        networks.prunable(module(kind))
    state = {f"net.fc.{name}": value for name, value in module(kind).state_dict().items()}
    with pytest.raises(ValueError, match=rf"net\.fc\..* belongs to .*{REMOVERS[kind]}"):
        checkpoints.prunable(checkpoints.read(save(tmp_path / "w.pt", state)))


def attempt(path):
    """The arrays of a file, or what is said of it."""
    try:
        return checkpoints.read(path)
    except (TypeError, ValueError) as error:
        return str(error)


@pytest.mark.parametrize("zipped", [False, True])
def test_truncation_at_every_length_is_one_error(tmp_path, zipped):
    state = {"a": torch.ones(2, 2), "b": torch.zeros(2)}
    path = save(tmp_path / "w.pt", state, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for length in range(0, len(whole), 1 if len(whole) < 1000 else 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"w\.pt is no checkpoint of tensors alone"):
            checkpoints.read(path)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_flipped_byte_is_one_error_or_no_harm(tmp_path, zipped):
    state = {"a": torch.ones(2, 2), "b": torch.zeros(2)}
    path = save(tmp_path / "w.pt", state, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in range(0, len(whole), 3 if len(whole) < 1000 else 11):
        spoilt = bytearray(whole)
        spoilt[place] ^= int(rng.integers(1, 256))
        path.write_bytes(spoilt)
        outcome = attempt(path)
        if isinstance(outcome, str):
            assert "w.pt" in outcome
        elif zipped:
            # The checksums of the archive see every byte of the tensors.
            assert all((outcome[name] == np.asarray(x)).all() for name, x in state.items())


def test_an_archive_without_checksums_is_read(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        path = save(tmp_path / "w.pt", W)
    finally:
        torch.serialization.set_crc32_options(True)
    assert list(checkpoints.read(path)) == list(W)


def test_other_archives_are_told(tmp_path):
    path = tmp_path / "w.pt"
    np.savez(tmp_path / "w.npz", w=np.ones((2, 2)))
    (tmp_path / "w.npz").rename(path)
    with pytest.raises(ValueError, match="zip archive of something else"):
        checkpoints.read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/constants.pkl", b"x")
        archive.writestr("m/data.pkl", b"x")
    with pytest.raises(ValueError, match="a program of TorchScript"):
        checkpoints.read(path)
