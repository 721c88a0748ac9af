"""Runs that are killed and resumed: scripts/torture_lifecycle."""
