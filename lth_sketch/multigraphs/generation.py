"""Connected multigraphs with loops, generated one edge at a time, and how often each occurs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import permutations
from itertools import product as product_of
from typing import Any, NamedTuple

# Row u: how many edges join u to each vertex up to u; the last entry counts the loops at u.
Rows = tuple[tuple[int, ...], ...]
_Square = list[list[int]]


class Multigraph(NamedTuple):
    """A multigraph up to the names of its vertices.

    Attributes
    ----------
    rows : tuple of tuples
        Entry w < u of row u is the number of edges between u and w, entry u that of the loops.
    automorphisms : int
        Permutations of the vertices that change no number of edges or loops.
    """

    rows: Rows
    automorphisms: int

    @property
    def vertices(self) -> int:
        """Number of vertices."""
        return len(self.rows)

    @property
    def edges(self) -> int:
        """Number of edges, loops among them."""
        return sum(map(sum, self.rows))

    @property
    def loops(self) -> tuple[int, ...]:
        """Loops at each vertex."""
        return tuple(row[-1] for row in self.rows)

    @property
    def links(self) -> dict[tuple[int, int], int]:
        """Numbers of edges between two different vertices (w, u), w < u, where there are any."""
        return {(w, u): m for u, row in enumerate(self.rows) for w, m in enumerate(row[:-1]) if m}

    @property
    def ends(self) -> tuple[int, ...]:
        """Ends of edges at each vertex; those of loops do not count."""
        counts = [0] * self.vertices
        for (w, u), m in self.links.items():
            counts[w] += m
            counts[u] += m
        return tuple(counts)

    @property
    def ways(self) -> int:
        """Ways N(g) in which k pairs, set out in a row, make this graph.

        The 2 k ends of the pairs are put into unnamed boxes, the vertices: k! orders of the pairs
        and two directions of each, over the symmetries that change nothing (orbit-stabiliser).
        """
        total = math.factorial(self.edges) << self.edges
        same = self.automorphisms
        for m in self.links.values():
            same *= math.factorial(m)
        for m in self.loops:
            same *= math.factorial(m) << m
        return total // same


@lru_cache(maxsize=8)
def connected(most: int) -> tuple[tuple[Multigraph, ...], ...]:
    """Return the connected multigraphs of 0, 1, .., `most` edges that a centred moment needs.

    Every vertex has degree 2 at least, a loop counting twice, and the lone loop is left out.

    Parameters
    ----------
    most : int
        Largest number of edges.

    Returns
    -------
    tuple of tuples of Multigraph
        Entry k holds those with k edges, in a fixed order.

    Examples
    --------
    >>> [len(graphs) for graphs in connected(4)]
    [0, 0, 2, 5, 12]
    >>> [(graph.rows, graph.ways) for graph in connected(2)[2]]
    [(((2,),), 1), (((0,), (2, 0)), 2)]
    """
    by_edges: list[tuple[Multigraph, ...]] = [()]
    level = {_canonical([[0]])}
    for k in range(1, most + 1):
        grown: set[Multigraph] = set()
        for graph in level:
            for rows in _with_one_edge_more(graph):
                # An edge mends two missing degrees at most.
                if _missing(rows) <= 2 * (most - k):
                    grown.add(_canonical(rows))
        level = grown
        full = (g for g in level if k > 1 and _missing(_square(g.rows)) == 0)
        by_edges.append(tuple(sorted(full, key=lambda g: (g.vertices, g.rows))))
    return tuple(by_edges)


def _with_one_edge_more(graph: Multigraph) -> Iterator[_Square]:
    """Yield the connected graphs of one edge more: a loop, an edge, or an edge to a new vertex."""
    n = graph.vertices
    for u in range(n):
        for w in range(u + 1):
            rows = _square(graph.rows)
            rows[u][w] += 1
            rows[w][u] = rows[u][w]
            yield rows
        rows = [[*row, 0] for row in _square(graph.rows)] + [[0] * (n + 1)]
        rows[u][n] = rows[n][u] = 1
        yield rows


def _square(rows: Rows) -> _Square:
    n = len(rows)
    return [[rows[max(u, w)][min(u, w)] for w in range(n)] for u in range(n)]


def _missing(rows: _Square) -> int:
    """How many ends of edges the vertices lack to a degree of 2 each."""
    return sum(max(0, 2 - sum(row) - row[u]) for u, row in enumerate(rows))


def _canonical(rows: _Square) -> Multigraph:
    """Return the least of all names, and how many permutations give it: the automorphisms."""
    n = len(rows)
    colours = [(row[u], sum(row)) for u, row in enumerate(rows)]
    ranks = _ranks(colours)
    while True:
        seen = [
            (ranks[u], tuple(sorted((m, ranks[w]) for w, m in enumerate(row) if m)))
            for u, row in enumerate(rows)
        ]
        finer = _ranks(seen)
        if len(set(finer)) == len(set(ranks)):
            break
        ranks = finer
    # Vertices of different colours are never exchanged.
    classes = [[u for u in range(n) if ranks[u] == rank] for rank in sorted(set(ranks))]
    best: Rows | None = None
    same = 0
    for parts in product_of(*(permutations(members) for members in classes)):
        order = [u for part in parts for u in part]
        named = tuple(tuple(rows[order[i]][order[j]] for j in range(i + 1)) for i in range(n))
        if best is None or named < best:
            best, same = named, 1
        elif named == best:
            same += 1
    assert best is not None
    return Multigraph(best, same)


def _ranks(colours: Sequence[Any]) -> list[int]:
    places = {colour: i for i, colour in enumerate(sorted(set(colours)))}
    return [places[colour] for colour in colours]
