"""Undoing what memguard changed, when that does harm."""
