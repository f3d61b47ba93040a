"""What people may call from outside: see what waits, and answer it.

Covers: commands over plain values, for whatever carries them.
Does not cover: carrying them (``memguard.endpoint``).
"""

from collections.abc import Callable, Mapping
from typing import Any

from memguard.errors import UnknownRequestError
from memguard.oversight.approvals import HumanOversightManager
from memguard.oversight.requests import Decision

LIST = "approvals.list"
DECIDE = "approvals.decide"


def commands_of(
    manager: HumanOversightManager,
) -> dict[str, Callable[[Mapping[str, Any], str], Any]]:
    """Give the commands of a manager, each called with arguments and the caller's name."""

    def list_pending(_arguments: Mapping[str, Any], _caller: str) -> list[dict[str, Any]]:
        return [request.to_dict() for request in manager.pending()]

    def decide(arguments: Mapping[str, Any], caller: str) -> dict[str, str]:
        decision = Decision(
            arguments["verdict"],
            caller,
            str(arguments.get("why", "")),
            arguments.get("remember_seconds", 0.0),
        )
        try:
            manager.decide(arguments["id"], decision)
        except UnknownRequestError as error:
            return {"outcome": "late" if error.decided else "unknown", "decided": error.decided}
        return {"outcome": "decided", "decided": str(decision)}

    return {LIST: list_pending, DECIDE: decide}
