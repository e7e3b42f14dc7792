"""Named layers: counts, layers that scores leave empty, errors that name the layer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lth_sketch import named, pruning

LAYERS = {"a": np.arange(1.0, 7.0).reshape(2, 3), "b": np.array([0.5, 9.0])}


@pytest.mark.parametrize("design", ["top", "systematic", "priority"])
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_masks_are_those_of_pruning_select_by_name(design, scope):
    options = {"design": design, "scope": scope, "binary": False}
    masks = named.select(LAYERS, 0.5, rng=3, **options)
    expected = pruning.select(list(LAYERS.values()), 0.5, rng=3, **options)
    assert list(masks) == list(LAYERS)
    for mask, other in zip(masks.values(), expected, strict=True):
        np.testing.assert_array_equal(mask, other)


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=4),
    st.floats(0.05, 1.0),
    st.sampled_from(["top", "priority", "systematic"]),
)
def test_the_kept_count_is_exact_with_ties_and_dead_layers(sizes, density, design):
    # Every score of the living layers is equal.
    scores = {f"l{i}": np.ones(size) for i, size in enumerate(sizes)}
    scores["dead"] = np.zeros(3)
    total = sum(sizes) + 3
    wanted = int(np.floor(density * total + 0.5))
    if wanted == 0:
        with pytest.raises(ValueError, match="keeps none"):
            named.select(scores, density, design=design, rng=0)
    elif wanted > sum(sizes):
        with pytest.raises(ValueError, match="not all zero"):
            named.select(scores, density, design=design, rng=0)
    else:
        counts = named.kept(named.select(scores, density, design=design, rng=0))
        assert sum(layer.kept for layer in counts.values()) == wanted
        assert counts["dead"] == (0, 3)


def test_a_floor_keeps_every_layer():
    scores = {"large": np.full(98, 5.0), "small": np.array([1e-9, 1e-8])}
    assert named.kept(named.select(scores, 0.1))["small"] == (0, 2)
    masks = named.select(scores, 0.1, floor=1)
    np.testing.assert_array_equal(masks["small"], [0, 1])
    assert named.kept(masks)["large"] == (9, 98)


def test_a_layer_of_zeros_and_a_floor_do_not_go_together():
    with pytest.raises(ValueError, match=r"scores\['dead'\] are all zero"):
        named.select({"a": np.ones(4), "dead": np.zeros(4)}, 0.5, floor=1)


def test_all_zero_scores_are_refused():
    with pytest.raises(ValueError, match="all zero"):
        named.select({"a": np.zeros(4)}, 0.5)


@pytest.mark.parametrize(
    ("scores", "density", "words"),
    [
        ({}, 0.5, "at least one layer"),
        ({"a": np.ones(3)}, 0.0, "density"),
        ({"a": np.ones(3)}, 1.5, "density"),
        ({"a": np.ones(3), "fc.weight": np.array([1.0, np.nan])}, 0.5, "fc.weight"),
    ],
)
def test_bad_input_is_named(scores, density, words):
    with pytest.raises(ValueError, match=words):
        named.select(scores, density)
