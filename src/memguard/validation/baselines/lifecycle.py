"""The report's 2.2, "Explicit Cleanup Integration"."""

import weakref


class AgentLifecycleManager:
    """Cleans up what agents leave.

    Faults: `active_agents` keeps every context alive, so no finalizer ever
    runs, and nothing else ends an agent; `cleanup_registry` never shrinks.
    """

    def __init__(self):
        self.active_agents = {}
        self.cleanup_registry = []

    def register_agent(self, agent_id, agent_context):
        self.active_agents[agent_id] = agent_context

        # Register cleanup callback
        cleanup_ref = weakref.finalize(agent_context, self._cleanup_agent, agent_id)
        self.cleanup_registry.append(cleanup_ref)

    def _cleanup_agent(self, agent_id):
        """Explicit cleanup when agent is garbage collected."""
        if agent_id in self.active_agents:
            context = self.active_agents[agent_id]
            if hasattr(context, "cleanup"):
                context.cleanup()
            del self.active_agents[agent_id]
