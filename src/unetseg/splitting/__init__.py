"""Assign samples to train, validation and test."""
