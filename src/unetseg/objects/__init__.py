"""From probability to separate objects."""
