"""The parts of report, diff, search and inspect_model."""
