"""Assertions on the exact law of small cases, and the hunt for the worst of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, Phase, given, settings, target
from hypothesis import strategies as st

from lth_sketch import validation
from lth_sketch.product import Product
from lth_sketch.testing import forms
from lth_sketch.testing.laws import enumerate_masks, squared_errors
from lth_sketch.testing.strategies import probabilities, products
from lth_sketch.tolerances import EXACT
from lth_sketch.validation import Floats

Claim = Callable[[Product, Floats, int], npt.ArrayLike]


def assert_expectation(
    product: Product,
    p: npt.ArrayLike,
    s: int,
    moment: Claim,
    *,
    design: str = "multinomial",
) -> None:
    """Assert that ``moment(product, p, s)`` is E||err||_F^2 of a design, by every outcome.

    Parameters
    ----------
    product : Product
        A small product.
    p : (d,) array
        Weights >= 0, normalised here.
    s : int
        Number of draws.
    moment : callable
        The claim, such as `moments.multinomial`.
    design : str
        A design that `enumerate_masks` knows.

    Raises
    ------
    AssertionError
        If the two differ by more than rounding explains.

    Examples
    --------
    >>> from lth_sketch import moments
    >>> assert_expectation(Product([[3.0, 4.0]], [1.0, 2.0]), [1, 1], 2, moments.multinomial)
    """
    claimed = float(np.asarray(moment(product, np.asarray(p), s)))
    errors, chances, slack = _law(product, p, s, design)
    mean, allowed = float(chances @ errors), float(chances @ slack)
    assert abs(claimed - mean) <= allowed, (
        f"E||err||^2 = {mean!r}, not {claimed!r}, {_where(product, p, s)}"
    )


def assert_bound(
    product: Product,
    p: npt.ArrayLike,
    s: int,
    bound: Claim,
    *,
    delta: float | None = None,
    design: str = "multinomial",
) -> None:
    """Assert that ``bound(product, p, s)`` holds for the exact law of a design.

    Parameters
    ----------
    product : Product
        A small product.
    p : (d,) array
        Weights >= 0, normalised here.
    s : int
        Number of draws.
    bound : callable
        The claim: a bound on E||err||_F^2, or, with `delta`, on ||err||_F with probability at
        least 1 - delta.
    delta : float, optional
        Risk, in (0, 1).
    design : str
        A design that `enumerate_masks` knows.

    Raises
    ------
    AssertionError
        If the law of the error breaks the bound by more than rounding explains.

    Examples
    --------
    >>> from lth_sketch import bounds
    >>> product = Product([[3.0, 4.0]], [1.0, -2.0])
    >>> assert_bound(product, [3, 8], 2, lambda product, p, s: bounds.frobenius(product, s))
    """
    limit = float(np.asarray(bound(product, np.asarray(p), s)))
    errors, chances, slack = _law(product, p, s, design)
    where = _where(product, p, s)
    if delta is None:
        mean = float(chances @ errors)
        assert mean <= limit + float(chances @ slack), (
            f"E||err||^2 = {mean!r} is above the bound {limit!r} {where}"
        )
        return
    delta = validation.risk("delta", delta)
    above = float(chances[errors > limit * limit + slack].sum())
    assert above <= delta, (
        f"||err|| is above the bound {limit!r} with probability {above!r}, not {delta!r}, {where}"
    )


class Worst(NamedTuple):
    """The largest ratio found, and where."""

    ratio: float
    product: Product
    p: Floats
    s: int


def worst_case(bound: Claim, measure: Claim, budget: int = 500, *, max_s: int = 3) -> Worst:
    """Hunt for the case in which a measured number comes closest to its bound, or passes it.

    Parameters
    ----------
    bound, measure : callable
        ``bound(product, p, s)`` and ``measure(product, p, s)``, both > 0 or both zero.
    budget : int
        Number of cases tried; Hypothesis steers them to larger ratios.
    max_s : int
        Largest number of draws.

    Returns
    -------
    Worst
        The largest ``measure / bound`` and its witness; above 1 the bound is false.

    Examples
    --------
    >>> from lth_sketch import bounds, moments
    >>> worst = worst_case(
    ...     lambda product, p, s: bounds.frobenius(product, s, bounds.nearness(product, p)),
    ...     moments.multinomial,
    ...     budget=50,
    ... )
    >>> 0.9 < worst.ratio < 1 + 1e-9
    True
    """
    tried: list[Worst] = []

    @settings(
        max_examples=validation.count("budget", budget),
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate, Phase.target],
        suppress_health_check=list(HealthCheck),
    )
    @given(products(), st.data(), st.integers(1, validation.count("max_s", max_s)))
    def hunt(product: Product, data: st.DataObject, s: int) -> None:
        p = data.draw(probabilities(product))
        measured = float(np.asarray(measure(product, p, s)))
        limit = float(np.asarray(bound(product, p, s)))
        # Below rounding of U^2 both are zero, and their ratio says nothing.
        if max(measured, limit) > np.sqrt(EXACT) * product.total**2:
            ratio = measured / limit if limit > 0 else np.inf
            tried.append(Worst(ratio, product, p, s))
            target(min(ratio, 1e300))

    hunt()
    return max(tried, key=lambda case: case.ratio)


def _where(product: Product, p: npt.ArrayLike, s: int) -> str:
    """Return a case in words that can be typed in again."""
    A, B, drawn = (_typed(array) for array in (product.A, product.B, p))
    return f"for A = {A}, B = {B}, p = {drawn}, s = {s}"


def _typed(values: Any) -> str:
    """Return an array in words: a list, and the dtype where it is not float64."""
    array = forms.dense(values)
    return str(array.tolist()) + ("" if array.dtype == np.float64 else f" in {array.dtype}")


def _law(product: Product, p: npt.ArrayLike, s: int, design: str) -> tuple[Floats, Floats, Floats]:
    """Return squared errors, their chances, and what rounding may change in each."""
    masks, chances = enumerate_masks(p, s, design)
    reach = abs(masks - 1.0) @ product.term_norms + product.total
    return squared_errors(product, masks), chances, EXACT * reach * reach
