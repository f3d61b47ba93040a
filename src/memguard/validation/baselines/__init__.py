"""The pure-Python classes of the report that memguard started from, as they stand there.

Benchmarks run them as the "before", and tests hold memguard's classes of the
same names against them. The report's own faults are kept; a test shows each.
What the report calls but does not have is added in as few lines as make it
run, after a comment that begins with "Left out by the report".

Nothing here is for use: import the classes of these names from ``memguard``.
"""

from memguard.validation.baselines.alerts import MemoryPressureAlertSystem
from memguard.validation.baselines.breaker import DelegationCircuitBreaker
from memguard.validation.baselines.collector import configure_optimized_gc
from memguard.validation.baselines.context import AgentContext, ResettableContext
from memguard.validation.baselines.dashboard import MemoryMonitoringDashboard
from memguard.validation.baselines.lifecycle import AgentLifecycleManager
from memguard.validation.baselines.oversight import HumanOversightManager
from memguard.validation.baselines.pool import AgentMemoryPool, CompletedMemoryPool
from memguard.validation.baselines.registry import WeakAgentRegistry

__all__ = [
    "AgentContext",
    "AgentLifecycleManager",
    "AgentMemoryPool",
    "CompletedMemoryPool",
    "DelegationCircuitBreaker",
    "HumanOversightManager",
    "MemoryMonitoringDashboard",
    "MemoryPressureAlertSystem",
    "ResettableContext",
    "WeakAgentRegistry",
    "configure_optimized_gc",
]
