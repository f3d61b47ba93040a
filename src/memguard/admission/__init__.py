"""May it start: limits of delegation, waiting for a slot, the circuit breaker."""
