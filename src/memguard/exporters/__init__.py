"""What leaves the process, by other people's libraries; each is an extra."""
