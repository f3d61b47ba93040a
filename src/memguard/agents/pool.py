"""Objects that are handed out again after their use.

Covers: contexts and lists (`AgentMemoryPool`), anything else (`FreeList`), and
their counts.
Does not cover: what a context is (``context``).
"""

from memguard._agents import AgentMemoryPool, FreeList
from memguard.agents.counts import PoolStatistics

__all__ = ["AgentMemoryPool", "FreeList", "PoolStatistics"]
