"""Image files: find, read, resize, tile."""
