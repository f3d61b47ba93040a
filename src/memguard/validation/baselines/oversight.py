"""The report's 3.1, "Critical Operation Checkpoints"."""


class HumanOversightManager:
    """Asks a person before something critical.

    Faults: it waits for the person without end; an operation that it does not
    know is approved, silently.
    """

    def __init__(self):
        self.critical_operations = {
            "memory_threshold": 80,  # 80% memory usage
            "delegation_depth": 4,  # Deep delegation chains
            "circular_refs": True,  # High circular ref detection
        }

    def requires_oversight(self, operation, context):
        """Check if operation requires human approval."""
        if (
            operation == "deep_delegation"
            and context["depth"] >= self.critical_operations["delegation_depth"]
        ):
            return self._request_approval(
                f"Deep delegation detected (depth {context['depth']}). Continue?"
            )

        if (
            operation == "memory_pressure"
            and context["memory_percent"] >= self.critical_operations["memory_threshold"]
        ):
            return self._request_approval(
                f"High memory usage ({context['memory_percent']:.1f}%). Continue?"
            )

        return True  # Auto-approve for non-critical operations

    # Left out by the report: how a person is asked.
    def _request_approval(self, question):
        return input(f"{question} [y/N] ").strip().lower() == "y"
