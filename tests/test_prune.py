"""Masks of sharded checkpoints: the bits of sampling.draw, however the weights are cut."""

from __future__ import annotations

import errno
import json
import math
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lth_sketch import checkpoints, cli, sampling
from lth_sketch.checkpoints import (
    files,
    levels,
    plans,
    reading,
    runs,
    shards,
    solving,
    streams,
    writing,
)
from lth_sketch.checkpoints.looking import Cells
from lth_sketch.checkpoints.shards import header
from lth_sketch.kernels import uniforms
from lth_sketch.parallel import blockwise

DESIGNS = plans.DESIGNS


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Blocks and pieces small enough that few weights fill many of them."""
    monkeypatch.setattr(blockwise, "BLOCK", 256)
    monkeypatch.setattr(plans, "BLOCKS", 3)
    monkeypatch.setattr(plans, "PIECES", 2)
    monkeypatch.setattr(levels, "WORTH", 256)


def save(path, tensors, about=None):
    """A .safetensors file of tensors given as (dtype, codes)."""
    entries = {name: (dtype, codes.shape) for name, (dtype, codes) in tensors.items()}
    data = b"".join(np.ascontiguousarray(codes).tobytes() for _, codes in tensors.values())
    path.write_bytes(header(entries, about or {}) + data)


def model(dtype, seed=0, shapes=((40, 33), (7, 11, 13), (2, 1), (60, 31), (3, 300))):
    """Tensors that straddle blocks, a layer of zeros, biases, and many equal magnitudes."""
    rng = np.random.default_rng(seed)
    weights = {}
    for number, shape in enumerate(shapes):
        values = rng.standard_normal(shape).astype(np.float32) * 0.05
        if number == 1:
            values[:] = 0
        if number == 4:
            values = np.round(values * 40) / 40
        weights[f"layer{number}.weight"] = encoded(values, dtype)
        weights[f"layer{number}.bias"] = encoded(np.ones(shape[0], np.float32), dtype)
    return weights


def encoded(values, dtype):
    if dtype == "mixed":
        dtype = ("BF16", "F16", "F32")[values.size % 3]
    return dtype, reading.encoded(np.ascontiguousarray(values), dtype)


def sharded(folder, tensors, count):
    """The tensors in so many files with an index, dealt out out of order."""
    folder.mkdir()
    names = sorted(tensors, key=lambda name: (hash(name[::-1].encode()[0]), name))
    parts = [{n: tensors[n] for n in names[i::count]} for i in range(count)]
    weights = {}
    for i, part in enumerate(parts):
        file = f"model-{i + 1:05}-of-{count:05}.safetensors"
        save(folder / file, part, {"format": "pt"})
        weights |= dict.fromkeys(part, file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weights}))
    return folder


def masks(path):
    """Every mask of a result, by name."""
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    stored = {}
    for file in files:
        for tensor in shards.opened(file).tensors:
            raw = file.read_bytes()[tensor.start : tensor.start + tensor.nbytes]
            kind = {"BOOL": np.bool_, "F32": np.float32}.get(tensor.dtype, np.uint16)
            stored[tensor.name] = np.frombuffer(raw, kind).reshape(tensor.shape)
    return stored


def expected(tensors, density, design, seed, *, scope="global", floor=0, binary=True):
    """What sampling.draw keeps of the magnitudes, in the order of the names."""
    names = sorted(name for name, (_, codes) in tensors.items() if codes.ndim > 1)
    sizes = [tensors[name][1].size for name in names]
    groups = [names] if scope == "global" else [[name] for name in names]
    kept = plans.grouped(names, sizes, density, scope, floor)
    masks = {}
    for group, plan, child in zip(
        groups, kept, np.random.default_rng(seed).spawn(len(groups)), strict=True
    ):
        parts = [np.abs(reading.decoded(c, d)).ravel() for d, c in (tensors[n] for n in group)]
        saved = [np.zeros(len(part), bool) for part in parts]
        for mark, part in zip(saved, parts, strict=True):
            mark[np.argsort(-part, kind="stable")[:floor]] = True
        p = np.concatenate(parts)
        mark = np.concatenate(saved)
        p[mark] = 0
        s = plan.kept - floor * len(group)
        mask = mark.astype(np.float32)
        if s:
            s = draws(p, s, design)
            mask += sampling.mask(p, s, design=design, binary=binary, rng=child).astype(np.float32)
        for name, part in zip(group, parts, strict=True):
            masks[name], mask = mask[: len(part)], mask[len(part) :]
            masks[name] = masks[name].reshape(tensors[name][1].shape)
    return {name: mask != 0 if binary else mask for name, mask in masks.items()}


def draws(p, kept, design):
    """The number of draws: with replacement twice as many, for these tests."""
    return 2 * kept if design == "multinomial" else kept


def same(masks, wanted):
    assert masks.keys() == wanted.keys()
    for name, mask in wanted.items():
        np.testing.assert_array_equal(masks[name], mask, err_msg=name)


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32", "mixed"])
@pytest.mark.parametrize("design", DESIGNS)
def test_any_sharding_gives_the_bits_of_a_draw(design, dtype, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "lth_sketch.checkpoints.solving.draws_for", lambda cells, kept, nonzero: (2 * kept, 0.0)
    )
    tensors = model(dtype)
    for density in (0.02, 0.3 if design == "multinomial" else 0.6):
        for binary in (True, False):
            wanted = expected(tensors, density, design, 5, binary=binary)
            for count in (1, 3):
                folder = tmp_path / f"{density}-{count}"
                if not folder.exists():
                    sharded(folder, tensors, count)
                out = tmp_path / "out" / f"{density}-{count}-{binary}"
                out.parent.mkdir(exist_ok=True)
                report = checkpoints.prune(
                    folder, out, density=density, design=design, rescale=not binary, rng=5, n_jobs=2
                )
                same(masks(out), wanted)
                counts = {n: int(np.count_nonzero(m)) for n, m in wanted.items()}
                assert {n: k.kept for n, k in report.kept.items()} == counts
                total = sum(c.nbytes for _, c in tensors.values() if c.ndim > 1)
                if dtype in plans.NARROW:
                    late = design == "priority" and not binary
                    assert report.read == (3 if late else 2) * total
                assert not list(out.glob(".*"))


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
def test_draws_with_replacement_keep_as_many_as_asked_for(dtype, tmp_path):
    tensors = model(dtype)
    folder = sharded(tmp_path / "model", tensors, 2)
    total = sum(c.size for _, c in tensors.values() if c.ndim > 1)
    kept = [
        sum(
            k.kept
            for k in checkpoints.prune(
                folder, tmp_path / "out", density=0.3, design="multinomial", rng=seed
            ).kept.values()
        )
        for seed in range(20)
    ]
    # Distinct draws are negatively dependent: Hoeffding, at 1e-9.
    assert abs(np.mean(kept) - 0.3 * total) <= math.sqrt(total * math.log(2e9) / 2 / 20)


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
@pytest.mark.parametrize("design", ["top", "poisson", "systematic", "priority"])
def test_layers_and_floors(design, dtype, tmp_path):
    tensors = model(dtype)
    del tensors["layer1.weight"]
    folder = sharded(tmp_path / "model", tensors, 2)
    for scope, floor in (("layer", 0), ("global", 1), ("layer", 1), ("global", 2)):
        out = tmp_path / f"{scope}{floor}"
        checkpoints.prune(folder, out, density=0.5, design=design, scope=scope, floor=floor, rng=3)
        wanted = expected(tensors, 0.5, design, 3, scope=scope, floor=floor)
        same(masks(out), wanted)
        assert all(mask.sum() >= floor for mask in wanted.values())
    # A zero layer takes no part in a draw, and shifts nothing.
    tensors = model(dtype)
    checkpoints.prune(
        sharded(tmp_path / "zeros", tensors, 1), tmp_path / "z", density=0.3, design=design, rng=1
    )
    same(masks(tmp_path / "z"), expected(tensors, 0.3, design, 1))


def test_every_nonzero_weight_and_massive_ties(tmp_path):
    tensors = model("BF16")
    live = sum(np.count_nonzero(c & 0x7FFF) for _, c in tensors.values() if c.ndim > 1)
    total = sum(c.size for _, c in tensors.values() if c.ndim > 1)
    folder = sharded(tmp_path / "model", tensors, 3)
    for design in ("poisson", "systematic", "priority", "top"):
        out = tmp_path / design
        checkpoints.prune(folder, out, density=live / total, design=design, rng=0)
        same(masks(out), expected(tensors, live / total, design, 0))
        more = {"density": (live + 1) / total, "design": design, "rng": 0}
        if design == "top":
            checkpoints.prune(folder, out, **more)
            same(masks(out), expected(tensors, (live + 1) / total, design, 0))
        else:
            with pytest.raises(ValueError, match=f"only {live} there are not zero"):
                checkpoints.prune(folder, out, **more)
    equal = {"a": ("BF16", np.full((50, 30), 0x3F80, np.uint16) | (np.arange(30) % 2 << 15))}
    equal["a"] = ("BF16", equal["a"][1].astype(np.uint16))
    for design in ("top", "priority", "systematic"):
        out = tmp_path / f"equal-{design}"
        checkpoints.prune(
            sharded(tmp_path / f"ties-{design}", equal, 1), out, density=0.37, design=design, rng=2
        )
        same(masks(out), expected(equal, 0.37, design, 2))


@pytest.mark.parametrize("kind", ["PCG64", "SFC64", "Philox", "PCG64DXSM", "MT19937"])
def test_any_generator_and_no_tables_give_the_same_bits(kind, tmp_path, monkeypatch):
    tensors = model("mixed")
    del tensors["layer0.weight"]
    folder = sharded(tmp_path / "model", tensors, 2)
    for design in ("poisson", "priority"):
        for worth in (1, 10**9):
            monkeypatch.setattr(levels, "WORTH", worth)
            rng = np.random.Generator(getattr(np.random, kind)(4))
            out = tmp_path / f"{design}{worth}"
            checkpoints.prune(folder, out, density=0.3, design=design, rng=rng)
            rng = np.random.Generator(getattr(np.random, kind)(4))
            same(masks(out), expected(tensors, 0.3, design, rng))


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
@pytest.mark.parametrize("rescale", [False, True])
def test_a_threshold_outside_of_the_bracket_is_searched_for_again(
    dtype, rescale, tmp_path, monkeypatch
):
    bracket = solving.bracket
    tensors = model(dtype)
    folder = sharded(tmp_path / "model", tensors, 2)
    total = sum(c.nbytes for _, c in tensors.values() if c.ndim > 1)
    reads = set()
    for narrow in (lambda b: b, lambda b: (b[0], b[0] * 1.01), lambda b: (b[1] / 1.01, b[1])):
        monkeypatch.setattr(
            solving, "bracket", lambda cells, s, narrow=narrow: narrow(bracket(cells, s))
        )
        for seed in range(3):
            out = tmp_path / "out"
            options = {"density": 0.3, "design": "priority", "rng": seed, "rescale": rescale}
            report = checkpoints.prune(folder, out, **options)
            same(masks(out), expected(tensors, 0.3, "priority", seed, binary=not rescale))
            reads.add(report.read // total)
    assert min(reads) == 2 + rescale
    assert max(reads) > 2 + rescale


def test_a_bracket_holds_the_threshold_of_priority():
    for dtype in ("BF16", "F16", "F32"):
        tensors = model(dtype, seed=3, shapes=((100, 100), (100, 90)))
        codes = [(d, c) for d, c in tensors.values() if c.ndim > 1]
        p = np.concatenate([np.abs(reading.decoded(c, d)).ravel() for d, c in codes])
        bits, counts = np.unique(p.view(np.uint32), return_counts=True)
        nonzero = int(np.count_nonzero(p))
        for cut in (0, 16):
            upper = bits >> cut << cut
            where = np.searchsorted(np.unique(upper), upper)
            lows = np.bincount(where, (bits - upper) * counts).astype(np.int64)
            cells = Cells(np.unique(upper), np.bincount(where, counts).astype(np.int64), lows)
            for s in (1, 50, 3000, nonzero // 2, nonzero - 1):
                low, high = solving.bracket(cells, s)
                far = solving.SURE * math.sqrt(s + solving.SURE**2)
                # The mean number of ranks from each end on, of what is counted one by one.
                above, below = (
                    np.minimum(1.0, p.astype(float) / max(end, 1e-30)).sum() for end in (low, high)
                )
                assert above >= min(s + 1 + far, nonzero) * (1 - 1e-6)
                assert below <= max(s - far, 0) * (1 + 1e-6)
                # Of numbers that share bits, no more are in doubt than there are of the same.
                shared = 0 if cut == 0 else 0.02 * nonzero
                assert above <= s + 1 + far + shared + 1e-3
                assert below >= s - far - shared - 1e-3


@pytest.mark.parametrize("dtype", ["BF16", "F16"])
def test_the_least_uniform_that_keeps_a_weight_is_exact(dtype):
    for tau in (1e-30, 0.01, 1.0, 3.7, 1e4, 1e38, 5e-324, math.inf):
        p, least = levels.values(dtype), levels.least(tau, dtype)
        with np.errstate(divide="ignore", over="ignore"):
            inside = least < streams.UNIFORM
            assert (p[inside] / (1 - least[inside] / streams.UNIFORM) >= tau).all()
            more = least > 0
            assert (p[more] / (1 - (least[more] - 1) / streams.UNIFORM) < tau).all()
    assert (np.diff(levels.values(dtype)[: reading.INFINITE[dtype]]) > 0).all()


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 7, 1000])
def test_integers_are_the_uniforms_of_numpy(length):
    rng = np.random.default_rng(length)
    rng.random(3)
    out = np.empty(length, np.int64)
    with np.errstate(over="ignore"):
        uniforms.pcg64(*streams.lanes(rng.bit_generator.state["state"]), out)
    np.testing.assert_array_equal(out / streams.UNIFORM, rng.random(length))


def test_random_scores_keep_a_uniform_share(tmp_path):
    tensors = model("BF16")
    folder = sharded(tmp_path / "model", tensors, 2)
    report = checkpoints.prune(folder, tmp_path / "out", density=0.25, score="random", rng=1)
    total = sum(kept.size for kept in report.kept.values())
    assert sum(kept.kept for kept in report.kept.values()) == math.floor(0.25 * total + 0.5)
    ones = {n: (d, np.full_like(c, 0x3F80)) for n, (d, c) in tensors.items()}
    same(masks(tmp_path / "out"), expected(ones, 0.25, "priority", 1))


@pytest.mark.parametrize("dtype", ["BF16", "F32", "F16"])
def test_applied_masks_keep_types_and_everything_else(dtype, tmp_path):
    tensors = model(dtype)
    folder = sharded(tmp_path / "model", tensors, 2)
    for rescale in (False, True):
        out = tmp_path / f"out{rescale}"
        checkpoints.prune(
            folder, out, density=0.3, design="poisson", rng=4, apply=True, rescale=rescale
        )
        wanted = expected(tensors, 0.3, "poisson", 4, binary=not rescale)
        index = json.loads((out / "model.safetensors.index.json").read_text())
        assert index["weight_map"].keys() == tensors.keys()
        drawn = masks(out)
        for name, (kind, codes) in tensors.items():
            values = reading.decoded(codes, kind)
            if name in wanted:
                values = values * wanted[name].astype(np.float32)
            result = drawn[name].view(codes.dtype)
            np.testing.assert_array_equal(
                reading.decoded(result, kind), reading.decoded(reading.encoded(values, kind), kind)
            )


def test_single_files_and_other_formats(tmp_path):
    tensors = model("F32")
    plain = {name: codes.view(np.float32) for name, (_, codes) in tensors.items()}
    save(tmp_path / "model.safetensors", tensors)
    checkpoints.write(tmp_path / "model.npz", plain)
    for design in ("top", "poisson", "priority"):
        for rescale in (False, True):
            results = []
            for suffix in (".safetensors", ".npz"):
                out = tmp_path / f"mask{suffix}"
                report = checkpoints.prune(
                    tmp_path / f"model{suffix}",
                    out,
                    density=0.3,
                    design=design,
                    floor=1,
                    skip=["layer2*", "layer1*"],
                    rescale=rescale,
                    rng=8,
                )
                results.append((checkpoints.read(out), report.kept))
            (first, counts), (second, others) = results
            assert counts == others
            same(first, second)


@pytest.mark.parametrize("design", [design for design in DESIGNS if design != "multinomial"])
def test_the_command_draws_single_files_in_pieces(design, tmp_path, monkeypatch):
    tensors = model("BF16")
    del tensors["layer1.weight"]
    # The file has them in another order than that of their names.
    save(tmp_path / "model.safetensors", dict(reversed(tensors.items())))
    sharded(tmp_path / "model", tensors, 3)
    options = ["--density", "0.2", "--design", design, "--rng", "3", "--out"]
    one = str(tmp_path / "model.safetensors")
    assert cli.main(["mask", one, *options, str(tmp_path / "mask.npz")]) == 0
    with monkeypatch.context() as patch:
        patch.setattr(files, "read", lambda *_: pytest.fail("the file is read whole"))
        assert cli.main(["mask", one, *options, str(tmp_path / "mask.safetensors")]) == 0
        assert cli.main(["mask", one, "--apply", *options, str(tmp_path / "new.safetensors")]) == 0
    assert cli.main(["mask", str(tmp_path / "model"), *options, str(tmp_path / "masks")]) == 0
    # One seed, one mask: whole or in parts, written as it is or under the weights.
    wanted = masks(tmp_path / "masks")
    same(masks(tmp_path / "mask.safetensors"), wanted)
    same(checkpoints.read(tmp_path / "mask.npz"), wanted)
    applied = masks(tmp_path / "new.safetensors")
    for name, mask in wanted.items():
        np.testing.assert_array_equal(applied[name], tensors[name][1] * mask)


def test_executors_give_the_same_bytes(tmp_path):
    tensors = model("BF16")
    folder = sharded(tmp_path / "model", tensors, 3)
    for name, executor in (
        ("none", None),
        ("threads", ThreadPoolExecutor(3)),
    ):
        checkpoints.prune(
            folder, tmp_path / name, density=0.3, design="priority", rng=6, executor=executor
        )
    for file in sorted((tmp_path / "none").iterdir()):
        assert file.read_bytes() == (tmp_path / "threads" / file.name).read_bytes()


# --- killed, full, damaged ----------------------------------------------------------------------


class Killed(BaseException):
    """What no handler of errors sees."""


def test_a_run_that_is_killed_goes_on(tmp_path, monkeypatch):
    tensors = model("BF16")
    folder = sharded(tmp_path / "model", tensors, 3)
    options = {"density": 0.3, "design": "systematic", "n_jobs": 1}
    checkpoints.prune(folder, tmp_path / "whole", **options, rng=7)
    finish = runs.Run._finish

    def once(self, shard, plan, done):
        new = shard not in done
        finish(self, shard, plan, done)
        if new:
            raise Killed

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(runs.Run, "_finish", once)
        for done in (1, 2, 3):
            with pytest.raises(Killed):
                checkpoints.prune(folder, out, **options, rng=7)
            assert len(list(out.glob("*.safetensors"))) == done
    checkpoints.prune(folder, out, **options, rng=7)
    assert {f.name for f in out.iterdir()} == {f.name for f in (tmp_path / "whole").iterdir()}
    for file in out.iterdir():
        assert file.read_bytes() == (tmp_path / "whole" / file.name).read_bytes()
    # Without a seed the bits of the killed run are taken up; another seed begins anew.
    for seed in (None, 8):
        with monkeypatch.context() as patch:
            patch.setattr(runs.Run, "_finish", once)
            with pytest.raises(Killed):
                checkpoints.prune(folder, tmp_path / "again", **options, rng=seed)
        checkpoints.prune(folder, tmp_path / "again", **options, rng=seed)
        drawn = masks(tmp_path / "again")
        total = sum(mask.size for mask in drawn.values())
        assert sum(int(mask.sum()) for mask in drawn.values()) == math.floor(0.3 * total + 0.5)
    same(drawn, expected(tensors, 0.3, "systematic", 8))


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    folder = sharded(tmp_path / "model", model("BF16"), 2)

    save(tmp_path / "one.safetensors", model("BF16"))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=r"there is no room for .* bytes in .*nothing was written"):
        checkpoints.prune(folder, tmp_path / "out", density=0.3)
    assert not (tmp_path / "out").exists()
    with pytest.raises(OSError, match="there is no room"):
        checkpoints.prune(tmp_path / "one.safetensors", tmp_path / "out.safetensors", density=0.3)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["model", "one.safetensors"]


@pytest.mark.parametrize("design", ["top", "priority"])
def test_a_disk_that_fills_up_at_work_leaves_nothing(design, tmp_path, monkeypatch):
    folder = sharded(tmp_path / "model", model("BF16"), 2)
    put, calls = writing.put, []

    def fills_up(*arguments):
        calls.append(arguments)
        if len(calls) == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        put(*arguments)

    monkeypatch.setattr(writing, "put", fills_up)
    for jobs in (1, 2):
        calls.clear()
        with pytest.raises(OSError, match=r"there is no room for .* bytes in .*nothing was writ"):
            checkpoints.prune(folder, tmp_path / "out", density=0.3, design=design, n_jobs=jobs)
        assert not (tmp_path / "out").exists()
    # What was there before stays, and nothing of ours beside it.
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes").write_text("")
    calls.clear()
    with pytest.raises(OSError, match="there is no room"):
        checkpoints.prune(folder, tmp_path / "out", density=0.3, design=design)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["notes"]


def test_the_first_entry_that_is_not_finite_is_named(tmp_path):
    for dtype, bad in (("BF16", 0xFFC0), ("F16", 0x7C00), ("F32", 0x7F800000)):
        for design in ("top", "priority", "multinomial"):
            tensors = model(dtype)
            for name, place in (("layer3.weight", (41, 7)), ("layer0.weight", (13, 5))):
                tensors[name][1][place] = bad
            tensors["layer4.weight"][1][2, 299] = bad
            folder = sharded(tmp_path / f"{dtype}{design}", tensors, 3)
            with pytest.raises(ValueError, match=r"layer0.weight\[13, 5\] = (nan|inf)"):
                checkpoints.prune(folder, tmp_path / "out", density=0.3, design=design)
            assert not (tmp_path / "out").exists()


def damaged(folder, tensors):
    """Calls that damage a copy of the checkpoint, and what is said of it."""
    index = folder / "model.safetensors.index.json"
    first = folder / "model-00001-of-00002.safetensors"
    listed = json.loads(index.read_text())
    name, _ = next(iter(listed["weight_map"].items()))
    raw = first.read_bytes()
    size = int.from_bytes(raw[:8], "little")

    def names(value):
        changed = {**listed, "weight_map": {**listed["weight_map"], name: value}}
        index.write_text(json.dumps(changed))

    def heads(change):
        head = json.loads(raw[8 : 8 + size])
        change(head)
        text = json.dumps(head).encode()
        first.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + size :])

    def overlap(head):
        entries = [e for n, e in head.items() if n != "__metadata__"]
        low, high = entries[1]["data_offsets"]
        entries[1]["data_offsets"] = [low - 2, high - 2]

    def beyond(head):
        entry = [e for n, e in head.items() if n != "__metadata__"][-1]
        low, high = entry["data_offsets"]
        entry["data_offsets"] = [low + 10**6, high + 10**6]

    def short(head):
        entry = next(e for n, e in head.items() if n != "__metadata__")
        entry["shape"] = [3, *entry["shape"]]

    def retyped(head):
        entry = next(e for n, e in head.items() if n != "__metadata__")
        entry["dtype"] = "F3"

    yield lambda: names("gone.safetensors"), "names the shard gone.safetensors, which is missing"
    yield lambda: names("../x.safetensors"), "no file of its folder"
    yield lambda: names("/etc/passwd"), "no file of its folder"
    yield lambda: names(3), "no file of its folder"
    yield lambda: names("model-00002-of-00002.safetensors"), "but it does not"
    yield lambda: index.write_text("[1]"), "no index of a model in several files"
    yield lambda: index.write_text("{"), "no index of a model in several files"
    yield lambda: first.write_bytes(raw[:-10]), "beyond the end of the file"
    yield lambda: first.write_bytes(raw[:100]), "truncated"
    yield lambda: first.write_bytes(b""), "truncated"
    yield lambda: heads(overlap), "overlaps"
    yield lambda: heads(beyond), "beyond the end of the file"
    yield lambda: heads(short), "takes"
    yield lambda: heads(retyped), "does not tell the type"
    del listed["weight_map"][name]
    yield lambda: index.write_text(json.dumps(listed)), "does not list"


def test_damaged_checkpoints_are_named_before_any_work(tmp_path):
    tensors = model("BF16")
    for number in range(15):
        folder = sharded(tmp_path / str(number), tensors, 2)
        damage, text = list(damaged(folder, tensors))[number]
        damage()
        with pytest.raises((ValueError, FileNotFoundError), match=text):
            checkpoints.prune(folder, tmp_path / "out", density=0.3)
        assert not (tmp_path / "out").exists()


def test_bad_arguments_are_refused_before_any_work(tmp_path):
    tensors = model("BF16")
    folder = sharded(tmp_path / "model", tensors, 2)
    files = sorted(folder.glob("*.safetensors"))
    one = tmp_path / "one.safetensors"
    save(one, tensors)
    out = tmp_path / "out"
    (tmp_path / "file").write_text("")
    save(tmp_path / "wide.safetensors", {"w": ("F64", np.ones((2, 3)))})
    save(tmp_path / "whole.safetensors", {"w": ("I32", np.ones((2, 3), np.int32))})
    twice = tmp_path / "twice"
    twice.mkdir()
    save(twice / "b.safetensors", dict(list(tensors.items())[:1]))
    refused = {
        "out must differ": lambda: checkpoints.prune(folder, folder, density=0.3),
        "out must be a folder": lambda: checkpoints.prune(folder, tmp_path / "file", density=0.3),
        "out must be a file": lambda: checkpoints.prune(one, tmp_path, density=0.3),
        "suffix of 'x.txt' must be one of .npz, .safetensors": lambda: checkpoints.prune(
            one, tmp_path / "x.txt", density=0.3
        ),
        "there is no folder": lambda: checkpoints.prune(
            one, tmp_path / "no" / "x.safetensors", density=0.3
        ),
        "an empty list": lambda: checkpoints.prune([], out, density=0.3),
        "two files": lambda: checkpoints.prune([files[0], files[0]], out, density=0.3),
        "both hold": lambda: checkpoints.prune([*files, twice / "b.safetensors"], out, density=0.3),
        "no .safetensors file in the folder": lambda: checkpoints.prune(
            empty(tmp_path), out, density=0.3
        ),
        "there is no file": lambda: checkpoints.prune(tmp_path / "x.safetensors", out, density=0.3),
        "drawn in memory": lambda: checkpoints.prune(
            [tmp_path / "wide.safetensors"], out, density=0.5
        ),
        "16 bits or more": lambda: checkpoints.prune(
            tmp_path / "whole.safetensors", tmp_path / "y.safetensors", density=0.5
        ),
        "design must be one of": lambda: checkpoints.prune(
            folder, out, density=0.3, design="hybrid"
        ),
        "score must be one of": lambda: checkpoints.prune(folder, out, density=0.3, score="snip"),
        "density": lambda: checkpoints.prune(folder, out, density=1.5),
        "matches": lambda: checkpoints.prune(folder, out, density=0.3, skip="a"),
        "no prunable weights": lambda: checkpoints.prune(folder, out, density=0.3, skip=["*"]),
        "floor = 3 is more than the 2 entries": lambda: checkpoints.prune(
            folder, out, density=0.3, floor=3
        ),
        "executor must be": lambda: checkpoints.prune(folder, out, density=0.3, executor=2),
    }
    for text, call in refused.items():
        with pytest.raises((TypeError, ValueError, OSError)) as caught:
            call()
        assert text in str(caught.value), text
        assert not out.exists(), text


def empty(tmp_path):
    (tmp_path / "empty").mkdir(exist_ok=True)
    return tmp_path / "empty"
