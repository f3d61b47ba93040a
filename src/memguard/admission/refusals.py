"""A delegation that was not admitted, and why.

Covers: the errors, in words for people (``str``) and for a model
(``to_tool_message``).
Does not cover: who decides (``limits.decide``, ``circuit``).
"""

from enum import StrEnum

from memguard.errors import MemguardError


class Reason(StrEnum):
    """Which limit refused."""

    DEPTH = "depth"
    REPEAT = "repeat"
    CHILDREN = "children"
    DESCENDANTS = "descendants"
    LIVE = "live"
    AGENT = "agent"
    BYTES = "bytes"
    PARALLEL = "parallel"
    CIRCUIT = "circuit"
    MEMORY = "memory"
    APPROVAL = "approval"


_WHY = {
    Reason.DEPTH: "the chain {chain} would be {measured} deep, and max_depth is {limit}",
    Reason.REPEAT: "the chain {chain} comes back to {agent}: time {measured},"
    " and max_repeats is {limit}",
    Reason.CHILDREN: "its parent would have started {measured}, and max_children is {limit}",
    Reason.DESCENDANTS: "{root} and all below it would have started {measured},"
    " and max_descendants is {limit}",
    Reason.LIVE: "{measured} would be alive at once, and max_live is {limit}",
    Reason.AGENT: "{measured} of {agent} would be alive at once, and its max_live is {limit}",
    Reason.BYTES: "{measured:,} bytes would be reserved, and max_bytes is {limit:,}",
    Reason.PARALLEL: "{measured} would run at once, and max_parallel_delegations is {limit}",
    Reason.CIRCUIT: "the circuit is {measured}: {limit}",
    Reason.MEMORY: "memory is short: {limit}",
    Reason.APPROVAL: "{limit}",
}

_NOW = "do not delegate this again; do it yourself or answer with what you have."
_LATER = "others have to end first; go on without it, or ask again later."

_WHAT_TO_DO = {
    Reason.DEPTH: _NOW,
    Reason.REPEAT: _NOW,
    Reason.CHILDREN: _NOW,
    Reason.DESCENDANTS: _NOW,
    Reason.LIVE: _LATER,
    Reason.AGENT: _LATER,
    Reason.BYTES: _LATER,
    Reason.PARALLEL: _LATER,
    Reason.CIRCUIT: "delegating is stopped for now; go on without it.",
    Reason.MEMORY: _LATER,
    Reason.APPROVAL: _NOW,
}


class DelegationRefused(MemguardError, RuntimeError):
    """A delegation was not admitted; nothing of it was started or counted.

    Attributes:
        reason: Which limit refused.
        chain: Names of the agents, from the first to the one that was refused.
        limit: The limit; for an open circuit why it is open, and for what was asked
            beforehand the answer.
        measured: What it would have been; for a circuit its state.
        retry_after_seconds: When to ask again [s]; None when asking again
            will not help, or when nobody can know.
    """

    def __init__(
        self,
        reason: Reason,
        chain: tuple[str, ...],
        limit: float | str,
        measured: float | str,
        retry_after_seconds: float | None = None,
    ) -> None:
        self.reason = reason
        self.chain = chain
        self.limit = limit
        self.measured = measured
        self.retry_after_seconds = retry_after_seconds
        super().__init__(reason, chain, limit, measured, retry_after_seconds)

    @property
    def agent(self) -> str:
        """Name of the agent that was refused."""
        return self.chain[-1]

    def _why(self) -> str:
        return _WHY[self.reason].format(
            chain=" -> ".join(self.chain),
            agent=self.agent,
            root=self.chain[0],
            limit=self.limit,
            measured=self.measured,
        )

    def _when(self) -> str:
        if self.retry_after_seconds is None:
            return ""
        return f" Try again in {max(self.retry_after_seconds, 0.1):.1f} s."

    def __str__(self) -> str:
        return f"{self.agent} was not admitted: {self._why()}.{self._when()}"

    def to_tool_message(self) -> str:
        """Say it in one sentence on which a model can act, as the result of a tool."""
        todo = _WHAT_TO_DO[self.reason]
        if self.retry_after_seconds is not None:
            todo = f"go on without it, or try again in {max(self.retry_after_seconds, 0.1):.1f} s."
        return f"Delegation to {self.agent!r} was refused because {self._why()}; {todo}"


class DepthExceeded(DelegationRefused):
    """The chain would be too long."""


class ParallelismExceeded(DelegationRefused):
    """Too many would run at once, and waiting did not help or was not wanted."""


class BudgetExceeded(DelegationRefused):
    """A parent, a run, an agent or all together would have too many."""


class DelegationCycle(DelegationRefused):
    """An agent would occur in its own chain once more than allowed."""


class MemoryShort(DelegationRefused):
    """More bytes would be reserved than there are to give, or memory is too full."""


class ApprovalDenied(DelegationRefused):
    """Somebody was asked, and did not agree in time."""


class CircuitOpen(DelegationRefused):
    """Too much failed lately, or somebody opened the circuit."""


_KIND = {
    Reason.DEPTH: DepthExceeded,
    Reason.REPEAT: DelegationCycle,
    Reason.CHILDREN: BudgetExceeded,
    Reason.DESCENDANTS: BudgetExceeded,
    Reason.LIVE: BudgetExceeded,
    Reason.AGENT: BudgetExceeded,
    Reason.BYTES: MemoryShort,
    Reason.MEMORY: MemoryShort,
    Reason.APPROVAL: ApprovalDenied,
    Reason.PARALLEL: ParallelismExceeded,
    Reason.CIRCUIT: CircuitOpen,
}


def make_refusal(
    reason: Reason,
    chain: tuple[str, ...],
    limit: float | str,
    measured: float | str,
    retry_after_seconds: float | None = None,
) -> DelegationRefused:
    """Make the error that fits the reason."""
    return _KIND[reason](reason, chain, limit, measured, retry_after_seconds)
