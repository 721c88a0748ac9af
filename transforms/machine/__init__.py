"""This process and its machine: cores, memory, packages, garbage, how TensorFlow is imported."""
