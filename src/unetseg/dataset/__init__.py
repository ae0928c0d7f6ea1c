"""Archive, layout, samples, arrays, subsets."""
