"""What agents cost before, to reserve as much for the next one.

Covers: an exponentially weighted average for each name of an agent.
Does not cover: measuring; whoever runs an agent says what it took.

Source: S. W. Roberts, "Control Chart Tests Based on Geometric Moving Averages",
Technometrics 1 (3), 1959.
"""

from collections import OrderedDict

# Names of agents are few where they are names; where they are made for each
# request, the oldest go.
_MOST_NAMES = 10_000


def smoothed(before: float, latest: float, ratio: float) -> float:
    """Give the average after one more value; *ratio* is the weight of that."""
    return before + ratio * (latest - before)


class CostBook:
    """Average cost of each agent [bytes].

    Thread-safety:
        None of its own; who keeps it has a lock.
    """

    __slots__ = ("_averages", "_ratio")

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio
        self._averages: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._averages)

    def record(self, agent: str, cost_bytes: int) -> None:
        """Note what one run of an agent took."""
        before = self._averages.pop(agent, float(cost_bytes))
        self._averages[agent] = smoothed(before, cost_bytes, self._ratio)
        if len(self._averages) > _MOST_NAMES:
            self._averages.popitem(last=False)

    def expected_bytes(self, agent: str) -> int | None:
        """Give what to reserve for the next run [bytes]; None when never measured."""
        average = self._averages.get(agent)
        return None if average is None else round(average)

    def to_dict(self) -> dict[str, int]:
        """Give all averages [bytes]."""
        return {agent: round(average) for agent, average in self._averages.items()}
