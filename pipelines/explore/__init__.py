"""The parts of report, diff, search, evaluate and inspect_model."""
