"""Files that are written in pieces and renamed when whole; the plan that a killed run leaves."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lth_sketch.checkpoints.shards import Shards, Tensor, header
from lth_sketch.checkpoints.writing import width

COPIED = 1 << 24
PLAN = ".lth_sketch.plan.json"


class Outputs:
    """The files that a run writes: where each tensor goes, and which files are finished.

    A file grows under a hidden name. What an error leaves is removed; what a kill leaves is taken
    up by the next run with the same arguments, shard by shard.
    """

    def __init__(
        self,
        shards: Shards,
        tensors: tuple[Tensor, ...],
        out: Path,
        *,
        folder: bool,
        apply: bool,
        rescale: bool,
    ) -> None:
        self.shards, self.apply = shards, apply
        self.folder = out if folder else out.parent
        self.plan = out / PLAN if folder else out.with_name(f".{out.name}{PLAN}")
        self.made = folder and not out.exists()
        pruned = {tensor.name for tensor in tensors}
        self.paths: dict[int, Path] = {}
        self.entries: dict[int, dict[str, tuple[str, tuple[int, ...]]]] = {}
        self.places: dict[str, int] = {}
        self.sizes: dict[int, int] = {}
        self.heads: dict[int, bytes] = {}
        for shard, file in enumerate(shards.files):
            held = [t for t in shards.tensors if t.shard == shard]
            if apply:
                held.sort(key=lambda t: (t.start, t.name))
            else:
                held = [t for t in held if t.name in pruned]
            if not held:
                continue
            kinds = {t.name: width(apply or t.name not in pruned, rescale, t.dtype) for t in held}
            entries = {t.name: (kinds[t.name][0], t.shape) for t in held}
            about = shards.metadata[shard] if apply else {}
            self.heads[shard] = header(entries, about)
            place = len(self.heads[shard])
            for t in held:
                self.places[t.name] = place
                place += t.size * kinds[t.name][1]
            self.sizes[shard] = place
            self.entries[shard] = entries
            self.paths[shard] = out / file.name if folder else out
        self.copied = [t for t in shards.tensors if apply and t.name not in pruned]

    def hidden(self, shard: int) -> Path:
        """Return the name of a file while it grows."""
        path = self.paths[shard]
        return path.with_name(f".{path.name}.unfinished")

    def begin(self, done: set[int]) -> None:
        """Make the files at their full sizes: a disk that is too small is found before the work.

        Raises
        ------
        OSError
            If they do not fit, or the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for shard in self.paths:
                if shard in done:
                    continue
                handle = os.open(self.hidden(shard), os.O_RDWR | os.O_CREAT, 0o666)
                try:
                    os.ftruncate(handle, self.sizes[shard])
                    os.posix_fallocate(handle, 0, self.sizes[shard])
                    os.pwrite(handle, self.heads[shard], 0)
                finally:
                    os.close(handle)
        except OSError as error:
            raise self.refused(error) from error

    def refused(self, error: OSError) -> OSError:
        """Return the error of a disk in our words."""
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            need = sum(self.sizes.values())
            return OSError(
                f"there is no room for {need:,} bytes in {self.folder}; free some, or name another "
                "place; nothing was written"
            )
        return OSError(f"cannot write into {self.folder}: {error.strerror}; name another place")

    def copy(self, done: set[int]) -> None:
        """Copy what is not pruned."""
        for tensor in self.copied:
            if tensor.shard in done:
                continue
            with (
                self.shards.files[tensor.shard].open("rb") as source,
                self.hidden(tensor.shard).open("r+b") as target,
            ):
                source.seek(tensor.start)
                target.seek(self.places[tensor.name])
                left = tensor.nbytes
                while left:
                    data = source.read(min(left, COPIED))
                    if not data:
                        raise OSError(
                            f"{self.shards.files[tensor.shard]} became shorter; run again"
                        )
                    target.write(data)
                    left -= len(data)

    def finish(self, shard: int) -> None:
        """Rename a file that is whole."""
        with self.hidden(shard).open("rb") as handle:
            os.fsync(handle.fileno())
        os.replace(self.hidden(shard), self.paths[shard])

    def index(self) -> None:
        """Write the index of the shards, if there was one, and forget the plan."""
        if self.shards.listing is not None:
            weights = {
                name: self.paths[shard].name
                for shard, entries in self.entries.items()
                for name in entries
            }
            total = sum(self.sizes[shard] - len(self.heads[shard]) for shard in self.paths)
            content = {
                "metadata": {"total_size": total},
                "weight_map": dict(sorted(weights.items())),
            }
            replaced(self.folder / self.shards.listing, json.dumps(content, indent=2) + "\n")
        self.plan.unlink(missing_ok=True)

    def forget(self, *, whole: bool) -> None:
        """Remove what is unfinished; with `whole` the plan too, and a folder made in vain."""
        for shard in self.paths:
            self.hidden(shard).unlink(missing_ok=True)
        if whole:
            self.plan.unlink(missing_ok=True)
            if self.made and self.folder.is_dir() and not any(self.folder.iterdir()):
                self.folder.rmdir()


def replaced(path: Path, text: str) -> None:
    """Write a text file whole, or not at all."""
    partial = path.with_name(f".{path.name}.new")
    partial.write_text(text)
    os.replace(partial, path)


def digest(shards: Shards, asked: Mapping[str, Any]) -> str:
    """Return what tells one run from another: the files as they are, and what is asked of them."""
    files = [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in shards.files]
    text = json.dumps([files, shards.tensors, dict(asked)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def left(path: Path, key: str) -> dict[str, Any]:
    """Return the plan that an earlier run has left for the same work, or an empty one."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) and content.get("key") == key else {}


def text(plan: Mapping[str, Any]) -> str:
    """Return a plan as text; numbers come back as they are."""
    return json.dumps(plan, default=int) + "\n"
