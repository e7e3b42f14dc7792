"""Small networks of each kind, in float64, with the same weights every time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn


def relu_network(depth: int, width: int = 7, inputs: int = 5, outputs: int = 3) -> nn.Module:
    """A ReLU network of `depth` layers without biases."""
    sizes = [inputs, *[width] * (depth - 1), outputs]
    layers: list[Any] = []
    for one, other in pairwise(sizes):
        layers += [nn.Linear(one, other, bias=False), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Residual(nn.Module):
    """Convolutions with batch normalisation, biases and a skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.inner = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        x = x + torch.relu(self.inner(x))
        return self.head(x.mean((2, 3)))


@pytest.fixture
def network() -> Callable[..., nn.Module]:
    def make(kind: int | str, seed: int = 0, **sizes: int) -> nn.Module:
        torch.manual_seed(seed)
        return (Residual() if kind == "residual" else relu_network(kind, **sizes)).double()

    return make


@pytest.fixture
def batch() -> Callable[..., tuple[Any, Any]]:
    def make(n: int = 6, shape: tuple[int, ...] = (5,)) -> tuple[Any, Any]:
        rng = np.random.default_rng(1)
        return torch.as_tensor(rng.standard_normal((n, *shape))), np.arange(n) % 3

    return make
