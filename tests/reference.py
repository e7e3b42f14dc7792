"""Slow twins: the theory once more, in plain numpy loops. Nothing here imports the package."""

import itertools
import math
from fractions import Fraction

import numpy as np
import scipy.integrate
import scipy.linalg
import scipy.special


def wide(M):
    """The same numbers in float64, in rows, whatever the form they come in."""
    return np.array(M, dtype=float, order="C")


# --- product, moments, bounds: draws with replacement ------------------------------------------


def squared_error(A, B, mask):
    """||A diag(mask) B - AB||_F^2 by the definition."""
    A, B = wide(A), wide(B).reshape(len(B), -1)
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
    A, B = wide(A), wide(B)
    left = np.abs(A).max()
    right = np.abs(B).max()
    total = total_norm(A / left, B / right)
    errors = [squared_error(A / left, B / right, m) / total**2 for m in masks]
    return np.array(masks), np.array(chances), np.array(errors)


def total_norm(A, B):
    """U: the sum of ||A_i|| ||B_i||."""
    A, B = wide(A), wide(B).reshape(len(B), -1)
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


# --- bounds: independence, worst_cases, training, spectral -------------------------------------


def uncentred_moment(a, W, p):
    """G(p): the sum of a_i^2 ||W_i||^2 / p_i over the terms that are not zero."""
    W = np.asarray(W, dtype=float).reshape(len(W), -1)
    return sum(
        a[i] ** 2 * sum(x * x for x in W[i]) / p[i]
        for i in range(len(W))
        if a[i] > 0 and W[i].any()
    )


def one_draw_moment(X, W, p):
    """E ||err||^2 of one draw, term by term: s draws have 1/s of it."""
    X = np.asarray(X, dtype=float)
    W = np.asarray(W, dtype=float).reshape(len(W), -1)
    terms = [np.outer(X[:, i], W[i]) for i in range(len(W))]
    total = sum(terms)
    return sum(p[i] * np.sum((terms[i] / p[i] - total) ** 2) for i in range(len(W)) if p[i] > 0)


def worst_over_frobenius(p, w):
    """The largest eigenvalue of diag(w_i^2 / p_i) - w w^T: worst data of Frobenius norm 1."""
    return float(np.linalg.eigvalsh(np.diag(w * w / p) - np.outer(w, w))[-1])


def worst_over_columns(p, w):
    """The worst data of feature norms 1, in two dimensions or more."""
    w = np.abs(w)
    return float(np.sum(w * w / p) - max(0.0, 2 * w.max() - w.sum()) ** 2)


def kernel_noise(A, p):
    """B5 by definition: the largest norm of A_i A_i^T / p_i - K, and the norm of its E square."""
    K = A @ A.T
    square = np.zeros_like(K)
    largest = 0.0
    for i in range(A.shape[1]):
        if p[i] > 0:
            gap = np.outer(A[:, i], A[:, i]) / p[i] - K
            square += p[i] * gap @ gap
            largest = max(largest, np.linalg.norm(gap, 2))
    return largest, np.linalg.norm(square, 2)


def whitener(A, ridge):
    """(A A^T + ridge I)^(-1/2)."""
    values, vectors = np.linalg.eigh(A @ A.T)
    return vectors @ np.diag((np.maximum(values, 0) + ridge) ** -0.5) @ vectors.T


# --- pruning ------------------------------------------------------------------------------------


def network_loss(X, y, layers):
    """||X W_1 ... W_L - y||^2 / 2."""
    output = np.asarray(X, dtype=float)
    for W in layers:
        output = output @ W
    return float(np.sum((output - y) ** 2)) / 2


def changed(layers, layer, index, value):
    """The network with one weight replaced."""
    copy = [np.array(W, dtype=float) for W in layers]
    copy[layer][index] = value
    return copy


def network_gradient(X, y, layers):
    """Central differences: exact, since the loss is quadratic in each single weight."""
    gradient = [np.zeros(W.shape) for W in layers]
    for layer, W in enumerate(layers):
        for index in np.ndindex(W.shape):
            up = network_loss(X, y, changed(layers, layer, index, W[index] + 1))
            down = network_loss(X, y, changed(layers, layer, index, W[index] - 1))
            gradient[layer][index] = (up - down) / 2
    return gradient


def gradient_norm2(X, y, layers):
    """Squared norm of the gradient by all weights."""
    return sum(float(np.sum(G**2)) for G in network_gradient(X, y, layers))


def slope(function):
    """Derivative at 1 of a polynomial of degree at most 4, by five points."""
    return (8 * (function(1.5) - function(0.5)) - (function(2.0) - function(0.0))) / 6


def synflow_by_paths(layers):
    """Sum over all paths through a weight of the product of the sizes along the path."""
    scores = [np.zeros(W.shape) for W in layers]
    units = [range(len(W)) for W in layers] + [range(layers[-1].shape[1])]
    for path in itertools.product(*units):
        steps = list(itertools.pairwise(path))
        flow = math.prod(abs(W[step]) for W, step in zip(layers, steps, strict=True))
        for score, step in zip(scores, steps, strict=True):
            score[step] += flow
    return scores


def inclusion_by_filling(p, s):
    """min(1, p_i / tau) with sum s: cap the largest, share out the rest, again and again."""
    p = np.asarray(p, dtype=float)
    pi = np.zeros(len(p))
    capped = set()
    while True:
        rest = [i for i in range(len(p)) if i not in capped]
        total = sum(p[i] for i in rest)
        for i in rest:
            pi[i] = (s - len(capped)) * p[i] / total if total else 0.0
        over = {i for i in rest if pi[i] >= 1}
        if not over:
            break
        capped |= over
        pi[list(capped)] = 1.0
    return pi


def distinct(p, s):
    """The expected number of distinct indices among s draws, in exact fractions."""
    p = [Fraction(float(x)) for x in p]
    total = sum(p)
    return float(sum(1 - (1 - x / total) ** s for x in p))


def systematic_sets(pi):
    """Kept sets of Madow's walk with their probabilities, interval of starts by interval."""
    ends = np.concatenate([[0.0], np.cumsum(pi)])
    cuts = np.unique(np.concatenate([[0.0, 1.0], ends % 1.0]))
    for low, high in itertools.pairwise(cuts):
        start = (low + high) / 2
        points = start + np.arange(math.ceil(ends[-1]))
        kept = [i for i in range(len(pi)) if ((ends[i] <= points) & (points < ends[i + 1])).any()]
        yield kept, high - low


# --- sampling -----------------------------------------------------------------------------------


def top_set(p, s):
    """The s largest, the lowest index first among equals."""
    return sorted(sorted(range(len(p)), key=lambda i: (-p[i], i))[:s])


def replayed_uniforms(d, rng, block):
    """The v_i on (0, 1] of a Generator, or of its children where d takes several blocks."""
    lengths = [min(block, d - start) for start in range(0, d, block)]
    children = [rng] if len(lengths) == 1 else rng.spawn(len(lengths))
    parts = [1 - child.random(n) for child, n in zip(children, lengths, strict=True)]
    return np.concatenate(parts)


def replayed_counts(p, s, rng, block, batch):
    """Counts of draws with replacement: the same variates, all sorted uniforms written out."""
    p = np.asarray(p, dtype=float)
    parts = [p[start : start + block] for start in range(0, len(p), block)]
    sums = np.array([part.sum() for part in parts])
    # A sum rounded once: where a chance is one half, the last digit decides which way numpy counts.
    split = [s] if len(parts) == 1 else rng.multinomial(s, sums / math.fsum(sums))
    children = [rng] if len(parts) == 1 else rng.spawn(len(parts))
    counts = []
    for part, draws, child in zip(parts, split, children, strict=True):
        uniforms = []
        low = 0.0
        while len(uniforms) < draws:
            left = draws - len(uniforms)
            sums = np.cumsum([child.standard_exponential() for _ in range(min(left, batch))])
            rest = child.standard_gamma(left - len(sums) + 1)
            uniforms += list(low + (1 - low) * sums / (sums[-1] + rest))
            low = uniforms[-1]
        places = np.searchsorted(np.cumsum(part), np.array(uniforms) * part.sum(), side="right")
        counts.append(np.bincount(places.astype(int), minlength=len(part)))
    return np.concatenate(counts)


def priority_inclusion(p, s):
    """P(rank i among the s largest): subsets of the others, polynomials in y = v_i / p_i, exactly.

    Index j has the larger rank iff v_j < p_j y: with probability min(1, p_j y).
    """
    p = np.asarray(p, dtype=float)
    result = np.zeros(len(p))
    for i in np.flatnonzero(p):
        others = [j for j in range(len(p)) if j != i and p[j] > 0]
        cuts = sorted({0.0, 1 / p[i], *(1 / p[j] for j in others if p[j] > p[i])})
        for low, high in itertools.pairwise(cuts):
            for size in range(s):
                for above in itertools.combinations(others, size):
                    integrand = np.polynomial.Polynomial([p[i]])
                    for j in others:
                        chance = [0.0, p[j]] if 1 / p[j] >= high else [1.0]
                        factor = np.polynomial.Polynomial(chance)
                        integrand *= factor if j in above else 1 - factor
                    primitive = integrand.integ()
                    result[i] += primitive(high) - primitive(low)
    return result


# --- regression -----------------------------------------------------------------------------------


def nearest_least_squares(X, y, w0, cutoff=1e-11):
    """The least-squares weights nearest to w0, by the pseudoinverse."""
    return w0 + np.linalg.pinv(wide(X), rcond=cutoff) @ (y - X @ w0)


def descended(X, y, w0, mask, rate, steps):
    """m o v after `steps` steps of gradient descent on (1/2)||X (m o v) - y||^2 from v = w0."""
    A = X * mask
    v = np.array(w0, dtype=float)
    for _ in range(steps):
        v -= rate * (A.T @ (A @ v - y))
    return (mask * v.T).T


def flowed(X, y, w0, mask, time):
    """m o v of gradient flow: v' = A^T(y - A v), solved by the exponential of the linear system."""
    unit = np.linalg.norm(X * mask) or 1.0
    A = X * mask / unit
    d, b = A.shape[1], (A.T @ y).reshape(A.shape[1], -1)
    size = np.abs(b).max() or 1.0
    system = np.zeros((d + b.shape[1],) * 2)
    system[:d, :d] = -(A.T @ A)
    system[:d, d:] = b / size
    start = np.vstack([np.reshape(w0, (d, -1)) * unit / size, np.eye(b.shape[1])])
    v = size / unit * (scipy.linalg.expm(time * unit**2 * system) @ start)[:d]
    return (mask * v.T).T.reshape(np.shape(w0))


def ridged(X, y, w0, mask, penalty):
    """m o v of ridge around w0: least squares with the penalty as further samples."""
    A = X * mask
    stacked = np.vstack([A, np.sqrt(penalty) * np.eye(A.shape[1])])
    r0 = y - A @ w0
    zeros = np.zeros((A.shape[1], *r0.shape[1:]))
    step = np.linalg.lstsq(stacked, np.concatenate([r0, zeros]), rcond=1e-13)[0]
    return (mask * (w0 + step).T).T


def dropped_cholesky(H, features, ridge, threshold):
    """Positions kept and the factor, feature by feature: each column of L from those before."""
    kept, L = [], np.zeros((0, 0))
    for i, feature in enumerate(features):
        column = [H[feature, features[j]] for j in kept]
        row = scipy.linalg.solve_triangular(L, column, lower=True) if kept else np.zeros(0)
        diagonal = H[feature, feature] + ridge[i]
        pivot = diagonal - row @ row
        if pivot > threshold * diagonal:
            L = np.block([[L, np.zeros((len(L), 1))], [row, np.sqrt(pivot)]])
            kept.append(i)
    return kept, L


def prefix_losses(X, y, order, cutoff=1e-11):
    """Least squares on every prefix of the features, each from scratch."""
    X, y = wide(X), wide(y)
    norms = np.linalg.norm(X, axis=0)
    A = X / np.where(norms > 0, norms, 1.0)
    losses = []
    for k in range(1, len(order) + 1):
        part = A[:, order[:k]]
        w = np.linalg.lstsq(part, y, rcond=cutoff)[0]
        losses.append(np.sum((y - part @ w) ** 2, axis=0))
    return np.array(losses)


def exact_loss(X, y):
    """The least-squares loss of one target in rational arithmetic, rounded once, at the end."""
    rows = [[Fraction(float(x)) for x in row] for row in np.column_stack([X, y])]
    columns = list(zip(*rows, strict=True))
    gram = [[sum(a * b for a, b in zip(r, t, strict=True)) for t in columns] for r in columns]
    for i in range(len(gram) - 1):
        # Elimination leaves the loss in the last corner; a dependent feature has nothing left.
        if gram[i][i]:
            for j in range(i + 1, len(gram)):
                share = gram[j][i] / gram[i][i]
                gram[j] = [a - share * b for a, b in zip(gram[j], gram[i], strict=True)]
    return float(gram[-1][-1])


# --- moments of designs and sketches --------------------------------------------------------------


def subsets_law(p, s):
    """Every subset of independent inclusions: (mask, probability)."""
    pi = inclusion_by_filling(p, s)
    for kept in itertools.product([False, True], repeat=len(pi)):
        chance = math.prod(x if keep else 1 - x for x, keep in zip(pi, kept, strict=True))
        if chance > 0:
            yield np.array(kept) / np.where(pi > 0, pi, 1.0), chance


def starts_law(p, s):
    """Every interval of starts of a systematic sample: (mask, probability)."""
    pi = inclusion_by_filling(p, s)
    for kept, chance in systematic_sets(pi):
        mask = np.zeros(len(pi))
        mask[kept] = 1 / pi[kept]
        yield mask, chance


def priority_variances(p, s):
    """Var(m_i) of a priority sample, s >= 2: subsets of the others, polynomials in z = 1 / x."""
    variances = np.zeros(len(p))
    for i in np.flatnonzero(p):
        others = [j for j in range(len(p)) if j != i and p[j] > 0]
        cuts = sorted({0.0, 1 / p[i], *(1 / p[j] for j in others if p[j] > p[i])})
        for low, high in itertools.pairwise(cuts):
            for size in range(s, len(others) + 1):
                for above in itertools.combinations(others, size):
                    chance = np.polynomial.Polynomial([1.0])
                    for j in others:
                        one = np.polynomial.Polynomial([0.0, p[j]] if 1 / p[j] >= high else [1.0])
                        chance *= one if j in above else 1 - one
                    variances[i] += inverse_square_integral(chance.coef, low, high) / p[i]
    return variances


def number_of_events(q):
    """The law of the number of independent events, from none to all."""
    law = np.ones(1)
    for chance in q:
        law = np.convolve(law, [1 - chance, chance])
    return law


def priority_integrand(p, gains, s, z):
    """S5 (c) at x = 1 / z: the law of the others anew for each entry."""
    q = np.minimum(1.0, p * z)
    chances = [number_of_events(np.delete(q, i))[s:].sum() for i in range(len(p))]
    return sum(g * c for g, c, x in zip(gains, chances, q, strict=True) if x < 1) / z**2


def inverse_square_integral(coefficients, low, high):
    """The integral of a polynomial in z over z^2, term by term."""
    total = 0.0
    for k, c in enumerate(coefficients):
        if c == 0:
            continue
        if k == 0:
            total += c * (1 / low - 1 / high)
        elif k == 1:
            total += c * math.log(high / low)
        else:
            total += c * (high ** (k - 1) - low ** (k - 1)) / (k - 1)
    return total


def sketch_law(kind, d, s):
    """Every dense sketch S (d, s) with its probability; normal entries by a rule exact to degree 5.

    Kinds: rademacher, countsketch, gaussian, srht (s of D columns at once), srht with replacement.
    """
    if kind == "rademacher":
        for signs in itertools.product([-1, 1], repeat=d * s):
            yield np.reshape(signs, (d, s)) / math.sqrt(s), 0.5 ** (d * s)
    elif kind == "gaussian":
        nodes = [(-math.sqrt(3), 1 / 6), (0.0, 2 / 3), (math.sqrt(3), 1 / 6)]
        for entries in itertools.product(nodes, repeat=d * s):
            values, chances = zip(*entries, strict=True)
            yield np.reshape(values, (d, s)) / math.sqrt(s), math.prod(chances)
    elif kind == "countsketch":
        for buckets in itertools.product(range(s), repeat=d):
            for signs in itertools.product([-1, 1], repeat=d):
                S = np.zeros((d, s))
                S[range(d), buckets] = signs
                yield S, 1 / (2 * s) ** d
    elif kind.startswith("sparse_signs"):
        # "sparse_signs 2" has two signs a row in distinct columns, "sparse_signs 2 blocks" in two
        # halves.
        _, k, *blocks = kind.split()
        k = int(k)
        if blocks:
            starts = range(0, s, s // k)
            places = list(itertools.product(*(range(a, a + s // k) for a in starts)))
        else:
            places = list(itertools.combinations(range(s), k))
        rows = []
        for place in places:
            for signs in itertools.product([-1, 1], repeat=k):
                row = np.zeros(s)
                row[list(place)] = np.array(signs) / math.sqrt(k)
                rows.append(row)
        for chosen in itertools.product(rows, repeat=d):
            yield np.array(chosen), 1 / len(rows) ** d
    else:
        H = np.array([[1.0]])
        while len(H) < max(d, 2):
            H = np.block([[H, H], [H, -H]])
        columns = range(len(H))
        if kind == "srht":
            picks = list(itertools.combinations(columns, s))
        else:
            picks = list(itertools.product(columns, repeat=s))
        for signs in itertools.product([-1, 1], repeat=d):
            for pick in picks:
                S = np.array(signs)[:, None] * H[:d, list(pick)] / math.sqrt(s)
                yield S, 0.5**d / len(picks)


def sketch_moments(A, B, law):
    """Mean estimate, and mean square of its error."""
    A = np.asarray(A, dtype=float)
    B = np.asarray(B, dtype=float).reshape(len(B), -1)
    mean, square = 0.0, 0.0
    for S, chance in law:
        estimate = (A @ S) @ (S.T @ B)
        mean = mean + chance * estimate
        square += chance * np.sum((estimate - A @ B) ** 2)
    return mean, square


def entries_law(M, size):
    """Every outcome of keeping `size` entries of M on average, each in proportion to its size."""
    M = np.asarray(M, dtype=float)
    live = list(zip(*np.nonzero(M), strict=True))
    pi = dict(zip(live, inclusion_by_filling([abs(M[at]) for at in live], size), strict=True))
    for kept in itertools.product([False, True], repeat=len(live)):
        outcome, chance = np.zeros(M.shape), 1.0
        for at, keep in zip(live, kept, strict=True):
            chance *= pi[at] if keep else 1 - pi[at]
            outcome[at] = M[at] / pi[at] if keep else 0.0
        if chance > 0:
            yield outcome, chance


def rounding_law(M, levels):
    """Every outcome of rounding the rows of M to integers times their largest entry / levels."""
    M = np.asarray(M, dtype=float)
    scale = np.abs(M).max(axis=1, keepdims=True) / levels
    units = np.divide(M, scale, out=np.zeros_like(M), where=scale > 0)
    for up in itertools.product([0, 1], repeat=M.size):
        up = np.reshape(up, M.shape)
        share = units - np.floor(units)
        chance = float(np.prod(np.where(up == 1, share, 1 - share)))
        if chance > 0:
            yield (np.floor(units) + up) * scale, chance


def independent_product_moments(A, B, left, right):
    """Mean, and mean square error, of the product of two independent random factors."""
    A, B = np.asarray(A, dtype=float), np.asarray(B, dtype=float)
    mean, square = 0.0, 0.0
    right = list(right)
    for L, chance in left:
        for R, other in right:
            mean = mean + chance * other * (L @ R)
            square += chance * other * np.sum((L @ R - A @ B) ** 2)
    return mean, square


def correlation_moments(rho, s):
    """E r and E r^2 of the empirical correlation of s pairs with means zero, by its density."""

    def density(r):
        # Hotelling 1953, with s in the place of n - 1.
        log = (
            math.lgamma(s)
            - math.lgamma(s + 0.5)
            + s / 2 * math.log1p(-rho * rho)
            + (s - 3) / 2 * math.log1p(-r * r)
            - (s - 0.5) * math.log1p(-rho * r)
        )
        series = scipy.special.hyp2f1(0.5, 0.5, s + 0.5, (1 + rho * r) / 2)
        return (s - 1) / math.sqrt(2 * math.pi) * math.exp(log) * series

    # r = sin t, so that the ends of s = 2 are no poles.
    angles, weights = np.polynomial.legendre.leggauss(200)
    angles, weights = angles * math.pi / 2, weights * math.pi / 2
    values = [density(math.sin(t)) * math.cos(t) * w for t, w in zip(angles, weights, strict=True)]
    sines = np.sin(angles)
    return float(sines @ values), float(sines**2 @ values)


def hybrid_sure(p, s):
    """The entries that a hybrid draw keeps surely, in fractions: every number of them is tried."""
    p = [Fraction(float(x)) for x in p]
    order = sorted((i for i in range(len(p)) if p[i] > 0), key=lambda i: (-p[i], i))
    if s >= len(order):
        return order
    costs = []
    for sure in range(s):
        rest = [p[i] for i in order[sure:]]
        costs.append((sum(rest) ** 2 - sum(x * x for x in rest)) / (s - sure))
    return order[: costs.index(min(costs))]


def conditional_law(pi, s):
    """Sets of s entries kept by independent trials, given that s are kept, in fractions."""
    pi = [Fraction(float(x)) for x in pi]
    chances = {}
    for kept in itertools.combinations(range(len(pi)), s):
        chance = Fraction(1)
        for i, x in enumerate(pi):
            chance *= x if i in kept else 1 - x
        if chance:
            chances[kept] = chance
    total = sum(chances.values())
    return {kept: chance / total for kept, chance in chances.items()}


def pivotal_law(pi):
    """Sets kept by ordered pivotal sampling with inclusion probabilities that are fractions."""
    law = {}

    def duel(state, i, waiting, chance):
        if not chance:
            return
        if i == len(state):
            kept = tuple(k for k, x in enumerate(state) if x == 1)
            law[kept] = law.get(kept, 0) + chance
            return
        if state[i] in (0, 1):
            duel(state, i + 1, waiting, chance)
            return
        if waiting is None:
            duel(state, i + 1, i, chance)
            return
        a, b = state[waiting], state[i]
        if a + b < 1:
            high, low, share = a + b, Fraction(0), a / (a + b)
        else:
            high, low, share = Fraction(1), a + b - 1, (1 - b) / (2 - a - b)
        for winner, loser, part in ((waiting, i, share), (i, waiting, 1 - share)):
            after = list(state)
            after[winner], after[loser] = high, low
            left = [k for k in (winner, loser) if 0 < after[k] < 1]
            duel(after, i + 1, left[0] if left else None, chance * part)

    duel(list(pi), 0, None, Fraction(1))
    return law


def co_occurring(A, B, s):
    """The product kept by co-occurring directions: s columns at a time, all values shrunk alike."""
    A, B = np.asarray(A, dtype=float), np.asarray(B, dtype=float)
    kept = np.zeros((len(A), B.shape[1]))
    # The two sides of the buffer have the same Gram matrices up to rotation: roots of the product.
    scale = math.sqrt(np.linalg.norm(B) / np.linalg.norm(A))
    left, right = np.zeros((len(A), 0)), np.zeros((0, B.shape[1]))
    for start in range(0, A.shape[1], s):
        left = np.hstack([left, A[:, start : start + s] * scale])
        right = np.vstack([right, B[start : start + s] / scale])
        kept = left @ right
        if left.shape[1] > s:
            U, sigma, Vt = np.linalg.svd(kept)
            sigma = np.append(sigma, 0.0)
            shrunk = [max(0.0, x - sigma[min(s, len(sigma) - 1)]) for x in sigma[:-1]]
            left = U[:, : len(shrunk)] * np.sqrt(shrunk)
            right = np.sqrt(shrunk)[:, None] * Vt[: len(shrunk)]
            left, right = left[:, :s], right[:s]
            kept = left @ right
    return kept


def anticipated_moment(X, w0, columns, rate, steps, p, s):
    """E6 for one output: descent step by step from w0 for each label vector, then S2 for each."""
    total = 0.0
    for y in np.transpose(columns):
        w = np.array(w0, dtype=np.float64)
        for _ in range(steps):
            w = w - rate * X.T @ (X @ w - y)
        terms = (np.square(X).sum(axis=0) * w**2 / p).sum()
        total += (terms - np.square(X @ w).sum()) / s
    return total / np.shape(columns)[1]


# --- moments of every order: exact rational laws --------------------------------------------------


def rational_inclusions(weights, s):
    """min(1, w_i / tau) with sum s, in fractions."""
    sure = set()
    while True:
        total = sum(w for i, w in enumerate(weights) if i not in sure)
        pi = [
            Fraction(1) if i in sure else Fraction((s - len(sure)) * w, total or 1)
            for i, w in enumerate(weights)
        ]
        over = {i for i, x in enumerate(pi) if x >= 1} - sure
        if not over:
            return pi
        sure |= over


def rational_law(A, B, weights, s, design):
    """Every outcome of a draw of integers A (q, d), B (d, r), weights: (||err||^2, probability)."""
    d = len(weights)
    H = [
        [
            sum(row[i] * row[j] for row in A) * sum(x * y for x, y in zip(B[i], B[j], strict=True))
            for j in range(d)
        ]
        for i in range(d)
    ]
    if design == "multinomial":
        total = sum(weights)
        live = [i for i in range(d) if weights[i]]
        for picks in itertools.combinations_with_replacement(live, s):
            counts = [picks.count(i) for i in range(d)]
            chance = Fraction(math.factorial(s))
            for c, w in zip(counts, weights, strict=True):
                chance *= Fraction(w, total) ** c / math.factorial(c)
            gaps = [
                Fraction(c * total, s * w) - 1 if w else Fraction(-1)
                for c, w in zip(counts, weights, strict=True)
            ]
            yield rational_square(H, gaps), chance
    else:
        pi = rational_inclusions(weights, s)
        for kept in itertools.product([0, 1], repeat=d):
            chance = math.prod((x if k else 1 - x) for k, x in zip(kept, pi, strict=True))
            if chance:
                gaps = [1 / x - 1 if k else Fraction(-1) for k, x in zip(kept, pi, strict=True)]
                yield rational_square(H, gaps), chance


def rational_square(H, gaps):
    """sum H_ij gaps_i gaps_j."""
    return sum(
        H[i][j] * gaps[i] * gaps[j] for i in range(len(H)) for j in range(len(H)) if H[i][j]
    ) + Fraction(0)


def rational_moments(law, order):
    """Mean, E Q^k, E (Q - mean)^k and E |Q - mean|^k for k = 1 .. order, in fractions."""
    law = list(law)
    mean = sum(c * q for q, c in law)
    return (
        mean,
        [sum(c * q**k for q, c in law) for k in range(1, order + 1)],
        [sum(c * (q - mean) ** k for q, c in law) for k in range(1, order + 1)],
        [sum(c * abs(q - mean) ** k for q, c in law) for k in range(1, order + 1)],
    )


def set_partitions(items):
    """Every partition of a list into blocks."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for blocks in set_partitions(rest):
        yield [[first], *blocks]
        for i, block in enumerate(blocks):
            yield [*blocks[:i], [first, *block], *blocks[i + 1 :]]


def multigraphs_by_partitions(k):
    """How often k pairs of places make each multigraph, by every partition of the 2 k places.

    Keys are the edges, each by the names of its ends, named so that they are least; graphs with a
    vertex of degree one, or with a lone loop, are left out.
    """
    ways = {}
    for blocks in set_partitions(list(range(2 * k))):
        if any(len(block) == 1 for block in blocks):
            continue
        if any(len(block) == 2 and block[0] // 2 == block[1] // 2 for block in blocks):
            continue
        of = {place: i for i, block in enumerate(blocks) for place in block}
        edges = [(of[2 * t], of[2 * t + 1]) for t in range(k)]
        key = least_names(edges, len(blocks))
        ways[key] = ways.get(key, 0) + 1
    return ways


def least_names(edges, n):
    """The edges of a multigraph with its vertices renamed so that the sorted list is least."""
    return min(
        tuple(sorted(tuple(sorted((names[u], names[w]))) for u, w in edges))
        for names in itertools.permutations(range(n))
    )


def graph_sum(edges, n, G, weights):
    """Sum over all labels of the vertices, edge by edge; weights(degree) -> one vector."""
    degree = [sum((u == v) + (w == v) for u, w in edges if u != w) for v in range(n)]
    loops = [sum(u == w == v for u, w in edges) for v in range(n)]
    total = 0.0
    for labels in itertools.product(range(len(G)), repeat=n):
        value = math.prod(weights(degree[v], loops[v])[label] for v, label in enumerate(labels))
        for u, w in edges:
            if u != w:
                value *= G[labels[u], labels[w]]
        total += value
    return total


def grouped_law(pi):
    """Sets kept of one group: systematic, every order of it equally likely, in fractions."""
    pi = [Fraction(x) for x in pi]
    law = {}
    for order in itertools.permutations(range(len(pi))):
        ends = list(itertools.accumulate(pi[i] for i in order))
        starts = sorted({Fraction(0), Fraction(1), *(end % 1 for end in ends)})
        for low, high in itertools.pairwise(starts):
            middle = (low + high) / 2
            kept, before = [], Fraction(0)
            for i, end in zip(order, ends, strict=True):
                # A point of middle + {0, 1, ..} between the ends of the step.
                if math.floor(end - middle) > math.floor(before - middle):
                    kept.append(i)
                before = end
            kept = tuple(sorted(kept))
            law[kept] = law.get(kept, 0) + (high - low) / math.factorial(len(pi))
    return law
