"""``python tests/real_programs``: see ``command``."""

import sys
from pathlib import Path

# Run by path, so that nothing but the libraries themselves has to be installed.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from real_programs.command import main  # noqa: E402 - needs the path above

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
