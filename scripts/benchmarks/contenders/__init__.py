"""Ways to turn photos into vectors, or a part of it; each module has a function run."""
