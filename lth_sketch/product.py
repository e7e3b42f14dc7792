"""The one noun of the library: a matrix product that is sketched over its inner dimension."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lth_sketch import conversion, coordinates, display, labels, terminal, validation
from lth_sketch.parallel.norms import column_squares
from lth_sketch.parallel.products import matmul
from lth_sketch.tolerances import EPS
from lth_sketch.validation import Array, Floats

# The largest number of float64 entries of a factor C of S0: 2 GiB.
FACTOR_ENTRIES = 2**28
# Norms whose squares keep all their digits in float64.
SMALLEST, LARGEST = 1e-145, 1e150
# Terms that a notebook shows by name.
NAMED = 5


class Product:
    """A product AB, seen as the sum of d terms ``outer(A[:, i], B[i])``.

    A pruned model is ``A @ diag(m) @ B`` for a mask m. With ``(A, B) = (X, w0)`` it is the model at
    initialization, with the trained weights the trained model, with ``(J, J.T)`` the tangent kernel
    of a network.

    Parameters
    ----------
    A : (q, d) array or CSR/CSC matrix
        Left matrix; its columns are what is pruned (for data X: samples in rows, features in
        columns). Never changed; must not be changed by the caller while the product is in use.
    B : (d,) or (d, r) array or CSR/CSC matrix
        Right matrix.

    Raises
    ------
    TypeError
        If an entry is not a real number.
    ValueError
        If the shapes do not fit, A and B name the terms differently, an entry is NaN or infinite,
        squares overflow or vanish, or every term is zero: then there is nothing to sketch.

    Notes
    -----
    Statement S0: for Frobenius errors every product is one vector product, see `factor`. Norms,
    moments and bounds are float64; `value` keeps float32 when both matrices are float32.

    Examples
    --------
    >>> import numpy as np
    >>> product = Product(np.array([[3.0, 0.0], [4.0, 1.0]]), np.array([1.0, 2.0]))
    >>> product.term_norms
    array([5., 2.])
    >>> product
    Product(A (2, 2), B (2,): d=2, U=7, ||AB||=6.7082, coherence=1.55)
    """

    def __init__(self, A: npt.ArrayLike, B: npt.ArrayLike) -> None:
        self.A: Any = validation.matrix("A", A)
        self.B: Any = validation.matrix("B", B, ndim=(1, 2))
        if self.A.shape[1] != self.B.shape[0]:
            raise ValueError(
                f"A and B must share the inner dimension; got shapes {self.A.shape} and "
                f"{self.B.shape}: the columns of A must be as many as the rows of B"
            )
        labels.agree("A", A, "B", B)
        self._names = labels.names(A)
        columns, rows = column_squares(self.A, self._rows.T, alike=True)
        self.column_norms: Floats = np.sqrt(_checked("A", self.A, columns))
        self.row_norms: Floats = np.sqrt(_checked("B", self._rows.T, rows))
        self.term_norms: Floats = self.column_norms * self.row_norms
        self.total = float(self.term_norms.sum())
        if self.total == 0.0:
            raise ValueError(
                "A and B give a product of zeros (every term A[:, i] B[i] is zero): there is "
                "nothing to sketch; check that A or B is not all zero"
            )
        if not SMALLEST < self.total < LARGEST:
            raise ValueError(
                f"A and B give terms of total norm {self.total:.3g}, whose square leaves float64 "
                f"(allowed: {SMALLEST:.0e} to {LARGEST:.0e}); rescale A or B: errors scale with it"
            )

    @property
    def names(self) -> tuple[str, ...] | None:
        """Names of the terms, where A is a data frame: those of its columns; else None."""
        return self._names

    @property
    def d(self) -> int:
        """Inner dimension: the number of terms, which is the length of a mask."""
        return int(self.A.shape[1])

    @property
    def q(self) -> int:
        """Number of rows of A."""
        return int(self.A.shape[0])

    @property
    def r(self) -> int:
        """Number of columns of B (1 for a vector)."""
        return int(self._rows.shape[1])

    @property
    def value(self) -> Array:
        """AB, (q,) or (q, r), float32 when both matrices are, accumulated in float64.

        Raises ValueError if an entry is too large for float32.
        """
        result = self._value if self.B.ndim == 2 else self._value[:, 0]
        if self.A.dtype == self.B.dtype == np.float32:
            return validation.single("AB", result)
        return result.copy()

    @cached_property
    def norm2(self) -> float:
        """Squared Frobenius norm of AB; its root is right to some epsilon of `total`.

        By the cheaper of AB itself and triangles of A and B.
        """
        if self.q * self.r <= self.d * (self.q + self.r):
            return float(np.einsum("jk,jk->", self._value, self._value))
        return coordinates.squares(self.A, self._rows)

    @property
    def coherence(self) -> float:
        """``||AB||^2 / sum u_i^2``: 0 when the terms cancel, up to d when they all agree."""
        relative = self.term_norms / self.total
        return self.norm2 / self.total**2 / float(relative @ relative)

    def table(self, mask: npt.ArrayLike | None = None, *, most: int = 10) -> str:
        """Return the largest terms as text: names, shares of `total`, what a mask does to them.

        Parameters
        ----------
        mask : (d,) array, optional
            Weights of a mask; the last column has them.
        most : int
            How many terms are listed, the largest first.

        Returns
        -------
        str
            A table of a head and at most `most` lines. Terms of a data frame have the names of its
            columns, all others are numbered from 0.

        Raises
        ------
        TypeError, ValueError
            If the mask is not d real numbers, or `most` no integer >= 1.

        Examples
        --------
        >>> import numpy as np
        >>> print(Product(np.eye(3), [2.0, 5.0, 1.0]).table([0, 1.6, 0], most=2))
        term  share  mask
           1  62.5%   1.6
           0  25.0%     0
        """
        most = validation.count("most", most)
        heads = ["term", "share"]
        order = np.argsort(-self.term_norms, kind="stable")[:most]
        rows = [[name, f"{share:.1%}"] for name, share in self._largest(order)]
        if mask is not None:
            weights = validation.array("mask", mask, ndim=(1,))
            if len(weights) != self.d:
                raise ValueError(f"mask must have {self.d} entries; got {len(weights)}")
            heads.append("mask")
            rows = [[*row, f"{weights[i]:.4g}"] for row, i in zip(rows, order, strict=True)]
        return terminal.aligned([heads, *rows], right=True)

    def _largest(self, order: npt.NDArray[np.intp]) -> list[tuple[str, float]]:
        """Return names and shares of the total of some terms."""
        titles = self.names or range(self.d)
        return [(str(titles[i]), self.term_norms[i] / self.total) for i in order]

    def factor(self) -> Floats:
        """Return C with ``||A diag(m) B - AB||_F = ||C (m - 1)||_2`` for every mask m (S0).

        Returns
        -------
        (rank, d) array
            Column norms are `term_norms` and ``||C @ 1||`` is ``||AB||_F``. The rank is at most
            min(d, q r). It holds for errors; for solving, H = C^T C squares the condition number.

        Raises
        ------
        ValueError
            If min(d, q r) * d entries do not fit into memory (2 GiB).

        Examples
        --------
        >>> import numpy as np
        >>> product = Product(np.ones((1000, 3)), np.array([1.0, 2.0, 3.0]))
        >>> C = product.factor()
        >>> np.allclose(np.linalg.norm(C, axis=0), product.term_norms)
        True
        """
        return np.asarray(self.unit_factor.T * self.total, order="C")

    @property
    def unit_factor(self) -> Floats:
        """The factor of S0 transposed and divided by `total`: (d, rank), row i for term i.

        The form in which kernels read it; no scale of A or B can overflow in it.
        """
        return self._coordinates[0]

    @property
    def unit_error(self) -> float:
        """How far rounding may move what is read off `unit_factor`.

        ``total * ||(m - 1) @ unit_factor||`` is ``||A diag(m) B - AB||_F`` to within ``unit_error *
        sum_i u_i |m_i - 1|``: some epsilon from the terms themselves or from triangles. Where these
        would take more than a second, about its root times the largest sine between two terms, from
        Gram matrices (the root itself for sparse A).
        """
        return self._coordinates[1]

    @cached_property
    def _coordinates(self) -> tuple[Floats, float]:
        terms = self.q * self.r
        entries = min(self.d, terms) * self.d
        if entries > FACTOR_ENTRIES:
            raise ValueError(
                f"A {self.A.shape} and B {self.B.shape} need a factor of min(d, q r) x d = "
                f"{min(self.d, terms)} x {self.d} entries ({entries * 8 / 2**30:.3g} GiB, limit "
                f"{FACTOR_ENTRIES * 8 / 2**30:.3g} GiB); use fewer rows of A or fewer features"
            )
        if terms < self.d:
            A, B = conversion.dense(self.A) / self.total, conversion.dense(self._rows)
            rows = np.einsum("ji,ik->ijk", A, B, order="C").reshape(self.d, terms)
            return np.asarray(rows), 2 * EPS
        rows, error = coordinates.unit_terms(self.A, self._rows, self.column_norms, self.row_norms)
        rows *= (self.term_norms / self.total)[:, None]
        return rows, error

    def centred_moment(self, p: Floats) -> float:
        """``E ||Z - AB||^2`` over total^2 for one term Z over its p, drawn by p: a sum of squares.

        Where the terms over p are nearly equal it keeps the digits that a difference of second
        moments loses.
        """
        sizes = np.divide(self.term_norms, p, out=np.zeros(self.d), where=self.term_norms > 0)
        return coordinates.centred_moment(
            self.A, self._rows, self.column_norms, self.row_norms, p, sizes / self.total
        )

    @cached_property
    def _value(self) -> Floats:
        B = conversion.dense(self._rows)
        first, *others = (matmul(part, B) for _, part in conversion.widened(self.A))
        return np.concatenate([first, *others]) if others else np.asarray(first)

    @property
    def _rows(self) -> Any:
        return self.B if self.B.ndim == 2 else self.B[:, None]

    def _repr_html_(self) -> str:
        facts = {
            "A": f"{self.A.shape[0]:,} x {self.d:,}, {self.A.dtype}",
            "B": " x ".join(f"{n:,}" for n in self.B.shape) + f", {self.B.dtype}",
            "U, sum of the norms of the terms": f"{self.total:.5g}",
            "||AB||, error of the empty mask": f"{self.norm2**0.5:.5g}",
            "coherence": f"{self.coherence:.3g} of at most {self.d:,}",
        }
        if self.names:
            order = np.argsort(-self.term_norms, kind="stable")[:NAMED]
            listed = (f"{name} {share:.1%}" for name, share in self._largest(order))
            facts["largest terms, of U"] = ", ".join(listed)
        words = f"norms of the {self.d:,} terms, the largest first"
        return display.facts("Product", facts, display.falling(self.term_norms, words))

    def __repr__(self) -> str:
        return (
            f"Product(A {self.A.shape}, B {self.B.shape}: d={self.d}, U={self.total:.5g}, "
            f"||AB||={self.norm2**0.5:.5g}, coherence={self.coherence:.3g})"
        )


def _checked(name: str, A: Any, squares: Floats) -> Floats:
    """Refuse squared norms of the columns of A that leave the digits of float64."""
    faint = (squares < SMALLEST**2) & ((squares > 0) | _vanished(A, squares))
    if faint.any() or not (squares < LARGEST**2).all():
        worst = float(np.sqrt(squares[faint].min() if faint.any() else squares.max()))
        raise ValueError(
            f"{name} has a column or row of norm {worst:.3g}, whose square leaves "
            f"float64 (allowed: {SMALLEST:.0e} to {LARGEST:.0e}); rescale {name}: errors scale "
            "with it"
        )
    return squares


def _vanished(A: Any, squares: Floats) -> npt.NDArray[np.bool_]:
    """Columns with nonzero entries that have no squares left."""
    result: npt.NDArray[np.bool_] = squares == 0
    zero = np.flatnonzero(result)
    if zero.size:
        # An array for dense and sparse A alike.
        result[zero] = np.asarray(abs(A[:, zero]).sum(axis=0)).ravel() > 0
    return result
