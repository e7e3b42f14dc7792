"""The public strategies and laws are what they say."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from lth_sketch import Product
from lth_sketch.testing import enumerate_masks, probabilities, products
from lth_sketch.tolerances import EXACT


@given(products(), st.data())
def test_strategies_give_what_fits(product, data):
    p = data.draw(probabilities(product))
    assert product.total > 0
    assert abs(p.sum() - 1) <= EXACT
    assert (p[product.term_norms > 0] > 0).all()


@pytest.mark.parametrize(
    "case",
    [
        lambda product: product.d == 1,
        lambda product: (product.column_norms == 0).any(),
        lambda product: len(np.unique(product.term_norms)) < product.d,
        lambda product: product.B.ndim == 2 and product.r > 1,
        lambda product: product.d > 2 and np.linalg.matrix_rank(product.A) == 1 < product.q,
        lambda product: product.norm2 == 0,
        lambda product: product.coherence > product.d - 0.01 and product.d > 2,
        lambda product: product.total > 1e80,
        lambda product: product.total < 1e-80,
    ],
)
def test_strategies_reach_the_hard_cases(case):
    # Reaching it is the point, not the smallest such product.
    find(products(), case, settings=settings(phases=[Phase.generate], max_examples=5000))


@given(products(max_d=3), st.data(), st.integers(1, 3))
def test_multinomial_law_is_every_outcome(product, data, s):
    p = data.draw(probabilities(product))
    masks, chances = enumerate_masks(p, s)
    ours = {}
    for mask, chance in zip(masks, chances, strict=True):
        ours[tuple(np.round(mask * s * p).astype(int))] = chance
    slow = {}
    for mask, chance in reference.replacement_masks(p, s):
        key = tuple(np.round(mask * s * p).astype(int))
        slow[key] = slow.get(key, 0.0) + chance
    assert len(ours) == len(masks) == len(slow)
    for key, chance in slow.items():
        np.testing.assert_allclose(ours[key], chance, rtol=EXACT)


def test_a_law_too_large_to_list_is_refused():
    with pytest.raises(ValueError, match=r"s = 20 draws from 30 entries have .* outcomes"):
        enumerate_masks(np.ones(30), 20)
    with pytest.raises(ValueError, match="at most d = 2 for the design 'top'; got 3"):
        enumerate_masks([1, 1], 3, "top")
    with pytest.raises(ValueError, match="design must be one of"):
        enumerate_masks([1, 1], 1, "best")


def test_a_false_bound_is_found_out():
    """B1 without its constant: half the second moment is no bound."""
    from lth_sketch import moments
    from lth_sketch.testing import squared_errors

    def refuted(product: Product) -> bool:
        p = np.full(product.d, 1 / product.d)
        masks, chances = enumerate_masks(p, 2)
        mean = chances @ squared_errors(product, masks)
        return bool(mean > 0.5 * moments.multinomial(product, p, 2) * (1 + EXACT) + EXACT)

    assert find(products(max_d=3, max_exponent=0), refuted).d == 2
