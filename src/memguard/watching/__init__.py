"""Looks at the heap of a running service, on a schedule."""
