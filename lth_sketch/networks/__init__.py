"""Networks: the tangent kernel as a product, and masks for PyTorch modules.

Needs the extra ``networks`` (PyTorch); of the library only the command ``verify --networks`` makes
use of this package. On ``tangent_product(module, X)`` and ``kernel_product(module, X)`` every
moment, bound and draw of the library works unchanged (N1, N2, registered in
``networks.statements``), and so for the product of each layer's inputs with its weight,
``layer_products(module, X)`` (N3). ``prune`` scores a module, selects a mask, at once or in rounds,
and applies it through ``torch.nn.utils.parametrize``.

What is pruned are the weights of linear and convolutional layers and the projections of attention,
and those of layers named with `register`; embeddings and recurrent cells on request (``include=``).
Biases and normalisation layers keep all their parameters, as in the papers of SNIP, GraSP and
SynFlow. A weight that several layers share has one mask and counts once.
"""

from lth_sketch import extras

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    raise extras.missing("lth_sketch.networks", "networks") from error

from lth_sketch.advice import Advice
from lth_sketch.named import Counts, Kept, select
from lth_sketch.networks.advice import advise
from lth_sketch.networks.finding import EmptyLayer, find, prune, scores
from lth_sketch.networks.layers import register
from lth_sketch.networks.masked import Masked
from lth_sketch.networks.masking import apply, kept, remove
from lth_sketch.networks.products import LayerProduct, layer_products
from lth_sketch.networks.saliency import grasp, layer, magnitude, random, sketch, snip
from lth_sketch.networks.sources import source
from lth_sketch.networks.synaptic import synflow
from lth_sketch.networks.tangent import (
    jacobian,
    jacobian_norms,
    kernel_product,
    lazy,
    tangent_product,
)
from lth_sketch.networks.trainability import strength
from lth_sketch.networks.weights import prunable, vector

__all__ = [
    "Advice",
    "Counts",
    "EmptyLayer",
    "Kept",
    "LayerProduct",
    "Masked",
    "advise",
    "apply",
    "find",
    "grasp",
    "jacobian",
    "jacobian_norms",
    "kept",
    "kernel_product",
    "layer",
    "layer_products",
    "lazy",
    "magnitude",
    "prunable",
    "prune",
    "random",
    "register",
    "remove",
    "scores",
    "select",
    "sketch",
    "snip",
    "source",
    "strength",
    "synflow",
    "tangent_product",
    "vector",
]
