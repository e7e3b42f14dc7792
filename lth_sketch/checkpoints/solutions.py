"""From what the pieces tell to what each of them keeps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from lth_sketch.checkpoints import looking, solving, streams
from lth_sketch.checkpoints.looking import Cells, Looked, Work
from lth_sketch.checkpoints.plans import Group, Piece, tasks
from lth_sketch.checkpoints.reading import Reserved
from lth_sketch.checkpoints.semi_structured import all_zero
from lth_sketch.checkpoints.solving import Unresolved
from lth_sketch.checkpoints.streams import Seed
from lth_sketch.checkpoints.writing import Order, Written
from lth_sketch.inclusion.checked import ALL, check_span
from lth_sketch.kernels import walks
from lth_sketch.validation import Floats, Integers

# Runs tasks, bundles of entries one a piece, and yields the results of each piece in order.
Run = Callable[[Callable[..., Any], Iterable[tuple[Any, ...]]], Iterator[Any]]
# The block whose stream decides between two numbers of draws: no group has so many.
APART = 2**31
Reserves = dict[Piece, list[Reserved]]


def bundled(groups: Sequence[Group], entry: Callable[[Piece], Any]) -> Iterator[tuple[Any, ...]]:
    """Yield tasks: an entry for each piece of the groups."""
    for task in tasks([piece for group in groups for piece in group.pieces]):
        yield tuple(entry(piece) for piece in task)


def floors(groups: Sequence[Group], floor: int, run: Run) -> Reserves:
    """Find the `floor` largest weights of each tensor, the first among equals."""
    pieces = [piece for group in groups for piece in group.pieces]
    tops: dict[int, list[tuple[Piece, int, Cells]]] = {}
    answers = run(looking.largest, bundled(groups, lambda piece: (piece, floor)))
    for piece, (cells, _) in zip(pieces, answers, strict=True):
        for number, segment in enumerate(piece.segments):
            tops.setdefault(segment.tensor, []).append((piece, number, cells[number]))
    result: Reserves = {piece: [Reserved(-1, 0)] * len(piece.segments) for piece in pieces}
    for parts in tops.values():
        bits, left = solving.top(looking.merged([cells for _, _, cells in parts]), floor)
        for piece, number, cells in parts:
            at = int(cells.counts[cells.bits == bits].sum())
            result[piece][number] = Reserved(bits, min(left, at))
            left -= min(left, at)
    return result


def patterned(work: Work, groups: Sequence[Group], run: Run) -> list[Order]:
    """Return the orders of a pattern: they hang on nothing but their own weights.

    Raises
    ------
    ValueError
        If a weight is not finite (the first one is named), or all of a tensor that is drawn are
        zero.
    """
    told = run(looking.sound, bundled(groups, lambda piece: piece))
    for group in groups:
        answers = [next(told) for _ in group.pieces]
        for fault, _, _ in answers:
            if fault is not None:
                raise ValueError(fault)
        if work.design != "top" and not work.alike and all(zero for _, zero, _ in answers):
            raise all_zero(group.name)
    return [Order(piece, None, "pattern") for group in groups for piece in group.pieces]


def orders(
    work: Work, groups: Sequence[Group], reserves: Reserves | None, floor: int, run: Run
) -> list[Order]:
    """Return what each piece has to keep.

    Raises
    ------
    ValueError
        If a weight is not finite (the first one is named), or a draw wants more weights than there
        are other than zero.
    """
    looks: dict[Piece, Looked] = {}
    pieces = [piece for group in groups for piece in group.pieces]
    answers = run(looking.look, bundled(groups, lambda piece: (piece, _of(reserves, piece))))
    for piece, told in zip(pieces, answers, strict=True):
        if told.fault is not None:
            raise ValueError(told.fault)
        looks[piece] = told
    result: list[Order] = []
    for group in groups:
        # A group is known by its place, which its pieces carry.
        result += _Solution(work, group, reserves, floor, run).orders(
            [looks.pop(piece) for piece in group.pieces]
        )
    return result


def _of(reserves: Reserves | None, piece: Piece) -> list[Reserved] | None:
    return None if reserves is None else reserves[piece]


class _Solution:
    """One group's thresholds."""

    def __init__(
        self, work: Work, group: Group, reserves: Reserves | None, floor: int, run: Run
    ) -> None:
        self.work, self.group, self.reserves, self.run = work, group, reserves, run
        self.s = group.kept - floor * len(group.tensors)

    def order(self, piece: Piece, design: str, **fields: Any) -> Order:
        return Order(piece, _of(self.reserves, piece), design, **fields)

    def orders(self, looks: list[Looked]) -> list[Order]:
        pieces, s = self.group.pieces, self.s
        total = looking.merged([told.cells for told in looks])
        # Weights that a floor keeps are zero for the draw.
        nonzero = self.group.size - sum(told.zeros for told in looks)
        reserved = self.group.kept - s
        if s == 0:
            return [self.order(piece, "none") for piece in pieces]
        design = self.work.design
        if design == "top":
            return self._top(looks, total)
        if s > nonzero:
            raise ValueError(
                f"density is too large for a draw: beyond the floor it keeps {s} entries of "
                f"{self.group.name}, but only {nonzero} there are not zero; lower the density, or "
                f"use design='top' ({reserved} are kept by the floor)"
            )
        if s == nonzero:
            return [self.order(piece, "all", tau=ALL) for piece in pieces]
        if design == "multinomial":
            return self._with_replacement(looks, total, nonzero)
        if design == "priority":
            return self._priority(total)
        tau = self._resolved(looks, total, lambda cells: solving.threshold(cells, s))[0]
        check_span(tau, s)
        if design == "poisson":
            return [self.order(piece, "poisson", tau=tau) for piece in pieces]
        return self._systematic(looks, tau)

    def _resolved(
        self, looks: list[Looked], total: Cells, solve: Callable[[Cells], Any]
    ) -> tuple[Any, int | None, list[Integers]]:
        """Solve; read the lower bits where the answer hangs on them."""
        try:
            return solve(total), None, []
        except Unresolved as error:
            upper = error.upper
        entry = lambda piece: (piece, _of(self.reserves, piece), upper)  # noqa: E731
        counts = [part for part, _ in self.run(looking.within, bundled([self.group], entry))]
        return solve(solving.resolved(total, upper, sum(counts))), upper, counts

    def _top(self, looks: list[Looked], total: Cells) -> list[Order]:
        (bits, left), upper, lows = self._resolved(
            looks, total, lambda cells: solving.top(cells, self.s)
        )
        result = []
        for number, (piece, told) in enumerate(zip(self.group.pieces, looks, strict=True)):
            if upper is None:
                at = int(told.cells.counts[told.cells.bits == bits].sum())
            else:
                at = int(lows[number][bits & 0xFFFF])
            result.append(self.order(piece, "top", bits=bits, ties=min(left, at)))
            left -= min(left, at)
        return result

    def _systematic(self, looks: list[Looked], tau: float) -> list[Order]:
        pieces = self.group.pieces
        if any(told.cells.lows.any() for told in looks):
            entry = lambda piece: (piece, _of(self.reserves, piece), tau)  # noqa: E731
            steps = [n for n, _ in self.run(looking.lengths, bundled([self.group], entry))]
        else:
            steps = [solving.walk(told.cells, tau) for told in looks]
        rng = self._rng()
        completed = -1
        while completed != self.s:
            start = int(rng.integers(walks.UNIT))
            completed = (start + sum(steps)) >> walks.FRACTION
        result = []
        for piece, step in zip(pieces, steps, strict=True):
            phase = start & (walks.UNIT - 1)
            result.append(self.order(piece, "systematic", tau=tau, phase=phase))
            start += step
        return result

    def _priority(self, total: Cells) -> list[Order]:
        low, high = solving.bracket(total, self.s)
        return [
            self.order(p, "priority", low=low, high=high, wanted=self.s) for p in self.group.pieces
        ]

    def _with_replacement(self, looks: list[Looked], total: Cells, nonzero: int) -> list[Order]:
        rng = self._rng()
        s, more = solving.draws_for(total, self.s, nonzero)
        # From a stream of its own: the rest is `sampling.draw` with s draws.
        s += int(streams.generator(self._seed(), APART).random() < more)
        sums: Floats = np.concatenate([told.sums for told in looks])
        mass = math.fsum(sums)
        split = np.zeros(len(sums), np.int64)
        live = np.flatnonzero(sums)
        split[live] = rng.multinomial(s, sums[live] / mass) if len(sums) > 1 else s
        result, first = [], 0
        for piece in self.group.pieces:
            part = slice(first, first + piece.last - piece.first)
            first = part.stop
            result.append(
                self.order(
                    piece, "multinomial", tau=mass / s, counts=split[part], masses=sums[part]
                )
            )
        return result

    def _seed(self) -> Seed:
        return self.work.seeds[self.group.pieces[0].group]

    def _rng(self) -> np.random.Generator:
        kind, sequence, _ = self._seed()
        return np.random.Generator(kind(sequence))


def decided(orders: list[Order], own: list[Written]) -> list[Order] | None:
    """Turn the ranks in doubt of one group's pieces into the threshold of a priority draw.

    None where the (s+1)-th largest rank is not among them.
    """
    wanted = orders[0].wanted - sum(written.sure for written in own)
    ranks = np.concatenate([written.ranks for written in own])
    if not 0 <= wanted < len(ranks):
        return None
    place = len(ranks) - 1 - wanted
    tau = float(np.partition(ranks, place)[place])
    missing = wanted - int(np.count_nonzero(ranks > tau))
    result = []
    for order, written in zip(orders, own, strict=True):
        ties = written.positions[written.ranks == tau][:missing]
        missing -= len(ties)
        accepted = tuple(int(i) for i in ties)
        result.append(order._replace(tau=tau, low=tau, high=tau, accepted=accepted))
    return result


def widened(orders: list[Order]) -> list[Order]:
    """Search for the threshold of a priority draw in a wider range."""
    low, high = orders[0].low, orders[0].high
    wider = (high / low) ** 4 if high < np.inf else np.inf
    return [order._replace(low=max(low / wider, ALL), high=high * wider) for order in orders]
