"""Things with a life: contexts, and pools that hand them out again."""
