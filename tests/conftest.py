"""One Hypothesis profile, one place for test sizes."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings

JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")

settings.register_profile(
    "lth_sketch",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=50 if JIT else 10,
    suppress_health_check=[HealthCheck.data_too_large],
)
# For `make mutants`, where it is enough that a test fails.
settings.register_profile(
    "unshrunk", settings.get_profile("lth_sketch"), phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("lth_sketch")


@pytest.fixture(scope="session")
def size() -> Callable[[int, int], int]:
    """Choose a test's size: size(compiled, interpreted)."""
    return lambda compiled, interpreted: compiled if JIT else interpreted
