"""What a repair did: two scans held against each other."""

from dataclasses import dataclass

from repairs.measurement import Measurement, measure_apart
from repairs.repair import Repair


@dataclass(frozen=True, slots=True)
class Outcome:
    """One repair, measured before and after.

    Attributes:
        repair: What was changed.
        before: The program as it is.
        after: Its copy with the change.
    """

    repair: Repair
    before: Measurement
    after: Measurement

    @property
    def shapes(self) -> list[dict]:
        """The shapes whose advice was followed, those with most cycles first."""
        found = self.before.shapes_with(self.repair.cut)
        return sorted(found, key=lambda shape: -shape["cycle_count"])

    @property
    def cycle_count(self) -> int:
        """How many cycles they are [count]."""
        return sum(shape["cycle_count"] for shape in self.shapes)

    @property
    def is_advised(self) -> bool:
        """Whether the advice names what was changed, and proves it on every cycle tried."""
        given = [shape["advice"] for shape in self.shapes]
        return bool(given) and all(
            advice["dissolved_cycle_count"] == advice["cycle_count"] > 0
            and self.repair.remedy in ("", advice["remedy"])
            for advice in given
        )

    @property
    def is_gone(self) -> bool:
        """Whether the second scan finds neither these shapes nor others in their place."""
        paths = {shape["path"] for shape in self.shapes}
        return (
            not self.after.shapes_with(self.repair.cut)
            and paths.isdisjoint(shape["path"] for shape in self.after.shapes)
            and self.after.cycle_count <= self.before.cycle_count - self.cycle_count
        )

    @property
    def is_removed(self) -> bool:
        """Whether the advice was given, followed, and the cycle is gone."""
        return self.is_advised and self.is_gone


def repair_apart(repair: Repair) -> Outcome:
    """Measure a program and its changed copy, each in a fresh process."""
    before = measure_apart(repair, changed=False)
    return Outcome(repair, before, measure_apart(repair, changed=True))
