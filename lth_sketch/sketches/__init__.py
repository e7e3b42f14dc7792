"""Approximate matrix multiplication: by a sampling sketch, which is a mask, or by another one."""

from lth_sketch.sketches.multiplication import multiply

__all__ = ["multiply"]
