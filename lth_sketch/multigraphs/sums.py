"""Sums over the labels of multigraphs, and the centred moments that they add up to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np

from lth_sketch.multigraphs.reduction import Link, plan
from lth_sketch.parallel.products import matmul
from lth_sketch.validation import Floats

# weigh(ends, loops) -> (d,): what the labels of a vertex of that degree count.
Weigh = Callable[[int, int], Floats]
# How the complete graph of four vertices enters: itself, or one of two bounds on its size.
Complete = Literal["exact", "cycle", "path"]


def graph_sums(G: Floats, weigh: Weigh, order: int, complete: Complete) -> Floats:
    """Return the sums of all connected multigraphs, added up by edges and vertices.

    The sum of a graph runs over all labels of its vertices; each vertex counts its weight, each
    edge the entry of G between its labels.

    Parameters
    ----------
    G : (d, d) array
        Symmetric. Peak memory is that of six such matrices besides it at order 6, three at 4.
    weigh : callable
        ``weigh(ends, loops)`` returns the (d,) weights of a vertex with so many ends of edges and
        so many loops.
    order : int
        Largest number of edges, from 1 to 6.
    complete : {"exact", "cycle", "path"}
        The graph K4 of order 6 itself, which takes d products of d x d matrices, or an upper bound
        on its size: a cycle of four with two opposite edges doubled, for positive semidefinite G
        and weights >= 0, or a path with three edges doubled, for any.

    Returns
    -------
    (order + 1, order + 1) array
        Entry (k, v): ``sum N(g) Phi(g) / k!`` over the graphs of k edges and v vertices.
    """
    reduced = plan(order)
    values = _Values(G, weigh, order)
    wanted = [end for _, end in reduced.graphs if end is not None]
    values.fill(wanted)
    table = np.zeros((order + 1, order + 1))
    for graph, end in reduced.graphs:
        if end is not None:
            value = values.total(end)
        elif complete == "exact":
            value = complete_sum(G, weigh(3, 0))
        elif complete == "cycle":
            value = next(
                values.total(other)
                for twin, other in reduced.graphs
                if other is not None and twin.ends == graph.ends and not any(twin.loops)
            )
        else:
            value = _doubled_path(G, np.abs(weigh(3, 0)))
        share = graph.ways / math.factorial(graph.edges)
        table[graph.edges, graph.vertices] += share * value
    return table


def with_replacement(table: Floats, s: Floats) -> Floats:
    """Return ``E (Q - E Q)^k / s^(2 k)`` for s draws with replacement, k = 0 .. order.

    The labels of v vertices stand for v different draws: there are s (s - 1) .. (s - v + 1).

    Parameters
    ----------
    table : (order + 1, order + 1) array
        From `graph_sums`.
    s : array
        Numbers of draws.

    Returns
    -------
    (order + 1, *s.shape) array
    """
    powers = _exponential(table)
    order = len(powers) - 1
    # s (s - 1) .. (s - v + 1) / s^v, in [0, 1].
    falling = np.ones((order + 1, *s.shape))
    for v in range(1, order + 1):
        falling[v] = falling[v - 1] * np.maximum(0.0, (s - (v - 1.0)) / s)
    moments = np.empty((order + 1, *s.shape))
    for k in range(order + 1):
        # At most k vertices have k edges: each has two ends.
        terms = [powers[k, v] * falling[v] * s ** float(v - 2 * k) for v in range(k + 1)]
        moments[k] = np.sum(terms, axis=0) * math.factorial(k)
    return moments


def independent(table: Floats) -> Floats:
    """Return ``E (Q - E Q)^k`` from sums that are cumulants, k = 0 .. order.

    Parameters
    ----------
    table : (order + 1, order + 1) array
        From `graph_sums`.

    Returns
    -------
    (order + 1,) array
    """
    factorials = np.array([math.factorial(k) for k in range(len(table))], dtype=np.float64)
    return np.asarray(_exponential(table).sum(axis=1) * factorials)


def _exponential(table: Floats) -> Floats:
    """Exponential of a series in edges and vertices: all graphs from the connected ones."""
    powers = np.zeros_like(table)
    powers[0, 0] = 1.0
    for k in range(1, len(table)):
        for j in range(1, k + 1):
            powers[k] += j / k * np.convolve(table[j], powers[k - j])[: len(table)]
    return powers


def complete_sum(G: Floats, weights: Floats) -> float:
    """Sum of the complete graph of four vertices: for each label of one, a triangle of the rest."""
    total = 0.0
    for weight, row in zip(weights, G, strict=True):
        rest = (weights * row)[:, None] * G
        total += float(weight) * float(np.einsum("ij,ji->", matmul(rest, rest), rest))
    return total


def _doubled_path(G: Floats, weights: Floats) -> float:
    """Sum of a path of four vertices whose edges are all doubled."""
    squares = G * G
    inner = weights * (squares @ weights)
    return float(inner @ (squares @ inner))


class _Values:
    """Vectors and matrices of a plan for one G and its weights."""

    def __init__(self, G: Floats, weigh: Weigh, order: int) -> None:
        self._plan = plan(order)
        self._weigh = weigh
        self._own: dict[tuple[int, int], Floats] = {}
        self._vectors: dict[int, Floats] = {}
        self._matrices = {0: G}
        for i, series in self._plan.series.items():
            self.fill([series.middle])
            left = self._link(series.left) * self._vectors[series.middle]
            self._matrices[i] = matmul(left, self._link(series.right))

    def total(self, vertex: int) -> float:
        """Sum over the labels of a vertex that has been filled."""
        return float(self._vectors[vertex].sum())

    def fill(self, wanted: Iterable[int]) -> None:
        """Find the weights of these vertices and of all that hang on them, nearest leaves first."""
        missing = self._missing(wanted)
        while missing:
            ready = [i for i in missing if all(j in self._vectors for _, j in self._hanging(i))]
            pendants: dict[Link, dict[int, Floats]] = {}
            for i in ready:
                for link, j in self._hanging(i):
                    pendants.setdefault(link, {})[j] = self._vectors[j]
            # Each link is multiplied out once for all that hang by it.
            for link, parts in pendants.items():
                sums = matmul(self._link(link), np.stack(list(parts.values()), axis=1))
                parts.update(zip(parts, sums.T, strict=True))
            for i in ready:
                vertex = self._plan.vertices[i]
                value = self._weights(vertex.ends, vertex.loops)
                for link, j in vertex.pendants:
                    value = value * pendants[link][j]
                self._vectors[i] = value
            missing -= set(ready)

    def _missing(self, wanted: Iterable[int]) -> set[int]:
        missing: set[int] = set()
        stack = list(wanted)
        while stack:
            i = stack.pop()
            if i not in missing and i not in self._vectors:
                missing.add(i)
                stack += [j for _, j in self._hanging(i)]
        return missing

    def _hanging(self, i: int) -> tuple[tuple[Link, int], ...]:
        return self._plan.vertices[i].pendants

    def _weights(self, ends: int, loops: int) -> Floats:
        if (ends, loops) not in self._own:
            self._own[ends, loops] = self._weigh(ends, loops)
        return self._own[ends, loops]

    def _link(self, link: Link) -> Floats:
        first, *others = (
            self._matrices[i].T if turned else self._matrices[i] for i, turned in link
        )
        if not others:
            return first
        result = first * others[0]
        for other in others[1:]:
            result *= other
        return result
