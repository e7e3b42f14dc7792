"""The register: every statement with its claim, value, measurement and figure, in one place.

Tests, `verify` and the figures' index read it; `docs/theory.md` holds the proofs.
"""

from lth_sketch.statements.anticipated import ANTICIPATED
from lth_sketch.statements.case import PRODUCTS, Case, Setting
from lth_sketch.statements.data_free import DATA_FREE
from lth_sketch.statements.designs import DESIGNS
from lth_sketch.statements.end_of_training import END_OF_TRAINING
from lth_sketch.statements.existing import EXISTING
from lth_sketch.statements.field import FIELD, MISTAKES
from lth_sketch.statements.sketching import SKETCHING
from lth_sketch.statements.statement import Assumption, Statement, judge
from lth_sketch.statements.tails import TAILS

REGISTER: tuple[Statement, ...] = (
    *SKETCHING,
    *DESIGNS,
    *TAILS,
    *DATA_FREE,
    *END_OF_TRAINING,
    *EXISTING,
    *ANTICIPATED,
)

__all__ = [
    "FIELD",
    "MISTAKES",
    "PRODUCTS",
    "REGISTER",
    "Assumption",
    "Case",
    "Setting",
    "Statement",
    "judge",
]
