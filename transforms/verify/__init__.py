"""A published run against its own record."""
