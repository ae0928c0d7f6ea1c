"""From probability to separated objects."""
