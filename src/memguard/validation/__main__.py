"""``python -m memguard.validation CHECK SIDE``: one side of one check, as JSON.

For ``memguard validate``, which runs each in a process of its own.
"""

import json
import sys
from importlib import import_module

from memguard.validation.runs import SIDES
from memguard.validation.targets import CHECKS


def main(words: list[str]) -> int:
    """Run it, and print its numbers."""
    if len(words) != 2 or words[0] not in CHECKS or words[1] not in SIDES:
        sides = " or ".join(SIDES)
        print(f"give one of {', '.join(CHECKS)}, then {sides}", file=sys.stderr)
        return 2
    check = import_module(f"memguard.validation.checks.{words[0]}")
    print(json.dumps(getattr(check, words[1])()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
