"""Every tolerance of the library and of its tests, as a named multiple of machine epsilon."""

from __future__ import annotations

import numpy as np

EPS = float(np.finfo(np.float64).eps)
EPS32 = float(np.finfo(np.float32).eps)

# The last bits of one operation or two (about 1e-15).
ULPS = 2**2 * EPS
# Relative to the size of what was summed: a few hundred operations in float64.
ROUNDING = 2**12 * EPS
# Two routes to one exact number (about 1e-12), for instance a formula and an enumeration.
EXACT = 2**12 * EPS
# A series against a form that loses a few more digits (about 1e-11).
SERIES = 2**15 * EPS
# A formula against numbers that were published with all their digits (about 1e-10).
PUBLISHED = 2**18 * EPS
# Two routes of which one takes differences or solves equations (about 1e-9).
CONDITIONED = 2**22 * EPS
# A quantity found by quadrature or root finding (about 1e-8).
QUADRATURE = 2**25 * EPS
# The solution of equations of condition 1e9 (about 6e-8).
STIFF = 2**28 * EPS
# Half of the digits: what is left of a difference of squares (about 5e-7).
HALF = 2**31 * EPS
# A term of a product in the coordinates of a triangle, over the root of the number of terms.
TERMS = 2**3 * EPS
# float32 results of float64 accumulation.
SINGLE = 2**3 * EPS32
# Sums over a layer's inputs, and what passes through a network, where float32 is all there is.
LAYER, NETWORK = 2**6 * EPS32, 2**9 * EPS32

# Regression. A Gram matrix's entry is right to GRAM times the norms of its two columns.
GRAM = 2**6 * EPS
# A loss from a Gram matrix is used where its error bound is this small a share of it (about 1e-10).
GRAM_LOSS = 2**19 * EPS
# Squared residual of a unit feature below which a Gram matrix cannot tell it from a dependent one.
PIVOT = 2**24 * EPS
# A refinement that changes the solution by less leaves an error of about the square of it.
REFINED = 2**32 * EPS


def rank(n_samples: int, n_features: int) -> float:
    """Share of the largest singular value at which another counts as zero.

    It is that of numpy.linalg.lstsq, max(n_samples, n_features) eps, but not below 32 eps.
    """
    return max(n_samples, n_features, 32) * EPS
