"""Benchmarks: always a ratio to a peer that ran beside, never a bare time."""
