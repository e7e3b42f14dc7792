"""Pruning at initialization as matrix sketching: draws, exact moments, bounds and certificates.

One noun, `Product`; one verb, to draw a mask. ``moments`` holds what its error is on average,
``bounds`` what it is at most, ``montecarlo`` what it is when measured. The strategies of
``lth_sketch.testing`` are imported by name; they need Hypothesis.

The same seed gives the same bits for any number of threads, ours or those of BLAS: in draws, masks,
norms, the value of a `Product`, `sketches.multiply` and `scale`. Where LAPACK factors a matrix
(`regression`, `Product.factor` and what reads it, eigenvalues in `bounds`, leverage scores) another
number of threads of BLAS may show in the last digits; set OPENBLAS_NUM_THREADS, or its like, where
that matters.
"""

import importlib
from typing import TYPE_CHECKING, Any

from lth_sketch.product import Product
from lth_sketch.version import __version__

if TYPE_CHECKING:
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


def __getattr__(name: str) -> Any:
    """Import a room where it is first used: all of them together take half as long as numba."""
    if name in __all__:
        return importlib.import_module(f"lth_sketch.{name}")
    raise AttributeError(f"module 'lth_sketch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
