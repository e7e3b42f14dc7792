"""The figures on training: their claims in their tables, against plain numpy; sizes are tiny."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from figures import end_of_training, heavy_tail, retrained
from figures.algorithms import leverage
from figures.reduced import initial, split
from lth_sketch import Product, bounds, datasets, moments, probabilities, tolerances
from lth_sketch.plots.tables import distinct, select

# Compiled only: the figures are no part of the library whose lines are counted.
pytestmark = pytest.mark.large

TINY = {"trials": 40, "points": 7, "work": 10**7}


@pytest.fixture(scope="module")
def data():
    return datasets.load("digits", subset=300)


def drawn(script, table):
    """Draw a table as the page does, and return the panels."""
    rows, columns = script.shape(len(distinct(table, "data")))
    axes = Figure().subplots(rows, columns, squeeze=False)
    script.draw(table, axes)
    return axes.ravel()


def relative(product, square):
    return np.sqrt(square / product.norm2)


@pytest.fixture(scope="module")
def flow(data):
    sizes = TINY | {"trials": 500, "work": 10**8}
    return end_of_training.compute(data, sizes, np.random.default_rng(0))


@pytest.mark.parametrize("outputs", end_of_training.OUTPUTS)
def test_measured_points_lie_on_the_exact_curve(data, flow, outputs):
    w0 = initial(np.random.default_rng(0), 64, 10)
    y = data.one_hot()
    if outputs == "one":
        w0, y = w0[:, 0], y[:, 0]
    # Least squares nearest to w0: the end of the flow.
    end = w0 + np.linalg.lstsq(data.X, y - data.X @ w0)[0]
    start = Product(data.X, w0)
    draws = {
        "optimal": probabilities.optimal(start),
        "data-free": probabilities.data_free(w0),
        "defensive": probabilities.defensive(start, 0.5),
        "uniform": np.ones(64),
    }
    labels = {"labels": 0.1, "time": [0.0, np.inf]}
    ahead = probabilities.anticipated(data.X, w0, **labels)
    over = moments.anticipated(data.X, ahead, 256, w0, **labels)
    for time, product, p, square in zip(
        (0.0, np.inf), (start, Product(data.X, end)), ahead, over, strict=True
    ):
        part = {"outputs": outputs, "quantity": "E6", "draw": "anticipated"}
        rows = select(flow, **part)
        points = rows["value"][rows["time"] == time]
        np.testing.assert_allclose(points, relative(product, square), rtol=tolerances.QUADRATURE)
        part |= {"quantity": "E1"}
        rows = select(flow, **part)
        points = rows["value"][rows["time"] == time]
        exact = relative(product, moments.multinomial(product, p, 256))
        np.testing.assert_allclose(points, exact, rtol=tolerances.QUADRATURE)
        seen = select(flow, **part | {"draw": "seen"})
        assert (seen["value"][seen["time"] == time] <= points * (1 + tolerances.ROUNDING)).all()
    for time, product in ((0.0, start), (np.inf, Product(data.X, end))):
        for name, p in draws.items():
            part = [row for row in flow if (row["outputs"], row["time"]) == (outputs, time)]
            exact = select(part, draw=name, quantity="E1")["value"].item()
            points = select(part, draw=name, quantity="measured")
            square = moments.multinomial(product, p, 256)
            assert exact == pytest.approx(relative(product, square), rel=tolerances.HALF)
            # Eight standard errors of a mean of 500: below 1e-9 for these sums of 256 draws.
            spread = np.sqrt(moments.variance(product, p, 256) / points["trials"].item())
            gap = points["value"].item() ** 2 * product.norm2 - square
            assert abs(gap) < 8 * spread


def test_bounds_hold_at_every_time(flow):
    for outputs in end_of_training.OUTPUTS:
        part = [row for row in flow if row["outputs"] == outputs]
        exact = select(part, draw="defensive", quantity="E1")["value"]
        named = {
            name: select(part, quantity=name)["value"]
            for name in ("E3", "E3 best", "E3 table", "E1 best", "alpha")
        }
        assert (exact <= named["E3"] * (1 + 1e-9)).all()
        assert (named["E1 best"] <= named["E3 best"] * (1 + 1e-9)).all()
        assert (named["E3 best"] <= named["E3"] * (1 + 1e-9)).all()
        assert (named["E3"] <= named["E3 table"] * (1 + 1e-9)).all()
        assert (np.diff(named["alpha"]) > 0).any()
        # At the start the best draw has no floor, and the bound is exact for it.
        assert named["alpha"][0] == 0
        assert named["E3 best"][0] == pytest.approx(named["E1 best"][0])


def test_times_reach_from_zero_to_the_end(flow):
    times = select(flow, outputs="one", draw="optimal", quantity="E1")["time"]
    assert (times[0], times[1], times[-1]) == (0.0, end_of_training.FIRST, np.inf)
    assert (np.diff(times) > 0).all()
    part = [row for row in flow if row["draw"] == "uniform" and row["quantity"] == "E1"]
    value = select(part, outputs="ten")["value"]
    assert value[-2] == pytest.approx(value[-1], rel=1e-2)


def test_panels_shade_what_is_vacuous(flow):
    for panel in drawn(end_of_training, flow):
        boxes = [patch.get_bbox() for patch in panel.patches]
        assert [(box.y0, box.y1) for box in boxes] == [(1.0, panel.get_ylim()[1])]
        labels = [text.get_text() for text in panel.get_xticklabels()]
        assert (labels[0], labels[-1]) == ("0", "∞")


@pytest.fixture(scope="module")
def tail(data):
    sizes = {"trials": 2000, "points": 30, "work": 10**8}
    return heavy_tail.compute(data, sizes, np.random.default_rng(0))


def test_values_are_those_of_the_formula(data, tail):
    rng = np.random.default_rng(0)
    W0 = initial(rng, 64, 2000)
    y = data.one_hot()[:, :1]
    W = W0 + np.linalg.lstsq(data.X, y - data.X @ W0)[0]
    u0 = np.linalg.norm(data.X, axis=0)[:, None] * abs(W0)
    u = np.linalg.norm(data.X, axis=0)[:, None] * abs(W)
    fit = np.square(data.X @ W).sum(axis=0)
    for case, p in {"plain": u0 / u0.sum(axis=0), "squared": W0**2 / (W0**2).sum(0)}.items():
        terms = np.divide(u**2, p, out=np.zeros_like(u), where=u > 0)
        value = (terms.sum(axis=0) / fit - 1) / 64
        curve = select(tail, case=case, quantity="survival")
        ranks = np.round(curve["value"] * 2000).astype(int)
        np.testing.assert_allclose(
            curve["x"], np.sort(value)[::-1][ranks - 1], rtol=tolerances.SINGLE
        )


def test_slopes_of_the_tails(tail):
    def slope(case):
        curve = select(tail, case=case, quantity="survival")
        ends = [np.argmax(curve["value"] > chance) for chance in (0.005, 0.1)]
        x, y = np.log(curve["x"][ends]), np.log(curve["value"][ends])
        return (y[1] - y[0]) / (x[1] - x[0])

    # Ten values beyond the far end: the log of its place is known to about a third.
    assert -1.35 < slope("plain") < -0.75
    assert -0.7 < slope("squared") < -0.35
    assert slope("plain, ten outputs") < -5


def test_share_of_the_largest(tail):
    shares = {
        case: select(tail, case=case, quantity="share of the largest") for case in heavy_tail.CASES
    }
    assert all(curve["x"].tolist() == shares["plain"]["x"].tolist() for curve in shares.values())
    last = {case: curve["value"][-1] * curve["x"][-1] for case, curve in shares.items()}
    # A law with a mean and no tail: about 1/N. The plain draw: far above it.
    assert last["plain, ten outputs"] < 2
    assert last["plain"] > 15
    assert last["squared"] > 60


def test_largest_share_is_a_mean_over_groups():
    values = np.ones(60)
    values[[1, 2, 8]] = 3.0, 4.0, 2.0
    counts, shares = heavy_tail._largest_share(values)
    assert counts.tolist() == [3, 6]
    assert shares == pytest.approx(
        [(4 / 8 + 2 / 4 + 18 / 3) / 20, (4 / 11 + 2 / 7 + 8 / 6) / 10],
    )


def test_panels_of_the_tail(tail):
    left, right = drawn(heavy_tail, tail)
    assert left.get_xscale() == right.get_yscale() == "log"


@pytest.fixture(scope="module")
def fits(data):
    return retrained.compute(data, TINY | {"trials": 5}, np.random.default_rng(0))


def test_path_and_fitted_masks_agree_and_end_at_the_dense_model(fits):
    for name in retrained.SCORES:
        path = select(fits, how="path", score=name)
        fitted = select(fits, side="train", how="top-k", score=name, quantity="median")
        places = np.round(fitted["kept"] * 64).astype(int) - 1
        np.testing.assert_allclose(
            path["value"][places], fitted["value"], rtol=tolerances.QUADRATURE
        )
        dense = select(fits, side="train", how="dense")["value"].item()
        assert path["value"][-1] == pytest.approx(dense)
        assert (path["value"] >= dense * (1 - 1e-9)).all()


def test_losses_are_those_of_least_squares(data, fits):
    rng = np.random.default_rng(0)
    parts = split(data, rng)
    # Leverage scores do not depend on the initialization.
    order = np.argsort(-leverage(parts.X), kind="stable")
    sides = {"train": (parts.X, parts.Y), "held out": (parts.X_test, parts.Y_test)}
    for side, (X, Y) in sides.items():
        curve = select(fits, side=side, how="top-k", score="leverage", quantity="median")
        for kept, value in zip(curve["kept"][:4], curve["value"][:4], strict=True):
            kept_features = order[: round(kept * 64)]
            w = np.linalg.lstsq(parts.X[:, kept_features], parts.Y)[0]
            loss = np.square(Y - X[:, kept_features] @ w).sum() / np.square(Y).sum()
            assert value == pytest.approx(loss, rel=tolerances.HALF)


def test_samples_are_split_in_two(data):
    parts = split(data, np.random.default_rng(0))
    assert (len(parts.X), len(parts.X_test)) == (200, 100)
    both = np.vstack([parts.X, parts.X_test])
    order = np.lexsort(both.T)
    np.testing.assert_array_equal(both[order], data.X[np.lexsort(data.X.T)])
    assert (parts.Y.argmax(axis=1) == parts.labels).all()
    assert (parts.Y_test.argmax(axis=1) == parts.labels_test).all()


def test_draws_are_between_their_quantiles(fits):
    for side in retrained.SIDES:
        for name in retrained.DRAWN:
            low, median, high = (
                select(fits, side=side, how="draw", score=name, quantity=q)["value"]
                for q in retrained.QUANTILES
            )
            assert (low <= median).all()
            assert (median <= high).all()


def test_draws_needed_by_e4(data, fits):
    parts = split(data, np.random.default_rng(0))
    s = round(select(fits, how="E4")["value"].item() * 64)
    penalty = 1e-3 * np.square(parts.X).sum()
    p = probabilities.leverage(parts.X, penalty)
    eps = bounds.spectral(parts.X, p, [s - 1, s], 0.05, ridge=penalty)
    bound = bounds.retrained(eps, parts.X, parts.Y, penalty=penalty)
    assert bound[1] <= np.linalg.norm(parts.Y) * (1 + 1e-9) < bound[0]


def test_panels_of_the_fits(fits):
    left, right = drawn(retrained, fits)
    assert left.get_xscale() == right.get_xscale() == "logit"
