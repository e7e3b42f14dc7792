"""Tensors where the core takes arrays: read without their history, or refused by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lth_sketch import Product, conversion, pruning, sampling

VALUES = [[3.0, 1.0], [0.5, 2.0]]


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor(VALUES),
        torch.tensor(VALUES, requires_grad=True),
        torch.nn.Parameter(torch.tensor(VALUES)),
        torch.tensor(VALUES, dtype=torch.bfloat16),
        torch.tensor(VALUES, dtype=torch.float16, requires_grad=True),
        torch.tensor(VALUES, dtype=torch.float8_e4m3fn),
        torch.tensor(np.transpose(VALUES).tolist()).t(),
        torch.tensor(VALUES, dtype=torch.complex64).real,
    ],
)
def test_numbers_of_tensors(tensor):
    np.testing.assert_array_equal(conversion.plain("A", tensor), VALUES)
    np.testing.assert_array_equal(Product(tensor, tensor[0]).value, Product(VALUES, [3, 1]).value)
    masks = pruning.select([tensor, tensor[0]], 0.5)
    expected = pruning.select([np.array(VALUES), np.array(VALUES[0])], 0.5)
    for ours, theirs in zip(masks, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert sampling.mask(tensor[0], 1, design="top").tolist() == [1, 0]
    assert conversion.plain("A", [tensor, tensor]).shape == (2, 2, 2)
    assert conversion.plain("p", [tensor[0, 0], tensor[0, 1]]).tolist() == [3, 1]


@pytest.mark.parametrize(
    ("tensor", "mend"),
    [
        (lambda: torch.eye(2).to_sparse(), "to_dense"),
        (lambda: torch.eye(2, dtype=torch.complex64), "real numbers"),
        (lambda: torch.quantize_per_tensor(torch.eye(2), 1.0, 0, torch.qint8), "dequantize"),
        (lambda: torch.empty(2, 2, device="meta"), "no values"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*quant.*:UserWarning")
def test_tensors_that_are_no_plain_numbers(tensor, mend):
    with pytest.raises(TypeError, match=f"A .*{mend}"):
        Product(tensor(), [1.0, 1.0])
