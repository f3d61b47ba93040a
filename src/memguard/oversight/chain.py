"""Entries of the audit, each of which seals the one before.

Covers: what is hashed, and finding the first entry that does not fit.
Does not cover: the file (``audit``).
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

START = bytes(32)
"""What the first entry of all follows."""

Kind = Literal["requested", "decided", "pruned"]
KINDS = ("requested", "decided", "pruned")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit.

    Attributes:
        number: Its place, from 1 on.
        at: When it was written [Unix time, s].
        process: Who wrote it: host, process id.
        kind: "requested", "decided", or "pruned", which says up to where older ones
            were deleted.
        request_id: Which request; "" for none.
        body: The rest, as JSON has it.
        previous: Digest of the entry before [32 bytes].
        digest: SHA-256 over all of the above [32 bytes].
    """

    number: int
    at: float
    process: str
    kind: Kind
    request_id: str
    body: str
    previous: bytes
    digest: bytes

    @property
    def fields(self) -> dict[str, Any]:
        """The body, read; empty where somebody made it something else."""
        try:
            fields = json.loads(self.body)
        except ValueError:
            return {}
        return fields if isinstance(fields, dict) else {}

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        return {
            "number": self.number,
            "at": self.at,
            "process": self.process,
            "kind": self.kind,
            "request_id": self.request_id,
            "digest": self.digest.hex(),
            **self.fields,
        }


def digest_of(
    number: int, at: float, process: str, kind: str, request_id: str, body: str, previous: bytes
) -> bytes:
    """Hash an entry: each field with its length, so that none can lend to another.

    Source:
        FIPS 180-4, SHA-256.
    """
    digest = hashlib.sha256(previous)
    for field in (str(number), float(at).hex(), process, kind, request_id, body):
        encoded = field.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.digest()


@dataclass(frozen=True, slots=True)
class Verification:
    """What a look at the whole chain gave.

    Attributes:
        entry_count: Entries that were looked at.
        first_number: The oldest one that is kept; 0 where there is none.
        head: Digest of the newest one, in hexadecimal; "" where there is none. Kept
            elsewhere it shows later that nothing was taken off the end.
        problem: What is wrong, and where; "" for nothing.
    """

    entry_count: int
    first_number: int
    head: str
    problem: str = ""

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problem


def verify(entries: Iterable[AuditEntry], head: str | None = None) -> Verification:
    """Look at a chain from its oldest entry on.

    Args:
        entries: In their order.
        head: A digest that was seen before, in hexadecimal, and must occur.
    """
    count = first_number = 0
    before: AuditEntry | None = None
    sealed: dict[int, str] = {}
    seen_head = head is None

    def found(problem: str) -> Verification:
        return Verification(count, first_number, before.digest.hex() if before else "", problem)

    opening = START
    for entry in entries:
        number = entry.number
        if before is None:
            first_number, opening = number, entry.previous
        elif number != before.number + 1:
            return found(f"entries {before.number + 1} to {number - 1} are missing")
        elif entry.previous != before.digest:
            return found(f"entry {number} does not follow entry {before.number}")
        expected = digest_of(
            number, entry.at, entry.process, entry.kind, entry.request_id, entry.body,
            entry.previous,
        )  # fmt: skip
        if entry.digest != expected:
            return found(f"entry {number} was changed")
        if entry.kind == "pruned":
            try:
                fields = entry.fields
                sealed[fields["through_number"]] = fields["digest"]
            except (LookupError, TypeError):  # sealed, but by somebody else
                return found(f"entry {number} does not say what was pruned")
        count += 1
        before = entry
        seen_head = seen_head or entry.digest.hex() == head
    if before is None:
        return found("") if seen_head else found(f"no entry has the digest {head}")
    if first_number == 1:
        if opening != START:
            return found("entry 1 does not begin the chain")
    elif sealed.get(first_number - 1) != opening.hex():
        return found(f"entries before {first_number} are missing, and no pruning says so")
    return found("" if seen_head else f"no entry has the digest {head}")
