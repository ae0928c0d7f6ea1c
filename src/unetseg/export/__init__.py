"""Export models to other runtimes, and average several models into one."""

from unetseg import model as _model  # noqa: F401 - imports Keras in silence
