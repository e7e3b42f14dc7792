"""Series and parallel steps that turn the sum of a multigraph into products of matrices."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from lth_sketch.multigraphs.generation import Multigraph, connected

# One of the d x d matrices, and whether it is transposed: 0 is G, from 1 on they are series steps.
Operand = tuple[int, bool]
# The entrywise product of some of them, sorted: what joins two vertices.
Link = tuple[Operand, ...]
# Matrices that must be there before a sum can be taken.
_Needs = frozenset[int]


class Vertex(NamedTuple):
    """What weighs the labels of a vertex: the part of the graph that hangs on it, summed up.

    Attributes
    ----------
    ends, loops : int
        Ends of edges and loops at the vertex itself.
    pendants : tuple of (Link, int)
        Links to other vertices, by their place in `Plan.vertices`, that hang on this one only.
    """

    ends: int
    loops: int
    pendants: tuple[tuple[Link, int], ...] = ()


class Series(NamedTuple):
    """The matrix of two links in series: left diag(middle) right."""

    left: Link
    middle: int
    right: Link


class Plan(NamedTuple):
    """All graphs of up to some number of edges, reduced to vectors and matrices that they share.

    Attributes
    ----------
    vertices : tuple of Vertex
        Each hangs on earlier ones only.
    series : dict of int to Series
        The matrices that are used, each made of earlier ones only.
    graphs : tuple of (Multigraph, int or None)
        Each graph, and the vertex whose labels' weights add up to its sum; None for the complete
        graph of four vertices, the only one of up to six edges that no such step reduces.
    """

    vertices: tuple[Vertex, ...]
    series: dict[int, Series]
    graphs: tuple[tuple[Multigraph, int | None], ...]


@lru_cache(maxsize=8)
def plan(most: int) -> Plan:
    """Return a reduction of all connected graphs of up to `most` edges, 6 at most.

    Examples
    --------
    One product of matrices is all that four edges need, five are enough for six:

    >>> [len(plan(most).series) for most in (2, 3, 4, 5, 6)]
    [0, 1, 1, 3, 5]
    """
    book = _Book()
    graphs = [graph for level in connected(most) for graph in level]
    # Each graph has several orders of steps, which need different matrices.
    ways = {graph: {book.needs[end]: end for end in book.ends(graph)} for graph in graphs}
    reducible = [options for options in ways.values() if options]
    have: set[int] = set()
    for options in reducible:
        have |= min(options, key=lambda needs: (len(needs - have), sorted(needs)))
    for matrix in sorted(have, reverse=True):
        if all(any(needs <= have - {matrix} for needs in options) for options in reducible):
            have.discard(matrix)
    chosen = [
        next((end for needs, end in options.items() if needs <= have), None)
        for options in ways.values()
    ]
    series = {i: entry for i, entry in enumerate(book.series) if i in have and entry is not None}
    return Plan(tuple(book.vertices), series, tuple(zip(graphs, chosen, strict=True)))


class _Book:
    """Vertices and matrices by number, each written down once."""

    def __init__(self) -> None:
        self.vertices: list[Vertex] = []
        self.needs: list[_Needs] = []
        # Entry 0 stands for G itself.
        self.series: list[Series | None] = [None]
        self._uses: list[_Needs] = [frozenset()]
        self._places: dict[Vertex | Series, int] = {}

    def ends(self, graph: Multigraph) -> Iterator[int]:
        """Yield the last vertex of each order of steps that reduces a graph to one vertex."""
        vertices = {
            u: self._vertex(Vertex(*both))
            for u, both in enumerate(zip(graph.ends, graph.loops, strict=True))
        }
        links = {pair: ((0, False),) * m for pair, m in graph.links.items()}
        yield from self._steps(vertices, links)

    def _steps(self, vertices: dict[int, int], links: dict[tuple[int, int], Link]) -> Iterator[int]:
        if len(vertices) == 1:
            yield from vertices.values()
            return
        around: dict[int, dict[int, Link]] = {u: {} for u in vertices}
        for (w, u), link in links.items():
            around[w][u] = link
            around[u][w] = self._reverse(link)
        for u, joined in around.items():
            if len(joined) == 1:
                # It hangs on another: there is nothing to choose, except between the last two.
                (w,) = joined
                hangs = (around[w][u], vertices[u])
                host = self.vertices[vertices[w]]
                changed = host._replace(pendants=tuple(sorted((*host.pendants, hangs))))
                rest = {**vertices, w: self._vertex(changed)}
                del rest[u]
                yield from self._steps(
                    rest, {pair: x for pair, x in links.items() if u not in pair}
                )
                return
        for u, joined in around.items():
            if len(joined) == 2:
                a, b = sorted(joined)
                operand = self._operand(Series(around[a][u], vertices[u], around[u][b]))
                rest = {w: vertex for w, vertex in vertices.items() if w != u}
                kept = {pair: x for pair, x in links.items() if u not in pair}
                kept[a, b] = tuple(sorted((*kept.get((a, b), ()), operand)))
                yield from self._steps(rest, kept)

    def _vertex(self, vertex: Vertex) -> int:
        if vertex not in self._places:
            self._places[vertex] = len(self.vertices)
            self.vertices.append(vertex)
            needs = [self.needs[i] | self._link_needs(link) for link, i in vertex.pendants]
            self.needs.append(frozenset().union(*needs))
        return self._places[vertex]

    def _operand(self, series: Series) -> Operand:
        turned = Series(self._reverse(series.right), series.middle, self._reverse(series.left))
        first = min(series, turned)
        if first not in self._places:
            place = len(self.series)
            self._places[first] = place
            self.series.append(first)
            needs = self._link_needs(first.left) | self._link_needs(first.right)
            self._uses.append(needs | self.needs[first.middle] | {place})
        return self._places[first], first != series

    def _reverse(self, link: Link) -> Link:
        return tuple(sorted((i, not turned and not self._symmetric(i)) for i, turned in link))

    def _symmetric(self, i: int) -> bool:
        series = self.series[i]
        return series is None or series.left == self._reverse(series.right)

    def _link_needs(self, link: Link) -> _Needs:
        return frozenset().union(*(self._uses[i] for i, _ in link))
