"""A run directory: its names, records, rows and files."""
