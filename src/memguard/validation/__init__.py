"""The original report's numbers, measured: its patterns before, memguard after."""
