"""Rows that do not fit into memory: one pass over them, and everything else on a small array.

Dask is used where the rows are dask's, and never imported here.
"""

from lth_sketch.scale.columns import norms
from lth_sketch.scale.triangles import Rows, rows

__all__ = ["Rows", "norms", "rows"]
