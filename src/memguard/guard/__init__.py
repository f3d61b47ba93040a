"""One facade over all of memguard: what an orchestrator needs, built and ended together."""
