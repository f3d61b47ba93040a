"""memguard finds every reference cycle of a live process, without collecting.

``scan()`` answers at about the price of one ``gc.collect()``: what the
collector would free now, or what will need it once dropped, grouped by shape.

Only pytest, which imports this for the plugin in every run, gets it without the
rest, which a name then brings when it is first used: so the plugin costs
nothing where nobody asks for it, and a free-threaded Python keeps the GIL off.
Everywhere else what a scan needs is loaded at once: loading later makes enough
objects for an automatic collection, and that would free the garbage that a first
scan is for. What limits and watches is loaded when it is first used.
"""

# What this imports in turn, enum and functools among them, leaves classes behind
# that only the collector frees. The first scan must not be what makes them.
import dataclasses as _dataclasses  # noqa: F401
import gc as _gc
import sys as _sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memguard.admission.breaker import DelegationCircuitBreaker
    from memguard.admission.delegation import Delegation
    from memguard.admission.limits import AgentLimits
    from memguard.admission.refusals import (
        ApprovalDenied,
        BudgetExceeded,
        CircuitOpen,
        DelegationCycle,
        DelegationRefused,
        DepthExceeded,
        MemoryShort,
        ParallelismExceeded,
    )
    from memguard.admission.token import DelegationToken
    from memguard.agents.context import AgentContext
    from memguard.agents.current import carry_agent, current_agent
    from memguard.agents.lifecycle import AgentLifecycleManager
    from memguard.agents.pool import AgentMemoryPool, FreeList, PoolStatistics
    from memguard.agents.registry import (
        RegistryStatistics,
        WeakAgentRegistry,
        get_active_agent_count,
    )
    from memguard.agents.tally import CycleTally, LifecycleStatistics
    from memguard.crawling.crawl import Crawl, CrawlStatistics
    from memguard.dashboard import MemoryMonitoringDashboard
    from memguard.endpoint.listening import Listener, listen
    from memguard.errors import (
        AgentIdTakenError,
        AlreadyInstalledError,
        AsyncHooksPendingError,
        CannotCopyError,
        ContextClosed,
        CrawlClosedError,
        CycleGoneError,
        EndpointError,
        EnteredTwiceError,
        FrontierFullError,
        GuardClosedError,
        HeadroomShortError,
        LifecycleClosedError,
        LimitOutOfRangeError,
        MemguardError,
        MismatchedReportsError,
        MissingExtraError,
        MissingMeasureError,
        NotNewError,
        PoolError,
        ReportReleasedError,
        ReturnedTwiceError,
        ScanUnderWayError,
        SettingError,
        SnapshotFailedError,
        StillHeldError,
        StrangerError,
        UnknownAgentError,
        UnknownOptionError,
        UnknownRequestError,
        UnknownSettingError,
        UnreachableProcessError,
        UnreadableAuditError,
        UnreadableBaselineError,
        UnreadableReportError,
        UnreadableSettingsError,
        UnsafeFolderError,
        UnsupportedPythonError,
        WouldBlockLoopError,
        WrongSettingError,
        WrongTypeError,
    )
    from memguard.guard.guard import Guard, GuardStatistics, install, installed
    from memguard.heap.advice import Advice
    from memguard.heap.cuts import DEFAULT_CUTS, Cut
    from memguard.heap.growth.measure import growth
    from memguard.heap.growth.report import GrowthFinding, GrowthReport
    from memguard.heap.growth.tracker import GrowthTracker
    from memguard.heap.loops import Edge
    from memguard.heap.owner import Owner, own
    from memguard.heap.owners import OwnerRow, OwnersReport, owners
    from memguard.heap.report import ScanReport
    from memguard.heap.retained import RetainedSize, retained_size, retained_sizes
    from memguard.heap.retention import (
        Retention,
        RetentionReport,
        who_holds,
        why_alive,
    )
    from memguard.heap.scan import ascan, detect_circular_references, scan, scan_created
    from memguard.heap.shapes import Cycle, Shape
    from memguard.heap.survival import Survival, measure_survival
    from memguard.journal import Checkpoint, checkpoint, rollback
    from memguard.metrics import Metrics, MetricsSnapshot
    from memguard.oversight.approvals import HumanOversightManager, OversightStatistics
    from memguard.oversight.approvers import ApprovalPolicy, ConsoleApprover, PolicyRule
    from memguard.oversight.audit import AuditLog
    from memguard.oversight.requests import ApprovalRequest, Decision
    from memguard.pressure.alerts import MemoryPressureAlertSystem
    from memguard.pressure.cleanup import CleanupEffectiveness, CleanupMeter
    from memguard.pressure.collector import (
        ConfiguredCollector,
        calculate_gc_effectiveness,
        configure_optimized_gc,
    )
    from memguard.pressure.memory import read_memory
    from memguard.pressure.monitor import Reservation, ResourceMonitor
    from memguard.pressure.reading import MemoryReading
    from memguard.pressure.relief import Released, ReliefLadder, release_memory
    from memguard.rollbacks.rollback import Rollback
    from memguard.rollbacks.triggers import RollbackReading
    from memguard.settings import (
        AdmissionSettings,
        AlertSettings,
        CollectorSettings,
        CrawlingSettings,
        GuardSettings,
        MetricsSettings,
        OversightSettings,
        PressureSettings,
        ReliefSettings,
        RollbackSettings,
        WatchSettings,
        load_settings,
    )
    from memguard.watching.events import (
        CollectionExplained,
        ContainerGrows,
        ShapeGrows,
        ShapeOutgrown,
        ShapeOverBudget,
    )
    from memguard.watching.watch import Watch, watch

__version__ = "0.1.0"

__all__ = [
    "DEFAULT_CUTS",
    "AdmissionSettings",
    "Advice",
    "AgentContext",
    "AgentIdTakenError",
    "AgentLifecycleManager",
    "AgentLimits",
    "AgentMemoryPool",
    "AlertSettings",
    "AlreadyInstalledError",
    "ApprovalDenied",
    "ApprovalPolicy",
    "ApprovalRequest",
    "AsyncHooksPendingError",
    "AuditLog",
    "BudgetExceeded",
    "CannotCopyError",
    "Checkpoint",
    "CircuitOpen",
    "CleanupEffectiveness",
    "CleanupMeter",
    "CollectionExplained",
    "CollectorSettings",
    "ConfiguredCollector",
    "ConsoleApprover",
    "ContainerGrows",
    "ContextClosed",
    "Crawl",
    "CrawlClosedError",
    "CrawlStatistics",
    "CrawlingSettings",
    "Cut",
    "Cycle",
    "CycleGoneError",
    "CycleTally",
    "Decision",
    "Delegation",
    "DelegationCircuitBreaker",
    "DelegationCycle",
    "DelegationRefused",
    "DelegationToken",
    "DepthExceeded",
    "Edge",
    "EndpointError",
    "EnteredTwiceError",
    "FreeList",
    "FrontierFullError",
    "GrowthFinding",
    "GrowthReport",
    "GrowthTracker",
    "Guard",
    "GuardClosedError",
    "GuardSettings",
    "GuardStatistics",
    "HeadroomShortError",
    "HumanOversightManager",
    "LifecycleClosedError",
    "LifecycleStatistics",
    "LimitOutOfRangeError",
    "Listener",
    "MemguardError",
    "MemoryMonitoringDashboard",
    "MemoryPressureAlertSystem",
    "MemoryReading",
    "MemoryShort",
    "Metrics",
    "MetricsSettings",
    "MetricsSnapshot",
    "MismatchedReportsError",
    "MissingExtraError",
    "MissingMeasureError",
    "NotNewError",
    "OversightSettings",
    "OversightStatistics",
    "Owner",
    "OwnerRow",
    "OwnersReport",
    "ParallelismExceeded",
    "PolicyRule",
    "PoolError",
    "PoolStatistics",
    "PressureSettings",
    "RegistryStatistics",
    "Released",
    "ReliefLadder",
    "ReliefSettings",
    "ReportReleasedError",
    "Reservation",
    "ResourceMonitor",
    "RetainedSize",
    "Retention",
    "RetentionReport",
    "ReturnedTwiceError",
    "Rollback",
    "RollbackReading",
    "RollbackSettings",
    "ScanReport",
    "ScanUnderWayError",
    "SettingError",
    "Shape",
    "ShapeGrows",
    "ShapeOutgrown",
    "ShapeOverBudget",
    "SnapshotFailedError",
    "StillHeldError",
    "StrangerError",
    "Survival",
    "UnknownAgentError",
    "UnknownOptionError",
    "UnknownRequestError",
    "UnknownSettingError",
    "UnreachableProcessError",
    "UnreadableAuditError",
    "UnreadableBaselineError",
    "UnreadableReportError",
    "UnreadableSettingsError",
    "UnsafeFolderError",
    "UnsupportedPythonError",
    "Watch",
    "WatchSettings",
    "WeakAgentRegistry",
    "WouldBlockLoopError",
    "WrongSettingError",
    "WrongTypeError",
    "__version__",
    "ascan",
    "calculate_gc_effectiveness",
    "carry_agent",
    "checkpoint",
    "configure_optimized_gc",
    "current_agent",
    "detect_circular_references",
    "get_active_agent_count",
    "growth",
    "install",
    "installed",
    "listen",
    "load_settings",
    "measure_survival",
    "own",
    "owners",
    "read_memory",
    "release_memory",
    "retained_size",
    "retained_sizes",
    "rollback",
    "scan",
    "scan_created",
    "watch",
    "who_holds",
    "why_alive",
]

_HOMES = {
    "DEFAULT_CUTS": "heap.cuts",
    "AdmissionSettings": "settings",
    "Advice": "heap.advice",
    "AgentContext": "agents.context",
    "AgentLifecycleManager": "agents.lifecycle",
    "AgentLimits": "admission.limits",
    "AgentMemoryPool": "agents.pool",
    "AlertSettings": "settings",
    "ApprovalDenied": "admission.refusals",
    "ApprovalPolicy": "oversight.approvers",
    "ApprovalRequest": "oversight.requests",
    "AuditLog": "oversight.audit",
    "BudgetExceeded": "admission.refusals",
    "Checkpoint": "journal",
    "CircuitOpen": "admission.refusals",
    "CleanupEffectiveness": "pressure.cleanup",
    "CleanupMeter": "pressure.cleanup",
    "CollectionExplained": "watching.events",
    "CollectorSettings": "settings",
    "ConfiguredCollector": "pressure.collector",
    "ConsoleApprover": "oversight.approvers",
    "ContainerGrows": "watching.events",
    "Crawl": "crawling.crawl",
    "CrawlStatistics": "crawling.crawl",
    "CrawlingSettings": "settings",
    "Cut": "heap.cuts",
    "Cycle": "heap.shapes",
    "CycleTally": "agents.tally",
    "Decision": "oversight.requests",
    "Delegation": "admission.delegation",
    "DelegationCircuitBreaker": "admission.breaker",
    "DelegationCycle": "admission.refusals",
    "DelegationRefused": "admission.refusals",
    "DelegationToken": "admission.token",
    "DepthExceeded": "admission.refusals",
    "Edge": "heap.loops",
    "FreeList": "agents.pool",
    "GrowthFinding": "heap.growth.report",
    "GrowthReport": "heap.growth.report",
    "GrowthTracker": "heap.growth.tracker",
    "Guard": "guard.guard",
    "GuardSettings": "settings",
    "GuardStatistics": "guard.guard",
    "HumanOversightManager": "oversight.approvals",
    "LifecycleStatistics": "agents.tally",
    "Listener": "endpoint.listening",
    "MemoryMonitoringDashboard": "dashboard",
    "MemoryPressureAlertSystem": "pressure.alerts",
    "MemoryReading": "pressure.reading",
    "MemoryShort": "admission.refusals",
    "Metrics": "metrics",
    "MetricsSettings": "settings",
    "MetricsSnapshot": "metrics",
    "OversightSettings": "settings",
    "OversightStatistics": "oversight.approvals",
    "Owner": "heap.owner",
    "OwnerRow": "heap.owners",
    "OwnersReport": "heap.owners",
    "ParallelismExceeded": "admission.refusals",
    "PolicyRule": "oversight.approvers",
    "PoolStatistics": "agents.pool",
    "PressureSettings": "settings",
    "RegistryStatistics": "agents.registry",
    "Released": "pressure.relief",
    "ReliefLadder": "pressure.relief",
    "ReliefSettings": "settings",
    "Reservation": "pressure.monitor",
    "ResourceMonitor": "pressure.monitor",
    "RetainedSize": "heap.retained",
    "Retention": "heap.retention",
    "RetentionReport": "heap.retention",
    "Rollback": "rollbacks.rollback",
    "RollbackReading": "rollbacks.triggers",
    "RollbackSettings": "settings",
    "ScanReport": "heap.report",
    "Shape": "heap.shapes",
    "ShapeGrows": "watching.events",
    "ShapeOutgrown": "watching.events",
    "ShapeOverBudget": "watching.events",
    "Survival": "heap.survival",
    "Watch": "watching.watch",
    "WatchSettings": "settings",
    "WeakAgentRegistry": "agents.registry",
    "ascan": "heap.scan",
    "calculate_gc_effectiveness": "pressure.collector",
    "carry_agent": "agents.current",
    "checkpoint": "journal",
    "configure_optimized_gc": "pressure.collector",
    "current_agent": "agents.current",
    "detect_circular_references": "heap.scan",
    "get_active_agent_count": "agents.registry",
    "growth": "heap.growth.measure",
    "install": "guard.guard",
    "installed": "guard.guard",
    "listen": "endpoint.listening",
    "load_settings": "settings",
    "measure_survival": "heap.survival",
    "own": "heap.owner",
    "owners": "heap.owners",
    "read_memory": "pressure.memory",
    "release_memory": "pressure.relief",
    "retained_size": "heap.retained",
    "retained_sizes": "heap.retained",
    "rollback": "journal",
    "scan": "heap.scan",
    "scan_created": "heap.scan",
    "watch": "watching.watch",
    "who_holds": "heap.retention",
    "why_alive": "heap.retention",
}

# Type checkers read the imports above, and so complain of a name that is not there.
if not TYPE_CHECKING:

    def _load(name):
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
        globals()[name] = value
        return value

    def _is_for_scans(name):
        home = _HOMES.get(name, "heap.")
        return home.startswith("heap.") and not home.startswith("heap.growth.")

    # From 3.12 on the interpreter itself freezes some before it runs anything.
    _frozen_count = _gc.get_freeze_count()

    def __getattr__(name):
        """Load a public name when it is first used."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # Loading makes objects, which could let the collector run, and free what
        # the first scan is about to be asked for. It must not run right after,
        # either: freezing sets back the number of objects that it waits for.
        # What the program froze itself stays as it is.
        was_enabled = _gc.isenabled()
        _gc.disable()
        try:
            return _load(name)
        finally:
            if _is_for_scans(name) and _gc.get_freeze_count() == _frozen_count:
                _gc.freeze()
                _gc.unfreeze()
            if was_enabled:
                _gc.enable()

    if "pytest" not in _sys.modules:
        for _name in sorted({*__all__} - {"__version__"}):
            if _is_for_scans(_name):
                _load(_name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
