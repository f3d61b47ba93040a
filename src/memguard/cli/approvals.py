"""``memguard approvals``: see what running processes ask, and answer."""

import argparse
import json
import sys
import time
from typing import Any

from memguard.cli.quantity import positive_seconds

DESCRIPTION = """\
Running processes with memguard.Guard(approve=...) ask before deep delegations and
before starting agents while memory is short. List what they ask, and answer.
Only processes of your own user are seen, over a private socket.
"""

EPILOG = """\
examples:
  memguard approvals list
  memguard approvals approve 4f7k2m9x --why "known batch job"
  memguard approvals approve 4f7k2m9x --remember 3600
                                    the same question is not asked again for an hour
  memguard approvals deny 4f7k2m9x

Exit code 1 when the request is decided already, or nobody asks it.
"""


def add_to(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "approvals",
        help="see what running processes ask, and approve or deny it",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(metavar="action", required=True)
    listing = actions.add_parser(
        "list", help="show what waits for an answer", description="Show what waits for an answer."
    )
    listing.add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        help="json: one object a line (default: text)",
    )
    listing.set_defaults(command=list_requests)
    for verdict, help_text in (("approve", "let it happen"), ("deny", "do not let it happen")):
        answer = actions.add_parser(
            verdict, help=help_text, description=f"Answer a request: {help_text}."
        )
        answer.add_argument("id", metavar="ID", help="the request, as the list shows it")
        answer.add_argument(
            "--why", default="", metavar="TEXT", help="the reason; it stands in the audit"
        )
        answer.add_argument(
            "--remember",
            type=positive_seconds,
            default=0.0,
            metavar="SECONDS",
            help="give the same answer to the same question for so long (default: this once)",
        )
        answer.set_defaults(command=decide, verdict=verdict)
    for action in (listing, *(actions.choices[verdict] for verdict in ("approve", "deny"))):
        action.add_argument(
            "--pid", type=int, metavar="PID", help="only this process (default: all of yours)"
        )


def list_requests(options: argparse.Namespace) -> int:
    """Print what waits."""
    from memguard.endpoint.client import call_all
    from memguard.oversight.commands import LIST

    waiting = [
        {"pid": pid, **request}
        for pid, _, requests in call_all(LIST, options.pid)
        for request in requests
    ]
    waiting.sort(key=lambda request: float(request["asked_at"]))
    if options.format == "json":
        for request in waiting:
            print(json.dumps(request))
        return 0
    if not waiting:
        print("Nothing waits for an answer.")
        return 0
    now = time.time()
    for request in waiting:
        print(_described(request, now))
    print("\nmemguard approvals approve ID, or deny ID", flush=True)
    return 0


def _described(request: dict[str, Any], now: float) -> str:
    left_seconds = max(0.0, request["expires_at"] - now)
    lines = [f"{request['id']}  {request['reason']}"]
    if request["chain"]:
        lines.append(f"          {' -> '.join(request['chain'])}")
    lines.append(
        f"          {request['operation']} in process {request['pid']};"
        f" {left_seconds:.0f} s left, then it is denied"
    )
    return "\n".join(lines)


def decide(options: argparse.Namespace) -> int:
    """Answer a request, wherever it is asked."""
    from memguard.endpoint.client import call_all
    from memguard.oversight.commands import DECIDE

    answers = call_all(
        DECIDE,
        options.pid,
        id=options.id,
        verdict=options.verdict,
        why=options.why,
        remember_seconds=options.remember,
    )
    by_outcome = {answer["outcome"]: (pid, answer["decided"]) for pid, _, answer in answers}
    if "decided" in by_outcome:
        pid, decided = by_outcome["decided"]
        print(f"Request {options.id} of process {pid} is {decided}", flush=True)
        return 0
    if "late" in by_outcome:
        pid, decided = by_outcome["late"]
        text = f"request {options.id} of process {pid} was decided already: {decided}"
    else:
        text = (
            f"no process of yours asks {options.id!r}; memguard approvals list shows what is asked"
        )
    print(f"memguard: {text}", file=sys.stderr)
    return 1
