"""The web: read as a good guest does, by http and https."""
