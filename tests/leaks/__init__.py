"""Registries and caches that never shrink, rebuilt from reports, and programs that are well."""
