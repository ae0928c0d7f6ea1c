"""Which samples train, validate and test."""
