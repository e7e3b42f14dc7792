"""Image files: what is written is read back, and damage is named."""

from __future__ import annotations

import gzip
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_files import (
    gzipped,
    idx,
    images,
    python_2_batch,
    write_binary,
    write_idx,
    write_python,
)

from lth_sketch.datasets import formats

SQUARE, PLANES = (28, 28), (3, 32, 32)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(("split", "prefix"), [("train", "train"), ("test", "t10k")])
def test_idx_round_trip(tmp_path: Path, split: str, prefix: str, zipped: bool) -> None:
    pixels, labels = images(5, SQUARE)
    write_idx(tmp_path, prefix, pixels, labels, zipped=zipped)
    paths = formats.find_idx(tmp_path, split)
    assert [path.suffix == ".gz" for path in paths] == [zipped, zipped]
    X, y = formats.read_idx(paths)
    np.testing.assert_array_equal(X, pixels.reshape(5, 784))
    np.testing.assert_array_equal(y, labels)


def test_idx_plain_files_before_zipped_ones(tmp_path: Path) -> None:
    write_idx(tmp_path, "train", *images(4, SQUARE, seed=1), zipped=True)
    write_idx(tmp_path, "train", *images(5, SQUARE, seed=2), zipped=False)
    X, _ = formats.read_idx(formats.find_idx(tmp_path, "train"))
    assert len(X) == 5
    assert formats.find_idx(tmp_path, "test") == []


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("marks", ["--", "-.", ".-", ".."])
@pytest.mark.parametrize("ends", [("", ""), (".gz", ""), ("", ".gz"), (".gz", ".gz")])
def test_idx_names_of_either_spelling(tmp_path: Path, split: str, marks: str, ends: Any) -> None:
    pixels, labels = images(3, SQUARE)
    prefix = {"train": "train", "test": "t10k"}[split]
    stems = (f"{prefix}-images{marks[0]}idx3-ubyte", f"{prefix}-labels{marks[1]}idx1-ubyte")
    wanted = [tmp_path / f"{stem}{end}" for stem, end in zip(stems, ends, strict=True)]
    for path, values in zip(wanted, (pixels, labels), strict=True):
        path.write_bytes(gzip.compress(idx(values)) if path.suffix == ".gz" else idx(values))
    assert formats.find_idx(tmp_path, split) == wanted
    X, y = formats.read_idx(wanted)
    np.testing.assert_array_equal(X, pixels.reshape(3, 784))
    np.testing.assert_array_equal(y, labels)
    # What is unpacked comes before what is not, the original spelling before the other.
    first = tmp_path / f"{prefix}-images-idx3-ubyte"
    first.write_bytes(idx(pixels[:1]))
    assert formats.find_idx(tmp_path, split)[0] == first


def test_idx_compression_is_told_by_content(tmp_path: Path) -> None:
    # Browsers unpack .gz files and keep the name, or the other way round.
    pixels, labels = images(3, SQUARE)
    (tmp_path / "a.gz").write_bytes(idx(pixels))
    (tmp_path / "b").write_bytes(gzipped(idx(labels)))
    X, y = formats.read_idx([tmp_path / "a.gz", tmp_path / "b"])
    np.testing.assert_array_equal(X, pixels.reshape(3, 784))
    np.testing.assert_array_equal(y, labels)


PIXELS, LABELS = images(3, SQUARE)
GOOD = (idx(PIXELS), idx(LABELS))


@pytest.mark.parametrize(
    ("pixels", "labels", "message"),
    [
        (GOOD[0][:-1], GOOD[1], r"a must have .*'n', 28, 28.*16.*\(3, 28, 28\) and 2367 bytes"),
        (GOOD[0] + b"\0", GOOD[1], r"a must have .* and 2369 bytes"),
        (GOOD[0][:9], GOOD[1], r"a must have .* and 9 bytes"),
        (b"", GOOD[1], "a must begin .* got 0x$"),
        (GOOD[1], GOOD[0], "a must begin with .*0x00000803 .* got 0x00000801"),
        (GOOD[0], GOOD[0], "b must begin with .*0x00000801 .* got 0x00000803"),
        (b"\0\0\x0d\3" + GOOD[0][4:], GOOD[1], "a must begin .* got 0x00000d03"),
        (idx(PIXELS.reshape(3, 14, 56)), GOOD[1], r"a must have .*\(3, 14, 56\)"),
        (idx(PIXELS[:0]), idx(LABELS[:0]), r"a must have .* n > 0.*\(0, 28, 28\)"),
        (GOOD[0], GOOD[1][:-1], r"b must have .*\(3,\) and 10 bytes"),
        (GOOD[0], idx(LABELS[:2]), "a holds 3 images, but .*b holds 2 labels"),
        (GOOD[0], GOOD[1][:-1] + b"\x0a", "b: labels must be 0 to 9; got 10 in record 2"),
        (gzipped(GOOD[0])[:-9], GOOD[1], "a is damaged"),
        (b"\x1f\x8b" + GOOD[0], GOOD[1], "a is damaged"),
    ],
)
def test_idx_damage(tmp_path: Path, pixels: bytes, labels: bytes, message: str) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path, data in zip(paths, (pixels, labels), strict=True):
        path.write_bytes(data)
    with pytest.raises(ValueError, match=message):
        formats.read_idx(paths)


def test_idx_needs_both_files(tmp_path: Path) -> None:
    write_idx(tmp_path, "train", PIXELS, LABELS, zipped=False)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte is there, but"):
        formats.read_idx(formats.find_idx(tmp_path, "train"))


@given(data=st.data(), zipped=st.booleans())
def test_idx_truncation_never_passes(
    data: st.DataObject, zipped: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = gzipped(GOOD[0]) if zipped else GOOD[0]
    folder = tmp_path_factory.mktemp("idx")
    (folder / "a").write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    (folder / "b").write_bytes(GOOD[1])
    with pytest.raises(ValueError, match=r"a (must|is damaged)"):
        formats.read_idx([folder / "a", folder / "b"])


@given(position=st.integers(0, 15), value=st.integers(1, 255))
def test_idx_header_has_no_free_byte(
    position: int, value: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    header = bytearray(GOOD[0])
    header[position] ^= value
    folder = tmp_path_factory.mktemp("idx")
    (folder / "a").write_bytes(header)
    (folder / "b").write_bytes(GOOD[1])
    with pytest.raises(ValueError, match=r"a (must|is damaged)"):
        formats.read_idx([folder / "a", folder / "b"])


def test_binary_batches_in_order(tmp_path: Path) -> None:
    parts = {f"data_batch_{k}": images(2, PLANES, seed=k) for k in (5, 2, 3)}
    for name, part in parts.items():
        write_binary(tmp_path, name, *part)
    paths = formats.find_cifar(tmp_path, "train")
    assert [path.stem[-1] for path in paths] == ["2", "3", "5"]
    X, y = formats.read_cifar(paths)
    wanted = [parts[path.stem] for path in paths]
    np.testing.assert_array_equal(X, np.concatenate([x.reshape(2, -1) for x, _ in wanted]))
    np.testing.assert_array_equal(y, np.concatenate([labels for _, labels in wanted]))
    assert formats.find_cifar(tmp_path, "test") == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "at least one; got 0 bytes"),
        (bytes(3072), "got 3072 bytes"),
        (bytes(3073) + b"\x0a" + bytes(3072), "labels must be 0 to 9; got 10 in record 1"),
    ],
)
def test_binary_damage(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "test_batch.bin"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"test_batch.bin.*{message}"):
        formats.read_cifar([path])


X2, Y2 = images(2, (3072,), seed=7)
BATCH: dict[Any, Any] = {b"data": X2, b"labels": Y2.tolist(), b"filenames": [b"a.png", b"b.png"]}


def assert_read(path: Path) -> None:
    X, y = formats.read_cifar([path])
    np.testing.assert_array_equal(X, X2)
    np.testing.assert_array_equal(y, Y2)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("key", [bytes, lambda b: b.decode()], ids=["bytes", "str"])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_python_batch(tmp_path: Path, protocol: int, key: Any, order: Any) -> None:
    content = {key(name): value for name, value in BATCH.items()}
    content[key(b"data")] = np.array(X2, order=order)
    write_python(tmp_path, "test_batch", content, protocol)
    (path,) = formats.find_cifar(tmp_path, "test")
    assert_read(path)


def test_python_batch_as_published(tmp_path: Path) -> None:
    path = write_python(tmp_path, "data_batch_1", None)
    path.write_bytes(python_2_batch(X2, Y2))
    assert_read(path)


def test_binary_before_python(tmp_path: Path) -> None:
    write_python(tmp_path, "data_batch_1", BATCH)
    write_binary(tmp_path, "data_batch_4", *images(1, PLANES))
    assert [path.name for path in formats.find_cifar(tmp_path, "train")] == ["data_batch_4.bin"]


class Call:
    """Pickles as a call, which an ordinary unpickler makes."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("function", ["system", "eval"])
def test_python_batch_runs_nothing(tmp_path: Path, function: str, protocol: int) -> None:
    mark = tmp_path / "it_ran"
    calls = {
        "system": (os.system, f"echo > {mark}"),
        "eval": (eval, f"open({str(mark)!r}, 'w').close()"),
    }
    path = write_python(
        tmp_path, "test_batch", {**BATCH, b"filenames": Call(*calls[function])}, protocol
    )
    with pytest.raises(ValueError, match=rf"test_batch must be .* asks for \w+.{function}"):
        formats.read_cifar([path])
    assert not mark.exists()
    # The charge is live: the ordinary reader sets it off.
    pickle.loads(path.read_bytes())
    assert mark.exists()


def test_python_batch_cannot_reach_the_stand_in(tmp_path: Path) -> None:
    # BUILD on a class would set its attributes for every later load.
    path = write_python(tmp_path, "test_batch", None)
    path.write_bytes(b"\x80\x02cnumpy\ndtype\n}U\x09argumentsK\x01sb.")
    with pytest.raises(ValueError, match="test_batch must be"):
        formats.read_cifar([path])
    assert_read(write_python(tmp_path, "test_batch", BATCH))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "AttributeError"),
        ({b"labels": [1]}, "KeyError: b'data'"),
        ({b"data": X2}, "KeyError: b'labels'"),
        ({**BATCH, 5: 0}, "int where text or bytes should be"),
        ({**BATCH, b"data": X2.tolist()}, "AttributeError"),
        ({**BATCH, b"data": X2.astype(np.int64)}, "type 'i8', not 'u1'"),
        ({**BATCH, b"data": X2[:, :-1]}, r"data of shape \(2, 3071\) and 2 labels"),
        ({**BATCH, b"data": X2[:1]}, r"data of shape \(1, 3072\) and 2 labels"),
        ({b"data": X2[:0], b"labels": []}, r"data of shape \(0, 3072\) and 0 labels"),
        ({**BATCH, b"labels": Y2}, "labels are not a list"),
        ({**BATCH, b"labels": [True, 1]}, "labels are not a list of integers"),
        ({**BATCH, b"labels": [0.0, 1.0]}, "labels are not a list of integers"),
        ({**BATCH, Call(str.encode, "data", "utf7"): 0}, "asks for builtins.getattr"),
    ],
)
def test_python_batch_of_something_else(tmp_path: Path, content: Any, message: str) -> None:
    path = write_python(tmp_path, "test_batch", content)
    with pytest.raises(ValueError, match=f"test_batch must be .*{message}"):
        formats.read_cifar([path])


@pytest.mark.parametrize("labels", [[3, 10], [3, -1], [3, 2**70]])
def test_python_batch_of_other_classes(tmp_path: Path, labels: list[int]) -> None:
    path = write_python(tmp_path, "test_batch", {**BATCH, b"labels": labels})
    with pytest.raises(ValueError, match=f"test_batch: .* got {labels[1]} in record 1"):
        formats.read_cifar([path])


def test_python_batch_of_another_encoding(tmp_path: Path) -> None:
    path = write_python(tmp_path, "test_batch", BATCH, protocol=2)
    path.write_bytes(path.read_bytes().replace(b"latin1", b"rot_13"))
    with pytest.raises(ValueError, match="encoding 'rot_13', not latin1"):
        formats.read_cifar([path])


@given(data=st.data(), protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_python_batch_truncation_never_passes(
    data: st.DataObject, protocol: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = pickle.dumps(BATCH, protocol=protocol)
    path = tmp_path_factory.mktemp("cifar") / "test_batch"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(ValueError, match="test_batch must be"):
        formats.read_cifar([path])
