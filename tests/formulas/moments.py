"""Formulas S: identities of the error, and exact second moments."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import reference
import scipy.integrate
import scipy.special

from formulas import (
    PAIRS,
    A,
    B,
    F,
    G,
    H,
    U,
    a,
    b,
    below,
    chances,
    close,
    d,
    evaluates,
    masks,
    p,
    ranked,
    s,
    second_moment,
    u,
    weighted,
)
from lth_sketch import Product, bounds, moments, scale
from lth_sketch.tolerances import QUADRATURE

PRODUCT = Product(A, B)
# Inclusions of two features, all below one, as fractions.
PI = [Fraction(4, 5), Fraction(3, 5), Fraction(2, 5), Fraction(1, 5)]


@evaluates("S0")
def one_vector_product():
    r"""\lVert A\mathrm{diag}(m)B - AB\rVert = \lVert C(m - 1)\rVert ,\qquad \lVert C_i\rVert = u_i
    ,\qquad \lVert C1\rVert = \lVert AB\rVert .
    """
    C = PRODUCT.factor()
    for m in ([1, 0, 2, -1], [0, 0, 0, 0], [0.5, 3, 1, 7]):
        close(np.linalg.norm(C @ (np.array(m) - 1)) ** 2, reference.squared_error(A, B, m))
    close(np.linalg.norm(C, axis=0), u)
    close(np.linalg.norm(C @ np.ones(d)), np.linalg.norm(A @ B))


@evaluates("S0")
def four_parts_of_a_term():
    r"""H_{ij}/(u_iu_j) = x_iy_ix_jy_j + K_{ij},\qquad K = (xx^T)\circ(Q^TQ) + (yy^T)\circ(P^TP) +
    (P^TP)\circ(Q^TQ),
    """
    left, right, largest = A / a, B.T / b, u.argmax()
    x, y = left.T @ left[:, largest], right.T @ right[:, largest]
    P, Q = (
        left - np.outer(left[:, largest], x),
        right - np.outer(right[:, largest], y),
    )
    K = np.outer(x, x) * (Q.T @ Q) + np.outer(y, y) * (P.T @ P) + (P.T @ P) * (Q.T @ Q)
    C = PRODUCT.factor()
    close(np.outer(x * y, x * y) + K, (C.T @ C) / np.outer(u, u))


@evaluates("S0'")
def a_triangle():
    r"""\lVert y - Xw\rVert = \lVert T_y - T_Xw\rVert ,\qquad
    \lVert X\mathrm{diag}(m)B - XB\rVert = \lVert T_X\mathrm{diag}(m)B - T_XB\rVert ,
    """
    X = np.array([[1.0, 2, 0, 1], [3, -1, 1, 1], [0, 1, 1, 4], [2, 2, 2, -2], [1, 0, 5, 1]])
    X = np.vstack([X, X[::-1] - 1, 2 * X])
    y = np.column_stack([X[:, 0] ** 2, X[:, 1] - 3])
    TX, Ty, _ = scale.rows(X, y)
    assert len(TX) < len(X)
    m = np.array([0, 2, 0.5, 1])
    close(np.linalg.norm(Ty - TX @ B), np.linalg.norm(y - X @ B))
    close(np.linalg.norm(TX @ np.diag(m) @ B - TX @ B) ** 2, reference.squared_error(X, B, m))


@evaluates("S2")
def draws_with_replacement():
    r"""E\lVert\mathrm{err}\rVert^2 = V := \frac1s\Bigl(\sum_i\frac{u_i^2}{p_i} - \lVert
    AB\rVert^2\Bigr),\qquad \mathrm{Var}(\mathrm{err}_{jk}) =
    \frac1s\Bigl(\sum_i\frac{A_{ji}^2B_{ik}^2}{p_i} - (AB)_{jk}^2\Bigr).
    """
    right = (sum(u**2 / p) - F**2) / s
    close(right, second_moment(zip(masks, chances, strict=True), G))
    close(right, moments.multinomial(PRODUCT, p, s))
    for j, k in itertools.product(range(2), repeat=2):
        right = (sum(A[j] ** 2 * B[:, k] ** 2 / p) - (A @ B)[j, k] ** 2) / s
        close(right, chances @ ((masks - 1) @ (A[j] * B[:, k])) ** 2)
        close(right, moments.multinomial(Product(A[[j]], B[:, k]), p, s))


@evaluates("S5")
def any_fixed_design():
    r"""E\lVert\mathrm{err}\rVert^2 = \sum_{ij}H_{ij}\Bigl(\frac{\pi_{ij}}{\pi_i\pi_j} - 1\Bigr)."""
    pi = np.array(PI, dtype=float)
    sets = list(reference.systematic_sets(pi))
    joint = [
        [sum(c for kept, c in sets if i in kept and j in kept) for j in range(d)] for i in range(d)
    ]
    right = (H * (np.array(joint) / np.outer(pi, pi) - 1)).sum()
    close(right, second_moment(weighted(sets, pi), G))
    close(right, moments.systematic(PRODUCT, p, 2))


def others_above(i, x, least=2):
    """P(at least that many of the others have a rank above x), by every set of them."""
    chance = [min(1.0, q / x) for j, q in enumerate(p) if j != i]
    return sum(
        math.prod(c if k else 1 - c for c, k in zip(chance, kept, strict=True))
        for kept in itertools.product([0, 1], repeat=d - 1)
        if sum(kept) >= least
    )


def tail_integral(i):
    """The integral of `others_above` from p_i to infinity, in z = 1 / x."""
    cuts = sorted({0.0, *(1 / x for x in p if x >= p[i])})
    return sum(
        scipy.integrate.quad(lambda z: others_above(i, 1 / z) / z**2, low, high)[0]
        for low, high in itertools.pairwise(cuts)
    )


@evaluates("S5")
def priority():
    r"""E\lVert\mathrm{err}\rVert^2 = \sum_i\frac{u_i^2}{p_i}\int_{p_i}^\infty P\bigl(\text{at least
    } s \text{ of the others have } p_j/v_j > x\bigr)dx .
    """
    right = sum(u[i] ** 2 / p[i] * tail_integral(i) for i in range(d))
    close(right, moments.priority(PRODUCT, p, 2))
    close(right, u**2 @ reference.priority_variances(p, 2))


@evaluates("S5")
def variances_of_priority():
    r"""\mathrm{Var}(m_i) = E\max(1,\tau_i/p_i) - 1 = \frac1{p_i}E(\tau_i - p_i)_+ =
    \frac1{p_i}\int_{p_i}^\infty P(\tau_i > x)dx ,
    """
    for i, variance in enumerate(reference.priority_variances(p, 2)):
        others = np.delete(p, i)
        # The second largest rank of the others is the one next to the first of them.
        close(ranked(others, 1, lambda x, _, i=i: max(1, x / p[i])) - 1, variance, QUADRATURE)
        close(ranked(others, 1, lambda x, _, i=i: max(0, x - p[i])) / p[i], variance, QUADRATURE)
        close(tail_integral(i) / p[i], variance)


@evaluates("S5")
def priority_by_its_threshold():
    r"""E\lVert\mathrm{err}\rVert^2 = E\sum_{i\in K}\tau(\tau-u_i)_+ \le sE\tau^2 ."""
    right = ranked(u, 2, lambda x, K: sum(x * np.maximum(0, x - u[K])))
    close(right, moments.priority(PRODUCT, u, 2), QUADRATURE)
    below(right, 2 * ranked(u, 2, lambda x, _: x * x))


@evaluates("S5")
def products_of_priority():
    r"""U^2 - \sum_iu_i^2 = \sum_{i\ne j}u_iu_j = E\sum_{i\ne j\in K}\hat u_i\hat u_j \ge
    s(s-1)E\tau^2 .
    """
    left = U**2 - sum(u**2)
    close(left, sum(u[i] * u[j] for i, j in PAIRS if i != j))
    close(left, ranked(u, 2, lambda x, K: 2 * np.prod(np.maximum(u[K], x))), QUADRATURE)
    below(2 * ranked(u, 2, lambda x, _: x * x), left)
    close(left, bounds.priority(PRODUCT, 2))


@evaluates("S5")
def pivotal():
    r"""E\lVert\mathrm{err}\rVert^2 = \sum_t w_tE\lVert y_{\kappa_t}-y_{j_t}\rVert^2 ,\qquad
    w_t = a_tb_t\ \text{ or }\ (1-a_t)(1-b_t)\ \text{ as } a_t+b_t<1 \text{ or not},
    """
    y = (G / np.array(PI, dtype=float)).T
    right, left_over, waiting = 0.0, PI[0], {0: Fraction(1)}
    for j in range(1, d):
        x, z = left_over, PI[j]
        weight = x * z if x + z < 1 else (1 - x) * (1 - z)
        right += float(weight) * sum(float(c) * sum((y[k] - y[j]) ** 2) for k, c in waiting.items())
        share = z / (x + z) if x + z < 1 else (1 - z) / (2 - x - z)
        waiting = {**{k: c * (1 - share) for k, c in waiting.items()}, j: share}
        left_over = x + z if x + z < 1 else x + z - 1
    close(right, second_moment(weighted(reference.pivotal_law(PI).items(), PI), G))
    close(right, moments.pivotal(PRODUCT, p, 2))


@evaluates("S5")
def conditional():
    r"""E\lVert\mathrm{err}\rVert^2 = E_z\Bigl(\sum_i(u_i-\tilde\pi_i)y_i\Bigr)^2 +
    \sum_i(\tilde\pi_i-E_zu_i^2)\lVert y_i\rVert^2
    """
    pi, points = np.array(PI, dtype=float), 16
    z = np.exp(2j * np.pi * np.arange(points) / points)
    phi = 1 - pi + np.outer(z, pi)
    weight = phi.prod(axis=1) * z**-2.0
    weight /= weight.sum()
    ui = np.outer(z, pi) / phi
    kept = weight @ ui
    y = G / kept.real - np.array([[1.0], [2.0], [-1.0], [0.5]])
    right = weight @ (((ui - kept) @ y.T) ** 2).sum(axis=1)
    right += (kept - weight @ ui**2) @ (y**2).sum(axis=0)
    close(right.imag, 0.0)
    law = reference.conditional_law(PI, 2)
    own = [sum(c for sets, c in law.items() if i in sets) for i in range(d)]
    close(right.real, second_moment(weighted(law.items(), own), G))
    close(right.real, moments.conditional(PRODUCT, p, 2))


@evaluates("S6")
def worst_case_of_the_largest():
    r"""\sup_{\lVert A\rVert\le\alpha}\lVert\mathrm{err}\rVert = \alpha\lVert B_R\rVert_2 ."""
    removed, alpha = [2, 3], 1.5
    right = alpha * math.sqrt(max(np.linalg.eigvalsh(B[removed].T @ B[removed])))
    bound = bounds.top(B, p, 2, alpha)
    kept = np.array([1, 1, 0, 0])
    close(bound.worst, right**2)
    close(math.sqrt(reference.squared_error(bound.witness, B, kept)), right)
    close(np.linalg.norm(bound.witness), alpha)
    for X in np.random.default_rng(0).normal(size=(200, 2, d)):
        X *= alpha / np.linalg.norm(X)
        below(math.sqrt(reference.squared_error(X, B, kept)), right)


@evaluates("S8")
def hybrid():
    r"""E\lVert\mathrm{err}\rVert^2 = \frac1{s-c}\Bigl(\sum_R\frac{u_i^2}{q_i}-F_R^2\Bigr) \ \ge\
    \frac{U_R^2-F_R^2}{s-c},
    """
    for weights, attained in (([8.0, 1, 2, 1], False), ([100.0, *u[1:]], True)):
        sure = reference.hybrid_sure(weights, s)
        rest = [i for i in range(d) if i not in sure]
        assert 0 < len(sure) < s
        q = np.array(weights)[rest] / sum(np.array(weights)[rest])
        FR2, draws = sum(G[:, rest].sum(axis=1) ** 2), s - len(sure)
        middle = (sum(u[rest] ** 2 / q) - FR2) / draws
        close(middle, moments.hybrid(PRODUCT, weights, s))
        close(middle, second_moment(reference.replacement_masks(q, draws), G[:, rest]))
        right = (sum(u[rest]) ** 2 - FR2) / draws
        below(right, middle)
        assert np.isclose(right, middle) == attained


def joint(pi):
    """The second display of S9: joint inclusions of one group, in fractions."""
    n = len(pi)
    pairs = [[pi[i] if i == j else Fraction(0) for j in range(n)] for i in range(n)]
    for i, j in itertools.permutations(range(n), 2):
        rest = [k for k in range(n) if k not in (i, j)]
        for size in range(n - 1):
            for S in itertools.combinations(rest, size):
                start = (pi[i] + sum(pi[k] for k in S)) % 1
                overlap = max(0, min(pi[i], start + pi[j]) - start) + max(
                    0, min(pi[i], start + pi[j] - 1)
                )
                ways = math.factorial(size) * math.factorial(n - 2 - size)
                pairs[i][j] += Fraction(ways, math.factorial(n - 1)) * overlap
    return pairs


@evaluates("S9")
def joint_inclusions_of_a_group():
    r"""\pi_{ij} = \sum_S\frac{|S|!\,(M-2-|S|)!}{(M-1)!}\ \bigl|[0,\pi_i)\cap([D_S,D_S+\pi_j)\bmod1)
    \bigr| ,\qquad D_S=\pi_i+\sum_{k\in S}\pi_k ,
    """
    for pi in (PI, [Fraction(1, 2)] * 4, [Fraction(9, 10), *[Fraction(11, 30)] * 3]):
        law = reference.grouped_law(pi)
        for i, j in PAIRS:
            assert joint(pi)[i][j] == sum(c for kept, c in law.items() if i in kept and j in kept)


@evaluates("S9")
def groups():
    r"""E\lVert\mathrm{err}\rVert^2 = \sum_{\text{groups}}\ \sum_{i,j\text{ in it}}
    H_{ij}\Bigl(\frac{\pi_{ij}}{\pi_i\pi_j}-1\Bigr).
    """
    left, right = np.hstack([A, A[::-1] + 1]), np.vstack([B, 2 - B])
    G8 = np.stack([np.outer(left[:, i], right[i]).ravel() for i in range(2 * d)], axis=1)
    H8 = G8.T @ G8
    value = 0.0
    for group in (slice(0, d), slice(d, 2 * d)):
        pi = np.array(PI, dtype=float)
        value += (H8[group, group] * (np.array(joint(PI), float) / np.outer(pi, pi) - 1)).sum()
    law = list(weighted(reference.grouped_law(PI).items(), PI))
    both = (([*m, *n], c * e) for (m, c), (n, e) in itertools.product(law, repeat=2))
    close(value, second_moment(both, G8))
    close(value, moments.grouped(Product(left, right), [*p, *p], (2, 4)))


@evaluates("S10")
def sparse_signs():
    r"""E\lVert ASS^TB-AB\rVert^2 = \frac1s\bigl(P+F^2-2\sum u_i^2\bigr)."""
    left, right = A[:, :3], B[:3]
    P = np.sum(left**2) * np.sum(right**2)
    value = (P + np.sum((left @ right) ** 2) - 2 * sum(u[:3] ** 2)) / s
    close(moments.sparse_signs(Product(left, right), s), value)
    law = reference.sketch_law("sparse_signs 2", 3, s)
    close(reference.sketch_moments(left, right, law)[1], value)


@evaluates("S11")
def independent_entries():
    r"""E\lVert\tilde A\tilde B-AB\rVert^2 = \sum_i(v_ib_i^2+a_i^2w_i+v_iw_i)."""
    left, right, size = A[:, :3], B[:3], 2  # one entry a row of A, one a column of B

    def spread(matrix):
        pi = reference.inclusion_by_filling(abs(matrix).ravel(), size).reshape(matrix.shape)
        return matrix**2 * (1 / pi - 1)

    v, w = spread(left).sum(axis=0), spread(right).sum(axis=1)
    value = sum(v * b[:3] ** 2 + a[:3] ** 2 * w + v * w)
    close(moments.elementwise(Product(left, right), 1), value)
    laws = reference.entries_law(left, size), reference.entries_law(right, size)
    close(reference.independent_product_moments(left, right, *laws)[1], value)


@evaluates("S11")
def true_norms():
    r"""E r = \rho\,\frac2s\Bigl(\frac{\Gamma((s+1)/2)}{\Gamma(s/2)}\Bigr)^2{}_2F_1\bigl(\tfrac12,
    \tfrac12;\tfrac s2+1;\rho^2\bigr),\qquad E r^2 = 1-(1-\rho^2)\,\frac{s-1}s\,
    {}_2F_1\bigl(1,1;\tfrac s2+1;\rho^2\bigr) ,
    """
    for rho, n in itertools.product((0.1, 0.6, -0.8), (2, 3, 7)):
        F21, gamma = scipy.special.hyp2f1, math.gamma
        first = rho * 2 / n * (gamma((n + 1) / 2) / gamma(n / 2)) ** 2
        first *= F21(0.5, 0.5, n / 2 + 1, rho**2)
        second = 1 - (1 - rho**2) * (n - 1) / n * F21(1, 1, n / 2 + 1, rho**2)
        close([first, second], reference.correlation_moments(rho, n), QUADRATURE)
        split = moments.norm_corrected(Product([[1.0, 0.0]], [rho, math.sqrt(1 - rho**2)]), n)
        close([split.bias2, split.variance], [(first - rho) ** 2, second - first**2], QUADRATURE)
