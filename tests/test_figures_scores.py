"""The figures on data and scores: their claims in their tables, against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from matplotlib.figure import Figure

from figures import (
    generic_improvement,
    price_of_independence,
    scores_as_sketches,
    top_or_random,
)
from figures.algorithms import RIDGE, SCORES, score
from figures.reduced import initial, reduced, split
from lth_sketch import datasets, pruning, tolerances
from lth_sketch.plots.tables import distinct, select

# Compiled only: the figures are no part of the library whose lines are counted.
pytestmark = pytest.mark.large


@pytest.fixture(scope="module")
def data():
    return datasets.load("digits", subset=300)


def drawn(script, table):
    """Draw a table as the page does, and return the panels."""
    rows, columns = script.shape(len(distinct(table, "data")))
    axes = Figure().subplots(rows, columns, squeeze=False)
    script.draw(table, axes)
    return axes.ravel()


# The price of never looking at the data


@pytest.fixture(scope="module")
def prices(data):
    sizes = {"trials": 200, "cases": 3, "work": 10**9}
    return price_of_independence.compute(data, sizes, np.random.default_rng(0))


def test_price_is_a_ratio_of_second_moments(data, prices):
    w = abs(np.random.default_rng(0).standard_normal((200, 64)))
    centred = data.X - data.X.mean(axis=0)
    for case, X in {"raw": data.X, "centred": centred}.items():
        a = np.linalg.norm(X, axis=0)
        exact = w.sum(axis=1) * (w @ a**2) / (w @ a) ** 2
        curve = select(prices, panel="price", case=case)
        values = dict(zip(curve["quantity"], curve["value"], strict=True))
        for name, q in price_of_independence.QUANTILES.items():
            assert values[name] == pytest.approx(np.quantile(exact, q))


def test_price_falls_with_what_is_known_and_keeps_below_its_limit(prices):
    medians = []
    for case in price_of_independence.PREPARED:
        curve = select(prices, panel="price", case=case)
        values = dict(zip(curve["quantity"], curve["value"], strict=True))
        medians.append(values["median"])
        if case != "standardised":
            assert values["q95"] < values["limit"]
    # Equal norms: the price is the share of constant pixels, whose median is that of the limit.
    assert values["median"] == pytest.approx(values["limit"])
    assert medians == sorted(medians, reverse=True)


def test_constant_pixels_are_the_price_of_standardised_data(data, prices):
    w = abs(np.random.default_rng(0).standard_normal((200, 64)))
    live = np.ptp(data.X, axis=0) > 0
    assert not live.all()
    value = select(prices, panel="price", case="standardised", quantity="median")["value"]
    assert value == pytest.approx(np.median(w.sum(axis=1) / w[:, live].sum(axis=1)))


def test_worst_cases_are_above_the_minimax_ones(prices):
    for norm, best in (("frobenius", "squared"), ("columns", "data-free")):
        curve = select(prices, panel="worst", quantity=norm)
        ratios = dict(zip(curve["case"], curve["value"], strict=True))
        assert ratios.pop(best) == pytest.approx(1.0)
        # Digits have pixels that are never set, which the optimal draw for them never takes.
        assert ratios.pop("optimal") == np.inf
        assert all(1.0 < ratio < 100.0 for ratio in ratios.values())


def test_panels_of_the_price(prices):
    left, right = drawn(price_of_independence, prices)
    assert left.get_yscale() == "symlog"
    assert right.get_ylim()[0] < 1.0


# Scores as sketches


@pytest.fixture(scope="module")
def scores(data):
    sizes = {"trials": 15, "points": 6, "work": 10**9}
    return scores_as_sketches.compute(data, sizes, np.random.default_rng(0))


def test_excess_is_that_of_the_moments(data, scores):
    w = initial(np.random.default_rng(0), 64, 15, 10)
    a = np.linalg.norm(data.X, axis=0)
    excess = {"magnitude": [], "random": []}
    for t in range(15):
        u = a * np.linalg.norm(w[:, t], axis=1)
        fit = np.square(data.X @ w[:, t]).sum()
        least = u.sum() ** 2 - fit
        magnitude = np.linalg.norm(w[:, t], axis=1)
        for name, p in {"magnitude": magnitude / magnitude.sum(), "random": 1 / 64}.items():
            excess[name].append(((u**2 / p).sum() - fit) / least - 1)
    for name, values in excess.items():
        value = select(scores, panel="scores", case=name, when="start", quantity="median")["value"]
        assert value == pytest.approx(np.median(values), rel=tolerances.HALF)


def test_the_sketch_score_is_the_optimal_draw_at_the_start_only(scores):
    for when, low, high in (("start", 0.0, 1e-12), ("end", 0.01, 10.0)):
        value = select(scores, panel="scores", case="sketch", when=when)["value"]
        assert (low <= value).all()
        assert (value <= high).all()


def test_snip_on_noise_becomes_the_optimal_draw_on_average_only(scores):
    ends = {
        name: select(scores, panel="noise", case=name, quantity="median")["value"][-1]
        for name in scores_as_sketches.LABELS
    }
    assert ends["rms"] < 1e-3 < ends["16"] < 0.2 < ends["1"]
    falling = select(scores, panel="noise", case="rms", quantity="median")["value"]
    assert (np.diff(falling) < 0).all()


def test_panels_of_the_scores(scores):
    left, right = drawn(scores_as_sketches, scores)
    assert [text.get_text() for text in left.get_yticklabels()] == [
        look.label for look in SCORES.values()
    ]
    assert right.get_yscale() == "log"


def test_scores_are_those_of_the_full_data(data):
    rng = np.random.default_rng(0)
    w0, rotated = initial(rng, 64, 10), reduced(data)
    for name in ("sketch", "snip", "grasp", "leverage"):
        full = score(name, data.X, data.one_hot(), w0, rng)
        scores = score(name, rotated.R, rotated.targets, w0, rng)
        np.testing.assert_allclose(
            scores, full, rtol=tolerances.QUADRATURE, atol=tolerances.PUBLISHED * abs(full).max()
        )
    penalty = RIDGE * np.square(data.X).sum()
    np.testing.assert_array_equal(full, pruning.leverage(data.X, penalty))
    assert (score("sketch", data.X, None, w0, rng, known={"sketch": full}) == full).all()


# Keep the largest, or draw


@pytest.fixture(scope="module")
def phases(data):
    sizes = {"coherences": 5, "points": 7, "work": 10**9}
    return top_or_random.compute(data, sizes, np.random.default_rng(0))


def poisson(u, k):
    """Return the second moment of inclusions min(1, u / tau) that sum to k."""
    tau = scipy.optimize.brentq(
        lambda t: np.minimum(1, u / t).sum() - k, 1e-6, u.sum(), xtol=32 * tolerances.EPS
    )
    pi = np.minimum(1, u[u > 0] / tau)
    return (u[u > 0] ** 2 * (1 / pi - 1)).sum()


def test_family_follows_the_closed_forms(phases):
    curve = select(phases, product="family", design="poisson")
    u = scipy.stats.halfnorm.ppf((np.arange(256) + 0.5) / 256)[::-1]
    total, squares = u.sum(), (u**2).sum()
    for coherence, kept, value in zip(
        curve["coherence"], curve["kept"], curve["value"], strict=True
    ):
        cosine = (coherence - 1) * squares / (total**2 - squares)
        k = round(kept * 256)
        rest = u[k:]
        top = (1 - cosine) * (rest**2).sum() + cosine * rest.sum() ** 2
        assert value == pytest.approx(np.sqrt(top / poisson(u, k)), rel=tolerances.HALF)


def test_top_wins_at_random_signs_and_a_draw_at_parallel_terms(phases):
    for design in top_or_random.DESIGNS:
        curve = select(phases, product="family", design=design)
        value = curve["value"]
        assert (value[curve["coherence"] <= 1.0] < 1.0).all()
        middle = (curve["kept"] > 0.1) & (curve["kept"] < 0.6)
        assert (value[(curve["coherence"] > 150) & middle] > 2.0).all()


def test_real_products_are_placed_at_their_coherence(data, phases):
    w0 = initial(np.random.default_rng(0), 64)
    a = np.linalg.norm(data.X, axis=0)
    for name, w in {"gaussian": w0, "absolute": abs(w0)}.items():
        curve = select(phases, product=name, design="poisson")
        coherence = np.square(data.X @ w).sum() / np.square(a * w).sum()
        assert curve["coherence"][0] == pytest.approx(coherence)
        order = np.argsort(-a * abs(w), kind="stable")
        for kept, value in zip(curve["kept"], curve["value"], strict=True):
            k = round(kept * 64)
            top = np.linalg.norm(data.X[:, order[k:]] @ w[order[k:]])
            assert value == pytest.approx(
                top / np.sqrt(poisson(a * abs(w), k)), rel=tolerances.HALF
            )
    assert (select(phases, product="gaussian", design="poisson")["value"] < 1).all()


def test_panels_of_the_phases(phases):
    left, right = drawn(top_or_random, phases)
    assert left.get_xscale() == right.get_xscale() == "logit"
    # One symbol for each real product, and the shades of the family.
    assert len(left.collections) >= len(top_or_random.PRODUCTS) + len(top_or_random.DESIGNS)


# Does drawing improve


@pytest.fixture(scope="module")
def gains(data):
    sizes = {"trials": 6, "held_out": 50, "work": 1}
    return generic_improvement.compute(data, sizes, np.random.default_rng(0))


def test_losses_and_errors_are_those_of_least_squares(data, gains):
    parts = split(data, np.random.default_rng(0))
    penalty = RIDGE * np.square(parts.X).sum()
    order = np.argsort(-pruning.leverage(parts.X, penalty), kind="stable")[:19]
    w = np.linalg.lstsq(parts.X[:, order], parts.Y)[0]
    outputs = parts.X_test[:, order] @ w
    loss = np.square(parts.Y_test - outputs).sum() / np.square(parts.Y_test).sum()
    error = (outputs[:50].argmax(axis=1) != parts.labels_test[:50]).mean()
    for measure, value in {"loss": loss, "error": error}.items():
        part = [row for row in gains if (row["measure"], row["density"]) == (measure, 0.3)]
        values = select(part, score="leverage", source="real", quantity="top-k")["value"]
        assert values == pytest.approx(value, rel=tolerances.HALF)


def test_every_case_is_there_with_its_interval(gains):
    cases = len(generic_improvement.CASES) * len(generic_improvement.DENSITIES)
    for measure in generic_improvement.MEASURES:
        part = [row for row in gains if row["measure"] == measure]
        low, change, high, top, mean = (
            select(part, quantity=name)["value"]
            for name in ("low", "change", "high", "top-k", "draw")
        )
        assert len(change) == cases
        assert (low <= change).all()
        assert (change <= high).all()
        np.testing.assert_allclose(mean / top - 1, change, atol=tolerances.EXACT)


def test_interval_of_the_change():
    summary = generic_improvement._summary(np.array([1.0, 1.0, 1.0]), np.array([1.0, 1.2, 1.4]))
    # Student's t with two degrees of freedom: 4.302653.
    reach = 4.302653 * 0.2 / np.sqrt(3)
    assert summary["change"] == pytest.approx(0.2)
    assert summary["high"] - summary["low"] == pytest.approx(2 * reach)


def test_masks_of_one_density_are_of_one_size(data):
    rng = np.random.default_rng(0)
    parts = split(data, rng)
    train = reduced(data)
    masks = np.array(generic_improvement._masks(parts, train, {}, initial(rng, 64, 10), rng))
    sizes = masks.reshape(len(generic_improvement.CASES), -1, 2, 64).sum(axis=-1)
    assert (sizes == np.array([6, 19])[:, None]).all()
    assert set(np.unique(masks)) == {0.0, 1.0}


def test_paper_has_twenty_initializations_on_wide_data_too():
    sizes = generic_improvement.SIZES["paper"]
    assert min(sizes["trials"], max(20, sizes["work"] // 3072**3)) >= 20


def test_panels_of_the_gains(gains):
    left, _ = drawn(generic_improvement, gains)
    assert len(left.get_yticklabels()) == len(generic_improvement.CASES)
