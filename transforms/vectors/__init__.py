"""Arrays of vectors: search, duplicates, maps, health."""
