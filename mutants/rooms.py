"""Which tests answer for which file: a mutant must die by its own module's tests."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]

# Room -> file of it, below lth_sketch/ -> its tests, below tests/. Its doctests come with them.
ROOMS: dict[str, dict[str, tuple[str, ...]]] = {
    "moments": {
        "moments/draws.py": ("moments",),
        "moments/end_of_training.py": ("anticipated",),
        "moments/designs.py": ("moments_designs",),
        "moments/sketches.py": ("sketches", "cancellation"),
        "moments/biased.py": ("sketches",),
        "moments/entries.py": ("sketches",),
        "moments/fixed.py": ("fixed_designs",),
        "moments/orders.py": ("moments_raw",),
        "multigraphs/generation.py": ("multigraphs",),
        "multigraphs/reduction.py": ("multigraphs", "moments_raw"),
        "multigraphs/sums.py": ("multigraphs", "moments_raw"),
        "multigraphs/table.py": ("moments_raw",),
        "poisson_draw.py": ("multigraphs", "moments_raw"),
        "squared_error.py": ("moments_raw",),
        "systematic_draw.py": ("moments_designs", "moments_raw", "bounds_best"),
        "moments/patterns.py": ("patterns",),
    },
    "bounds": {
        "bounds/_floors.py": ("cancellation",),
        "bounds/_certificate.py": ("bounds_moment",),
        "bounds/_quadrature.py": ("bounds_moment",),
        "bounds/_steps.py": ("bounds_centred",),
        "bounds/_walks.py": ("bounds_centred",),
        "bounds/bennett.py": ("bounds_bennett", "bounds"),
        "bounds/best.py": ("bounds_best", "bounds"),
        "bounds/chebyshev.py": ("bounds_moment",),
        "bounds/designs.py": ("bounds_designs", "bounds_best"),
        "bounds/draws.py": ("bounds",),
        "bounds/independence.py": ("bounds_independence",),
        "bounds/inverse.py": ("bounds_spectral", "bounds_best"),
        "bounds/sketches.py": ("sketches",),
        "bounds/spectral_norm.py": ("bounds_spectral",),
        "bounds/training.py": ("bounds_training",),
        "bounds/two_centres.py": ("bounds_centred",),
        "bounds/unseen_labels.py": ("anticipated",),
        "bounds/worst_cases.py": ("bounds_worst_cases",),
        "recent.py": ("bounds",),
        "single_draw.py": ("bounds", "moments", "cancellation"),
        "coordinates.py": ("product", "cancellation"),
    },
    "probabilities": {
        "anticipation.py": ("anticipated",),
        "filters.py": ("anticipated", "bounds_training"),
        "probabilities.py": ("probabilities",),
        "inclusion/quadrature.py": ("inclusion", "moments_designs"),
        "inclusion/designs.py": ("inclusion", "fixed_designs"),
        "inclusion/groups.py": ("patterns",),
        "inclusion/hybrid.py": ("fixed_designs",),
        "inclusion/conditional.py": ("fixed_designs",),
    },
    "sampling": {
        "sampling/samplers.py": ("sampling_replayed", "sampling", "sampling_laws"),
        "sampling/_rows.py": ("sampling_replayed", "sampling", "sampling_laws"),
        "sampling/_replacement.py": ("sampling_replayed", "sampling", "sampling_laws"),
        "sampling/_ranks.py": ("sampling_replayed", "sampling", "sampling_laws"),
        "sampling/patterns.py": ("patterns",),
        "sampling/_fixed.py": ("fixed_designs",),
        "sampling/_hybrid.py": ("fixed_designs",),
        "sampling/_systematic.py": ("sampling_replayed", "sampling", "sampling_laws"),
        "designs.py": ("designs",),
        "pruning/patterns.py": ("patterns",),
        "checkpoints/semi_structured.py": ("prune_patterns",),
        "parallel/blockwise.py": ("sampling_replayed", "sampling", "inclusion", "sampling_laws"),
        "inclusion/checked.py": (
            "sampling_replayed",
            "sampling",
            "inclusion",
            "sampling_laws",
            "processors",
        ),
    },
    "measures": {
        "intervals.py": ("intervals",),
        "montecarlo.py": ("montecarlo", "montecarlo_designs", "fixed_designs"),
        "simulations.py": ("montecarlo", "montecarlo_designs", "fixed_designs"),
        "product.py": ("product",),
        "verify.py": ("verify",),
    },
    "regression": {
        "regression/maskfits.py": ("fit_masks",),
        "regression/nested.py": ("nested",),
        "regression/problem.py": ("regression", "fit_masks", "nested"),
        "regression/training.py": ("regression", "fit_masks", "nested"),
    },
    "kernels": {
        "kernels/_cache.py": ("first_use",),
        "kernels/moments.py": ("kernels", "moments_designs", "fixed_designs"),
        "kernels/draws.py": ("kernels", "sampling_replayed", "sampling", "sampling_laws"),
        "kernels/errors.py": ("kernels", "montecarlo", "montecarlo_designs"),
        "kernels/groups.py": ("patterns",),
        "kernels/magnitudes.py": ("prune",),
        "kernels/fixed.py": ("fixed_designs",),
        "kernels/inclusion.py": (
            "kernels",
            "sampling_replayed",
            "sampling",
            "inclusion",
            "processors",
        ),
        "kernels/norms.py": ("kernels", "squares"),
        "kernels/regression.py": ("kernels", "fit_masks", "nested"),
        "kernels/transforms.py": ("sketches",),
        "kernels/uniforms.py": ("prune",),
        "kernels/walks.py": ("kernels", "sampling_replayed", "sampling", "sampling_laws"),
    },
    "sketches": {
        "methods.py": ("sketches",),
        "sketches/multiplication.py": ("sketches",),
        "sketches/_deterministic.py": ("sketches",),
        "sketches/_entries.py": ("sketches",),
        "sketches/_operands.py": ("sketches",),
        "sketches/_hadamard.py": ("sketches",),
        "sketches/_independent.py": ("sketches",),
        "sketches/_sampled.py": ("sketches",),
        "sketches/_scattered.py": ("sketches",),
    },
    "evidence": {
        "statements/statement.py": ("judgement",),
        "statements/case.py": ("cases", "verify"),
        "verdicts.py": ("verify", "report"),
        "networks/gradients.py": ("networks/test_scores",),
        "networks/saliency.py": ("networks/test_scores",),
    },
}


def files(room: str) -> dict[Path, tuple[str, ...]]:
    """Files of a room, relative to the root, and the arguments that make pytest run their tests."""
    places = {}
    for name, tests in ROOMS[room].items():
        path = Path("lth_sketch", name)
        places[path] = (*(tests_of(test) for test in tests), path.as_posix())
    return places


def tests_of(name: str) -> str:
    """Where the tests of a name lie; one with a folder in it is a path."""
    return f"tests/{name}.py" if "/" in name else f"tests/test_{name}.py"
