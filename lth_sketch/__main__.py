"""``python -m lth_sketch``: the command ``lth-sketch``."""

import sys

from lth_sketch.cli import main

if __name__ == "__main__":
    sys.exit(main())
