"""The parts of report, diff and search."""
