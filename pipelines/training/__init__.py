"""train_classifier's parts: labelled runs, heads, fine-tuning, export."""
