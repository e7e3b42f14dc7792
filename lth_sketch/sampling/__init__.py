"""From probabilities, a size and a Generator to indices and weights: the designs of a mask."""

from lth_sketch.sampling.patterns import grouped
from lth_sketch.sampling.samplers import draw, mask, masks

__all__ = ["draw", "grouped", "mask", "masks"]
