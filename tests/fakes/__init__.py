"""Servers that behave, and misbehave, as real ones do."""
