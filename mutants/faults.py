"""Mistakes met in public code, and wrong constants, put into our own sources word for word."""

from __future__ import annotations

from typing import NamedTuple

from mutants.rooms import ROOT, tests_of


class Fault(NamedTuple):
    """A mistake: the text that it takes the place of occurs exactly once in the file."""

    name: str
    path: str
    before: str
    after: str
    tests: tuple[str, ...]

    @property
    def key(self) -> str:
        """What identifies it among the results of all runs."""
        return f"{self.name}: {self.path}, {self.before} -> {self.after}"

    @property
    def source(self) -> str:
        """The file with the mistake in it.

        Raises
        ------
        ValueError
            If the text to be replaced does not occur exactly once.
        """
        text = (ROOT / self.path).read_text()
        if text.count(self.before) != 1:
            raise ValueError(
                f"{self.path} must hold {self.before!r} exactly once, for the fault "
                f"{self.name!r}; it does {text.count(self.before)} times; mend mutants/faults.py"
            )
        return text.replace(self.before, self.after)


def _fault(name: str, path: str, before: str, after: str, *tests: str) -> Fault:
    files = tuple(tests_of(test) for test in tests)
    return Fault(name, f"lth_sketch/{path}", before, after, files)


_CAPPED = "np.minimum(1.0, given.p / checked.threshold(given, s))"
_ALL_TIES = "result[ties[: kept - int(result.sum())]] = True"
_TOPPED_UP = "keep[np.flatnonzero(ranks == tau)[:missing]] = True"
_SHUFFLED = "generator.permutation(x.ravel()).reshape(x.shape)"

FAULTS = (
    # --- rescaling ---
    _fault(
        "n / c in place of 1 / (s p)",
        "kernels/draws.py",
        "weights[k] = scratch.counts[k] * share / np.float64(p[i])",
        "weights[k] = scratch.counts[k] * share * len(p)",
        "sampling_replayed",
        "sampling",
    ),
    _fault(
        "1 / (s p) after priority sampling, one draw",
        "sampling/_ranks.py",
        "return _kept(given, tau, keep)",
        "return _kept(given, given.total / s, keep)",
        "sampling_replayed",
        "sampling",
        "sampling_laws",
    ),
    _fault(
        "1 / (s p) after priority sampling, blocks",
        "sampling/_ranks.py",
        "return _listed(given, tau, counts, keep, threads)\n\n\ndef priority_rows",
        "return _listed(given, given.total / s, counts, keep, threads)\n\n\ndef priority_rows",
        "sampling_replayed",
        "sampling",
        "sampling_laws",
    ),
    _fault(
        "1 / (s p) after priority sampling, rows",
        "sampling/_ranks.py",
        "draws.listed_rows(p, keep, taus, *output)",
        "draws.listed_rows(p, keep, np.full(len(taus), given.total / s), *output)",
        "sampling_replayed",
        "sampling",
        "sampling_laws",
    ),
    # --- inclusion probabilities ---
    _fault(
        "inclusions not capped at 1",
        "inclusion/designs.py",
        _CAPPED,
        "s * given.p / given.total",
        "inclusion",
    ),
    _fault(
        "inclusions capped, not refilled",
        "inclusion/designs.py",
        _CAPPED,
        "np.minimum(1.0, s * given.p / given.total)",
        "inclusion",
    ),
    _fault(
        "threshold not refilled",
        "inclusion/checked.py",
        "if rest.largest < level <= rest.above:",
        "if True:",
        "sampling_replayed",
        "sampling",
    ),
    _fault(
        "weights of sure entries below 1",
        "kernels/draws.py",
        "weights[k] = max(1.0, tau / np.float64(p[indices[k]]))",
        "weights[k] = tau / np.float64(p[indices[k]])",
        "sampling_replayed",
        "sampling",
    ),
    # --- ties ---
    _fault(
        "ties all kept by a draw",
        "sampling/_ranks.py",
        _TOPPED_UP,
        "keep[ranks == tau] = True",
        "sampling_replayed",
        "sampling",
    ),
    _fault(
        "ties all lost by a draw", "sampling/_ranks.py", _TOPPED_UP, "pass", "sampling_replayed"
    ),
    _fault(
        "ties all kept by select",
        "pruning/selection.py",
        _ALL_TIES,
        "result[ties] = True",
        "pruning_selection",
    ),
    _fault(
        "ties all lost by select", "pruning/selection.py", _ALL_TIES, "pass", "pruning_selection"
    ),
    # --- the control by shuffle ---
    _fault(
        "a shuffle that returns its input",
        "pruning/layers.py",
        _SHUFFLED,
        "x + 0",
        "pruning_selection",
    ),
    _fault(
        "a shuffle of the rows alone",
        "pruning/layers.py",
        _SHUFFLED,
        "generator.permutation(x)",
        "pruning_selection",
    ),
    # --- precision ---
    _fault(
        "probabilities normalised in float32",
        "validation.py",
        "raw /= raw.max()",
        "raw = (raw / raw.max()).astype(np.float32).astype(np.float64)",
        "probabilities",
    ),
    _fault(
        "weights summed in float32",
        "kernels/inclusion.py",
        "sums[k] += value",
        "sums[k] = np.float64(np.float32(sums[k]) + np.float32(value))",
        "sampling_replayed",
        "sampling",
        "inclusion",
    ),
    _fault(
        "rests summed in float32",
        "kernels/inclusion.py",
        "shifted = x + one",
        "x = float(np.float32(x))\n    shifted = x + one",
        "processors",
        "kernels",
    ),
    _fault(
        "running sums in float32",
        "kernels/draws.py",
        "total += np.float64(p[GROUP * g + i])",
        "total = float(np.float32(total) + np.float32(p[GROUP * g + i]))",
        "sampling_replayed",
        "sampling",
    ),
    # --- statements ---
    _fault(
        "S2 without its subtracted norm",
        "single_draw.py",
        "self.uncentred - product.norm2 / product.total**2",
        "self.uncentred",
        "moments",
    ),
    _fault(
        "S2 as a difference where nothing is left of it",
        "single_draw.py",
        "if CANCELLED * self.uncentred > self.T:",
        "if self.T < 0.0 * self.uncentred:",
        "cancellation",
    ),
    _fault(
        "a factor from Gram matrices of whole columns",
        "coordinates.py",
        "        along *= inverse[k] * inverse\n        along[k] = 1.0\n",
        "        along *= 0.0\n",
        "cancellation",
    ),
    _fault(
        "bounds without what rounding took",
        "bounds/draws.py",
        "(bound(law, draws, float(delta)) + floor) * product.total",
        "bound(law, draws, float(delta)) * product.total",
        "cancellation",
    ),
    _fault(
        "a bound that does not know its factor's error",
        "single_draw.py",
        "return self.floor + self._product.unit_error * (1.0 + self.R)",
        "return self.floor",
        "cancellation",
    ),
    _fault(
        "B1 without what rounding took",
        "bounds/draws.py",
        "(np.sqrt(best.T) + best.floor) ** 2",
        "best.T",
        "cancellation",
    ),
    _fault(
        "limits by simulation without what rounding took",
        "montecarlo.py",
        "np.asarray(limit + floor)",
        "np.asarray(limit)",
        "cancellation",
    ),
    _fault(
        "S3 without its subtracted norm",
        "moments/draws.py",
        "SingleDraw(product, product.term_norms).T / draws",
        "1.0 / draws",
        "moments",
    ),
    _fault(
        "S4 with the wrong sign",
        "moments/designs.py",
        "(1.0 - pi[kept])",
        "(1.0 + pi[kept])",
        "moments_designs",
    ),
    _fault(
        "S5 with systematic errors not centred",
        "kernels/moments.py",
        "first[i] * inverse[i] - 1.0",
        "first[i] * inverse[i]",
        "moments_designs",
    ),
    _fault(
        "S7 without padding",
        "moments/sketches.py",
        "order = methods.hadamard_order(product.d)",
        "order = max(2, product.d)",
        "sketches",
    ),
    _fault(
        "B3 with a quarter of its deviation",
        "bounds/draws.py",
        "span * np.sqrt(-np.log(delta) / (2.0 * s))",
        "span * np.sqrt(-np.log(delta) / (32.0 * s))",
        "bounds",
    ),
    _fault(
        "B4 and B6 without their linear term",
        "bounds/bennett.py",
        "variance / largest * inverse(y)",
        "variance / largest * np.sqrt(2.0 * y)",
        "bounds",
    ),
    _fault(
        "a multigraph that occurs once too often",
        "multigraphs/generation.py",
        "return total // same",
        "return total // same + 1",
        "multigraphs",
        "moments_raw",
    ),
    _fault(
        "B9 with the Christoffel function below the largest zero",
        "bounds/_certificate.py",
        "heights[len(low) + 2 * zeros :] = 1.0",
        "heights[len(low) + 2 * zeros] = 1.0",
        "bounds_moment",
    ),
    _fault(
        "Poisson cumulants with loops",
        "poisson_draw.py",
        "np.fill_diagonal(G, 0.0)",
        "np.fill_diagonal(G, G.diagonal())",
        "moments_raw",
    ),
    _fault(
        "B10 with its last term at the smallest step",
        "bounds/_walks.py",
        "remainder(eta * m)",
        "remainder(0.0 * eta * m)",
        "bounds_centred",
    ),
    _fault(
        "priority bound with s for s - 1",
        "bounds/designs.py",
        "np.divide(off_diagonal, draws - 1.0,",
        "np.divide(off_diagonal, draws,",
        "bounds_designs",
    ),
    # --- training and scores ---
    _fault(
        "labels looked at by the anticipated draw",
        "anticipation.py",
        "    columns = numbers.reshape(n, -1)\n",
        "    columns = numbers.reshape(n, -1)[:, :1]\n",
        "anticipated",
    ),
    _fault(
        "the anticipated draw without what is left of the start",
        "anticipation.py",
        "coordinates = left[..., None] * along + g[..., None] * learned",
        "coordinates = g[..., None] * learned",
        "anticipated",
    ),
    _fault(
        "ridge penalty squared",
        "regression/maskfits.py",
        "np.square(np.sqrt(self.penalty) / sizes)",
        "np.square(self.penalty / sizes)",
        "fit_masks",
    ),
    _fault(
        "ridge penalty not scaled with the mask",
        "regression/maskfits.py",
        "sizes = self.norms[features] * m\n",
        "sizes = self.norms[features]\n",
        "fit_masks",
    ),
    _fault(
        "training that starts from zero",
        "regression/problem.py",
        "residual = self._reduced.targets - A @ start",
        "residual = self._reduced.targets",
        "regression",
    ),
    _fault(
        "GraSP with the wrong sign",
        "pruning/scores.py",
        "labels.over(_by_mask(weights, _normal(data, gradient)), X, w)",
        "labels.over(-_by_mask(weights, _normal(data, gradient)), X, w)",
        "pruning",
    ),
    # --- designs of fixed size, and sketches ---
    _fault(
        "a duel won by the wrong chance",
        "kernels/fixed.py",
        "if rng.random() * (2.0 - total) < 1.0 - waiting:",
        "if rng.random() * (2.0 - total) < 1.0 - joining:",
        "fixed_designs",
    ),
    _fault(
        "Poisson's weights after conditioning on the size",
        "sampling/_fixed.py",
        "_inverse(inclusions(pi, s), given)",
        "_inverse(pi, given)",
        "fixed_designs",
    ),
    _fault(
        "the sure part of a hybrid draw by the wrong price",
        "inclusion/hybrid.py",
        "pairs[:s] / (s - np.arange(s))",
        "pairs[:s] / s",
        "fixed_designs",
    ),
    _fault(
        "signs that meet in one column",
        "sketches/_scattered.py",
        "np.where(taken, last, pick)",
        "pick",
        "sketches",
    ),
    _fault(
        "signs over their number, not its root",
        "sketches/_scattered.py",
        "random_signs(rng, (d, nonzeros)) / np.sqrt(nonzeros)",
        "random_signs(rng, (d, nonzeros)) / nonzeros",
        "sketches",
    ),
    _fault(
        "rounding up at a half in place of at random",
        "sketches/_entries.py",
        "np.floor(levels + rng.random(levels.shape))",
        "np.floor(levels + 0.5)",
        "sketches",
    ),
    _fault(
        "singular values shrunk by the last one",
        "sketches/_deterministic.py",
        "cut = sigma[s] if len(sigma) > s else 0.0",
        "cut = sigma[-1] if len(sigma) > s else 0.0",
        "sketches",
    ),
    _fault(
        "bias that is left out of a mean square error",
        "moments/biased.py",
        "return self.bias2 + self.variance",
        "return self.variance",
        "sketches",
    ),
    # --- intervals and verdicts ---
    _fault(
        "a mean at half of its risk's sides",
        "intervals.py",
        "n, log = len(x), float(np.log(2 / risk))",
        "n, log = len(x), float(np.log(1 / risk))",
        "intervals",
    ),
    _fault(
        "a mean that takes the whole risk after its variance",
        "intervals.py",
        "Estimated.of(_catoni(x, limit, risk / 2), kurtosis,",
        "Estimated.of(_catoni(x, limit, risk), kurtosis,",
        "intervals",
    ),
    _fault(
        "a variance that takes the whole risk",
        "intervals.py",
        "_variance_limit(x, risk / 2, kurtosis)",
        "_variance_limit(x, risk, kurtosis)",
        "intervals",
    ),
    _fault(
        "a quarter of the blocks",
        "intervals.py",
        "np.ceil(8 * np.log(1 / risk))",
        "np.ceil(2 * np.log(1 / risk))",
        "intervals",
    ),
    _fault(
        "block means that always hold",
        "intervals.py",
        "np.sqrt(4 * (kurtosis + 1) / 2 / (pairs // blocks))",
        "np.sqrt((kurtosis + 1) / 2 / (pairs // blocks))",
        "intervals",
    ),
    _fault(
        "an interval of no width where samples agree",
        "intervals.py",
        "_variance_limit(x, risk / 2, kurtosis) or np.inf",
        "_variance_limit(x, risk / 2, kurtosis)",
        "intervals",
    ),
    _fault(
        "a known variance that is not used",
        "statements/case.py",
        "intervals.mean(errors, risk, variance=self.variance(p, **other))",
        "intervals.mean(errors, risk)",
        "verify",
    ),
    _fault(
        "a condition that is never looked at",
        "verify.py",
        "if not interval.met:",
        "if False and not interval.met:",
        "verify",
    ),
    _fault(
        "the whole risk for each row",
        "verify.py",
        "risk / rows",
        "risk",
        "verify",
    ),
    _fault(
        "a bound refuted by its estimate",
        "statements/statement.py",
        """if statement.status == "bound":
        if interval.low > value:""",
        """if statement.status == "bound":
        if interval.measured > value:""",
        "judgement",
    ),
    _fault(
        "an identity's reach taken above only",
        "statements/statement.py",
        "max(interval.high - interval.measured, interval.measured - interval.low)",
        "interval.high - interval.measured",
        "judgement",
    ),
    _fault(
        "an identity's reach taken below only",
        "statements/statement.py",
        "max(interval.high - interval.measured, interval.measured - interval.low)",
        "interval.measured - interval.low",
        "judgement",
    ),
    # --- what is measured ---
    _fault(
        "draws of a conditional sample that repeat",
        "kernels/fixed.py",
        "        if out[i]:\n            return False",
        "        if out[i]:\n            continue",
        "fixed_designs",
    ),
    _fault(
        "what is kept surely left in the sum that draws must reach",
        "simulations.py",
        "rest = centre - weights[sure] @ C[sure]",
        "rest = centre",
        "fixed_designs",
    ),
    _fault(
        "draws counted anew at every size",
        "kernels/errors.py",
        "counts[:] = out[k - 1, trial]",
        "counts[:] = 0.0",
        "kernels",
    ),
    _fault(
        "pixels rounded by the inverse of their scale",
        "sketches/_entries.py",
        "np.divide(rows, scale, out=np.zeros_like(rows), where=scale > 0), scale",
        "rows * np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0), scale",
        "sketches",
    ),
    # --- scores of networks ---
    _fault(
        "batch statistics of a single sample",
        "networks/gradients.py",
        "batch = len(samples) > 1",
        "batch = True",
        "networks/test_scores",
    ),
    _fault(
        "a mask multiplied, not tested",
        "networks/saliency.py",
        "scores * (np.asarray(masks[name]) != 0)",
        "scores * np.asarray(masks[name])",
        "networks/test_scores",
    ),
    _fault(
        "the sketch of a network in float32",
        "networks/saliency.py",
        "wide = copy.deepcopy(net).to(kind) if kind else net",
        "wide = copy.deepcopy(net).to(torch.float32) if kind else net",
        "networks/test_scores",
    ),
    _fault(
        "integers of a network made floats",
        "networks/gradients.py",
        "value.to(kind) if kind and value.is_floating_point() else value",
        "value.to(kind) if kind else value",
        "networks/test_scores",
    ),
)
