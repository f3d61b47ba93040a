"""All settings together, one field a room."""

from dataclasses import dataclass, field

from memguard.settings.admission import AdmissionSettings
from memguard.settings.alerts import AlertSettings
from memguard.settings.collector import CollectorSettings, ReliefSettings
from memguard.settings.crawling import CrawlingSettings
from memguard.settings.metrics import MetricsSettings
from memguard.settings.oversight import OversightSettings
from memguard.settings.pressure import PressureSettings
from memguard.settings.rollback import RollbackSettings
from memguard.settings.watch import WatchSettings


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """Every threshold, once.

    Attributes:
        admission: When a delegation is refused, or waits.
        pressure: When a spawn is refused, and how often sources are read.
        alerts: When people are told.
        collector: When garbage is collected.
        relief: When memory is given back under pressure.
        crawling: How much a crawl remembers.
        metrics: How much of what is counted is kept.
        rollback: When what memguard changed is undone.
        oversight: What people are asked beforehand.
        watch: How often the heap is looked at; for `memguard.watch`, no guard does that
            by itself.
    """

    admission: AdmissionSettings = field(default_factory=AdmissionSettings)
    pressure: PressureSettings = field(default_factory=PressureSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    collector: CollectorSettings = field(default_factory=CollectorSettings)
    relief: ReliefSettings = field(default_factory=ReliefSettings)
    crawling: CrawlingSettings = field(default_factory=CrawlingSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    rollback: RollbackSettings = field(default_factory=RollbackSettings)
    oversight: OversightSettings = field(default_factory=OversightSettings)
    watch: WatchSettings = field(default_factory=WatchSettings)
