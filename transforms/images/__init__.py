"""Encoded images to pixels, by TF Hub's convention."""
