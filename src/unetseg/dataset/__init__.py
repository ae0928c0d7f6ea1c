"""From an archive of samples to arrays and subsets."""
