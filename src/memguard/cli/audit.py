"""``memguard audit``: read who approved what, and verify that it was not changed."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from memguard.cli.quantity import positive_count

DESCRIPTION = """\
Show the requests and decisions that memguard.Guard(audit=FILE) wrote down, and
verify the chain of digests over all of them. Exit code 1 when something was
changed or taken out.
"""

EPILOG = """\
examples:
  memguard audit approvals.db               the newest decisions, and whether all is sound
  memguard audit approvals.db --request 4f7k2m9x
  memguard audit approvals.db --head 9f2c...  ... and nothing was taken off the end since
                                            an earlier look gave this digest
  memguard audit approvals.db --all --format json > approvals.jsonl
"""

_SHOWN_COUNT = 20
_NOBODY_WAS_ASKED = ("queue full", "closed", "failed")
"""What a decision says of how it came about; a crash of who was to answer is no answer."""


def add_to(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "audit",
        help="read and verify who approved what",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="the audit")
    add(
        "--last",
        type=positive_count,
        default=_SHOWN_COUNT,
        metavar="COUNT",
        help=f"show so many of the newest requests (default: {_SHOWN_COUNT})",
    )
    add("--all", action="store_true", help="show all of them")
    add("--request", metavar="ID", help="show only this one")
    add("--head", metavar="DIGEST", help="a digest that an earlier look printed, to be there still")
    add(
        "--format",
        choices=("text", "json"),
        default="text",
        help="json: one entry a line, and the verification last (default: text)",
    )
    parser.set_defaults(command=audit)


def audit(options: argparse.Namespace) -> int:
    """Verify, and print."""
    from memguard.errors import UnreadableAuditError
    from memguard.oversight.audit import read_entries, verify_file

    found = verify_file(options.file, head=options.head)
    try:
        entries = list(read_entries(options.file, request_id=options.request))
    except UnreadableAuditError as error:
        if found.is_sound or not found.entry_count:
            raise
        print(f"memguard: {error}", file=sys.stderr)
        entries = []
    requests = _requests(entries)
    if not options.all:
        requests = requests[-options.last :]
    if options.format == "json":
        shown = {entry.number for request in requests for entry in request}
        for entry in entries:
            if entry.number in shown:
                print(json.dumps(entry.to_dict()))
        summary = {
            "sound": found.is_sound,
            "problem": found.problem,
            "entry_count": found.entry_count,
            "head": found.head,
        }
        print(json.dumps(summary), flush=True)
    else:
        for request in requests:
            print(_line(request))
        print(_summary(entries))
        print(_verdict(found), flush=True)
    return 0 if found.is_sound else 1


def _requests(entries: list[Any]) -> list[list[Any]]:
    """Group entries by request, the oldest first."""
    by_request: dict[str, list[Any]] = {}
    for entry in entries:
        if entry.kind != "pruned":
            by_request.setdefault(entry.request_id, []).append(entry)
    return list(by_request.values())


def _line(request: list[Any]) -> str:
    first = request[0]
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(first.at))
    fields = first.fields
    text = f"{when}  {first.request_id}  {fields.get('operation', '?')}"
    if fields.get("chain"):
        text += f"  {' -> '.join(fields['chain'])}"
    decided = [entry for entry in request if entry.kind == "decided"]
    if not decided:
        return f"{text}\n    no decision: it waits, or its process was killed"
    for entry in decided:
        fields = entry.fields
        word = "approved" if fields.get("verdict") == "approve" else "denied"
        why = f": {fields['why']}" if fields.get("why") else ""
        after = f"{fields.get('how', '?')}, {entry.at - first.at:.1f} s"
        text += f"\n    {word} by {fields.get('by', '?')}{why} ({after})"
    return text


def _summary(entries: list[Any]) -> str:
    requests = _requests(entries)
    # Where there are several, only the last took effect.
    decisions = {entry.request_id: entry.fields for entry in entries if entry.kind == "decided"}
    denied_count = sum(fields.get("verdict") == "deny" for fields in decisions.values())
    unasked_count = sum(fields.get("how") in _NOBODY_WAS_ASKED for fields in decisions.values())
    coverage = 1 - unasked_count / len(requests) if requests else 1.0
    return (
        f"\n{len(requests):,} requests, {len(decisions):,} decided, {denied_count:,} denied;"
        f" somebody was asked for {coverage:.1%}"
    )


def _verdict(found: Any) -> str:
    if not found.is_sound:
        return f"NOT SOUND: {found.problem}"
    if not found.entry_count:
        return "Nothing stands in it."
    return (
        f"Sound: {found.entry_count:,} entries from number {found.first_number:,} on;"
        f" the newest has the digest\n{found.head}"
    )
