"""Networks: the tangent kernel as a product, and masks for PyTorch modules.

Needs the extra ``networks`` (PyTorch); of the library only the command ``verify --networks`` makes
use of this package. On ``tangent_product(module, X)`` and ``kernel_product(module, X)`` every
moment, bound and draw of the library works unchanged (N1, N2, registered in
``networks.statements``). ``prune`` scores a module, selects a mask, at once or in rounds, and
applies it through ``torch.nn.utils.prune``.

What is pruned are the weights of linear and convolutional layers. Biases, normalisation layers,
embeddings and recurrent cells keep all their parameters, as in the papers of SNIP, GraSP and
SynFlow. A weight that two layers share is refused: ``torch.nn.utils.prune`` would untie it.
"""

from lth_sketch import extras

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    raise extras.missing("lth_sketch.networks", "networks") from error

from lth_sketch.named import Kept, kept, select
from lth_sketch.networks.masking import apply, find, prune, scores
from lth_sketch.networks.saliency import grasp, magnitude, random, sketch, snip, source
from lth_sketch.networks.synaptic import synflow
from lth_sketch.networks.tangent import (
    jacobian,
    jacobian_norms,
    kernel_product,
    lazy,
    tangent_product,
)
from lth_sketch.networks.weights import prunable, vector

__all__ = [
    "Kept",
    "apply",
    "find",
    "grasp",
    "jacobian",
    "jacobian_norms",
    "kept",
    "kernel_product",
    "lazy",
    "magnitude",
    "prunable",
    "prune",
    "random",
    "scores",
    "select",
    "sketch",
    "snip",
    "source",
    "synflow",
    "tangent_product",
    "vector",
]
