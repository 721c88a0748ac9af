"""Classifiers on vectors, and fine-tuning."""
