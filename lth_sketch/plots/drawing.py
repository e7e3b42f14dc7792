"""Panels for a product, probabilities and sizes of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lth_sketch import named, probabilities, validation
from lth_sketch.moments import distinct
from lth_sketch.plots import initialization, masks, panels
from lth_sketch.plots.panels import Look
from lth_sketch.product import Product
from lth_sketch.validation import Floats, Integers

# Sizes for two columns of a page, in inches.
WIDTHS = {1: panels.WIDTH, 2: 7.0}


@contextmanager
def style(columns: int = 1, height: float | None = None) -> Iterator[None]:
    """Draw in the style of the house, as wide as one or two columns of a page, in this context.

    Parameters
    ----------
    columns : {1, 2}
        3.4 or 7 inches.
    height : float, optional
        Inches; three quarters of one column by default.

    Raises
    ------
    ValueError
        If `columns` is neither 1 nor 2.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> with style(columns=2):
    ...     plt.rcParams["figure.figsize"]
    [7.0, 2.55]
    """
    if columns not in WIDTHS:
        raise ValueError(f"columns must be 1 or 2; got {columns!r}")
    size = WIDTHS[columns], 0.75 * panels.WIDTH if height is None else height
    with rc_context(fname=panels.STYLE), rc_context({"figure.figsize": size}):
        yield


def errors(
    product: Product,
    p: npt.ArrayLike | Mapping[str, npt.ArrayLike] | None = None,
    s: npt.ArrayLike | None = None,
    axes: Axes | None = None,
    *,
    top: bool = True,
    trials: int = 2000,
    rng: np.random.Generator | int | None = None,
) -> Axes:
    """Draw the error of masks against the kept fraction: measured, exact (S2) and of top-k (S6).

    Lines are exact root mean squares, markers measured medians, bands the measured 5-95%, all over
    the error of the empty mask; above 1 a mask does worse than nothing.

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array, or mapping from name to (d,) array, optional
        Weights of one or several draws with replacement; the optimal one by default.
    s : array of int, optional
        Numbers of draws; by default from d/32, doubling with every second.
    axes : matplotlib Axes, optional
        Where to draw; on a new figure by default.
    top : bool
        Whether the k largest terms are shown too.
    trials : int
        Masks that are drawn at each size.
    rng : Generator, int or None
        Source of randomness.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        As `montecarlo.squared_errors`.

    Notes
    -----
    The left panels of the figure ``initialization_error`` are drawn by the same code.

    Examples
    --------
    >>> import numpy as np
    >>> product = Product(np.eye(8), np.ones(8))
    >>> errors(product, trials=100, rng=0).get_xlabel()
    'expected kept fraction'
    """
    draws = _named(product, p)
    sizes = _sizes(product, s)
    generator = validation.generator(rng)
    table = initialization.error_table(
        product, draws, sizes, validation.count("trials", trials), generator
    )
    if top:
        table += initialization.top_table(product)
    axes = _axes(axes)
    initialization.draw_errors(axes, table)
    others = [name for name in draws if name not in panels.DRAWS]
    looks = [initialization.look_of(n, others.index(n) if n in others else 0) for n in draws]
    looks += [panels.DRAWS["top-k"]] if top else []
    return _finish(axes, looks, "error / error of the empty mask")


def sharpness(
    product: Product,
    p: npt.ArrayLike | None = None,
    s: npt.ArrayLike | None = None,
    axes: Axes | None = None,
    *,
    delta: float = 0.05,
    trials: int = 2000,
    rng: np.random.Generator | int | None = None,
) -> Axes:
    """Draw bounds on the error of one draw (B2, B6, B9) over what is measured.

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array, optional
        Weights of a draw with replacement; the optimal one by default.
    s : array of int, optional
        Numbers of draws, as in `errors`.
    axes : matplotlib Axes, optional
        Where to draw; on a new figure by default.
    delta : float
        Risk of the bounds, in (0, 1).
    trials : int
        Masks that are drawn at each size.
    rng : Generator, int or None
        Source of randomness.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        As the functions of `bounds`.

    Notes
    -----
    The region above the error of the empty mask, where a bound says nothing, is shaded. The right
    panels of the figure ``initialization_error`` are drawn by the same code; the figure
    ``sharpness`` has all bounds, at every risk.

    Examples
    --------
    >>> import numpy as np
    >>> product = Product(np.eye(4), np.ones(4))
    >>> sharpness(product, s=[2, 8, 32], trials=200, rng=0).get_yscale()
    'log'
    """
    weights = probabilities.optimal(product) if p is None else np.asarray(p)
    sizes = _sizes(product, s)
    generator = validation.generator(rng)
    trials = validation.count("trials", trials)
    delta = validation.risk("delta", delta)
    table = initialization.error_table(product, {"optimal": weights}, sizes, trials, generator)
    table += initialization.sharpness_table(product, weights, sizes, delta)
    axes = _axes(axes)
    initialization.draw_sharpness(axes, table)
    looks = [Look("exact root mean square", panels.BLUE), *panels.STATEMENTS.values()]
    return _finish(axes, looks, "error / error of the empty mask")


def designs(
    product: Product,
    p: npt.ArrayLike | None = None,
    s: npt.ArrayLike | None = None,
    axes: Axes | None = None,
    *,
    trials: int = 2000,
    rng: np.random.Generator | int | None = None,
) -> Axes:
    """Draw the mean square error of every design against the expected kept fraction.

    Parameters
    ----------
    product : Product
        The product AB.
    p : (d,) array, optional
        Weights; the optimal ones by default.
    s : array of int, optional
        Sizes of masks, below the number of nonzero `p`; draws with replacement are compared at
        equal expected kept fraction. By default 12 sizes over the panel.
    axes : matplotlib Axes, optional
        Where to draw; on a new figure by default.
    trials : int
        Masks that are drawn at each of three sizes.
    rng : Generator, int or None
        Source of randomness.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If fewer than three weights are not zero, or a size is out of range.

    Notes
    -----
    The left panels of the figure ``designs`` are drawn by the same code.

    Examples
    --------
    >>> import numpy as np
    >>> product = Product(np.eye(8), np.arange(1.0, 9.0))
    >>> len(designs(product, s=[2, 4, 6], trials=50, rng=0).get_lines()) >= 10
    True
    """
    weights = probabilities.optimal(product) if p is None else np.asarray(p)
    live = int(np.count_nonzero(weights))
    if live < 3:
        raise ValueError(f"p must have at least 3 entries that are not zero; got {live}")
    if s is None:
        fractions = np.geomspace(*masks.SHOWN, 12)
        whole = np.unique(np.clip(np.round(fractions * live), 2, live - 1).astype(np.int64))
    else:
        whole = np.unique(validation.sizes(s))
        if whole[0] < 1 or whole[-1] >= live:
            raise ValueError(f"s must be from 1 to {live - 1} here; got {whole[0]} to {whole[-1]}")
    generator = validation.generator(rng)
    trials = validation.count("trials", trials)
    repeated = _as_many(weights, whole)
    table = masks.mask_table(product, weights, whole, repeated, 3, trials, generator)
    axes = _axes(axes)
    looks = {name: look for name, (look, _) in masks.MASKS.items()}
    masks.draw_designs(axes, table, looks)
    return _finish(axes, list(looks.values()), "squared error / empty mask")


def layers(kept: Mapping[str, Any], axes: Axes | None = None, *, label: str = "") -> Axes:
    """Draw what share of each layer its mask keeps, and mark the layers that are left empty.

    Parameters
    ----------
    kept : mapping from name to mask or `networks.Kept`
        Masks by layer, or what `networks.kept` says of them.
    axes : matplotlib Axes, optional
        Where to draw; on a new figure by default. Call again on the same Axes to compare masks.
    label : str
        What the masks are called in the legend.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If there is no layer.

    Examples
    --------
    >>> import numpy as np
    >>> axes = layers({"first": np.array([1, 0, 0, 0]), "second": np.zeros(3)})
    >>> [text.get_text() for text in axes.get_xticklabels()]
    ['first', 'second']
    """
    if not kept:
        raise ValueError("kept must hold at least one layer; got none")
    whole = {
        name: value if isinstance(value, named.Kept) else _count(value)
        for name, value in kept.items()
    }
    axes = _axes(axes)
    # Those that were drawn before on the same axes decide the looks of these.
    place = sum(1 for line in axes.get_lines() if line.get_gid() == "layers")
    look = list(panels.DRAWS.values())[place % len(panels.DRAWS)]
    shares = np.array([count.kept / count.size for count in whole.values()])
    x = np.arange(len(shares))
    (line,) = axes.plot(
        x,
        np.where(shares > 0, shares, np.nan),
        color=look.color,
        linestyle=look.linestyle,
        marker=look.marker or "D",
        markerfacecolor="white",
        label=label or None,
    )
    line.set_gid("layers")
    axes.set_yscale("log")
    for i in np.flatnonzero(shares == 0):
        axes.annotate(
            "empty",
            (float(i), 0.02 + 0.06 * place),
            xycoords=("data", "axes fraction"),
            ha="center",
            color=look.color,
        )
    axes.set_xticks(x, list(whole), rotation=30 if len(x) > 4 else 0)
    axes.set_xlim(-0.5, len(x) - 0.5)
    axes.set_ylabel("kept share of the layer")
    if label:
        axes.legend()
    return axes


def _count(mask: Any) -> named.Kept:
    entries = np.asarray(mask)
    return named.Kept(int(np.count_nonzero(entries)), int(entries.size))


def _named(
    product: Product, p: npt.ArrayLike | Mapping[str, npt.ArrayLike] | None
) -> dict[str, npt.ArrayLike]:
    if p is None:
        return {"optimal": probabilities.optimal(product)}
    return dict(p) if isinstance(p, Mapping) else {"draw": p}


def _sizes(product: Product, s: npt.ArrayLike | None) -> Integers:
    if s is None:
        return np.unique(np.ceil(product.d / 32 * 2.0 ** (np.arange(17) / 2)).astype(np.int64))
    return np.unique(validation.sizes(s))


def _as_many(p: Floats, whole: Integers) -> Integers:
    """Return the draws with replacement that keep so many features on average, or a few more."""
    sizes = []
    for size in whole:
        s = int(size)
        while float(distinct(p, s)) < size and s < 64 * len(p):
            s = max(s + 1, int(s * 1.1))
        sizes.append(s)
    return np.unique(np.array(sizes, dtype=np.int64))


def _axes(axes: Axes | None) -> Axes:
    return Figure(layout="constrained").subplots() if axes is None else axes


def _finish(axes: Axes, looks: list[Look], height: str) -> Axes:
    axes.set_xlabel("expected kept fraction")
    axes.set_ylabel(height)
    panels.legend_below(axes, [panels.key(look) for look in looks])
    return axes
