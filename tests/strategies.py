"""Hypothesis strategies that several test files share."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st


@st.composite
def sized_weights(draw, max_size=8):
    """Weights with ties, zeros and many scales, and a size they allow."""
    weights = st.one_of(
        st.integers(0, 3).map(float),
        st.floats(0.001, 1.0),
        st.integers(-30, 30).map(lambda n: 10.0**n),
    )
    p = np.array(draw(st.lists(weights, min_size=1, max_size=max_size).filter(any)))
    return p, draw(st.integers(1, np.count_nonzero(p)))
