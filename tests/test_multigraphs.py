"""The generated table of multigraphs: complete, counted right, and summed right."""

from __future__ import annotations

import math

import numpy as np
import pytest
import reference

from lth_sketch.multigraphs import complete_sum, connected, graph_sums, independent
from lth_sketch.multigraphs.reduction import plan
from lth_sketch.poisson_draw import standard_cumulants
from lth_sketch.tolerances import EXACT, ROUNDING


def edges_of(graph):
    """The edges of a graph by their ends."""
    return [(u, w) for u, row in enumerate(graph.rows) for w, m in enumerate(row) for _ in range(m)]


def test_how_many_there_are():
    assert [len(graphs) for graphs in connected(6)] == [0, 0, 2, 5, 12, 33, 103]
    for k, graphs in enumerate(connected(6)):
        for graph in graphs:
            assert graph.edges == k
            degrees = np.array(graph.ends) + 2 * np.array(graph.loops)
            assert degrees.sum() == 2 * k
            assert degrees.min() >= 2


def test_fewer_edges_come_out_the_same():
    for most in range(1, 6):
        assert connected(most) == connected(6)[: most + 1]


@pytest.mark.parametrize("k", [2, 3, 4])
def test_ways_against_every_partition(k, size):
    """Orbit-stabiliser against brute force: each partition of the 2 k places is one way."""
    if k > size(4, 3):
        pytest.skip("a tenth of the time is enough without compilation")
    ways = reference.multigraphs_by_partitions(k)
    for graph in connected(k)[k]:
        key = reference.least_names(edges_of(graph), graph.vertices)
        assert ways.pop(key) == graph.ways
    # What is left falls apart into several graphs.
    assert all(len(pieces(key)) > 1 for key in ways)


def pieces(edges):
    """Sets of vertices that hang together."""
    parts = []
    for u, w in edges:
        touched = [piece for piece in parts if piece & {u, w}]
        parts = [piece for piece in parts if piece not in touched]
        parts.append({u, w}.union(*touched))
    return parts


def test_ways_add_up_to_the_number_of_partitions():
    """Of 2 k places into blocks of two or more, none of them a pair: all graphs, k = 1 .. 6.

    By inclusion and exclusion over the pairs and the places that make a block of their own.
    """
    bell = [1]
    for n in range(12):
        bell.append(sum(math.comb(n, j) * bell[j] for j in range(n + 1)))
    # Without singletons: B(n) = C(n) + C(n + 1).
    alone = [1]
    for n in range(12):
        alone.append(bell[n] - alone[n])
    everything = exponential([len_ways(k) for k in range(7)])
    for k in range(7):
        expected = sum((-1) ** j * math.comb(k, j) * alone[2 * (k - j)] for j in range(k + 1))
        assert everything[k] == expected, k


def len_ways(k):
    """Ways of all connected graphs of k edges together."""
    return sum(graph.ways for graph in connected(6)[k])


def exponential(terms):
    """From connected graphs to all of them, in integers: the pairs are labelled."""
    total = [1]
    for k in range(1, len(terms)):
        total.append(
            sum(math.comb(k - 1, j - 1) * terms[j] * total[k - j] for j in range(1, k + 1))
        )
    return total


def cloud(d, seed):
    """A small Gram matrix, weights > 0, and values for the loops of both signs."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(d, 2)) * rng.exponential(size=(d, 1))
    return rows @ rows.T, rng.random(d) + 0.1, rng.normal(size=d)


@pytest.mark.parametrize("k", [2, 3, 4, 5, 6])
def test_reduced_sums_against_every_label(k, size):
    """Each graph by itself, in a slow loop over labels; weights know the degree."""
    G, p, loops = cloud(2, k)

    def weigh(ends, count):
        return p * (1.0 + 0.3 * ends + 0.1 * ends**2) * loops**count

    graphs = connected(k)[k][:: size(1, 3)]
    got = dict(plan(k).graphs)
    assert set(connected(k)[k]) <= set(got)
    table = graph_sums(G, weigh, k, "exact")
    if len(graphs) == len(connected(k)[k]):
        expected = np.zeros(k + 1)
        sizes = np.zeros(k + 1)
        for graph in graphs:
            value = reference.graph_sum(edges_of(graph), graph.vertices, G, weigh)
            share = graph.ways / math.factorial(k)
            expected[graph.vertices] += share * value
            sizes[graph.vertices] += share * abs(value)
        np.testing.assert_allclose(table[k], expected, atol=EXACT * sizes.max(), rtol=EXACT)


def test_matrices_are_few():
    """Products of d x d matrices are what costs."""
    assert [len(plan(most).series) for most in range(1, 7)] == [0, 0, 1, 1, 3, 5]
    assert sum(end is None for _, end in plan(6).graphs) == 1


def test_the_complete_graph_against_every_label():
    G, p, _ = cloud(4, 1)
    edges = [(u, w) for u in range(4) for w in range(u)]
    expected = reference.graph_sum(edges, 4, G, lambda ends, count: p)
    assert complete_sum(G, p) == pytest.approx(expected, rel=EXACT)


@pytest.mark.parametrize("bound", ["cycle", "path"])
def test_bounds_on_the_complete_graph(bound):
    """Above it for positive semidefinite G; the path for any G and weights of any sign."""
    rng = np.random.default_rng(3)
    attained = 0.0
    for seed in range(60):
        G, p, _ = cloud(2 + seed % 5, seed)
        if bound == "path":
            G = rng.normal(size=G.shape)
            G, p = G + G.T, p * rng.choice([-1, 1], size=len(p))
        if seed == 7:
            G = np.outer(p, p)

        def weigh(ends, count, p=p):
            return p * (count == 0)

        sharp, above = (graph_sums(G, weigh, 6, kind)[6, 4] for kind in ("exact", bound))
        rest = sharp - 1920 / 720 * complete_sum(G, p)
        assert abs(sharp - rest) <= (above - rest) * (1 + ROUNDING)
        attained = max(attained, abs(sharp - rest) / (above - rest))
    # One vector: all entries are products, and nothing is lost.
    assert attained > (0.99 if bound == "cycle" else 0.1)


def test_cumulants_of_events():
    """Against the moments of an event, by the recursion between the two."""
    for pi in (0.001, 0.2, 0.5, 0.7, 0.999):
        v = pi * (1 - pi)
        central = [(pi * (1 - pi) ** k + (1 - pi) * (-pi) ** k) / v ** (k / 2) for k in range(7)]
        kappa = [0.0] * 7
        for k in range(1, 7):
            kappa[k] = central[k] - sum(
                math.comb(k - 1, j - 1) * kappa[j] * central[k - j] for j in range(1, k)
            )
        got = standard_cumulants(np.array([pi]))[:, 0]
        np.testing.assert_allclose(got, kappa, rtol=ROUNDING, atol=ROUNDING * max(central))


def test_moments_of_independent_sums():
    """Cumulants of the normal law: its moments are 1, 0, 1, 0, 3, 0, 15."""
    table = np.zeros((7, 7))
    table[2, 1] = 0.5
    np.testing.assert_allclose(independent(table), [1, 0, 1, 0, 3, 0, 15], rtol=EXACT)
