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


def _several(
    path: str, before: str, part: str, changed: list[str], reason: str
) -> tuple[Equivalent, ...]:
    """Return several changes of one part of a line, for one reason."""
    return tuple(Equivalent(path, before, before.replace(part, x), reason) for x in changed)


EQUIVALENT = (
    *_several(
        "lth_sketch/_designs.py",
        "if len(found.sums) > 1:",
        "> 1",
        ["> 0", ">= 1"],
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
        "lth_sketch/regression/maskfits.py",
        "L = np.empty((together, width, width) if normal else 0)",
        "L = np.empty((together, width, width) if normal else 1)",
        "scratch that is never used",
    ),
    Equivalent(
        "lth_sketch/regression/maskfits.py",
        "cutoff = tolerances.rank(self.data.n_samples, len(mask[0])) "
        "* float(np.linalg.norm(sizes))",
        "cutoff = tolerances.rank(self.data.n_samples, len(mask[ "
        "1])) * float(np.linalg.norm(sizes))",
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
    Equivalent(
        "lth_sketch/kernels/designs.py",
        "law = np.empty(d + 2)",
        "law = np.empty(d * 2)",
        "scratch at least as long, for d is at least 2",
    ),
    *_several(
        "lth_sketch/kernels/draws.py",
        "half = (len(sums) - 1) // 2",
        "// 2",
        ["// 3", ">> 2"],
        "any groups may be summed side by side: the same sums; only speed",
    ),
    Equivalent(
        "lth_sketch/kernels/draws.py",
        "for g in range(2 * half, len(sums) - 1):",
        "for g in range(2 & half, len(sums) - 1):",
        "groups that are summed already get the same sum again; only speed",
    ),
    *_several(
        "lth_sketch/kernels/draws.py", "k += ONE - before", "-", ["^", ">>"], "`before` is 0 or 1"
    ),
    Equivalent(
        "lth_sketch/kernels/draws.py",
        "other, h = middle, g + np.uint64(np.searchsorted(sums[g:], "
        'targets[middle], side="right"))',
        "other, h = middle, g & np.uint64(np.searchsorted(sums[g:], "
        'targets[middle], side="right"))',
        "from an earlier group the merge steps on to the same one; only speed",
    ),
    *_several(
        "lth_sketch/kernels/draws.py",
        "while k < middle and other < end:",
        "other <",
        ["other ==", "other >"],
        "`advance` merges what this loop leaves; only speed",
    ),
    Equivalent(
        "lth_sketch/kernels/draws.py",
        "while done < draws:",
        "while done != draws:",
        "the last batch ends with the draws",
    ),
    *_several(
        "lth_sketch/kernels/draws.py",
        "for j in range(GROUP - 1):",
        "-",
        ["+", "|"],
        "a whole group sums to more than its targets, and no entry comes after `end`",
    ),
    Equivalent(
        "lth_sketch/kernels/errors.py",
        "i = table[int(u * len(table))]",
        "i = table[int(u / len(table))]",
        "always the first place: the search goes on from there to the same entry; only speed",
    ),
    Equivalent(
        "lth_sketch/kernels/errors.py",
        "while capped < d and p[order[capped]] >= tau:",
        "while capped != d and p[order[capped]] >= tau:",
        "it counts up to d one by one",
    ),
    *_several(
        "lth_sketch/kernels/transforms.py",
        "TILE = 1 << 13",
        "<< 13",
        ["+ 13", "** 13", "& 13", "| 13", "<< 12"],
        "every column has the same sum in tiles of any width; only speed",
    ),
    Equivalent(
        "lth_sketch/kernels/transforms.py",
        "for j in range(0, q - q % ABREAST, ABREAST):",
        "for j in range(0, q ^ q % ABREAST, ABREAST):",
        "either takes away the last three bits of q",
    ),
    Equivalent(
        "lth_sketch/kernels/transforms.py",
        "value = np.float64(A[j + k, i])",
        "value = np.float64(A[j | k, i])",
        "j is a multiple of eight, and k below",
    ),
    *_several(
        "lth_sketch/kernels/transforms.py",
        "y, z = np.float64(A[i + 2, k]), np.float64(A[i + 3, k])",
        "A[i + 3",
        ["A[i | 3", "A[i ^ 3"],
        "i is a multiple of four",
    ),
    Equivalent(
        "lth_sketch/kernels/transforms.py",
        "low, high = x[first : first + half], x[first + half : first + 2 * half]",
        "low, high = x[first : first | half], x[first + half : first + 2 * half]",
        "`first` is a multiple of twice `half`, a power of two",
    ),
    Equivalent(
        "lth_sketch/regression/problem.py",
        "odd = (z > 1.0) & (k % 2 == 1)",
        "odd = (z > 1.0) & (k % 2 >= 1)",
        "a remainder by two is 0 or 1",
    ),
    *_several(
        "lth_sketch/_blocks.py",
        "parts = min(count, 4 * threads)",
        "4 *",
        ["3 *", "4 +", "4 **", "4 <<", "4 |", "5 *"],
        "other shares of the same blocks: the same bits; only speed",
    ),
    Equivalent(
        "lth_sketch/kernels/designs.py",
        "while split < n and q[split] * law[need] >= (1.0 - q[split]) * law[need + 1]:",
        "while split != n and q[split] * law[need] >= (1.0 - q[split]) * law[need + 1]:",
        "it counts up to n one by one",
    ),
    Equivalent(
        "lth_sketch/kernels/draws.py",
        "inside += np.float64(p[min(start + np.uint64(j), final)])",
        "inside += np.float64(p[min(start | np.uint64(j), final)])",
        "`start` is a multiple of eight, and j below",
    ),
    Equivalent(
        "lth_sketch/regression/problem.py",
        "logs = np.where(z < 1.0, np.log1p(-np.minimum(z, 1.0)), np.log(np.abs(z - 1.0)))",
        "logs = np.where(z < 1.0, np.log1p(-np.minimum(z, 2.0)), np.log(np.abs(z - 1.0)))",
        "from z = 1 on the other logarithm is taken",
    ),
    Equivalent(
        "lth_sketch/_blocks.py",
        "while found.largest >= tau:",
        "while found.largest is not tau:",
        "one pass more, which caps nothing and is the last",
    ),
    Equivalent(
        "lth_sketch/bounds/training.py",
        "g = -np.expm1(-t * sigma * sigma) / sigma",
        "g = np.expm1(-t * sigma * sigma) / sigma",
        "only the size of g is used",
    ),
    Equivalent(
        "lth_sketch/regression/problem.py",
        "odd = (z > 1.0) & (k % 2 == 1)",
        "odd = (z >= 1.0) & (k % 2 == 1)",
        "at z = 1 both formulas give one",
    ),
    Equivalent(
        "lth_sketch/regression/problem.py",
        "return X, targets.reshape(len(targets), -1).astype(np.float64), shape",
        "return X, targets.reshape(len(targets), ~1).astype(np.float64), shape",
        "numpy takes any negative length for the one to be found",
    ),
    Equivalent(
        "lth_sketch/kernels/designs.py",
        "if lengths[k] > 0.0:",
        "if lengths[k] > -1.0:",
        "an interval of no length adds nothing",
    ),
    Equivalent(
        "lth_sketch/kernels/designs.py",
        "while sure < d and p[sure] * z >= 1.0:",
        "while sure <= d and p[sure] * z >= 1.0:",
        "fewer than d are sure at any node",
    ),
    Equivalent(
        "lth_sketch/kernels/draws.py", "new = i != last", "new = i > last", "positions ascend"
    ),
    *_several(
        "lth_sketch/kernels/transforms.py",
        "out[i], out[i + 1], out[i + 2], out[i + 3] = a, b, c, e",
        "i], out[i +",
        ["i], out[i ^", "i], out[i |"],
        "i is a multiple of four",
    ),
    Equivalent(
        "lth_sketch/_inclusion.py",
        "for node, share in zip(*rules[int(narrow)], strict=True):",
        "for node, share in zip(*rules[int(narrow)], strict=False):",
        "a rule has as many nodes as weights",
    ),
    Equivalent(
        "lth_sketch/regression/nested.py",
        "scale = np.divide(1.0, norms, out=np.zeros(d), where=norms > 0)",
        "scale = np.divide(1.0, norms, out=np.zeros(d), where=norms != 0)",
        "norms are not negative",
    ),
    Equivalent(
        "lth_sketch/regression/maskfits.py",
        "if self.penalty > 0:",
        "if self.penalty != 0:",
        "penalties are not negative",
    ),
    Equivalent(
        "lth_sketch/kernels/transforms.py",
        "for i in range(d - d % 4, d):",
        "for i in range(d ^ d % 4, d):",
        "either takes away the last two bits of d",
    ),
    Equivalent(
        "lth_sketch/kernels/draws.py",
        "k, middle = NONE, np.uint64(len(targets) // 2)",
        "k, middle = NONE, np.uint64(len(targets) // 3)",
        "where the two streams meet changes no position; only speed",
    ),
    Equivalent(
        "lth_sketch/single_draw.py",
        "if norms[start] * 2 <= best:",
        "if norms[start] * 2 < best:",
        "pairs that could only equal the best do not change it",
    ),
    *_several(
        "lth_sketch/sampling.py",
        "output = designs.Output(starts[low : high + 1], indices, weights)",
        "+ 1",
        ["<< 1", "+ 2"],
        "starts beyond those of the rows: unread, or a row that is the same for all written again",
    ),
    Equivalent(
        "lth_sketch/_blocks.py",
        "known = 0",
        "known = -1",
        "the first pass caps the largest at least",
    ),
    *_several(
        "lth_sketch/_designs.py",
        "split[live] = rng.multinomial(s, sums[live] / found.total) if len(blocks) > 1 else s",
        "> 1",
        ["!= 1", ">= 1", "> 0"],
        "all draws go to a single block, and numpy takes no number for that",
    ),
    *_several(
        "lth_sketch/_designs.py",
        "if missing > 0:",
        "> 0",
        ["!= 0", ">= 0", "> -1"],
        "none are missing: no position is kept, and the number is never negative",
    ),
    *_several(
        "lth_sketch/_designs.py",
        "completed = -1",
        "-1",
        ["~1", "not 1", "- 2", "- 0"],
        "below every size",
    ),
    *_several(
        "lth_sketch/_designs.py",
        "ends = np.cumsum([len(near[b][0]) for b in range(len(blocks))])",
        "0",
        [" 1", " -1"],
        "there are as many values as positions",
    ),
    Equivalent(
        "lth_sketch/regression/maskfits.py",
        "if test is not None and held_out is not None:",
        "if test is not None or held_out is not None:",
        "there are both or neither",
    ),
    *_several(
        "lth_sketch/_blocks.py",
        "if threads == 1 or count == 1:",
        "== 1 or",
        ["!= 1 or", "< 1 or", "<= 1 or", "> 1 or", ">= 1 or", "== 2 or", "== 0 or", "== 1 and"],
        "either route does every block: the same bits; only speed",
    ),
    *_several(
        "lth_sketch/_blocks.py",
        "if threads == 1 or count == 1:",
        "count == 1",
        [
            "count != 1",
            "count < 1",
            "count <= 1",
            "count > 1",
            "count >= 1",
            "count == 2",
            "count == 0",
        ],
        "either route does every block: the same bits; only speed",
    ),
)

REASONS = {(each.path, each.before, each.after): each.reason for each in EQUIVALENT}
