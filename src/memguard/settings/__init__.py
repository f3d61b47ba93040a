"""Every threshold once, with its unit, its range and its source.

Covers: the settings of all rooms, and reading them from arguments, variables
and files.
Does not cover: acting on them, which each room does itself.
"""

from memguard.settings.admission import AdmissionSettings
from memguard.settings.alerts import AlertSettings
from memguard.settings.collector import (
    PROFILES,
    REPORT_THRESHOLDS,
    CollectorSettings,
    ReliefSettings,
)
from memguard.settings.crawling import CrawlingSettings
from memguard.settings.guard import GuardSettings
from memguard.settings.metrics import MetricsSettings
from memguard.settings.oversight import OversightSettings
from memguard.settings.pressure import REPORT_REFUSE_BYTES, PressureSettings
from memguard.settings.rollback import RollbackSettings
from memguard.settings.sources import load_settings
from memguard.settings.watch import WatchSettings

__all__ = [
    "PROFILES",
    "REPORT_REFUSE_BYTES",
    "REPORT_THRESHOLDS",
    "AdmissionSettings",
    "AlertSettings",
    "CollectorSettings",
    "CrawlingSettings",
    "GuardSettings",
    "MetricsSettings",
    "OversightSettings",
    "PressureSettings",
    "ReliefSettings",
    "RollbackSettings",
    "WatchSettings",
    "load_settings",
]
