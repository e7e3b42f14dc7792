"""B9: moments of every order against exact rational enumeration."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from lth_sketch import Product, moments, probabilities, squared_error
from lth_sketch.multigraphs import table as tables
from lth_sketch.single_draw import SingleDraw
from lth_sketch.testing import enumerate_masks, products, squared_errors
from lth_sketch.testing import probabilities as draws
from lth_sketch.tolerances import EXACT, PUBLISHED, ROUNDING

KNOWN = json.loads((Path(__file__).parent / "known_answers.json").read_text())
DESIGNS = ("multinomial", "poisson")
K = np.arange(1, 7)


def laws(design, number):
    """Integers with ties, zeros, cancelling and dominant terms, and probabilities of all kinds."""
    rng = np.random.default_rng(len(design))
    for case in range(number):
        d = 2 + case % (3 if design == "multinomial" else 4)
        q, r = 1 + case % 2, 1 + case // 2 % 2
        A, B = rng.integers(-4, 5, size=(q, d)), rng.integers(-3, 4, size=(d, r))
        if case % 3 == 0:
            A[:, -1], B[-1] = A[:, 0], -B[0]
        if case % 5 == 0:
            A *= rng.choice([1, 1, 100], size=d)
        if not (A.any(axis=0) & B.any(axis=1)).any():
            A[0, 0] = B[0, 0] = 1
        p = rng.integers(1, 10, size=d)
        if case % 4 == 0:
            p = p ** rng.integers(1, 5)
        if case % 7 == 0:
            p[:] = 1
        most = 4 if design == "multinomial" else d
        yield A, B, [int(x) for x in p], int(rng.integers(1, most + 1))


@pytest.mark.parametrize("design", DESIGNS)
def test_centred_and_raw_moments_against_rational_enumeration(design, size):
    """Every order, relative to E |Q - E Q|^k: no digit is lost to cancellation."""
    for A, B, p, s in laws(design, size(240, 60)):
        law = reference.rational_law(A.tolist(), B.tolist(), p, s, design)
        mean, whole, centred, sizes = reference.rational_moments(law, 6)
        product = Product(A, B)
        got = squared_error.moments(product, p, np.array(s), 6, design)
        U2 = product.total**2
        np.testing.assert_allclose(got.mean * U2, float(mean), rtol=EXACT, atol=EXACT * U2 * 1e-3)
        for k in K:
            value = got.standard[k] * got.deviation**k * U2**k
            error = abs(value - float(centred[k - 1]))
            allowed = EXACT * float(sizes[k - 1]) + (EXACT * U2 * 1e-3) ** k
            assert error <= allowed, (A, B, p, s, k)
        raw = moments.raw(product, p, s, 6, design=design)
        allowed = (EXACT * U2 * 1e-3) ** K
        np.testing.assert_allclose(raw, [float(x) for x in whole], rtol=EXACT, atol=allowed.max())


@given(products(max_exponent=3), st.data(), st.sampled_from([*DESIGNS, "systematic"]))
def test_against_enumerated_masks(product, data, design):
    p = data.draw(draws(product))
    most = 3 if design == "multinomial" else np.count_nonzero(p)
    s = data.draw(st.integers(1, int(most)))
    masks, chances = enumerate_masks(p, s, design)
    squares = squared_errors(product, masks) / product.total**2
    expected = np.array([chances @ squares**k for k in K])
    # Rounding of a square, and of what the largest of them is made of.
    reach = abs(masks - 1.0) @ (product.term_norms / product.total) + 1.0
    allowed = 8 * K * np.array([chances @ (squares + ROUNDING * reach**2) ** k for k in K])
    got = moments.raw(product, p, s, 6, design=design) / product.total ** (2.0 * K)
    assert (abs(got - expected) <= EXACT * allowed + (ROUNDING * (chances @ reach**2)) ** K).all()


def pairs(product, p):
    """G, L and T of the theory, from the terms themselves."""
    A = np.asarray(product.A, dtype=float)
    B = np.asarray(product.B, dtype=float).reshape(product.d, -1)
    terms = np.stack([np.outer(A[:, i], B[i]).ravel() / p[i] for i in range(product.d)])
    Y = terms - p @ terms
    G = Y @ Y.T
    return G, np.diag(G) - p @ np.diag(G)


@pytest.mark.parametrize("s", [1, 2, 3, 4, 7, 1000])
def test_the_printable_formulas(s):
    """k = 2, 3 and 4 as docs/theory.md prints them."""
    rng = np.random.default_rng(s)
    d = 5
    product = Product(rng.normal(size=(3, d)) * rng.exponential(size=d), rng.normal(size=d))
    p = rng.random(d) + 0.1
    p /= p.sum()
    G, L = pairs(product, p)
    f = [math.perm(s, v) for v in range(5)]

    def mean(indices, *factors):
        """E over independent labels of a product of tensors."""
        letters = sorted(set("".join(indices)))
        weights = [p] * len(letters)
        return np.einsum(",".join([*indices, *letters]) + "->", *factors, *weights, optimize=True)

    G2 = G * G
    second = f[1] * mean(["i"], L**2) + 2 * f[2] * mean(["ij"], G2)
    third = (
        f[1] * mean(["i"], L**3)
        + f[2]
        * (
            12 * mean(["i", "ij"], L, G2)
            + 6 * mean(["i", "j", "ij"], L, L, G)
            + 4 * mean(["ij"], G2 * G)
        )
        + 8 * f[3] * mean(["ij", "jk", "ki"], G, G, G)
    )
    fourth = (
        f[1] * mean(["i"], L**4)
        + f[2]
        * (
            8 * mean(["ij"], G2 * G2)
            + 32 * mean(["i", "ij"], L, G2 * G)
            + 24 * mean(["i", "ij"], L**2, G2)
            + 24 * mean(["i", "j", "ij"], L, L, G2)
            + 24 * mean(["i", "j", "ij"], L**2, L, G)
            + 3 * mean(["i"], L**2) ** 2
        )
        + f[3]
        * (
            48 * mean(["ij", "jk"], G2, G2)
            + 96 * mean(["i", "ij", "jk", "ki"], L, G, G, G)
            + 96 * mean(["ij", "jk", "ki"], G2, G, G)
            + 48 * mean(["i", "k", "ij", "jk"], L, L, G, G)
            + 96 * mean(["i", "ij", "jk"], L, G, G2)
            + 12 * mean(["i"], L**2) * mean(["ij"], G2)
        )
        + f[4] * (48 * mean(["ij", "jk", "kl", "li"], G, G, G, G) + 12 * mean(["ij"], G2) ** 2)
    )
    got = squared_error.moments(product, p, np.array(s), 4, "multinomial")
    scale = got.deviation * product.total**2 * s**2
    np.testing.assert_allclose(scale**2, second, rtol=EXACT)
    np.testing.assert_allclose(got.standard[3] * scale**3, third, rtol=EXACT)
    np.testing.assert_allclose(got.standard[4] * scale**4, fourth, rtol=EXACT)


def test_the_second_moment_is_the_variance_of_B7():
    rng = np.random.default_rng(0)
    product = Product(rng.normal(size=(4, 9)), rng.normal(size=9))
    p = rng.random(9)
    first, second = moments.raw(product, p, [1, 5, 80], 2)
    np.testing.assert_allclose(first, moments.multinomial(product, p, [1, 5, 80]), rtol=EXACT)
    variance = moments.variance(product, p, [1, 5, 80])
    np.testing.assert_allclose(second - first**2, variance, rtol=1e2 * EXACT)
    # Whether from eigenvalues or from pairs.
    higher = moments.raw(product, p, [1, 5, 80], 3)
    np.testing.assert_allclose(higher[:2], [first, second], rtol=EXACT)


@pytest.mark.parametrize("case", KNOWN)
def test_known_answers(case):
    product = Product(case["A"], case["B"])
    got = moments.raw(product, case["p"], case["s"], 6, exact=True)
    np.testing.assert_allclose(got, case["B9_raw"], rtol=PUBLISHED)
    p = probabilities.optimal(product)
    got = moments.raw(product, p, case["S4_size"], 6, design="poisson", exact=True)
    np.testing.assert_allclose(got, case["B9_raw_poisson"], rtol=PUBLISHED)


@pytest.mark.parametrize("design", DESIGNS)
def test_small_probabilities_keep_their_digits(design):
    """Cumulants with loops in them, or moments that are not centred, would lose them all."""
    product = Product([[1.0, 2.0, 3.0]], [1.0, 1.0, -1.0])
    for tiny in (1e-4, 1e-7):
        p = [1.0, 1.0, tiny]
        law = reference.rational_law(
            [[1, 2, 3]], [[1], [1], [-1]], [10**7, 10**7, round(tiny * 10**7)], 1, design
        )
        _, whole, centred, sizes = reference.rational_moments(law, 6)
        got = squared_error.moments(product, p, np.array(1), 6, design)
        scale = got.deviation * product.total**2
        for k in K:
            error = abs(got.standard[k] * scale**k - float(centred[k - 1]))
            assert error <= EXACT * float(sizes[k - 1]), (design, tiny, k)
        raw = moments.raw(product, p, 1, 6, design=design)
        np.testing.assert_allclose(raw, [float(x) for x in whole], rtol=EXACT)


@pytest.mark.parametrize("design", DESIGNS)
def test_the_sixth_moment_where_K4_is_bounded(design, monkeypatch):
    """Above the exact one, by little; fewer than six are exact."""
    rng = np.random.default_rng(2)
    factors = rng.normal(size=(40, 30)), rng.normal(size=30)
    p = probabilities.optimal(Product(*factors))
    exact = moments.raw(Product(*factors), p, [1, 2, 9], 6, design=design)
    product = Product(*factors)
    monkeypatch.setattr(tables, "LITTLE", 0)
    above = moments.raw(product, p, [1, 2, 9], 6, design=design)
    np.testing.assert_array_equal(above[:5], exact[:5])
    assert (above[5] >= exact[5] * (1 - ROUNDING)).all()
    assert (above[5] <= exact[5] * 1.01).all()
    # Asked for, it is computed, and kept from then on.
    for exactly in (True, False):
        raw = moments.raw(product, p, [1, 2, 9], 6, design=design, exact=exactly)
        if exactly or design == "multinomial":
            np.testing.assert_allclose(raw, exact, rtol=ROUNDING)


def test_another_s_costs_no_sum(monkeypatch):
    product = Product(np.eye(3), [1.0, 2.0, 3.0])
    first = moments.raw(product, [1, 1, 1], 5, 6)
    monkeypatch.setattr("lth_sketch.multigraphs.table.graph_sums", None)
    np.testing.assert_array_equal(moments.raw(product, [1, 1, 1], [5, 7], 6)[:, 0], first)
    # Fewer orders are there too.
    np.testing.assert_array_equal(moments.raw(product, [1, 1, 1], 5, 4), first[:4])


def test_shapes_follow_s():
    product = Product([[3.0, 4.0, 1.0]], [1.0, -1.0, 1.0])
    for design in squared_error.DESIGNS:
        for order in (1, 2, 3, 6):
            one = moments.raw(product, [1, 1, 1], 2, order, design=design)
            grid = moments.raw(product, [1, 1, 1], [[1, 2], [2, 1]], order, design=design)
            assert one.shape == (order,)
            assert grid.shape == (order, 2, 2)
            np.testing.assert_array_equal(grid[:, 0, 1], one)


@pytest.mark.parametrize("scale", [1e-60, 1.0, 1e60])
def test_scales_cannot_overflow_within(scale):
    product = Product(np.array([[3.0, 4.0]]) * scale, [1.0, -1.0])
    raw = moments.raw(product, [3, 4], 2, 6)
    unit = moments.raw(Product([[3.0, 4.0]], [1.0, -1.0]), [3, 4], 2, 6)
    with np.errstate(over="ignore", under="ignore"):
        expected = unit * (scale**2) ** K.astype(float)
    np.testing.assert_allclose(raw, expected, rtol=EXACT)


def test_no_error_has_no_moments():
    product = Product([[2.0, 2.0]], [3.0, 3.0])
    for design in squared_error.DESIGNS:
        raw = moments.raw(product, [1, 1], 2, 6, design=design)
        assert (abs(raw) <= (ROUNDING * product.total**2) ** K).all()
    # Everything is kept.
    assert not moments.raw(Product([[1.0, 2.0]], [1.0, 1.0]), [1, 1], 2, 6, design="poisson").any()


def test_what_leaves_float64_is_infinite():
    product = Product([[1.0, 1.0]], [1.0, 1.0])
    raw = moments.raw(product, [1.0, 1e-250], 3, 6)
    assert raw[0] == pytest.approx(1e250 / 3, rel=EXACT)
    assert not (raw[1:] < 1e200).any()


def test_the_law_of_one_draw_keeps_the_larger_table():
    law = SingleDraw(Product(np.eye(3), [1.0, 2.0, 3.0]), [1, 1, 1])
    assert law.graphs(4).order == 4
    assert law.graphs(6).order == 6
    assert law.graphs(3).order == 3
    assert law._graphs.order == 6


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"order": 0}, ValueError, "order must be at least 1"),
        ({"order": 7}, ValueError, "order must be at most 6; got 7"),
        ({"order": 2.0}, TypeError, "order must be an integer"),
        ({"design": "priority"}, ValueError, "design must be one of multinomial, poisson"),
        ({"s": 0}, ValueError, "s must be at least 1"),
        ({"s": 4, "design": "poisson"}, ValueError, "s must be at most 3"),
        ({"s": 4, "design": "systematic"}, ValueError, "s must be at most 3"),
        ({"p": [1, 0, 1]}, ValueError, "biased"),
        ({"p": [1, 1]}, ValueError, "p must have length 3"),
    ],
)
def test_bad_input(options, error, message):
    given = {"p": [1, 1, 1], "s": 1, "order": 3} | options
    with pytest.raises(error, match=message):
        moments.raw(Product(np.eye(3), [1.0, 2.0, 3.0]), **given)


def test_what_is_out_of_reach_is_refused_with_its_size(monkeypatch):
    product = Product(np.ones((1, 5)), np.arange(1.0, 6.0))
    monkeypatch.setattr(tables, "FACTOR_ENTRIES", 16)
    for design in DESIGNS:
        with pytest.raises(ValueError, match="d x d = 5 x 5 entries"):
            moments.raw(product, np.ones(5), 1, 3, design=design)
    # The second moment of draws with replacement does without.
    assert moments.raw(product, np.ones(5), 1, 2).shape == (2,)
    monkeypatch.undo()
    monkeypatch.setattr(tables, "MUCH", 1000)
    with pytest.raises(ValueError, match="exact = True at order 6"):
        moments.raw(product, np.ones(5), 1, 6, exact=True)
    assert moments.raw(product, np.ones(5), 1, 5, exact=True).shape == (5,)
