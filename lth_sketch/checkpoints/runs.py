"""One run over the files of a checkpoint: look, solve, write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lth_sketch import validation
from lth_sketch.checkpoints import plans, solutions, unfinished, writing
from lth_sketch.checkpoints.looking import Work
from lth_sketch.checkpoints.plans import Group, Piece
from lth_sketch.checkpoints.shards import Shards, Tensor
from lth_sketch.checkpoints.solutions import Reserves
from lth_sketch.checkpoints.streams import Seed
from lth_sketch.checkpoints.unfinished import Outputs
from lth_sketch.checkpoints.writing import Order, Written
from lth_sketch.named import Kept
from lth_sketch.parallel.executors import spread


class Pruned(NamedTuple):
    """What a run has kept.

    Attributes
    ----------
    kept : dict
        For each weight, by name, how many entries are kept and its size.
    read : int
        Bytes that were read of the weights.
    files : tuple of path
        The files written.
    """

    kept: dict[str, Kept]
    read: int
    files: tuple[Path, ...]


class Run:
    """One run over the files: look, solve, write."""

    def __init__(
        self,
        stored: Shards,
        tensors: tuple[Tensor, ...],
        groups: list[Group],
        outputs: Outputs,
        asked: dict[str, Any],
        executor: Executor | None,
        threads: int,
    ) -> None:
        self.stored, self.tensors, self.groups, self.outputs = stored, tensors, groups, outputs
        self.asked, self.executor, self.threads = asked, executor, threads
        self.read = 0

    def go(self, rng: Any) -> Pruned:
        """Look, solve and write; leave nothing half-written."""
        plan = self._plan(rng)
        done = set(plan["done"])
        work = self._work(plan["seeds"])
        try:
            self.outputs.begin(done)
            self.outputs.copy(done)
            kept = self._pruned(work, plan, done)
        except Exception as error:
            self.outputs.forget(whole=not done)
            if isinstance(error, OSError) and error.errno is not None:
                raise self.outputs.refused(error) from error
            raise
        self.outputs.index()
        counts = {
            t.name: Kept(number, t.size) for t, number in zip(self.tensors, kept, strict=True)
        }
        return Pruned(counts, self.read, tuple(self.outputs.paths.values()))

    def _plan(self, rng: Any) -> dict[str, Any]:
        """Return the plan that a killed run has left, or a new one."""
        # A seed asks for its own bits; without one any bits will do, those of the killed run too.
        seed = _seed(rng)
        key = unfinished.digest(self.stored, self.asked | {"seed": None if rng is None else seed})
        plan = unfinished.left(self.outputs.plan, key)
        if not plan:
            plan = {"key": key, "seeds": seed, "done": []}
        plan["done"] = [n for n in plan["done"] if self.outputs.paths[n].is_file()]
        return plan

    def _work(self, seed: list[Any]) -> Work:
        kind, entropy, key, pool, spawned = seed
        seeds = tuple(
            Seed(
                getattr(np.random, kind),
                np.random.SeedSequence(entropy, spawn_key=(*key, spawned + g), pool_size=pool),
                group.size <= group.pieces[0].block,
            )
            for g, group in enumerate(self.groups)
        )
        alike = self.asked["score"] == "random"
        design, pattern = self.asked["design"], self.asked["pattern"]
        if alike and design == "top":
            design = "priority" if pattern is None else "systematic"
        outputs = tuple(
            (str(self.outputs.hidden(t.shard).absolute()), self.outputs.places[t.name])
            for t in self.tensors
        )
        return Work(
            self.tensors,
            tuple(str(file.absolute()) for file in self.stored.files),
            design,
            alike,
            None if pattern is None else tuple(pattern),
            seeds,
            tuple(
                all(self.tensors[t].dtype in plans.NARROW for t in group.tensors)
                for group in self.groups
            ),
            outputs,
            self.asked["apply"],
            self.asked["rescale"],
        )

    def _pruned(self, work: Work, plan: dict[str, Any], done: set[int]) -> list[int]:
        def run(function: Callable[..., Any], todo: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
            done = spread(function, todo, self.executor, common=work, threads=self.threads)
            for results in done:
                for result in results:
                    self.read += _bytes(result)
                    yield result

        reserves: Reserves | None = None
        floor = self.asked["floor"]
        if floor:
            reserves = solutions.floors(self.groups, floor, run)
        if self.asked["pattern"] is not None:
            orders = solutions.patterned(work, self.groups, run)
            self._save(plan)
        elif not plan.get("orders"):
            orders = solutions.orders(work, self.groups, reserves, floor, run)
            plan["orders"] = [_listed(order) for order in orders]
            self._save(plan)
        else:
            pieces = [piece for group in self.groups for piece in group.pieces]
            orders = [
                _order(piece, None if reserves is None else reserves[piece], fields)
                for piece, fields in zip(pieces, plan["orders"], strict=True)
            ]
        if self.asked["rescale"]:
            orders = self._settled(orders, run)
        return self._written(orders, run, plan, done)

    def _settled(self, orders: list[Order], run: Any) -> list[Order]:
        """Find the thresholds of priority draws in a read of their own: weights depend on them."""
        while any(_is_open(order) for order in orders):
            dry = [order._replace(dry=True) for order in orders]
            orders, _ = self._decide(orders, list(run(writing.write, _bundles(dry))))
        return orders

    def _decide(self, orders: list[Order], written: list[Written]) -> tuple[list[Order], bool]:
        """Settle what is open; False if a threshold lies elsewhere: another read will find it."""
        result: list[Order] = []
        every = True
        first = 0
        for group in self.groups:
            part = slice(first, first + len(group.pieces))
            first = part.stop
            some = orders[part]
            if _is_open(some[0]):
                closed = solutions.decided(some, written[part])
                every = every and closed is not None
                some = solutions.widened(some) if closed is None else closed
            result += some
        return result, every

    def _written(
        self, orders: list[Order], run: Any, plan: dict[str, Any], done: set[int]
    ) -> list[int]:
        """Write all pieces; finish each file when its last piece is written."""
        open_ended = any(_is_open(order) for order in orders)
        last: dict[int, int] = {}
        for number, order in enumerate(orders):
            for segment in order.piece.segments:
                last[self.tensors[segment.tensor].shard] = number
        ends: dict[int, list[int]] = {}
        for shard in self.outputs.paths:
            ends.setdefault(last.get(shard, 0), []).append(shard)
        every = False
        while not every:
            skipped = tuple(sorted(done))
            final = [order._replace(skipped=skipped) for order in orders]
            kept = [0] * len(self.tensors)
            written: list[Written] = []
            for number, result in enumerate(run(writing.write, _bundles(final))):
                for segment, count in zip(orders[number].piece.segments, result.kept, strict=True):
                    kept[segment.tensor] += count
                if open_ended:
                    written.append(result)
                    continue
                for shard in ends.get(number, []):
                    self._finish(shard, plan, done)
            before = orders
            orders, every = self._decide(orders, written) if open_ended else (orders, True)
        if open_ended:
            for order, settled, result in zip(before, orders, written, strict=True):
                if _is_open(order):
                    self._withdraw(settled, result, kept, done)
            for shard in self.outputs.paths:
                self._finish(shard, plan, done)
        return kept

    def _finish(self, shard: int, plan: dict[str, Any], done: set[int]) -> None:
        if shard in done:
            return
        self.outputs.finish(shard)
        done.add(shard)
        plan["done"] = sorted(done)
        self._save(plan)

    def _withdraw(self, order: Order, result: Written, kept: list[int], done: set[int]) -> None:
        """Take back what was kept for the time being and has a rank too small."""
        accepted = np.isin(result.positions, order.accepted)
        refused = result.positions[(result.ranks <= order.tau) & ~accepted]
        refused = refused - order.piece.first * order.piece.block
        start = 0
        for segment in order.piece.segments:
            size = segment.high - segment.low
            tensor = self.tensors[segment.tensor]
            inside = refused[(refused >= start) & (refused < start + size)] - start
            start += size
            kept[segment.tensor] -= len(inside)
            if tensor.shard in done or not len(inside):
                continue
            width = writing.width(self.asked["apply"], False, tensor.dtype)[1]
            place = self.outputs.places[tensor.name] + segment.low * width
            with self.outputs.hidden(tensor.shard).open("r+b") as file:
                written = np.memmap(file, np.uint8, "r+", place, (size, width))
                written[inside] = 0
                written.flush()

    def _save(self, plan: dict[str, Any]) -> None:
        unfinished.replaced(self.outputs.plan, unfinished.text(plan))


def _bundles(orders: list[Order]) -> Iterator[tuple[Order, ...]]:
    first = 0
    for task in plans.tasks([order.piece for order in orders]):
        yield tuple(orders[first : first + len(task)])
        first += len(task)


def _is_open(order: Order) -> bool:
    """Whether the threshold of a priority draw is not known yet."""
    return order.low < order.high


def _bytes(result: Any) -> int:
    return int(result[-1])


def _listed(order: Order) -> dict[str, Any]:
    """Return what a plan keeps of an order: numbers whose text gives them back."""
    fields = order._asdict()
    for name in ("piece", "reserved", "skipped", "dry", "accepted"):
        del fields[name]
    for name in ("counts", "masses"):
        value = fields[name]
        fields[name] = None if value is None else value.tolist()
    return fields


def _order(piece: Piece, reserved: Any, fields: dict[str, Any]) -> Order:
    arrays = {
        name: None if fields[name] is None else np.array(fields[name], kind)
        for name, kind in (("counts", np.int64), ("masses", np.float64))
    }
    return Order(piece, reserved, **(fields | arrays))


def _seed(rng: Any) -> list[Any]:
    """Return where the children of a Generator begin, in numbers that a plan can keep."""
    generator = validation.generator(rng)
    spawned = generator.bit_generator.seed_seq.n_children_spawned  # type: ignore[attr-defined]
    (child,) = generator.spawn(1)
    seed: Any = generator.bit_generator.seed_seq
    kind = type(child.bit_generator).__name__
    return [kind, seed.entropy, list(seed.spawn_key), seed.pool_size, spawned]
