"""The command: all programs measured, a line each."""

import dataclasses
import json

from leaks.catalogue import HEALTHY, LEAKS
from leaks.measurement import measure, measure_apart


def main(arguments: list[str]) -> int:
    """Measure all, or one; end with 1 if one is not as it should be."""
    if arguments[:1] == ["--here"]:
        print(json.dumps(dataclasses.asdict(measure(arguments[1]))))
        return 0
    failures = 0
    for name in arguments or (*LEAKS, *HEALTHY):
        found = measure_apart(name)
        is_right = found.is_named if found.container else not found.findings
        failures += not is_right
        first = found.findings[0][1] if found.findings else "nothing"
        print(f"{'ok ' if is_right else 'NOT'} {name:38} {first}", flush=True)
        if not is_right:
            print(found.report)
    return 1 if failures else 0
