"""Weights and masks in files (.npz, .safetensors, state_dict), without code of a network."""

from lth_sketch.checkpoints.files import check_output, check_suffix, check_weights, read, write
from lth_sketch.checkpoints.weights import SCORES, masks, prunable

__all__ = [
    "SCORES",
    "check_output",
    "check_suffix",
    "check_weights",
    "masks",
    "prunable",
    "read",
    "write",
]
