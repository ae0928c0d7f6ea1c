"""Scores of pixels, boundaries and objects; intervals; what is tuned on validation; comparison of runs."""
