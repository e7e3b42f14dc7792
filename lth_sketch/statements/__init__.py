"""The register: every statement with its claim, value, measurement and figure, in one place.

Tests, `verify` and the figures' index read it; `docs/theory.md` holds the proofs.
"""

from lth_sketch.statements.anticipated import ANTICIPATED
from lth_sketch.statements.case import PRODUCTS, Case, Setting
from lth_sketch.statements.sketching import SKETCHING
from lth_sketch.statements.statement import Assumption, Statement, judge
from lth_sketch.statements.tails import TAILS
from lth_sketch.statements.training import TRAINING

REGISTER: tuple[Statement, ...] = (*SKETCHING, *TAILS, *TRAINING, *ANTICIPATED)

__all__ = ["PRODUCTS", "REGISTER", "Assumption", "Case", "Setting", "Statement", "judge"]
