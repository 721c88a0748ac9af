"""The parts of train_classifier."""
