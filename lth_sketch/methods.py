"""The register of methods: every sketch that `sketches.multiply` can make, and what is known of it.

One record a method. `sketches` makes them, `moments` and `bounds` say what they cost; both read
names, sizes and promises here, so that they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Method:
    """One way to approximate a product AB by one of inner dimension s.

    Attributes
    ----------
    name : str
        As `sketches.multiply` takes it.
    label : str
        Statement of docs/theory.md.
    unbiased : bool
        Whether the mean of the estimate is AB. If not, its mean square error has a squared bias
        beside its variance.
    random : bool
        Whether it draws random numbers.
    moment : str or None
        Function of `moments` with its exact mean square error.
    tail : str or None
        Function of `bounds` with a limit on its error.
    input_sparsity : bool
        Whether sparse matrices cost O(nnz + d) beside the product of the sketches.
    size : str
        What the number s counts.
    """

    name: str
    label: str
    unbiased: bool
    random: bool
    moment: str | None
    tail: str | None = None
    input_sparsity: bool = False
    size: str = "columns of the sketch"


METHODS = {
    method.name: method
    for method in (
        Method("sampling", "S2", True, True, "multinomial", "sharpest", True, "draws"),
        Method("gaussian", "S7", True, True, "gaussian"),
        Method("rademacher", "S7", True, True, "rademacher"),
        Method("countsketch", "S7", True, True, "countsketch", None, True),
        Method("sparse_signs", "S10", True, True, "sparse_signs", None, True),
        Method("srht", "S7", True, True, "srht"),
        Method(
            "elementwise",
            "S11",
            True,
            True,
            "elementwise",
            None,
            True,
            "entries kept in each row of A and column of B, on average",
        ),
        Method("norm_corrected", "S11", False, True, "norm_corrected"),
        Method("co_occurring", "S11", False, False, None, "co_occurring"),
        Method("truncated", "S11", False, False, "truncated", None, False, "rank"),
        Method("int8", "S11", False, False, "int8", None, False, "levels of each sign"),
        Method("int8_stochastic", "S11", True, True, "int8", None, False, "levels of each sign"),
    )
}
# Levels of each sign that eight bits hold.
LEVELS = 127
# Signs in a row of sparse signs, by default.
NONZEROS = 8


def hadamard_order(d: int) -> int:
    """Return the order of the Hadamard matrix for d terms: a power of two from d (and 2) on.

    Parameters
    ----------
    d : int
        Terms of the product.

    Returns
    -------
    int

    Examples
    --------
    >>> hadamard_order(5)
    8
    """
    return max(2, 1 << (d - 1).bit_length())


def work(name: str, s: npt.ArrayLike, q: int, d: int, r: int) -> npt.NDArray[np.float64]:
    """Return the multiplications of a method to leading order, for dense matrices.

    Parameters
    ----------
    name : str
        The method.
    s : int or array of int
        Sizes.
    q, d, r : int
        Shapes: (q, d) times (d, r), which takes ``q d r``.

    Returns
    -------
    array of the shape of `s`
        Of the sketch, and of the product of the two sketches.
    """
    size = np.asarray(s, dtype=np.float64)
    both, product = float((q + r) * d), q * r * size
    order = hadamard_order(d)
    sketch = {
        "sampling": both + 0.0 * size,
        "gaussian": both * size,
        "rademacher": both * size,
        "norm_corrected": both * size,
        "countsketch": both + 0.0 * size,
        "sparse_signs": both * np.minimum(size, NONZEROS),
        "srht": (q + r) * order * np.log2(order) + 0.0 * size,
        "elementwise": both + 0.0 * size,
        # A step of s columns: two QR factorisations and a small decomposition.
        "co_occurring": d / size * ((q + r) * (2 * size) ** 2 + 20 * size**3),
        "truncated": q * d * r + 10.0 * min(q, r) ** 2 * max(q, r) + 0.0 * size,
        "int8": both + q * d * r + 0.0 * size,
        "int8_stochastic": both + q * d * r + 0.0 * size,
    }[name]
    if name == "elementwise":
        # Entries of A and B that meet: s q / d of a column, s r / d of a row.
        product = q * r * size**2 / d
    if name in ("truncated", "int8", "int8_stochastic"):
        product = 0.0 * size
    result: npt.NDArray[np.float64] = sketch + product
    return result
