"""A set of handwritten digits and its models: scripts/demo."""
