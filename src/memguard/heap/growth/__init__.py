"""What grows: containers and types that become more with each run, and no less."""
