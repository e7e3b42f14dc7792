"""At the ends of every range: an answer without a warning, or a refusal in words."""

from __future__ import annotations

import gc
import signal
import threading
import time

import numpy as np
import pytest
import reference
import scipy.special

from lth_sketch import (
    Product,
    bounds,
    intervals,
    moments,
    montecarlo,
    probabilities,
    pruning,
    quadratic_forms,
    regression,
    sampling,
    simulations,
    validation,
)
from lth_sketch.parallel import blockwise
from lth_sketch.tolerances import CONDITIONED, EXACT, PUBLISHED, QUADRATURE

product = Product([[3.0, 4.0, 1.0]], [1.0, -1.0, 2.0])
P = np.array([3.0, 4.0, 2.0])
SIZED = {
    "optimal": lambda s: moments.optimal(product, s),
    "multinomial": lambda s: moments.multinomial(product, P, s),
    "variance": lambda s: moments.variance(product, P, s),
    "distinct": lambda s: moments.distinct(P, s),
    "gaussian": lambda s: moments.gaussian(product, s),
    "frobenius": lambda s: bounds.frobenius(product, s),
    "priority": lambda s: bounds.priority(product, s),
    "dkm": lambda s: bounds.dkm(product, s, 0.1),
    "mcdiarmid": lambda s: bounds.mcdiarmid(product, P, s, 0.1),
    "sharpest": lambda s: bounds.sharpest(product, P, s, 0.1),
    "cantelli": lambda s: bounds.cantelli(product, P, s, 0.1),
    "asymptotic": lambda s: bounds.asymptotic_quantile(product, P, s, 0.1),
    "draw": lambda s: sampling.draw(P, s, rng=0)[1].sum(),
    "inclusion": lambda s: probabilities.inclusion(P, s).sum(),
}


@pytest.mark.parametrize("name", SIZED)
def test_sizes_up_to_the_last_integer(name):
    call = SIZED[name]
    for s in (1, 2**31, 2**53 + 1, 2**63 - 1):
        assert (np.asarray(call(s)) >= 0).all(), s
    for s in (2**63, 2**64 - 1, 2**70, np.uint64(2**63)):
        with pytest.raises(ValueError, match=f"s must be at most {2**63 - 1}"):
            call(s)
    with pytest.raises(ValueError, match="s must be at least 1"):
        call(0)


def test_sizes_that_vanish_like_one_over_s():
    for name in ("optimal", "multinomial", "cantelli", "frobenius"):
        near, far = (float(SIZED[name](s)) for s in (2**40, 2**60))
        assert far == pytest.approx(near / (2**10 if name == "cantelli" else 2**20), rel=1e-5)


@pytest.mark.parametrize("delta", [5e-324, 1e-310, 1e-250, 1e-20, 0.5, 1 - 2**-53])
def test_risks_up_to_the_ends(delta):
    for bound in (bounds.cantelli, bounds.mcdiarmid, bounds.bousquet, bounds.radial):
        value = float(bound(product, P, 5, delta))
        assert 0 < value < np.inf
    value = float(bounds.asymptotic_quantile(product, P, 5, delta))
    # One output: the law is that of one chi-square, known in its own logarithm.
    scale = float(bounds.asymptotic_quantile(product, P, 5, 0.1)) / scipy.special.ndtri(0.95)
    expected = -scipy.special.ndtri_exp(np.log(delta) - np.log(2))
    assert value == pytest.approx(scale * expected, rel=QUADRATURE)


def test_quantiles_of_any_weights_are_inverses():
    rng = np.random.default_rng(0)
    for lam in (np.ones(64), rng.random(64) ** 8, np.array([1.0, 1e-12]), np.geomspace(1, 1e-9, 9)):
        for delta in (0.999, 0.5, 1e-6, 1e-40):
            x = quadratic_forms.quantile(delta, lam)
            assert quadratic_forms.survival(x, lam) == pytest.approx(delta, rel=QUADRATURE)


def test_rates_and_risks_are_checked():
    with pytest.raises(ValueError, match="successes must be at most trials = 4; got 5"):
        intervals.rate(5, 4, 0.1)
    for risk in (0, 1, -0.1, np.nan, 2):
        with pytest.raises(ValueError, match="risk must lie in"):
            intervals.rate(1, 4, risk)
    assert intervals.rate(4, 4, 1e-300).high == 1.0


def test_draws_needed_ends():
    needed = bounds.draws_needed(moments.optimal, 1e-14, product, max_draws=2**62)
    assert moments.optimal(product, needed) <= 1e-14 < moments.optimal(product, needed - 2**10)
    with pytest.raises(ValueError, match="not reached"):
        bounds.draws_needed(moments.optimal, 0.0, product, max_draws=2**63 - 1)


def test_columns_of_any_size_on_a_path():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(9, 3)), rng.normal(size=9)
    for size in (1e-158, 1e-170, 1e-300):
        losses = regression.path(X * [1.0, size, 1.0], y, [1, 0, 2])
        np.testing.assert_allclose(losses, reference.prefix_losses(X, y, [1, 0, 2]), rtol=PUBLISHED)


def test_training_at_the_ends():
    X, y = np.eye(2) * [1.0, 1e-130], np.ones(2)
    for kind, key in (("flow", "time"), ("ridge", "penalty")):
        for value in (0.0, 1e-320, 1e-160, 1.0, 1e160, 1e308, np.inf):
            bound = bounds.displacement(X, y, kind, **{key: value})
            assert bound >= 0
            assert np.isfinite(bound)
    for penalty in (5e-324, 1e-160, 1.0, 1e160, 1e308):
        assert np.isfinite(bounds.retrained(0.5, X, y, penalty=penalty))
    for name, call in (
        ("X", lambda: bounds.displacement(X * 1e200, y)),
        ("r0", lambda: bounds.displacement(X, y * 1e200)),
        ("y", lambda: bounds.retrained(0.5, X, y * 1e200, penalty=1.0)),
    ):
        with pytest.raises(ValueError, match=f"{name} must have entries"):
            call()


def test_chances_are_chances(size):
    rng = np.random.default_rng(2)
    for power in (1, 9, 30):
        p = rng.random(size(40, 12)) ** power
        for s in (1, 5, len(p) // 2, len(p) - 1):
            pi = probabilities.inclusion(p, s, design="priority")
            assert (pi >= 0).all()
            assert (pi <= 1).all()


def test_weights_of_any_sizes_are_counted():
    np.testing.assert_array_equal(pruning.select([1e300, 1e-300], 1.0), [1, 1])
    for design in ("poisson", "systematic", "priority", "multinomial"):
        kept = pruning.select([1e300, 1e-300, 1e-10], 1.0, design=design, rng=0)
        np.testing.assert_array_equal(kept, [1, 1, 1])


def test_generators_that_cannot_spawn_are_refused_in_words():
    class Stateful(np.random.Generator):
        def spawn(self, n):
            raise TypeError("The underlying SeedSequence does not implement spawning.")

    rng = Stateful(np.random.PCG64(1))
    with pytest.raises(TypeError, match="rng cannot spawn children"):
        montecarlo.squared_errors(product, P, 2, trials=200, rng=rng)
    with pytest.raises(TypeError, match="rng cannot spawn children"):
        validation.spawned(rng, 2)
    assert len(sampling.draw(P, 2, design="systematic", rng=rng)[0]) == 2


def test_the_last_entry_takes_no_rounding():
    d = 10**5
    p = np.full(d, 0.1)
    simulate_with = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            simulations.errors, "replacement_errors", lambda *a: simulate_with.update(args=a)
        )
        montecarlo.squared_errors(Product(np.ones((1, d)), np.ones(d)), p, 1, trials=1, rng=0)
    cumulative = simulate_with["args"][3]
    assert abs(1.0 - cumulative[-2] - 1.0 / d) <= 8 * np.finfo(float).eps


@pytest.mark.parametrize("s", [97, 1000, 10**9, 10**12, 2**62])
def test_many_draws_from_few_weights(s):
    p = np.array([1.0, 0.0, 2.0, 1e-12, 0.0])
    indices, weights = sampling.draw(p, s, rng=3)
    share = p / p.sum()
    counts = weights * s * share[indices]
    np.testing.assert_allclose(counts.sum(), s, rtol=EXACT)
    np.testing.assert_allclose(counts, np.round(counts), rtol=CONDITIONED)
    # Six and a half standard deviations: 1e-10.
    chances = share[indices]
    assert (np.abs(counts - s * chances) <= 6.5 * np.sqrt(s * chances) + 6).all()
    rows = sampling.masks(p, s, 3, rng=3)
    np.testing.assert_allclose((rows @ share).ravel(), 1.0, rtol=EXACT)
    assert sampling.draw(p.astype(np.float32), s, rng=3)[1].dtype == np.float32


def test_many_draws_have_the_law_of_as_many_binomials():
    # Exactly: the count of one of two entries is binomial, read off 4000 masks.
    p, s, n = np.array([0.3, 0.7]), 80, 4000
    counts = sampling.masks(p, s, n, rng=7).toarray()[:, 0] * s * 0.3
    law = np.bincount(np.round(counts).astype(int), minlength=s + 1) / n
    steps = np.arange(s + 1)
    exact = np.exp(
        scipy.special.gammaln(s + 1) - scipy.special.gammaln(steps + 1)
        - scipy.special.gammaln(s - steps + 1) + steps * np.log(0.3) + (s - steps) * np.log(0.7)
    )  # fmt: skip
    # Dvoretzky, Kiefer, Wolfowitz and Massart, at 1e-9.
    limit = np.sqrt(np.log(2 / 1e-9) / (2 * n))
    assert np.abs(np.cumsum(law) - np.cumsum(exact)).max() <= limit


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("way", ["share", "chain"])
def test_work_ends_soon_after_an_interrupt(way, threads):
    done = []

    def block(b: int) -> None:
        time.sleep(0.002)
        done.append(b)

    def part(blocks: range) -> None:
        for b in blocks:
            block(b)

    def link(b: int, place) -> None:
        place(1)
        block(b)

    # A suite that runs in the background may have been told to ignore interrupts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    # To the thread that waits, as a terminal does.
    main = threading.main_thread().ident
    timer = threading.Timer(0.1, signal.pthread_kill, [main, signal.SIGINT])
    work = {"share": part, "chain": link}[way]
    # Hypothesis times collections: an interrupt in its callback would be lost.
    gc.disable()
    timer.start()
    start = time.perf_counter()
    try:
        with pytest.raises(KeyboardInterrupt):
            # Twenty seconds of work.
            getattr(blockwise, way)(work, 10_000, threads)
    finally:
        gc.enable()
        signal.signal(signal.SIGINT, before)
    assert time.perf_counter() - start < 2.0
    assert len(done) < 5_000
    timer.join()


@pytest.mark.parametrize("d", [1, 2, 9, 784])
def test_numpys_loops_draw_what_the_kernel_draws(d, monkeypatch):
    from lth_sketch.sampling import _replacement

    rng = np.random.default_rng(d)
    for p in (rng.random(d) + 1e-3, (rng.random(d) + 1e-3).astype(np.float32)):
        p[rng.random(d) < 0.2] = 0
        p[0] = 1
        for s in (1, 2, 32 if d < 9 else 300):
            ours = sampling.draw(p, s, rng=4)
            with monkeypatch.context() as patch:
                patch.setattr(_replacement, "FEW", 0)
                theirs = sampling.draw(p, s, rng=4)
            for a, b in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(a, b)
