"""Image files, in and out of their formats and sizes."""
