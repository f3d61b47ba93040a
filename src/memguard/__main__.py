"""``python -m memguard``, the same as ``memguard``."""

import sys

from memguard.cli import main

sys.exit(main())
