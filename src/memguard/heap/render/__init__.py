"""A report as text or plain values."""
