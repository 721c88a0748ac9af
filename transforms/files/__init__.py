"""Bytes at a URI, and the framings of files: records, archives, examples."""
