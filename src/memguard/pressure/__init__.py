"""The machine's memory: limits, what is in use, alerts, and the collector."""
