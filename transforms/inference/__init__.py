"""Image inference inside other people's Beam pipelines: elements in, elements out, no files."""
