"""What an agent works with.

Covers: `AgentContext`, and how many cleanups failed.
Does not cover: handing contexts out again (``pool``), who is alive (``registry``),
when a context ends (``lifecycle``).
"""

from memguard._agents import AgentContext, cleanup_failure_count

__all__ = ["AgentContext", "cleanup_failure_count"]
