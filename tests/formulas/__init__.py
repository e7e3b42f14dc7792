"""The displayed formulas of the theory page, each above the code that evaluates it a second time.

The docstring of an entry is the formula as it stands on the page, so that neither can change
without the other. The code below it writes the right side in plain numpy (or fractions), on a small
case, and holds it to what the library returns, to every outcome enumerated, or to both.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import reference
import scipy.integrate

from lth_sketch.tolerances import PUBLISHED

# Label of the statement (or title of the section) -> its entries, in any order.
FORMULAS: dict[str, list[Callable[[], None]]] = {}


def evaluates(label):
    """Enter a function as what evaluates the formula in its docstring, displayed under a label."""

    def enter(function):
        FORMULAS.setdefault(label, []).append(function)
        return function

    return enter


def close(value, expected, rtol=PUBLISHED):
    np.testing.assert_allclose(value, expected, rtol=rtol, atol=rtol)


def below(small, large):
    """Not larger, but for rounding."""
    assert np.all(np.asarray(small) <= np.asarray(large) * (1 + 1e-12) + 1e-12)


# --- one small product, and every outcome of three draws from it ----------------------------------

A = np.array([[1.0, -2.0, 0.5, 3.0], [2.0, 1.0, -1.0, 0.0]])
B = np.array([[1.0, 2.0], [-1.0, 0.5], [3.0, 1.0], [0.5, -2.0]])
p = np.array([0.4, 0.3, 0.2, 0.1])
s, d = 3, 4
# The risk of every bound.
delta = 0.05
L = np.log(1 / delta)

G = np.stack([np.outer(A[:, i], B[i]).ravel() for i in range(d)], axis=1)
a, b = np.linalg.norm(A, axis=0), np.linalg.norm(B, axis=1)
u, U = a * b, float(a @ b)
f = G.sum(axis=1)
F = float(np.linalg.norm(f))
H = G.T @ G
PAIRS = list(itertools.product(range(d), repeat=2))

masks, chances = map(np.array, zip(*reference.replacement_masks(p, s), strict=True))
errors = np.linalg.norm((masks - 1) @ G.T, axis=1)

# One draw: Y with probability p, and its constants (the display at the head of Bounds).
Z = (G / p).T
Y = Z - f
squares = (Y**2).sum(axis=1)
T = float(p @ squares)
V = T / s
Sigma = (Y.T * p) @ Y
sigma2 = float(np.linalg.eigvalsh(Sigma)[-1])
M = float(np.sqrt(squares.max()))
R = float((u / p).max())
D = max(float(np.linalg.norm(Z[i] - Z[j])) for i, j in PAIRS)
omega2 = float(p @ (squares - T) ** 2)
Hs = sum(1 / k for k in range(1, s + 1))


def exceeded(limit):
    """The probability that the error is larger."""
    return chances[errors > limit * (1 + 1e-12)].sum()


def inverse_h(y):
    """h(x) = (1 + x) ln(1 + x) - x at y, backwards, by halving."""
    low, high = 0.0, 2 + y
    for _ in range(200):
        x = (low + high) / 2
        low, high = (x, high) if (1 + x) * np.log1p(x) - x < y else (low, x)
    return low


def bennett(variance, L=L, most=M):
    """(v / m) h^{-1}(L m^2 / v), and what Bernstein makes of it."""
    sharp = variance / most * inverse_h(L * most**2 / variance)
    return sharp, math.sqrt(2 * L * variance) + most * L / 3


def second_moment(law, G):
    """E ||err||^2 over pairs of a mask and its chance."""
    return sum(chance * np.sum((G @ (np.asarray(m) - 1)) ** 2) for m, chance in law)


def weighted(law, pi):
    """Sets and their chances as masks of weights 1 / pi."""
    for kept, chance in law:
        mask = np.zeros(len(pi))
        mask[list(kept)] = 1 / np.asarray(pi, dtype=float)[list(kept)]
        yield mask, float(chance)


def ranked(p, s, value):
    """E value(tau, kept) where tau is the (s+1)-th of the ranks p_i / v_i, and kept those above."""
    total = 0.0
    for i in range(len(p)):
        others = [j for j in range(len(p)) if j != i]
        for kept in itertools.combinations(others, s):

            def integrand(z, i=i, others=others, kept=kept):
                # tau = 1 / z: the others have larger ranks with probability min(1, p_j z).
                chance = p[i]
                for j in others:
                    chance *= min(1, p[j] * z) if j in kept else 1 - min(1, p[j] * z)
                return chance * value(1 / z, list(kept)) if chance else 0.0

            cuts = sorted({0.0, *(1 / x for x in p if x >= p[i])})
            total += sum(
                scipy.integrate.quad(integrand, low, high)[0]
                for low, high in itertools.pairwise(cuts)
            )
    return total
