"""From flags to a run."""
