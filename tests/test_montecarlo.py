"""Simulation against the exact moments and laws; the same bits on any number of threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.stats

from lth_sketch import Product, bounds, moments, montecarlo, probabilities, simulations
from lth_sketch.testing import enumerate_masks, squared_errors
from lth_sketch.tolerances import EXACT

# Each statistical test below errs with probability 1e-9 at most.
SIGNIFICANCE = 1e-9
STANDARD_ERRORS = scipy.stats.norm.isf(SIGNIFICANCE / 2)


def sample(rng, q=6, d=12, r=2):
    return Product(rng.normal(size=(q, d)), rng.normal(size=(d, r)))


@pytest.mark.parametrize("shape", [(2, 40, 1), (30, 12, 2), (5, 1, 1)])
def test_means_agree_with_S2_at_every_size(shape, size):
    rng = np.random.default_rng(0)
    product = sample(rng, *shape)
    p = rng.random(product.d) + 0.1
    s = [1, 3, 7, 20, 4 * product.d]
    errors = montecarlo.squared_errors(product, p, s, trials=size(20_000, 400), rng=1)
    exact = moments.multinomial(product, p, s)
    spread = np.sqrt(moments.variance(product, p, s) / errors.shape[1])
    assert (abs(errors.mean(axis=1) - exact) <= STANDARD_ERRORS * spread + EXACT).all()


def test_the_whole_law_agrees_with_enumeration(size):
    """Chi-square test of the distribution of errors over every outcome."""
    rng = np.random.default_rng(2)
    product = sample(rng, 3, 3, 1)
    p = np.array([0.5, 0.2, 0.3])
    masks, chances = enumerate_masks(p, 2)
    errors = squared_errors(product, masks)
    simulated = montecarlo.squared_errors(product, p, 2, trials=size(50_000, 2000), rng=3)
    nearest = abs(simulated[:, None] - errors).argmin(axis=1)
    assert abs(simulated - errors[nearest]).max() <= EXACT * errors.max()
    counts = np.bincount(nearest, minlength=len(errors))
    assert scipy.stats.chisquare(counts, chances * len(simulated)).pvalue > SIGNIFICANCE


def test_draws_between_two_sizes_are_independent_of_those_before(size):
    """s err_s sums independent terms: Cov(err_s, err_S) = (s / S) Var(err_s), entrywise."""
    product = Product([[3.0, 4.0, 5.0]], [1.0, -1.0, 2.0])
    trials = size(50_000, 3000)
    errors = np.sqrt(montecarlo.squared_errors(product, [1, 1, 1], [2, 50], trials=trials, rng=4))
    # With one output the error is a number; its absolute values are positively correlated.
    exact = moments.multinomial(product, [1, 1, 1], [2, 50])
    assert (abs((errors**2).mean(axis=1) / exact - 1) < 30 / np.sqrt(trials)).all()
    assert scipy.stats.spearmanr(*errors).statistic < 0.5


@pytest.mark.parametrize("design", ["multinomial", "top"])
def test_same_bits_for_any_number_of_threads(design):
    rng = np.random.default_rng(5)
    product = sample(rng)
    p = rng.random(product.d)
    s = [1, 5, 12]
    runs = [
        montecarlo.squared_errors(product, p, s, trials=150, design=design, rng=6, n_jobs=n)
        for n in (1, 2, 4)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])


def test_a_generator_moves_on_and_a_seed_repeats():
    product = sample(np.random.default_rng(7))
    p = probabilities.optimal(product)
    rng = np.random.default_rng(8)
    first, second = (montecarlo.squared_errors(product, p, 4, trials=9, rng=rng) for _ in "ab")
    again = montecarlo.squared_errors(product, p, 4, trials=9, rng=8)
    assert (first != second).all()
    np.testing.assert_array_equal(first, again)


def test_sizes_in_any_order_and_shape():
    product = sample(np.random.default_rng(9))
    p = probabilities.optimal(product)
    plain = montecarlo.squared_errors(product, p, [2, 5, 9], trials=70, rng=0)
    mixed = montecarlo.squared_errors(product, p, [[9, 2], [5, 9]], trials=70, rng=0)
    assert montecarlo.squared_errors(product, p, 9, trials=70, rng=0).shape == (70,)
    np.testing.assert_array_equal(mixed[0], plain[[2, 0]])
    np.testing.assert_array_equal(mixed[1], plain[[1, 2]])


def test_top_is_its_moment():
    product = sample(np.random.default_rng(10))
    p = probabilities.optimal(product)
    errors = montecarlo.squared_errors(product, p, [3, 12], trials=2, design="top")
    np.testing.assert_allclose(errors.T, [moments.top(product, p, [3, 12])] * 2, atol=EXACT)


def test_an_entry_of_probability_zero_is_never_drawn(size):
    """Were it drawn, its term (here not zero) would show as an infinite or huge error."""
    product = Product([[1.0, 0.0, 1.0, 0.0]], [1.0, 5.0, -1.0, 7.0])
    p = [0.5, 0.0, 0.5, 0.0]
    errors = montecarlo.squared_errors(product, p, 2, trials=size(20_000, 500), rng=11)
    assert set(np.unique(errors.round(9))) == {0.0, 4.0}


class Fixed:
    """A stand-in for a Generator whose uniforms are the ones given."""

    def __init__(self, *values):
        self.values = list(values)

    def random(self):
        return self.values.pop(0)


def test_a_uniform_beyond_the_last_sum_draws_the_last_entry(monkeypatch):
    """Rounding can leave the running sum below a uniform; nothing may fall off the end."""
    from lth_sketch.kernels import errors

    kernel = getattr(errors.replacement_errors, "py_func", errors.replacement_errors)
    product = Product(np.eye(3), np.array([1.0, 1.0, 0.0]))
    simulate_with = {}
    monkeypatch.setattr(
        simulations.errors, "replacement_errors", lambda *a: simulate_with.update(args=a)
    )
    p = np.array([0.5, 0.5, 0.0])
    montecarlo.squared_errors(product, p, 1, trials=1, rng=0)
    *setup, _, out = simulate_with["args"]
    for u, expected in ((0.0, 2.0), (np.nextafter(0.5, 0), 2.0), (np.nextafter(1, 0), 2.0)):
        kernel(*setup, Fixed(u), out)
        np.testing.assert_allclose(out * product.total**2, expected)


def test_measured_quantiles_stay_below_the_bounds(size):
    rng = np.random.default_rng(12)
    product = sample(rng, 20, 30, 1)
    trials, delta = size(20_000, 300), 0.01
    s = np.array([4, 32, 128])
    for p in (probabilities.optimal(product), probabilities.uniform(30)):
        errors = montecarlo.squared_errors(product, p, s, trials=trials, rng=13)
        # More than k errors above a bound of risk delta happen with probability SIGNIFICANCE.
        k = scipy.stats.binom.isf(SIGNIFICANCE, trials, delta)
        limit = bounds.sharpest(product, p, s, delta)
        assert ((np.sqrt(errors) > limit[:, None]).sum(axis=1) <= k).all()


@pytest.mark.large
def test_the_asymptotic_quantile_is_near_for_many_draws():
    product = sample(np.random.default_rng(14), 20, 30, 1)
    for p in (probabilities.optimal(product), probabilities.uniform(30)):
        errors = montecarlo.squared_errors(product, p, 512, trials=40_000, rng=15)
        measured = np.sqrt(np.quantile(errors, 0.95))
        assert abs(measured / bounds.asymptotic_quantile(product, p, 512, 0.05) - 1) < 0.07


def test_quantile_limit_is_exceeded_as_rarely_as_it_says(size):
    """The exact law is known here, so each limit's own chance of being exceeded is known too."""
    product = Product([[3.0, 4.0, 1.0]], [1.0, -1.0, 0.5])
    p = probabilities.optimal(product)
    masks, chances = enumerate_masks(p, 6)
    errors = np.sqrt(squared_errors(product, masks))
    delta, runs = 0.1, size(400, 60)
    limits = np.array(
        [montecarlo.quantile_limit(product, p, 6, delta, trials=99, rng=i) for i in range(runs)]
    )
    exceeded = (chances * (errors > limits[:, None] + EXACT * 8)).sum(axis=1)
    # Each is in [0, 1] with mean at most delta (Hoeffding).
    assert exceeded.mean() <= delta + np.sqrt(-np.log(SIGNIFICANCE) / (2 * runs))
    risky = [
        montecarlo.quantile_limit(product, p, 6, delta, risk=0.01, trials=99, rng=i)
        for i in range(runs)
    ]
    above = (chances * (errors > np.array(risky)[:, None] + EXACT * 8)).sum(axis=1) > delta
    assert above.sum() <= scipy.stats.binom.isf(SIGNIFICANCE, runs, 0.01)
    assert (np.array(risky) >= limits).all()


@pytest.mark.parametrize("trials", [1, 64, 150, 300])
def test_an_executor_gives_the_same_bits(trials):
    """One block, two, and as many as go into tasks of several."""
    product = sample(np.random.default_rng(23))
    alone = montecarlo.squared_errors(product, np.ones(12), [5, 2], trials=trials, rng=24)
    with ThreadPoolExecutor(2) as pool:
        spread = montecarlo.squared_errors(
            product, np.ones(12), [5, 2], trials=trials, rng=24, executor=pool
        )
    np.testing.assert_array_equal(spread, alone)


@pytest.mark.parametrize(("s", "counted"), [([8, 400], True), (400, True), ([3, 4], False)])
def test_many_draws_of_large_products_are_counted_first(s, counted, monkeypatch):
    """The same draws either way, whose errors differ in the last digits only."""
    product = sample(np.random.default_rng(20), d=40)
    p = np.random.default_rng(21).random(40) * (np.arange(40) % 5 != 4)
    product = Product(product.A * (p > 0), product.B)
    one_by_one = montecarlo.squared_errors(product, p, s, trials=70, rng=22)
    monkeypatch.setattr(simulations, "CACHED", 0)
    simulate = simulations.SIMULATIONS["multinomial"](product, p / p.sum(), np.atleast_1d(s))
    assert (simulate.__name__ == "together") == counted
    monkeypatch.setattr(simulations, "COUNTED", 400)
    for threads in (1, 3):
        again = montecarlo.squared_errors(product, p, s, trials=70, rng=22, n_jobs=threads)
        np.testing.assert_allclose(again, one_by_one, rtol=EXACT)
        assert (again == one_by_one).all() == (not counted)


def test_quantile_limit_takes_the_order_statistic_it_states():
    product = sample(np.random.default_rng(16))
    p = probabilities.optimal(product)
    errors = np.sort(montecarlo.squared_errors(product, p, [2, 4], trials=199, rng=17))
    limit = montecarlo.quantile_limit(product, p, [2, 4], 0.05, trials=199, rng=17)
    floor = montecarlo.rounding(product, p, [2, 4], trials=199)
    assert (floor > 0).all()
    assert (floor < EXACT * limit).all()
    np.testing.assert_array_equal(limit, np.sqrt(errors[:, -10]) + floor)
    risky = montecarlo.quantile_limit(product, p, [2, 4], 0.05, risk=1e-3, trials=199, rng=17)
    k = max(k for k in range(1, 199) if scipy.stats.binom.cdf(k - 1, 199, 0.05) <= 1e-3)
    np.testing.assert_array_equal(risky, np.sqrt(errors[:, -k]) + floor)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"trials": 0}, ValueError, "trials must be at least 1; got 0"),
        ({"trials": 2.5}, TypeError, "trials must be an integer"),
        ({"s": []}, ValueError, "at least one"),
        ({"s": 0}, ValueError, "s must be at least 1"),
        ({"p": [1, 0]}, ValueError, "biased"),
        ({"design": "best"}, ValueError, "design must be one of .*top; got 'best'"),
        ({"design": "top", "s": 3}, ValueError, "at most d = 2"),
        ({"rng": "seed"}, TypeError, "rng must be"),
        ({"n_jobs": 0}, ValueError, "n_jobs must be at least 1"),
    ],
)
def test_bad_input(change, error, text):
    arguments = {"p": [1, 1], "s": 2, "trials": 5} | change
    with pytest.raises(error, match=text):
        montecarlo.squared_errors(Product([[3.0, 4.0]], [1.0, -1.0]), **arguments)


def test_too_few_trials_for_a_limit():
    product = Product([[3.0, 4.0]], [1.0, -1.0])
    with pytest.raises(ValueError, match=r"trials = 98 are too few for delta = 0\.01.*least 99"):
        montecarlo.quantile_limit(product, [1, 1], 2, 0.01, trials=98)
    with pytest.raises(ValueError, match="risk = 1e-06; take at least 1375"):
        montecarlo.quantile_limit(product, [1, 1], 2, 0.01, risk=1e-6, trials=1374)
    montecarlo.quantile_limit(product, [1, 1], 2, 0.01, risk=1e-6, trials=1375, rng=0)
    montecarlo.quantile_limit(product, [1, 1], 2, 0.01, trials=99, rng=0)
