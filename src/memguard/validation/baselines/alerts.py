"""The report's 3.2, "Memory Pressure Notifications"."""

import logging

logger = logging.getLogger(__name__)


class MemoryPressureAlertSystem:
    """Names the pressure that a reading means, and alerts.

    Faults: a reading that moves around a threshold alerts each time; what
    "total" means in a container is left to the caller.
    """

    def __init__(self):
        self.alert_thresholds = {
            "warning": 60,  # 60% memory usage
            "critical": 80,  # 80% memory usage
            "emergency": 95,  # 95% memory usage
        }

    def check_memory_pressure(self, current_usage_mb, total_mb):
        percent = (current_usage_mb / total_mb) * 100

        if percent >= self.alert_thresholds["emergency"]:
            self._emergency_alert(current_usage_mb, percent)
            return "emergency"
        if percent >= self.alert_thresholds["critical"]:
            self._critical_alert(current_usage_mb, percent)
            return "critical"
        if percent >= self.alert_thresholds["warning"]:
            self._warning_alert(current_usage_mb, percent)
            return "warning"

        return "normal"

    # Left out by the report: where an alert goes.
    def _emergency_alert(self, current_usage_mb, percent):
        logger.critical("memory: %.0f MB, %.1f %%", current_usage_mb, percent)

    def _critical_alert(self, current_usage_mb, percent):
        logger.error("memory: %.0f MB, %.1f %%", current_usage_mb, percent)

    def _warning_alert(self, current_usage_mb, percent):
        logger.warning("memory: %.0f MB, %.1f %%", current_usage_mb, percent)
