"""The cycles of each owner, added up.

Covers: what is told of them. Does not cover: whose a cycle is (``whose``).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from memguard.heap.owner import Owner
from memguard.heap.render.text import count, size


@dataclass(frozen=True, slots=True)
class OwnedCycles:
    """The cycles of one owner.

    Attributes:
        owner: Whose they are.
        cycle_count: How many [count].
        retained_bytes: What would be freed with them [bytes].
    """

    owner: Owner
    cycle_count: int
    retained_bytes: int

    def __str__(self) -> str:
        cycles = count(self.cycle_count, "cycle")
        return f"{self.owner} holds {size(self.retained_bytes)} in {cycles}"


class OfOwner(Protocol):
    """A cycle, as far as it is needed here."""

    @property
    def owner(self) -> Owner:
        """Whose it is."""

    @property
    def retained_bytes(self) -> int:
        """What would be freed with it [bytes]."""


def owners_of(cycles: Iterable[OfOwner]) -> tuple[OwnedCycles, ...]:
    """Add up cycles by their owners, those that hold most first."""
    totals: dict[Owner, tuple[int, int]] = {}
    for cycle in cycles:
        number, size_bytes = totals.get(cycle.owner, (0, 0))
        totals[cycle.owner] = number + 1, size_bytes + cycle.retained_bytes
    rows = [OwnedCycles(owner, *total) for owner, total in totals.items()]
    return tuple(sorted(rows, key=lambda row: (-row.retained_bytes, str(row.owner))))
