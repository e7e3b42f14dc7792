"""Where the data come from that a score looks at."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lth_sketch import validation
from lth_sketch.validation import Array

KINDS = ("gaussian", "ones", "random_pixels", "real", "shuffled_pixels", "uniform")


def source(X: npt.ArrayLike, kind: str, *, rng: np.random.Generator | int | None = None) -> Array:
    """Return data for a score: the real ones, random ones, or none.

    Other real data need no function: hand them to the score, with w of the same d.

    Parameters
    ----------
    X : (n, d) array
        Real data, samples in rows.
    kind : str
        What the score will see in their place:

        - "real": X itself.
        - "shuffled_pixels": one random permutation of the features, the same for every sample.
          Samples stay images of a kind; feature norms change places.
        - "random_pixels": another random permutation for every sample. Features become alike.
        - "gaussian": independent normal entries, with the mean and the variance of all of X.
        - "uniform": independent entries, uniform between the least and the largest of X.
        - "ones": a single row of ones, the input of SynFlow. Nothing of X but its width is used;
          targets for it are one row, and zeros mean no label.

        Mean, variance and range are single numbers: nothing tells the features apart.
    rng : Generator, int or None
        Source of randomness.

    Returns
    -------
    (n, d) array, (1, d) for "ones"
        In the type of `X`; not a copy for "real".

    Raises
    ------
    TypeError, ValueError
        If `X` is not a dense, real, finite matrix, `kind` or `rng` none of the above.

    References
    ----------
    Zhang, Bengio, Hardt, Recht, Vinyals, Understanding deep learning requires rethinking
    generalization, ICLR 2017, section 2.1 (shuffled pixels, random pixels, Gaussian); Su et al.,
    Sanity-Checking Pruning Methods: Random Tickets can Win the Jackpot, NeurIPS 2020, section 3
    (their use for pruning); Tanaka, Kunin, Yamins, Ganguli, NeurIPS 2020, section 6 (ones).

    Examples
    --------
    >>> import numpy as np
    >>> X = [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    >>> source(X, "ones")
    array([[1., 1., 1.]])
    >>> shuffled = source(X, "shuffled_pixels", rng=0)
    >>> np.sort(shuffled[0]), shuffled[1] - shuffled[0]
    (array([0., 1., 2.]), array([3., 3., 3.]))
    """
    data = validation.array("X", X, ndim=2)
    validation.choice("kind", kind, KINDS)
    generator = validation.generator(rng)
    match kind:
        case "real":
            return data
        case "shuffled_pixels":
            return data[:, generator.permutation(data.shape[1])]
        case "random_pixels":
            return generator.permuted(data, axis=1)
        case "ones":
            return np.ones((1, data.shape[1]), data.dtype)
        case "gaussian":
            mean, spread = data.mean(dtype=np.float64), data.std(dtype=np.float64)
            return generator.normal(mean, spread, data.shape).astype(data.dtype, copy=False)
    low, high = float(data.min()), float(data.max())
    return generator.uniform(low, high, data.shape).astype(data.dtype, copy=False)
