"""Does a randomly pruned wide network keep its tangent kernel (N2)? Width grows, density stays."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch

from lth_sketch import Product, datasets, moments, networks, probabilities
from lth_sketch.networks.statements import relu_network

WIDTHS = (64, 128, 256, 512, 1024, 2048)
DENSITY, SAMPLES, MASKS = 0.1, 2, 5


def measure(width: int, seed: int) -> dict[str, Any]:
    """Return one row: the exact and the measured error of the kernel, and the pruned one's angle.

    ``exact`` is the root of the moment of S4 for Poisson masks of equal chances, over the kernel's
    norm, ``measured`` the root mean square over masks of ``J diag(m) J^T``, and ``cosine`` the mean
    cosine between the kernel and that of the network whose weights are masked, over the weights
    that are kept. ``gap`` is N2's claim in one number: error times the root of the width.
    """
    data = datasets.load("digits")
    rng = np.random.default_rng([seed, width])
    net = relu_network((data.X.shape[1], width, width, 10), rng).float()
    X = torch.as_tensor(data.X[rng.permutation(len(data.X))[:SAMPLES]], dtype=torch.float32)
    J = networks.jacobian(net, X, progress=False)
    product = Product(J, J.T)
    s = int(DENSITY * product.d)
    p = probabilities.uniform(product.d)
    exact = float(np.sqrt(moments.poisson(product, p, s) / product.norm2))
    K = J.astype(np.float64) @ J.T
    pi, squares, cosines = s / product.d, [], []
    for _ in range(MASKS):
        keep = rng.random(product.d) < pi
        own = (J[:, keep].astype(np.float64) @ J[:, keep].T) / pi
        squares.append(float(((own - K) ** 2).sum() / (K**2).sum()))
        pruned = copy.deepcopy(net)
        weights = networks.prunable(pruned)
        ends = np.cumsum([weight.numel() for weight in weights.values()])
        with torch.no_grad():
            for (name, weight), part in zip(
                weights.items(), np.split(keep, ends[:-1]), strict=True
            ):
                pruned.get_parameter(name).mul_(torch.as_tensor(part.reshape(weight.shape)))
        other = networks.jacobian(pruned, X, progress=False)[:, keep].astype(np.float64)
        kernel = other @ other.T
        size = np.linalg.norm(kernel) * np.linalg.norm(K)
        cosines.append(float((kernel * K).sum() / size) if size > 0 else 0.0)
    measured = float(np.sqrt(np.mean(squares)))
    return {
        "width": width, "seed": seed, "weights": product.d, "density": DENSITY,
        "exact": f"{exact:.5g}", "measured": f"{measured:.5g}",
        "cosine": f"{np.mean(cosines):.5g}", "gap": f"{exact * np.sqrt(width):.5g}",
    }  # fmt: skip
