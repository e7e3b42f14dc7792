"""Formulas B and P1: bounds against every outcome, and the steps of their proofs."""

from __future__ import annotations

import itertools
import math

import numpy as np
import reference
import scipy.optimize
import scipy.stats

from formulas import (
    A,
    B,
    D,
    Hs,
    L,
    M,
    R,
    Sigma,
    T,
    V,
    Y,
    Z,
    below,
    bennett,
    chances,
    close,
    d,
    delta,
    errors,
    evaluates,
    exceeded,
    masks,
    omega2,
    p,
    s,
    sigma2,
    squares,
    u,
)
from lth_sketch import Product, bounds, moments, montecarlo
from lth_sketch.tolerances import QUADRATURE

PRODUCT = Product(A, B)


def phi(z):
    """(e^z - 1 - z) / z^2 of the proof of B6, where z is not small."""
    return (np.exp(z) - 1 - z) / z**2


@evaluates("Bounds")
def constants():
    r"""\begin{gathered}
    T=E\lVert Y\rVert^2=sV,\quad \Sigma=EYY^T,\quad \sigma^2=\lambda_{\max}(\Sigma),\quad
    M=\max_i\lVert Y_i\rVert,\\
    R=\max_i\frac{u_i}{p_i},\quad D=\max_{ij}\lVert Z_i-Z_j\rVert,\quad
    \omega^2=E(\lVert Y\rVert^2-T)^2 .
    \end{gathered}
    """
    close(T, s * moments.multinomial(PRODUCT, p, s))
    close(R, np.linalg.norm(Z, axis=1).max())
    # Each is read off a bound of the library that is made of it; sigma^2 and M are B4's, below.
    root = math.sqrt(V)
    close(bounds.mcdiarmid(PRODUCT, p, s, delta, sharp=True), root + D * math.sqrt(L / (2 * s)))
    close(bounds.mcdiarmid(PRODUCT, p, s, delta), root + R * math.sqrt(2 * L / s))
    close(moments.variance(PRODUCT, p, s), (omega2 + 2 * (s - 1) * np.sum(Sigma**2)) / s**3)
    close(chances @ (errors**2 - V) ** 2, moments.variance(PRODUCT, p, s))


@evaluates("B2")
def drineas_kannan_mahoney():
    r"""\lVert\mathrm{err}\rVert\le\Bigl(1+\sqrt{\tfrac8\beta L}\Bigr)\frac{\lVert A\rVert\lVert
    B\rVert}{\sqrt{\beta s}} ,
    """
    beta = min(p / (u / sum(u)))
    scale = np.linalg.norm(A) * np.linalg.norm(B) / math.sqrt(beta * s)
    close(bounds.dkm(PRODUCT, s, delta, beta), (1 + math.sqrt(8 / beta * L)) * scale)
    assert exceeded((1 + math.sqrt(2 / beta * L)) * scale) <= delta


@evaluates("B4")
def bousquet():
    r"""\lVert\mathrm{err}\rVert\le\sqrt V+\frac vMh^{-1}\Bigl(\frac{LM^2}{sv}\Bigr)\le\sqrt
    V+\sqrt{\frac{2Lv}s}+\frac{ML}{3s} .
    """
    v = sigma2 + 2 * M * math.sqrt(V)
    sharp, relaxed = (math.sqrt(V) + x / s for x in bennett(s * v))
    close(bounds.bousquet(PRODUCT, p, s, delta), sharp)
    below(sharp, relaxed)
    assert exceeded(sharp) <= delta


@evaluates("B5")
def spectral():
    r"""P(\lVert K_m-K\rVert_2\ge t)\le2\rho\exp\Bigl(-\frac{st^2/2}{v+L_Yt/3}\Bigr),"""
    K, rank = A @ A.T, np.linalg.matrix_rank(A)
    largest = max(np.sum(A**2, axis=0) / p)
    v = reference.kernel_noise(A, p)[1]

    def right(t):
        return 2 * rank * math.exp(-(s * t**2 / 2) / (v + largest * t / 3))

    bound = bounds.spectral(A, p, s, delta)
    close(right(float(bound)), delta)
    gaps = np.array([np.linalg.norm(A @ np.diag(m) @ A.T - K, 2) for m in masks])
    for t in gaps:
        below(chances[gaps >= t].sum(), right(t))


@evaluates("B6")
def radial():
    r"""\lVert\mathrm{err}\rVert\le\sqrt V+\frac{v_s}Mh^{-1}\Bigl(\frac{LM^2}{sv_s}\Bigr)\le\sqrt
    V+\sqrt{\frac{2Lv_s}s}+\frac{ML}{3s} .
    """
    vs = sigma2 + omega2 * Hs / (4 * s * T)
    sharp, relaxed = (math.sqrt(V) + x / s for x in bennett(s * vs))
    close(bounds.radial(PRODUCT, p, s, delta), sharp)
    below(sharp, relaxed)
    assert exceeded(sharp) <= delta


def states():
    """k, S_k and N_k of the walk of B6, for all that can be drawn before the last step."""
    for k in range(s):
        for drawn in itertools.product(range(d), repeat=k):
            S = Y[list(drawn)].sum(axis=0)
            yield k, S, math.sqrt(S @ S + (s - k) * T)


def steps(k, S):
    """N_{k+1} for each next draw."""
    return np.sqrt(((S + Y) ** 2).sum(axis=1) + (s - k - 1) * T)


def excesses(S, N):
    """The xi_{k+1} of B6 for each next draw."""
    return (Y @ S + (squares - T) / 2) / N


@evaluates("B6")
def the_walk():
    r"""N_k=\sqrt{\lVert S_k\rVert^2+(s-k)T},\qquad k=0,\dots,s ."""
    # Where it starts and where it ends: s sqrt V, and s ||err|| of every outcome.
    (_, _, start), *_ = states()
    close(start, s * math.sqrt(V))
    drawn = list(itertools.product(range(d), repeat=s))
    ends = [steps(s - 1, Y[list(x[:-1])].sum(axis=0))[x[-1]] for x in drawn]
    close(np.sort(ends), s * np.sort(errors), QUADRATURE)


@evaluates("B6")
def squares_of_the_walk():
    r"""N_{k+1}^2=N_k^2+b_{k+1},\qquad b_{k+1}=2\langle S_k,Y\rangle+\lVert Y\rVert^2-T ."""
    for k, S, N in states():
        close(steps(k, S) ** 2, N**2 + 2 * Y @ S + squares - T)


@evaluates("B6")
def one_step():
    r"""N_{k+1}-N_k\le\xi_{k+1}:=\frac{\langle S_k,Y\rangle+\frac12(\lVert Y\rVert^2-T)}{N_k},\qquad
    E(\xi_{k+1}\mid\mathcal F_k)=0 .
    """
    for k, S, N in states():
        below(steps(k, S) - N, excesses(S, N))
        close(p @ excesses(S, N), 0.0)


@evaluates("B6")
def the_variance_of_a_step():
    r"""E(\xi_{k+1}^2\mid\mathcal F_k)\le c_k:=\sigma^2+\frac{\omega^2}{4(s-k)T} ."""
    for k, S, N in states():
        below(p @ excesses(S, N) ** 2, sigma2 + omega2 / (4 * (s - k) * T))


@evaluates("B6")
def a_moment_generating_function():
    r"""E(e^{\lambda(N_{k+1}-N_k)}\mid\mathcal F_k)\le E(e^{\lambda\eta_{k+1}}\mid\mathcal
    F_k)\le1+\lambda^2c_k\varphi(\lambda M)\le\exp(\lambda^2c_k\varphi(\lambda M)) .
    """
    for (k, S, N), rate in itertools.product(states(), (0.1, 1.0, 3.0)):
        x = rate / M
        middle = x**2 * (sigma2 + omega2 / (4 * (s - k) * T)) * phi(x * M)
        truncated = np.minimum(excesses(S, N), M)
        below(p @ np.exp(x * (steps(k, S) - N)), p @ np.exp(x * truncated))
        below(p @ np.exp(x * truncated), 1 + middle)
        below(1 + middle, math.exp(middle))


@evaluates("B6")
def all_steps():
    r"""v=\sum_{k=0}^{s-1}c_k=s\sigma^2+\frac{\omega^2}{4T}\sum_{k=0}^{s-1}\frac1{s-k}=
    s\sigma^2+\frac{\omega^2H_s}{4T} .
    """
    v = sum(sigma2 + omega2 / (4 * (s - k) * T) for k in range(s))
    close(v, s * sigma2 + omega2 / (4 * T) * sum(1 / (s - k) for k in range(s)))
    close(v, s * sigma2 + omega2 * Hs / (4 * T))
    # The library's B6 is Bennett's deviation at this v.
    close(s * bounds.radial(PRODUCT, p, s, delta), s * math.sqrt(V) + bennett(v)[0])


@evaluates("B6")
def radial_against_bousquet():
    r"""\frac{\omega^2H_s}{4sT}<2M\sqrt{\frac Ts} ,"""
    seen = set()
    rare = Product([[0.999, -0.001]], [1.0, 1.0])
    for (product, q), n in itertools.product(
        [(PRODUCT, p), (rare, np.array([0.999, 0.001]))], (1, 2, 10, 100, 10**4)
    ):
        rows = product.factor().T / (q / q.sum())[:, None]
        rows = rows - q @ rows
        lengths = (rows**2).sum(axis=1)
        t = q @ lengths
        harmonic = sum(1 / k for k in range(1, n + 1))
        left = q @ (lengths - t) ** 2 * harmonic / (4 * n * t)
        smaller = left < 2 * math.sqrt(lengths.max() * t / n)
        one, other = bounds.radial(product, q, n, delta), bounds.bousquet(product, q, n, delta)
        assert (one < other) == smaller
        seen.add(smaller)
    assert seen == {True, False}


@evaluates("B7")
def fourth_moment():
    r"""\lVert\mathrm{err}\rVert^2\le V+\sqrt{W(1-\delta)/\delta} ."""
    W = chances @ (errors**2 - V) ** 2
    right = V + math.sqrt(W * (1 - delta) / delta)
    close(bounds.cantelli(PRODUCT, p, s, delta) ** 2, right)
    assert exceeded(math.sqrt(right)) <= delta


@evaluates("B9")
def all_moments():
    r"""E(Q-sT)^k=\sum_gN(g)\,s_{(v(g))}\,\Phi(g),\qquad \Phi(g)=\sum_{\text{labels }i}\
    \prod_{\text{vertices }u}p_{i_u}L_{i_u}^{l_u}\prod_{\text{edges }uw}G_{i_ui_w},
    """
    gram, loops = Y @ Y.T, squares - T
    raw = moments.raw(PRODUCT, p, s, 3) * s ** (2.0 * np.arange(1, 4))
    for k in (2, 3):
        right = 0.0
        for edges, ways in reference.multigraphs_by_partitions(k).items():
            n = 1 + max(map(max, edges))
            value = reference.graph_sum(edges, n, gram, lambda _, count: p * loops**count)
            right += ways * math.perm(s, n) * value
        close(right, chances @ (s**2 * errors**2 - s * T) ** k)
        # Central moments of the library's raw ones.
        own = [1.0, *raw]
        terms = [math.comb(k, j) * own[j] * (-s * T) ** (k - j) for j in range(k + 1)]
        close(right / s ** (2 * k), sum(terms) / s ** (2 * k), QUADRATURE)


@evaluates("B9")
def two_polynomials():
    r"""\lVert\mathrm{err}\rVert^2\le\mu+\varsigma\Bigl[\frac g2+\sqrt{1+\frac{g^2}4+\sqrt{
    D\Bigl(\frac1\delta-1-z_0^2\Bigr)}}\Bigr] .
    """
    z = (errors**2 - V) / math.sqrt(chances @ (errors**2 - V) ** 2)
    g, kurtosis = chances @ z**3, chances @ z**4
    z0, excess = g / 2 + math.sqrt(1 + g**2 / 4), kurtosis - g**2 - 1
    for risk in (0.5 / (1 + z0**2), delta / 10, 1e-4):
        inner = math.sqrt(excess * (1 / risk - 1 - z0**2))
        bracket = g / 2 + math.sqrt(1 + g**2 / 4 + inner)
        limit = math.sqrt(V + math.sqrt(chances @ (errors**2 - V) ** 2) * bracket)
        assert exceeded(limit) <= risk
        # The best bound that four moments allow is not above it, and near it for small risks.
        below(bounds.moment(PRODUCT, p, s, risk, order=4), limit)
    below(limit, 1.02 * bounds.moment(PRODUCT, p, s, 1e-4, order=4))


@evaluates("B9")
def the_third_moment():
    r"""sEL^3+s_{(2)}\bigl(12EL_1G_{12}^2+6EL_1L_2G_{12}+4EG_{12}^3\bigr)+8s_{(3)}EG_{12}G_{23}
    G_{31} .
    """
    gram, x = Y @ Y.T, squares - T
    both = np.outer(p, p)
    pairs = (both * (12 * x[:, None] * gram**2 + 6 * np.outer(x, x) * gram + 4 * gram**3)).sum()
    triples = np.trace(np.linalg.matrix_power(gram * p, 3))
    right = s * (p @ x**3) + s * (s - 1) * pairs + 8 * s * (s - 1) * (s - 2) * triples
    close(right, chances @ (s**2 * errors**2 - s * T) ** 3)


@evaluates("P1")
def probes():
    r"""P\bigl(Q\le(1-\varepsilon)\lVert E\rVert^2\bigr)\le\bigl(e^\varepsilon(1-\varepsilon)\bigr)
    ^{k/2}
    """
    for eps, k in itertools.product((0.1, 0.5, 0.9), (1, 4, 20)):
        right = (math.exp(eps) * (1 - eps)) ** (k / 2)
        # One direction is chi-square; 0.6 and 0.4, two probes, a sum of two exponentials.
        below(scipy.stats.chi2.cdf(k * (1 - eps), k), right)
        two = 1 - reference.exponential_sum_tail(2 * (1 - eps), [0.6, 0.4])
        below(two, math.exp(eps) * (1 - eps))
        # The library's limit is the estimate over sqrt(1 - eps) where the right side is the risk.
        certificate = montecarlo.probe(A, B, 0 * (A @ B), probes=k, delta=right, rng=0)
        close(certificate.limit * math.sqrt(1 - eps), certificate.estimate, QUADRATURE)
