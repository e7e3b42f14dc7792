"""The networks of the experiments: fully connected, VGG-like, ResNet-like, a small transformer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

CLASSES = 10


def fully_connected(shape: tuple[int, int, int], width: int) -> nn.Module:
    """Return 784-300-100-10 at width 300 (LeNet-300-100), with biases."""
    pixels = shape[0] * shape[1] * shape[2]
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(pixels, width),
        nn.ReLU(),
        nn.Linear(width, width // 3),
        nn.ReLU(),
        nn.Linear(width // 3, CLASSES),
    )


def perceptron(shape: tuple[int, int, int], width: int) -> nn.Module:
    """Return d-128-64-10 at width 128, with biases."""
    pixels = shape[0] * shape[1] * shape[2]
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(pixels, width),
        nn.ReLU(),
        nn.Linear(width, width // 2),
        nn.ReLU(),
        nn.Linear(width // 2, CLASSES),
    )


def shallow(shape: tuple[int, int, int], width: int) -> nn.Module:
    """Return d-64-10 at width 64, with biases."""
    pixels = shape[0] * shape[1] * shape[2]
    return nn.Sequential(
        nn.Flatten(), nn.Linear(pixels, width), nn.ReLU(), nn.Linear(width, CLASSES)
    )


class Transformer(nn.Module):  # type: ignore[misc]
    """Rows of an image as a sequence, four layers of attention, the mean, one output layer."""

    def __init__(self, shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        channels, height, columns = shape
        self.embed = nn.Linear(channels * columns, width)
        self.places = nn.Parameter(0.02 * torch.randn(height, width))
        layer = nn.TransformerEncoderLayer(
            width,
            4 if width % 4 == 0 else 2,
            2 * width,
            dropout=0.0,
            batch_first=True,
            norm_first=True,
        )
        self.encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Any) -> Any:
        """Return the class scores of images (n, channels, height, width)."""
        rows = x.movedim(1, 2).flatten(2)
        return self.head(self.encoder(self.embed(rows) + self.places).mean(1))


def vgg(shape: tuple[int, int, int], width: int) -> nn.Module:
    """Return four normalised convolutions of 3 x 3, three poolings and one output layer."""
    channels = [shape[0], width, 2 * width, 4 * width, 4 * width]
    layers: list[nn.Module] = []
    for step in range(4):
        layers += [
            nn.Conv2d(channels[step], channels[step + 1], 3, padding=1, bias=False),
            nn.BatchNorm2d(channels[step + 1]),
            nn.ReLU(),
        ]
        if step < 3:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, CLASSES)
    )


def resnet(shape: tuple[int, int, int], width: int) -> nn.Module:
    """Return a stem, three residual blocks (two of them halve the image), and one output layer."""
    return nn.Sequential(
        nn.Conv2d(shape[0], width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        Block(width, width, 1),
        Block(width, 2 * width, 2),
        Block(2 * width, 4 * width, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, CLASSES),
    )


class Block(nn.Module):  # type: ignore[misc]
    """Two convolutions beside a shortcut, a convolution of 1 x 1 where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Any) -> Any:
        """Return the block's output."""
        inner = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(self.second_norm(self.second(inner)) + self.shortcut(x))


ARCHITECTURES: dict[str, Callable[[tuple[int, int, int], int], nn.Module]] = {
    "fc": fully_connected,
    "mlp": perceptron,
    "shallow": shallow,
    "vgg": vgg,
    "resnet": resnet,
    "transformer": Transformer,
}
# Initial weights: He's normal law, also scaled, PyTorch's own, or orthogonal matrices.
SCALES = {"he": 1.0, "he_0.3": 0.3, "he_3": 3.0}
INITS = (*SCALES, "default", "orthogonal")


def build(
    name: str, shape: tuple[int, int, int], width: int, seed: int, init: str = "he"
) -> nn.Module:
    """Return a network with the initial weights of a seed; biases zero, but for "default"."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = ARCHITECTURES[name](shape, width)
        if init == "default":
            return module
        if init not in INITS:
            raise ValueError(f"init must be one of {', '.join(INITS)}; got {init!r}")
        for layer in module.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                _fill(layer.weight, init)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
            elif isinstance(layer, nn.MultiheadAttention):
                _fill(layer.in_proj_weight, init)
    return module


def _fill(weight: Any, init: str) -> None:
    if init == "orthogonal":
        nn.init.orthogonal_(weight, gain=nn.init.calculate_gain("relu"))
        return
    nn.init.kaiming_normal_(weight, nonlinearity="relu")
    with torch.no_grad():
        weight.mul_(SCALES[init])
