"""The scores of existing pruning algorithms, and the selection of a mask from scores.

A score has a number for each feature (the linear model ``f = X w``, one mask entry a row of w) or
for each weight (``pruning.deep``: deep linear networks). The largest are most worth keeping. Read
as weights of a draw they are a sketch, and its distance from the optimal one is a single number,
``probabilities.chi2(probabilities.optimal(product), scores)``, see `excess`.

Scores are float64. The data that a score looks at are a choice of their own: see `source`.
"""

from lth_sketch.pruning import deep
from lth_sketch.pruning.layers import nonnegative, shuffle
from lth_sketch.pruning.scores import (
    excess,
    grasp,
    leverage,
    magnitude,
    random,
    sketch,
    snip,
    snip_rms,
    synflow,
)
from lth_sketch.pruning.selection import emptied, select
from lth_sketch.pruning.sources import source

__all__ = [
    "deep",
    "emptied",
    "excess",
    "grasp",
    "leverage",
    "magnitude",
    "nonnegative",
    "random",
    "select",
    "shuffle",
    "sketch",
    "snip",
    "snip_rms",
    "source",
    "synflow",
]
