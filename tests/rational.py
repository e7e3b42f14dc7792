"""Slow twins in rational arithmetic, for what floating point loses; they import nothing of ours."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import combinations, product

import numpy as np

DIGITS = 80


def terms(A, B):
    """The terms of a product as lists of q r fractions, one for each term."""
    A = [[Fraction(float(x)) for x in row] for row in np.asarray(A)]
    B = [[Fraction(float(x)) for x in row] for row in np.asarray(B).reshape(len(B), -1)]
    return [[row[i] * b for row in A for b in B[i]] for i in range(len(B))]


def normalised(p):
    """Weights as fractions that sum to one."""
    p = [Fraction(float(x)) for x in p]
    return [x / sum(p) for x in p]


def square(vector):
    return sum((x * x for x in vector), Fraction(0))


def combined(weights, vectors):
    return [
        sum((w * x for w, x in zip(weights, entries, strict=True)), Fraction(0))
        for entries in zip(*vectors, strict=True)
    ]


def squared_error(G, mask):
    return square(combined([m - 1 for m in mask], G))


def root(x):
    """The square root of a fraction, rounded once."""
    with localcontext() as context:
        context.prec = DIGITS
        return float((Decimal(x.numerator) / Decimal(x.denominator)).sqrt())


def second_moment(G, p):
    """S2 at s = 1."""
    return sum(
        q * squared_error(G, [Fraction(int(i == j)) / q for j in range(len(p))])
        for i, q in enumerate(p)
    )


def best_second_moment(G):
    """S3 at s = 1, as a float: norms are roots."""
    with localcontext() as context:
        context.prec = DIGITS
        squares = [square(g) for g in G]
        norms = [(Decimal(x.numerator) / Decimal(x.denominator)).sqrt() for x in squares]
        whole = square(combined([1] * len(G), G))
        moment = sum(norms) ** 2 - Decimal(whole.numerator) / Decimal(whole.denominator)
        return max(0.0, float(moment))


def outcomes(G, p, s):
    """Every sequence of s draws with replacement: chance and squared error."""
    for picks in product(range(len(p)), repeat=s):
        mask = [Fraction(picks.count(i)) / (s * q) for i, q in enumerate(p)]
        chance = Fraction(1)
        for i in picks:
            chance *= p[i]
        yield chance, squared_error(G, mask)


def sign_moment(A, B):
    """S7 for signs at s = 1: the sum over pairs of ``||A_i B_j + A_j B_i||^2``."""
    A = [[Fraction(float(x)) for x in column] for column in np.asarray(A).T]
    B = [[Fraction(float(x)) for x in row] for row in np.asarray(B).reshape(len(B), -1)]
    return sum(
        (A[i][j] * B[k][m] + A[k][j] * B[i][m]) ** 2
        for i, k in combinations(range(len(A)), 2)
        for j in range(len(A[0]))
        for m in range(len(B[0]))
    )
