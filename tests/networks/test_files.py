"""The command on the files of PyTorch and safetensors."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from lth_sketch import checkpoints, cli, networks

torch.manual_seed(0)
NET = nn.Sequential(nn.Linear(20, 10), nn.BatchNorm1d(10), nn.Linear(10, 4))


def save(path, state):
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("weights", ["weights.pt", "weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("out", ["mask.npz", "mask.pt", "mask.safetensors"])
def test_the_command_draws_the_mask_that_the_library_draws(tmp_path, weights, out):
    path = save(tmp_path / weights, NET.state_dict())
    options = ["--density", "0.1", "--design", "priority", "--rng", "0"]
    assert cli.main(["mask", str(path), *options, "--out", str(tmp_path / out)]) == 0
    arrays = checkpoints.read(tmp_path / out)
    expected = networks.find(NET, 0.1, design="priority", rng=0)
    assert set(arrays) == set(expected)
    kept = sum(int(mask.sum()) for mask in expected.values())
    assert sum(int(mask.sum()) for mask in arrays.values()) == kept
    if path.suffix == ".safetensors":
        # Drawn in pieces, in the order of names: the same law from another stream.
        whole = tmp_path / "whole.safetensors"
        checkpoints.prune(path, whole, density=0.1, design="priority", rng=0)
        expected = checkpoints.read(whole)
    for name, mask in expected.items():
        assert arrays[name].dtype == np.bool_
        np.testing.assert_array_equal(arrays[name], mask)
    # Masks from a file fit the module.
    net = nn.Sequential(nn.Linear(20, 10), nn.BatchNorm1d(10), nn.Linear(10, 4))
    networks.apply(net, arrays)


def test_half_precision_and_nested_state_dicts(tmp_path):
    halves = {name: value.bfloat16() for name, value in NET.state_dict().items()}
    path = save(tmp_path / "weights.ckpt", {"epoch": 3, "state_dict": halves})
    arrays = checkpoints.read(path)
    assert arrays["0.weight"].dtype == np.float32
    np.testing.assert_array_equal(arrays["0.weight"], halves["0.weight"].float())


def test_tied_weights_are_refused_in_half_precision_too(tmp_path):
    for kind in (torch.float32, torch.bfloat16):
        tied = torch.ones(3, 3, dtype=kind)
        path = save(tmp_path / "tied.pt", {"one.weight": tied, "two.weight": tied})
        with pytest.raises(ValueError, match="share one parameter"):
            checkpoints.masks(checkpoints.read(path), 0.5)


class Bomb:
    exploded = False

    def __reduce__(self):
        return (setattr, (Bomb, "exploded", True))


def test_code_in_a_checkpoint_is_not_executed(tmp_path):
    path = tmp_path / "bomb.pt"
    torch.save({"weight": torch.ones(2, 2), "bomb": Bomb()}, path)
    with pytest.raises(ValueError, match="no checkpoint of tensors alone"):
        checkpoints.read(path)
    path.write_bytes(pickle.dumps(Bomb(), protocol=2))
    with pytest.raises(ValueError, match="no checkpoint of tensors alone"):
        checkpoints.read(path)
    assert not Bomb.exploded


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
def test_truncated_files_and_other_files_are_refused(tmp_path, name, share):
    path = save(tmp_path / name, NET.state_dict())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"weights\.\w+ is no .*truncated"):
        checkpoints.read(path)
    path.write_bytes(b"no checkpoint at all" * 9)
    with pytest.raises(ValueError, match=r"weights\.\w+ is no .*truncated"):
        checkpoints.read(path)


def test_a_tensor_alone_is_no_state_dict(tmp_path):
    with pytest.raises(ValueError, match="no state_dict"):
        checkpoints.read(save(tmp_path / "tensor.pt", torch.ones(3, 3)))


def spoilt(name, path):
    state = {key: value.clone() for key, value in NET.state_dict().items()}
    if name == "nan":
        state["0.weight"][1, 2] = torch.nan
        return save(path, state), "0.weight must be finite"
    if name == "infinite":
        state["0.weight"][1, 2] = -torch.inf
        return save(path, state), "0.weight must be finite"
    if name == "integers":
        state["2.weight"] = state["2.weight"].to(torch.int8)
        return save(path, state), "2.weight must hold floating-point numbers"
    if name == "vectors":
        vectors = {key: value for key, value in state.items() if value.ndim < 2}
        return save(path, vectors), "there are no prunable weights"
    if name == "pruned":
        net = nn.Sequential(nn.Linear(4, 3))
        networks.prune(net, 0.5)
        words = "belongs to a layer masked by this library"
        return save(path, net.state_dict()), words
    if name == "bomb":
        path.write_bytes(pickle.dumps(Bomb()))
    if name == "truncated":
        path.write_bytes(save(path, state).read_bytes()[:-200])
    if name == "text":
        path.write_text("weights: none")
    return path, "or it is truncated"


PARAMETRISED = {
    "networks.remove(module)": lambda layer: networks.prune(layer, 0.5),
    "prune.remove(layer, 'weight')": lambda layer: torch_prune.l1_unstructured(
        layer, "weight", 0.5
    ),
    "torch.nn.utils.remove_spectral_norm(layer)": nn.utils.spectral_norm,
    "remove_parametrizations(layer, 'weight')": nn.utils.parametrizations.weight_norm,
    "parametrize.remove_parametrizations(layer, 'weight')": nn.utils.parametrizations.spectral_norm,
    "torch.nn.utils.remove_weight_norm(layer)": nn.utils.weight_norm,
    "remove_parametrizations(layer, 'weight') ": nn.utils.parametrizations.orthogonal,
}


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
@pytest.mark.parametrize("remover", PARAMETRISED)
def test_parametrised_weights_are_refused_with_their_remover_in_modules_and_files(
    tmp_path, remover
):
    net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    PARAMETRISED[remover](net[0])
    path = save(tmp_path / "weights.pt", net.state_dict())
    with pytest.raises(ValueError, match=r"0\..*weight.* belongs to") as told:
        checkpoints.masks(checkpoints.read(path), 0.5)
    assert remover.partition("(")[0].rpartition(".")[2] in str(told.value)
    if "networks.remove" in remover:
        return
    with pytest.raises(ValueError, match=r"0\.weight is pruned or parametrised already") as told:
        networks.find(net, 0.5)
    assert remover.strip() in str(told.value)
    # With that layer left out, the rest is pruned.
    assert list(networks.find(net, 0.5, exclude="0.*")) == ["1.weight"]
    # And what the message says helps.
    call = str(told.value).partition("with ")[2]
    eval(call, {"torch": torch, "layer": net[0]})
    assert list(networks.find(net, 0.5, floor=1)) == ["0.weight", "1.weight"]


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize(
    "name", ["nan", "infinite", "integers", "vectors", "pruned", "bomb", "truncated", "text"]
)
def test_the_command_tells_what_is_wrong_in_one_line_and_writes_nothing(
    tmp_path, capsys, name, suffix
):
    path, words = spoilt(name, tmp_path / f"weights{suffix}")
    out = tmp_path / "mask.npz"
    assert cli.main(["mask", str(path), "--density", "0.5", "--out", str(out)]) == 2
    shown = capsys.readouterr()
    assert words in shown.err
    assert shown.err.count("\n") == 1
    assert not shown.out
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert not Bomb.exploded
