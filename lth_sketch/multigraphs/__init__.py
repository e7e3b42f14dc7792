"""Moments of quadratic forms as sums over multigraphs: which there are, how often, how large."""

from lth_sketch.multigraphs.generation import Multigraph, connected
from lth_sketch.multigraphs.sums import complete_sum, graph_sums, independent, with_replacement
from lth_sketch.multigraphs.table import GraphTable, check_size, deviation, extended, fits, summed

__all__ = [
    "GraphTable",
    "Multigraph",
    "check_size",
    "complete_sum",
    "connected",
    "deviation",
    "extended",
    "fits",
    "graph_sums",
    "independent",
    "summed",
    "with_replacement",
]
