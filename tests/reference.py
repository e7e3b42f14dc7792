"""Slow twins: the theory once more, in plain numpy loops. Nothing here imports the package."""

import itertools
import math

import numpy as np
import scipy.integrate


# --- product, moments, bounds: draws with replacement ------------------------------------------


def squared_error(A, B, mask):
    """||A diag(mask) B - AB||_F^2 by the definition."""
    B = np.asarray(B, dtype=float).reshape(len(B), -1)
    A = np.asarray(A, dtype=float)
    return float(np.sum((A @ np.diag(mask) @ B - A @ B) ** 2))


def replacement_masks(p, s):
    """Every ordered outcome of s draws with replacement: (mask, probability)."""
    for picks in itertools.product(range(len(p)), repeat=s):
        chance = math.prod(p[i] for i in picks)
        if chance > 0:
            mask = np.zeros(len(p))
            for i in picks:
                mask[i] += 1 / (s * p[i])
            yield mask, chance


def replacement_law(A, B, p, s):
    """Masks, probabilities and errors in units of the total term norm, every outcome."""
    masks, chances = zip(*replacement_masks(p, s), strict=True)
    left = np.abs(A).max()
    right = np.abs(B).max()
    total = total_norm(A / left, B / right)
    errors = [squared_error(A / left, B / right, m) / total**2 for m in masks]
    return np.array(masks), np.array(chances), np.array(errors)


def total_norm(A, B):
    """U: the sum of ||A_i|| ||B_i||."""
    B = np.asarray(B, dtype=float).reshape(len(B), -1)
    return sum(
        math.sqrt(sum(a * a for a in A[:, i])) * math.sqrt(sum(b * b for b in B[i]))
        for i in range(len(B))
    )


def exponential_sum_tail(x, weights):
    """P(sum weights chi2_2 > x) for distinct weights, by partial fractions."""
    return sum(
        math.prod(a / (a - b) for b in weights if b != a) * math.exp(-x / (2 * a)) for a in weights
    )


def chi2_tail_by_imhof(x, weights):
    """P(sum weights chi2_1 > x) by Imhof's real integral (Biometrika 48, 1961)."""
    weights = np.asarray(weights, dtype=float)

    def integrand(u):
        theta = 0.5 * np.arctan(weights * u).sum() - 0.5 * x * u
        rho = np.prod((1 + (weights * u) ** 2) ** 0.25)
        return np.sin(theta) / (u * rho)

    value, _ = scipy.integrate.quad(integrand, 0, np.inf, limit=2000)
    return 0.5 + value / np.pi
