"""The report's 1.2, "Delegation Circuit Breaker"."""


class DelegationCircuitBreaker:
    """Says whether a task may delegate.

    Faults: to ask and to enter are two steps, so that any number of tasks may
    pass together; nothing enters a delegation in `active_delegations`, nor
    takes it out.
    """

    def __init__(self, max_depth=5, max_parallel_delegations=10):
        self.max_depth = max_depth
        self.max_parallel = max_parallel_delegations
        self.active_delegations = {}

    def can_delegate(self, from_task, to_agent):  # noqa: ARG002
        depth = self._get_delegation_depth(from_task)
        active_count = len(self.active_delegations)

        return depth < self.max_depth and active_count < self.max_parallel

    # Left out by the report: how deep a task is. Here `active_delegations` names
    # for each task the one that delegated to it.
    def _get_delegation_depth(self, from_task):
        depth = 0
        while from_task in self.active_delegations:
            from_task = self.active_delegations[from_task]
            depth += 1
        return depth
