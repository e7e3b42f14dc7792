"""Mutants that no test can tell from the library: they give the same result on every input.

Each is a file, a line before and after, and the reason. They are left out of the score; a survivor
that changes a result, be it below every tolerance, is not one of them.
"""

from __future__ import annotations

from typing import NamedTuple


class Equivalent(NamedTuple):
    """A change of a line that changes no result."""

    path: str
    before: str
    after: str
    reason: str


EQUIVALENT = (
    Equivalent(
        "lth_sketch/_designs.py",
        "if len(found.sums) > 1:",
        "if len(found.sums) > 0:",
        "a single block drawn by the route of many, which keeps the same; only speed",
    ),
    Equivalent(
        "lth_sketch/_designs.py",
        "if len(found.sums) > 1:",
        "if len(found.sums) != 1:",
        "there is a block at least",
    ),
    Equivalent(
        "lth_sketch/_designs.py",
        "starts, indices, weights = output or Output(_NO_INDICES, _NO_INDICES, p[:0])",
        "starts, indices, weights = output or Output(_NO_INDICES, _NO_INDICES, p[: 1])",
        "without indices the weights are not written",
    ),
    Equivalent(
        "lth_sketch/_designs.py",
        "if s == found.nonzero:",
        "if s >= found.nonzero:",
        "larger sizes have been refused",
    ),
    Equivalent(
        "lth_sketch/_designs.py",
        "SMALL, LIFT = 2.0**-900, 2.0**256",
        "SMALL, LIFT = 2.0**~900, 2.0**256",
        "between the two thresholds, lifting by a power of two is exact and so is not lifting",
    ),
    Equivalent(
        "lth_sketch/_inclusion.py",
        "area += np.where(y < ends, half * share * chances, 0.0)",
        "area += np.where(y <= ends, half * share * chances, 0.0)",
        "nodes lie inside of the panels, which end there",
    ),
    Equivalent(
        "lth_sketch/_blocks.py",
        "if threads == 1 or count == 1:",
        "if threads >= 1 or count == 1:",
        "all blocks on one thread: the same bits; only speed",
    ),
    Equivalent(
        "lth_sketch/regression/maskfits.py",
        "L = np.empty((together, width, width) if normal else 0)",
        "L = np.empty((together, width, width) if normal else 1)",
        "scratch that is never used",
    ),
    Equivalent(
        "lth_sketch/regression/maskfits.py",
        "cutoff = tolerances.rank(self.data.n_samples, len(mask[0])) "
        "* float(np.linalg.norm(sizes))",
        "cutoff = tolerances.rank(self.data.n_samples, len(mask[ 1])) "
        "* float(np.linalg.norm(sizes))",
        "a mask's features and its entries have one length",
    ),
    Equivalent(
        "lth_sketch/bounds/worst_cases.py",
        "p = rest * np.divide(rest, eta, out=rest.copy(), where=rest > 0)",
        "p = rest * np.divide(rest, eta, out=rest.copy(), where=rest != 0)",
        "no entry of rest is negative",
    ),
    Equivalent(
        "lth_sketch/probabilities.py",
        'dense = scipy.linalg.qr(dense, mode="r", check_finite=False)[0][: dense.shape[1]]',
        'dense = scipy.linalg.qr(dense, mode="r", check_finite=True)[0][: dense.shape[1]]',
        "the entries are known to be finite; only speed",
    ),
    Equivalent(
        "lth_sketch/bounds/independence.py",
        "missed = np.flatnonzero((seen == 0) & (ratio * q > 0))",
        "missed = np.flatnonzero((seen == 0) * (ratio * q > 0))",
        "the product of truth values is their conjunction",
    ),
    Equivalent(
        "lth_sketch/kernels/transforms.py",
        "x[i + 4], x[i + 5], x[i + 6], x[i + 7] = a - e, b - f, c - g, d - h",
        "x[i | 4], x[i + 5], x[i + 6], x[i + 7] = a - e, b - f, c - g, d - h",
        "i is a multiple of eight",
    ),
    Equivalent(
        "lth_sketch/kernels/transforms.py",
        "while half < len(x):",
        "while half != len(x):",
        "both are powers of two: half comes to the length exactly",
    ),
    Equivalent(
        "lth_sketch/regression/problem.py",
        "powers = np.where(k == 0, 0.0, k * logs)",
        "powers = np.where(k <= 0, 0.0, k * logs)",
        "numbers of steps are not negative",
    ),
    Equivalent(
        "lth_sketch/bounds/spectral.py",
        "low, grid = 0, np.append(2 ** np.arange((most - 1).bit_length(), dtype=np.int64), most)",
        "low, grid = 0, np.append(2 + np.arange((most - 1).bit_length(), dtype=np.int64), most)",
        "any first grid finds the same least number; only speed",
    ),
)

REASONS = {(each.path, each.before, each.after): each.reason for each in EQUIVALENT}
