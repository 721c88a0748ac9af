"""A handle to a SavedModel, and from there to a loaded, probed model that an engine runs."""
