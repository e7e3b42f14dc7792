"""Pruning at initialization as matrix sketching: draws, exact moments, bounds and certificates.

One noun, `Product`; one verb, to draw a mask. ``moments`` holds what its error is on average,
``bounds`` what it is at most, ``montecarlo`` what it is when measured. The strategies of
``lth_sketch.testing`` are imported by name; they need Hypothesis.
"""

from lth_sketch import (
    bounds,
    datasets,
    moments,
    montecarlo,
    probabilities,
    pruning,
    regression,
    sampling,
    scale,
    sketches,
    statements,
    verify,
)
from lth_sketch.product import Product
from lth_sketch.version import __version__

__all__ = [
    "Product",
    "__version__",
    "bounds",
    "datasets",
    "moments",
    "montecarlo",
    "probabilities",
    "pruning",
    "regression",
    "sampling",
    "scale",
    "sketches",
    "statements",
    "verify",
]
