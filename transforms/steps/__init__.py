"""The Beam transforms, each in a file of its name."""
