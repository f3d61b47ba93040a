"""Things with a life: contexts, their pool, the registry, the lifecycle."""
