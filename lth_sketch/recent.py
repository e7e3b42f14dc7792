"""The law of each kind that was asked for last for a product, as long as the product lives.

Several bounds on one product and one draw then share the eigenvalues and whatever else takes long,
and nobody has to hand them around.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from lth_sketch.product import Product
from lth_sketch.validation import Floats


class Law:
    """A law of draws from a product.

    What is computed for it, with p and the size s if there is one, lies in its ``__dict__`` and
    refers to no product, so that it can be kept without keeping the product.
    """

    __slots__ = ("__dict__", "_product")
    _product: Product


_Law = TypeVar("_Law", bound=Law)
_COMPUTED: WeakKeyDictionary[Product, dict[type[Law], dict[str, Any]]] = WeakKeyDictionary()


def recent(
    kind: type[_Law], product: Product, p: Floats, s: int | None, make: Callable[[], _Law]
) -> _Law:
    """Return a law that shares what was computed for the last one of its kind with this p and s.

    Parameters
    ----------
    kind : type
        Kind of law.
    product : Product
        The product AB that is drawn from.
    p : (d,) array
        Normalised probabilities.
    s : int or None
        Size, for a law of one.
    make : callable
        Makes the law, if it was not this that was asked for last.
    """
    kinds = _COMPUTED.setdefault(product, {})
    computed = kinds.get(kind)
    if computed is not None and computed.get("s") == s and np.array_equal(computed["p"], p):
        law = object.__new__(kind)
        law._product = product
        law.__dict__ = computed
        return law
    law = make()
    kinds[kind] = law.__dict__
    return law
