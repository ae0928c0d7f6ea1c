"""Export models to other runtimes, and average several models into one."""
