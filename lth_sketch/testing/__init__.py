"""Hypothesis strategies and exact laws, public: property-test bounds of your own.

Needs the extra ``testing`` (Hypothesis).

Examples
--------
Does a bound hold for every product that the strategy can think of? ::

    @given(products(), st.data())
    def test_mine(product, data):
        assert_bound(product, data.draw(probabilities(product)), 2, my_bound)
"""

# Hypothesis times what it draws and what it runs. The strategies compile nothing, and what is
# imported late elsewhere is imported here, not in somebody's first example.
import scipy.linalg
import scipy.optimize
import scipy.sparse
import scipy.special  # noqa: F401

from lth_sketch import extras

try:
    import hypothesis as _hypothesis  # noqa: F401
except ModuleNotFoundError as error:
    raise extras.missing("lth_sketch.testing", "testing") from error

from lth_sketch.testing.checks import Worst, assert_bound, assert_expectation, worst_case
from lth_sketch.testing.laws import enumerate_masks, squared_errors
from lth_sketch.testing.regression import LeastSquares, masks, problems
from lth_sketch.testing.strategies import probabilities, products

__all__ = [
    "LeastSquares",
    "Worst",
    "assert_bound",
    "assert_expectation",
    "enumerate_masks",
    "masks",
    "probabilities",
    "problems",
    "products",
    "squared_errors",
    "worst_case",
]
