"""Scores of pixels, boundaries and objects; confidence intervals; tuning on validation; comparison of runs."""
