"""``python tests/edge_names``: see ``page``."""

import sys
from pathlib import Path

# Run by path, so that the tests need not be a package.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from edge_names.page import main  # noqa: E402 - needs the path above

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
