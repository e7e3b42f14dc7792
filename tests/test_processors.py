"""The same bits on every processor: draws and norms under two targets of the compiler."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lth_sketch.inclusion import checked
from lth_sketch.parallel import blockwise
from lth_sketch.tolerances import SINGLE

DIGESTS = """
import hashlib
import numpy as np
from lth_sketch import sampling
from lth_sketch.parallel.norms import column_squares

def digest(*arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()

rng = np.random.default_rng(0)
for dtype in (np.float64, np.float32):
    p = np.abs(rng.standard_normal(300_001)).astype(dtype)
    for design in ("multinomial", "poisson", "systematic", "priority", "top"):
        for s in (1_000, 200_000):
            print(design, s, digest(*sampling.draw(p, s, design=design, rng=1)))
    A = rng.standard_normal((301, 1_003)).astype(dtype)
    print("norms", digest(*column_squares(A, np.asfortranarray(A))))
"""


@pytest.mark.large
def test_two_targets_of_the_compiler_give_the_same_bits():
    digests = []
    for target in ({}, {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}):
        command = [sys.executable, "-c", DIGESTS]
        done = subprocess.run(
            command, env=os.environ | target, capture_output=True, text=True, check=True
        )
        digests.append(done.stdout.splitlines())
    assert len(digests[0]) == 22
    assert digests[0] == digests[1]


@st.composite
def sized(draw):
    """Weights of one type and of sizes close or far apart, many of them equal, and a size s."""
    spread = draw(st.sampled_from([0, 3, 60, 400]))
    values = st.one_of(
        st.sampled_from([0.0, 1.0, 3.0]),
        st.floats(1.0, 2.0, exclude_max=True).map(lambda x: x * 2.0 ** -(hash(x) % (spread + 1))),
    )
    dtype = draw(st.sampled_from([np.float64, np.float32]))
    p = np.array(draw(st.lists(values, min_size=2, max_size=30)), dtype)
    live = int(np.count_nonzero(p))
    return p, draw(st.integers(1, max(1, live - 1))), live


def filled(p, s):
    """Capped water filling by sorting, in fractions."""
    order = sorted((Fraction(float(x)) for x in p), reverse=True)
    rest = sum(order, Fraction())
    for capped, largest in enumerate(order):
        if largest <= rest / (s - capped):
            break
        rest -= largest
    return float(rest / (s - capped))


@given(sized())
def test_the_threshold_is_the_exact_one_rounded_once(drawn):
    p, s, live = drawn
    if live < 2:
        return
    assert checked.threshold(checked.survey(p), s) == filled(p, s)
    # A survey that does not add up exactly leaves that to the threshold.
    assert checked.threshold(checked.survey(p, exact=False), s) == filled(p, s)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("order", ["mixed", "ascending", "descending"])
@pytest.mark.parametrize("tail", ["light", "heavy"])
def test_thresholds_of_many_blocks_start_from_a_sample(tail, order, threads, size, monkeypatch):
    """Whatever the sample tells: of weights in order it may tell anything."""
    monkeypatch.setattr(blockwise, "BLOCK", 64)
    monkeypatch.setattr(checked, "SAMPLE", 32)
    monkeypatch.setattr(checked, "RUN", 4)
    rng = np.random.default_rng(17)
    d = size(3_000, 300)
    p = rng.random(d) if tail == "light" else np.abs(rng.standard_cauchy(d)) ** 2
    p[rng.random(d) < 0.1] = 0.0
    if order != "mixed":
        p = np.sort(p)[:: 1 if order == "ascending" else -1]
    given = checked.survey(p, threads)
    for s in (1, 2, 7, d // 10, d // 2, given.nonzero - 1):
        assert checked.threshold(given, s, threads) == filled(p, s)


def test_a_guess_too_low_is_taken_back(monkeypatch):
    p = np.random.default_rng(18).random(50)
    monkeypatch.setattr(checked, "_guessed", lambda given, s, level: level * 1e-9)
    assert checked.threshold(checked.survey(p), 40) == filled(p, 40)


def test_a_threshold_beyond_the_weights_own_type():
    p = np.array([3e38, 3e38, 1e-38], np.float32)
    assert checked.threshold(checked.survey(p), 1) == filled(p, 1) > 6e38 * (1 - SINGLE)


@pytest.mark.parametrize("exponent", [-480, 480])
def test_the_threshold_is_exact_at_the_ends_of_its_range(exponent):
    rng = np.random.default_rng(19)
    for spread in (1, 100, 480):
        p = np.ldexp(rng.random(40), exponent - rng.integers(0, spread, 40))
        for s in (1, 5, 39):
            assert checked.threshold(checked.survey(p), s) == filled(p, s)


def test_sums_of_many_sizes_are_exact(size):
    rng = np.random.default_rng(3)
    for spread in (0, 30, 90, 300):
        d = size(200_000, 500)
        p = np.ldexp(rng.random(d), -rng.integers(0, spread + 1, d))
        tau = checked.threshold(checked.survey(p), 1)
        assert tau == math.fsum(p)
        # Weights far below a cap that is itself far below the largest.
        p[:10] = 2.0**40
        tau = checked.threshold(checked.survey(p), 11)
        assert tau == math.fsum(p[10:])
