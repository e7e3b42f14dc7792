"""Weights and masks in files (.npz, .safetensors, state_dict), without code of a network."""

from lth_sketch.checkpoints.files import check_output, check_suffix, check_weights, read, write
from lth_sketch.checkpoints.pruned import in_pieces, prune
from lth_sketch.checkpoints.runs import Pruned
from lth_sketch.checkpoints.semi_structured import parsed_pattern
from lth_sketch.checkpoints.weights import SCORES, masks, prunable

__all__ = [
    "SCORES",
    "Pruned",
    "check_output",
    "check_suffix",
    "check_weights",
    "in_pieces",
    "masks",
    "parsed_pattern",
    "prunable",
    "prune",
    "read",
    "write",
]
