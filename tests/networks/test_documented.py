"""What the reference says of modules of PyTorch: the parameters that there are."""

from __future__ import annotations

import sys
from pathlib import Path

from documented import differing

from lth_sketch import networks

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "site"))


def test_docstrings_name_the_parameters_that_there_are():
    from making import reference

    assert differing(networks, reference.public(networks)) == {}
