"""Every kind of reference, and the name that a report gives it."""
