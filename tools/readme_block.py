"""Print a block of the README, so that what it says is what is run.

Usage: readme_block.py NAME [README.md]
A block is the fenced code after the line ``<!-- ci: NAME -->``.
"""

import re
import sys
from pathlib import Path


def block(name: str, text: str) -> str:
    """Find the block that a comment names."""
    pattern = rf"<!-- ci: {re.escape(name)} -->\n```\w*\n(.*?)^```$"
    found = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise SystemExit(f"no block <!-- ci: {name} --> in the README")
    return found[1]


if __name__ == "__main__":
    readme = Path(sys.argv[2] if len(sys.argv) > 2 else "README.md")
    sys.stdout.write(block(sys.argv[1], readme.read_text(encoding="utf-8")))
