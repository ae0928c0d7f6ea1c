"""How good a prediction is, for pixels, boundaries and objects."""
