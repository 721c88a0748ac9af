"""Image files made to cost time and memory: scripts/torture_images."""
