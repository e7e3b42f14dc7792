"""What the README shows of networks runs as it stands there, on a module of one's own."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from torch import nn

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S)


def test_the_example_of_networks(capsys):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 3))
    names = {"module": module, "X": torch.randn(30, 12), "y": torch.arange(30) % 3}
    blocks = [block for block in BLOCKS if "import networks" in block]
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert "0.weight" in capsys.readouterr().out
    kept = sum(np.count_nonzero(mask) for mask in names["masks"].values())
    assert 0 < kept < 0.1 * (12 * 20 + 20 * 3)
    assert all(np.count_nonzero(layer.weight.detach()) <= 0.1 * 240 for layer in module[::2])
