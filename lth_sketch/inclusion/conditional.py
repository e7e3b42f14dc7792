"""Conditional Poisson draws: the law of inclusions that are told how many they shall be.

Entries are kept independently with the inclusion probabilities pi of a Poisson draw, which sum to
s, given that s are kept: of all laws with these odds the one of largest entropy. Its probabilities
are coefficients of products of the polynomials ``1 - pi_i + pi_i z``: means over the unit circle.
The product falls off like a bell away from z = 1, for s is the mean, and a few dozen nodes serve
any d.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from lth_sketch.validation import Floats

Complex = npt.NDArray[np.complex128]

# Tails below exp(-NEGLIGIBLE) are nothing, at the end of the law and at that of the bell.
NEGLIGIBLE = 40.0


def nodes(pi: Floats, s: int) -> Iterator[tuple[complex, Complex]]:
    """Yield weights w and vectors u with ``P(i, j, .. kept) = sum Re(w u_i u_j ..)``.

    Parameters
    ----------
    pi : (n,) array
        Inclusion probabilities of the Poisson draw, in (0, 1), summing to s up to rounding.
    s : int
        Number of entries kept, from 1 to n - 1.

    Yields
    ------
    weight : complex
        Their real parts sum to one.
    u : (n,) array
        ``pi_i z / (1 - pi_i + pi_i z)`` at a point z of the circle.
    """
    # The law of the number kept repeats itself every `count`: beyond Bernstein's limit, and with
    # more than n values never.
    variance = float((pi * (1.0 - pi)).sum())
    reach = NEGLIGIBLE / 3.0 + np.sqrt((NEGLIGIBLE / 3.0) ** 2 + 2.0 * NEGLIGIBLE * variance) + 4.0
    count = 2 * int(np.ceil(min(len(pi) + 2.0, reach) / 2.0))
    pairs = []
    total = 0.0
    for k in range(count // 2):
        # Half a step off, so that z = -1, where a polynomial may vanish, is no node.
        z = np.exp(1j * np.pi * (2 * k + 1) / count)
        factors = 1.0 + pi * (z - 1.0)
        turn = np.exp(-1j * np.pi * ((2 * k + 1) * s % (2 * count)) / count)
        weight = complex(np.prod(factors) * turn)
        if abs(weight) < np.exp(-NEGLIGIBLE):
            break
        total += weight.real
        pairs.append((weight, z))
    for weight, z in pairs:
        yield weight / total, pi * z / (1.0 + pi * (z - 1.0))


def inclusions(pi: Floats, s: int) -> Floats:
    """Return the probabilities of a conditional Poisson draw to keep each entry.

    Parameters
    ----------
    pi : (d,) array
        Inclusion probabilities of the Poisson draw, in [0, 1], summing to s.
    s : int
        Number of entries kept.

    Returns
    -------
    (d,) array
        They sum to s; 0 and 1 stay.
    """
    result: Floats = pi.copy()
    loose = np.flatnonzero((pi > 0) & (pi < 1))
    rest = s - int(np.count_nonzero(pi == 1))
    if rest in (0, len(loose)):
        # Rounding has left nothing to chance.
        result[loose] = float(rest > 0)
        return result
    kept = np.zeros(len(loose))
    for weight, u in nodes(pi[loose], rest):
        kept += (weight * u).real
    result[loose] = np.clip(kept, np.finfo(np.float64).tiny, 1.0)
    return result
