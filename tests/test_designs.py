"""One register of designs: every room knows each of them, and refuses the same sizes."""

from __future__ import annotations

import numpy as np
import pytest

from lth_sketch import Product, moments, montecarlo, probabilities, pruning, sampling
from lth_sketch.designs import DESIGNS, named
from lth_sketch.inclusion.designs import INCLUSIONS
from lth_sketch.sampling.samplers import _DRAWS, _ROWS
from lth_sketch.simulations import SIMULATIONS
from lth_sketch.testing import enumerate_masks
from lth_sketch.testing.laws import _LAWS

# Designs whose law is no list.
UNLISTED = {"priority"}
WEIGHTS = {
    "all positive": [0.5, 2.0, 1.0, 4.0],
    "with zeros": [0.0, 3.0, 0.0, 1.0, 1.0],
    "one alone": [0.0, 0.0, 2.0],
    "equal": [1.0, 1.0, 1.0],
}


def rooms(design: str, p: np.ndarray, s: int):
    """Every way in which a design is asked for masks of p and s, or for what is known of them."""
    product = Product([p], np.ones(len(p)))
    yield "draw", lambda: sampling.draw(p, s, design=design, rng=0)
    yield "mask", lambda: sampling.mask(p, s, design=design, rng=0)
    yield "masks", lambda: sampling.masks(p, s, 3, design=design, rng=0)
    yield "inclusion", lambda: probabilities.inclusion(p, s, design=design)
    yield "moments", lambda: getattr(moments, design)(product, p, s)
    yield "moments, two sizes", lambda: getattr(moments, design)(product, p, [1, s])
    yield "simulated", lambda: montecarlo.squared_errors(product, p, s, trials=2, design=design)
    if design not in UNLISTED:
        yield "law", lambda: enumerate_masks(p, s, design)


def allowed(design: str, p: np.ndarray) -> float:
    """The largest size by the words of `sampling.draw`."""
    if named(design).with_replacement:
        return np.inf
    return len(p) if design == "top" else np.count_nonzero(p)


@pytest.mark.parametrize("table", [INCLUSIONS, SIMULATIONS, _DRAWS, _ROWS, _LAWS])
def test_every_room_has_an_entry_for_every_design(table):
    assert table.keys() == DESIGNS.keys()


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_every_room_refuses_the_same_sizes_in_the_same_words(design, weights):
    p = np.array(WEIGHTS[weights])
    for s in range(1, len(p) + 3):
        refusals = {}
        for room, ask in rooms(design, p, s):
            try:
                ask()
                refusals[room] = None
            except ValueError as error:
                refusals[room] = str(error)
        assert len(set(refusals.values())) == 1, refusals
        assert (refusals["draw"] is None) == (s <= allowed(design, p))


@pytest.mark.parametrize("design", DESIGNS)
def test_selection_takes_what_a_draw_takes(design):
    p = np.array(WEIGHTS["with zeros"])
    for s in range(1, len(p) + 1):
        fits = design == "top" or s <= np.count_nonzero(p)
        if fits:
            assert pruning.select(p, s / len(p), design=design, rng=0).shape == p.shape
        else:
            with pytest.raises(ValueError, match=r"only 3 there are not zero"):
                pruning.select(p, s / len(p), design=design, rng=0)


@pytest.mark.parametrize("design", DESIGNS)
def test_records_tell_the_truth(design):
    """By the exact law: whether a mask is unbiased, repeats an index, and has a fixed size."""
    record, p, s = named(design), np.array([1.0, 1.0, 1.0, 1.0, 0.9, 1.0]), 3
    rows = sampling.masks(p, s, 200, design=design, rng=1)
    sizes = np.diff(rows.indptr)
    assert (sizes == s).all() == record.fixed_size
    assert record.with_replacement == (design in ("multinomial", "hybrid"))
    if design in UNLISTED:
        assert record.unbiased
        return
    masks, chances = enumerate_masks(p, s, design)
    assert np.allclose(chances @ masks, 1.0) == record.unbiased


@pytest.mark.parametrize("s", [1, 2, 3, 4, 5])
def test_the_largest_may_be_zero_in_every_room(s):
    """Scores need not cover the terms of a mask that is not drawn."""
    p = np.array([0.0, 3.0, 0.0, 1.0, 1.0])
    product = Product([[1.0, -2.0, 4.0, 8.0, 16.0]], np.ones(5))
    expected = np.zeros(5)
    expected[[1, 3, 4, 0, 2][:s]] = 1.0
    for binary in (False, True):
        assert (sampling.mask(p, s, design="top", binary=binary) == expected).all()
        rows = sampling.masks(p, s, 2, design="top", binary=binary)
        assert (rows.toarray() == expected).all()
    assert (probabilities.inclusion(p, s, design="top") == expected).all()
    assert (enumerate_masks(p, s, "top")[0] == expected).all()
    error = float(product.A[0] @ (expected - 1.0)) ** 2
    assert moments.top(product, p, s) == pytest.approx(error)
    assert montecarlo.squared_errors(product, p, s, trials=2, design="top") == pytest.approx(error)


@pytest.mark.parametrize("p", [[1e-200, 2e-200, 1e300], [1.0, np.nextafter(1.0, 2.0), 3.0]])
def test_no_room_makes_two_scores_equal(p):
    """The second is above the first, by a share that a division by the largest would lose."""
    expected = [0.0, 1.0, 1.0]
    product = Product([[1.0, 2.0, 4.0]], np.ones(3))
    assert (sampling.mask(p, 2, design="top") == expected).all()
    assert (probabilities.inclusion(p, 2, design="top") == expected).all()
    assert (enumerate_masks(p, 2, "top")[0] == expected).all()
    assert moments.top(product, p, 2) == pytest.approx(1.0)
    assert montecarlo.squared_errors(product, p, 2, trials=1, design="top") == pytest.approx(1.0)


def test_an_unknown_design_is_refused_with_the_names():
    with pytest.raises(ValueError, match=r"design must be one of conditional, .*got 'best'"):
        named("best")
