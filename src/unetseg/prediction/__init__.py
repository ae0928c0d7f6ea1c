"""Probabilities for images of any size, and folders of files."""
