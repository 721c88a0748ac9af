"""How good the answers of a run are, by the labels of its images."""
