"""A private socket on which a running process answers its own user."""
