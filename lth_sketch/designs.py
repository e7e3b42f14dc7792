"""The register of designs: the ways to draw a mask, and what every room must know of each.

`sampling` draws them, `inclusion` says how likely they keep an index, `moments` and `montecarlo`
what their error is, `testing.laws` lists their outcomes, and `pruning` selects with them. A new
design is a record here and one entry in each of those rooms.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lth_sketch import validation
from lth_sketch.validation import Array


class Design(NamedTuple):
    """One way to draw a mask of size s from weights p."""

    name: str
    # Whether one index may be drawn several times: then there is no limit on s.
    with_replacement: bool
    # Whether E m_i = 1 wherever p_i > 0. A design that is not unbiased is no draw: it may keep what
    # has p_i = 0, and p need not cover the terms of a product.
    unbiased: bool
    # Whether a mask keeps exactly s indices.
    fixed_size: bool

    def check(self, s: int, p: Array) -> None:
        """Refuse a size that the design cannot draw from p.

        Raises
        ------
        ValueError
            If `s` is above the length of `p` or, in an unbiased design without replacement, above
            the number of its nonzero entries.
        """
        self.check_counts(s, int(np.count_nonzero(p)), len(p))

    def check_counts(self, s: int, nonzero: int, d: int) -> None:
        """Refuse a size as `check` does, for d weights of which so many are not zero."""
        if self.with_replacement:
            return
        if not self.unbiased:
            if s > d:
                raise ValueError(f"s must be at most d = {d} for the design {self.name!r}; got {s}")
            return
        if s > nonzero:
            raise ValueError(
                f"s must be at most {nonzero}, the number of nonzero p, for design {self.name!r}; "
                f"got {s}; only {_REPEATING} draw with replacement and allow more"
            )


_RECORDS = (
    #      name           with_replacement  unbiased  fixed_size
    Design("multinomial", True, True, False),
    Design("poisson", False, True, False),
    Design("systematic", False, True, True),
    Design("priority", False, True, True),
    Design("hybrid", True, True, False),
    Design("pivotal", False, True, True),
    Design("conditional", False, True, True),
    Design("top", False, False, True),
)
DESIGNS = {record.name: record for record in _RECORDS}
_REPEATING = " and ".join(repr(record.name) for record in _RECORDS if record.with_replacement)


def named(name: str) -> Design:
    """Return the design of this name.

    Parameters
    ----------
    name : str
        A key of `DESIGNS`.

    Returns
    -------
    Design

    Raises
    ------
    ValueError
        If there is none; the error lists those that there are.
    """
    return DESIGNS[validation.choice("design", name, DESIGNS)]
