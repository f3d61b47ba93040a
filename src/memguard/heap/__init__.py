"""What is in memory: scans, and reports that a person can read."""
