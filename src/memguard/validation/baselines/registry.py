"""The report's 4.2, "Weak Reference Agent Registry"."""

import weakref


class WeakAgentRegistry:
    """Knows who is alive, without keeping anybody alive.

    Fault: `metadata` never shrinks.
    """

    def __init__(self):
        self.agents = weakref.WeakValueDictionary()
        self.metadata = {}  # Strong references to metadata only

    def register(self, agent_id, agent_instance, metadata):
        """Register agent with weak reference."""
        self.agents[agent_id] = agent_instance
        self.metadata[agent_id] = metadata

    def get_active_count(self):
        """Get count of still-alive agents."""
        return len(self.agents)
