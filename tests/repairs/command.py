"""The command: all programs repaired, a line each, and the page for the docs."""

import dataclasses
import json
import sys

from repairs.catalogue import REPAIRS
from repairs.measurement import measure


def main(arguments: list[str]) -> int:
    """Repair all, or measure one; end with 1 if a cycle that should be gone is not."""
    if arguments[:1] == ["--in-this-process"]:
        (repair,) = (one for one in REPAIRS if one.name == arguments[1])
        measured = measure(repair, changed=arguments[2:] == ["--changed"])
        print(json.dumps(dataclasses.asdict(measured)))
        return 0
    # Not before: what these import could not be changed any more.
    from repairs.outcome import repair_apart
    from repairs.page import PAGE, write_page

    outcomes = []
    for repair in REPAIRS:
        outcome = repair_apart(repair)
        outcomes.append(outcome)
        said = "removed" if outcome.is_removed else "NOT REMOVED"
        print(
            f"{repair.name:90} {outcome.before.cycle_count:3} -> {outcome.after.cycle_count:3}"
            f" cycles  {said}",
            flush=True,
        )
    write_page(PAGE, outcomes)
    unexpected = [one for one in outcomes if one.is_removed == bool(one.repair.note)]
    for outcome in unexpected:
        print(f"unexpected: {outcome.repair.name}", file=sys.stderr)
    return 1 if unexpected else 0
