"""The networks of the experiments: fully connected, VGG-like and ResNet-like."""

from __future__ import annotations

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


ARCHITECTURES = {"fc": fully_connected, "vgg": vgg, "resnet": resnet}


def build(name: str, shape: tuple[int, int, int], width: int, seed: int) -> nn.Module:
    """Return a network with the initial weights of a seed: He's normal law, zero biases."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = ARCHITECTURES[name](shape, width)
        for layer in module.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
    return module
